//! One turn: the first thing in order that can be done now.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{Members, NAME, identity, revision};
use crate::action::{Action, Announcement, Note, Severity, Target};
use crate::controller::Context;
use crate::observed::{Key, reference_to};
use crate::pods;
use crate::revisions::{self, Revisions};

/// What is to be done now.
pub(super) fn actions(
    context: &Context<'_>,
    members: &Members<'_>,
    revisions: &Revisions,
) -> Vec<Action> {
    let plan = Turn {
        context,
        members,
        revisions,
    };
    plan.actions()
}

/// The pods that are wanted, by number; nothing where one is missing.
type Numbered = BTreeMap<i32, Option<Arc<Pod>>>;

struct Turn<'a> {
    context: &'a Context<'a>,
    members: &'a Members<'a>,
    revisions: &'a Revisions,
}

impl Turn<'_> {
    fn actions(&self) -> Vec<Action> {
        let (members, condemned) = self.sort();
        let in_order = self.members.spec.pod_management_policy.as_deref() != Some("Parallel");
        let mut actions = Vec::new();
        for (ordinal, pod) in &members {
            let step = self.keep(*ordinal, pod.as_deref());
            let is_settled = step.is_empty() && pod.as_ref().is_some_and(|pod| self.serves(pod));
            actions.extend(step);
            if in_order && !is_settled {
                return actions;
            }
        }
        if !actions.is_empty() {
            return actions;
        }
        let ends = self.end(&condemned, in_order);
        if !ends.is_empty() || (in_order && !condemned.is_empty()) {
            return ends;
        }
        self.update(&members)
    }

    /// The pods that are wanted, by number, and those that aren't, the highest number first.
    fn sort(&self) -> (Numbered, Vec<Arc<Pod>>) {
        let spec = self.members.spec;
        let first = spec
            .ordinals
            .as_ref()
            .and_then(|it| it.start)
            .unwrap_or_default();
        let wanted = first..first + spec.replicas.unwrap_or(1);
        let mut members: Numbered = wanted.clone().map(|ordinal| (ordinal, None)).collect();
        let mut condemned = BTreeMap::new();
        for pod in &self.members.pods {
            match identity::ordinal(self.members.set, pod) {
                Some(ordinal) if wanted.contains(&ordinal) => {
                    members.insert(ordinal, Some(Arc::clone(pod)));
                }
                Some(ordinal) => {
                    condemned.insert(ordinal, Arc::clone(pod));
                }
                None => {}
            }
        }
        (members, condemned.into_values().rev().collect())
    }

    fn serves(&self, pod: &Pod) -> bool {
        pod.metadata.deletion_timestamp.is_none()
            && pods::is_available(pod, self.members.min_ready(), self.context.now)
    }

    /// Makes a pod that is missing, and replaces one that has ended.
    fn keep(&self, ordinal: i32, pod: Option<&Pod>) -> Vec<Action> {
        match pod {
            None => self.create(ordinal),
            Some(pod) if pods::is_finished(pod) && pod.metadata.deletion_timestamp.is_none() => {
                let set = self.members.set;
                let key = Key::of(set);
                let (reason, state) = match pods::phase(pod) {
                    "Failed" => ("RecreatingFailedPod", "failed"),
                    _ => ("RecreatingTerminatedPod", "terminated"),
                };
                let note = Note {
                    about: reference_to(set),
                    severity: Severity::Warning,
                    reason,
                    message: format!(
                        "StatefulSet {key} is recreating {state} Pod {}",
                        pod.name_any()
                    ),
                    component: NAME,
                };
                vec![Action::Record(note), self.delete(pod)]
            }
            Some(_) => Vec::new(),
        }
    }

    fn create(&self, ordinal: i32) -> Vec<Action> {
        let set = self.members.set;
        let namespace = set.namespace().unwrap_or_default();
        let present = &self.context.observed.claims;
        let mut actions: Vec<Action> = (identity::claims(set, ordinal).into_iter())
            .filter(|claim| {
                present
                    .get(&Key::new(&*namespace, claim.name_any()))
                    .is_none()
            })
            .map(|claim| {
                let pod = format!("{}-{ordinal}", set.name_any());
                let what = format!(
                    "create Claim {{name}} Pod {pod} in StatefulSet {}",
                    set.name_any()
                );
                Action::Create(
                    claim.into(),
                    Some(self.announcement("SuccessfulCreate", "FailedCreate", &what)),
                )
            })
            .collect();
        let revision = self.revision_for(ordinal);
        let template = (self.revisions.all.iter())
            .find(|it| it.name_any() == revision)
            .and_then(|it| revisions::template(it))
            .unwrap_or_else(|| self.members.spec.template.clone());
        let pod = identity::pod(set, &template, revision, ordinal);
        let what = format!("create Pod {{name}} in StatefulSet {}", set.name_any());
        let announcement = self.announcement("SuccessfulCreate", "FailedCreate", &what);
        actions.push(Action::Create(pod.into(), Some(announcement)));
        actions
    }

    /// The revision of a pod that is to be made: below the partition the current one.
    fn revision_for(&self, ordinal: i32) -> &str {
        if ordinal < self.partition() {
            &self.members.current
        } else {
            &self.members.update
        }
    }

    /// The number from which on pods are updated.
    fn partition(&self) -> i32 {
        let spec = self.members.spec;
        let first = spec
            .ordinals
            .as_ref()
            .and_then(|it| it.start)
            .unwrap_or_default();
        let rolling = (spec.update_strategy.as_ref()).and_then(|it| it.rolling_update.as_ref());
        first + rolling.and_then(|it| it.partition).unwrap_or_default()
    }

    /// Deletes pods that aren't wanted any more.
    fn end(&self, condemned: &[Arc<Pod>], in_order: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        for pod in condemned {
            if pod.metadata.deletion_timestamp.is_none() {
                actions.push(self.delete(pod));
            }
            if in_order {
                break;
            }
        }
        actions
    }

    /// Replaces the highest pod that is in another revision, if those above it serve.
    fn update(&self, members: &Numbered) -> Vec<Action> {
        if self.members.is_on_delete() {
            return Vec::new();
        }
        let partition = self.partition();
        for (_, pod) in members
            .iter()
            .rev()
            .take_while(|(ordinal, _)| **ordinal >= partition)
        {
            let Some(pod) = pod else {
                return Vec::new();
            };
            if pod.metadata.deletion_timestamp.is_none() && revision(pod) != self.members.update {
                return vec![self.delete(pod)];
            }
            if !self.serves(pod) {
                return Vec::new();
            }
        }
        Vec::new()
    }

    fn delete(&self, pod: &Pod) -> Action {
        let what = format!(
            "delete Pod {{name}} in StatefulSet {}",
            self.members.set.name_any()
        );
        Action::Delete {
            target: Target::of(pod),
            propagation: None,
            grace: None,
            announcement: Some(self.announcement("SuccessfulDelete", "FailedDelete", &what)),
        }
    }

    fn announcement(&self, done: &'static str, refused: &'static str, what: &str) -> Announcement {
        Announcement {
            about: reference_to(self.members.set),
            component: NAME,
            done: Some((done, format!("{what} successful"))),
            refused: Some((refused, format!("{what} failed error: {{error}}"))),
        }
    }
}
