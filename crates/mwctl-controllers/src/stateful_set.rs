//! StatefulSets: pods with names and volumes of their own, made, updated and deleted in order.
//!
//! Claims are never deleted: the retention policies `Delete` are not carried out.

mod identity;
mod turn;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::action::Action;
use crate::claim::{claim, selector, would_take};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed, controller_of};
use crate::pods;
use crate::revisions::{self, Revisions};

/// The controller's name.
pub(crate) const NAME: &str = "statefulset-controller";

/// The label of a revision with its hash.
const HASH: &str = "controller.kubernetes.io/hash";

/// The label of a pod with its revision.
const REVISION: &str = "controller-revision-hash";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[
        Kind::StatefulSet,
        Kind::Pod,
        Kind::ControllerRevision,
        Kind::PersistentVolumeClaim,
    ],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    let object = change.object();
    let namespace = object.key().namespace;
    match object {
        Object::StatefulSet(set) => vec![Key::of(set.as_ref())],
        Object::ControllerRevision(_) | Object::Pod(_) => {
            let mut keys = change.controllers("StatefulSet");
            if let (Object::Pod(pod), None) = (object, controller_of(object.meta())) {
                keys.extend(
                    (observed.stateful_sets.in_namespace(&namespace))
                        .filter(|set| {
                            let spec = set.spec.as_ref();
                            spec.is_some_and(|spec| would_take(&spec.selector, pod.as_ref()))
                        })
                        .map(|set| Key::of(set.as_ref())),
                );
            }
            keys
        }
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(set) = observed.stateful_sets.get(key).map(AsRef::as_ref) else {
        return Vec::new();
    };
    let Some(spec) = &set.spec else {
        return Vec::new();
    };
    let Some(selector) = selector(&spec.selector) else {
        return Vec::new();
    };
    let candidates = (observed.pods.in_namespace(&key.namespace))
        .filter(|pod| identity::ordinal(set, pod).is_some());
    let claim = claim(set, &selector, candidates);
    if !claim.actions.is_empty() {
        return claim.actions;
    }
    let collisions = set
        .status
        .as_ref()
        .and_then(|status| status.collision_count);
    let revisions = match revisions::revisions(observed, set, &spec.template, HASH, collisions) {
        Ok(revisions) => revisions,
        Err(action) => return vec![*action],
    };
    let members = Members {
        set,
        spec,
        pods: claim.ours,
        current: current(set, &revisions),
        update: revisions.update.name_any(),
    };
    let mut actions = Vec::new();
    let status = members.status(context);
    if set.status.as_ref() != Some(&status) {
        let mut set = set.clone();
        set.status = Some(status);
        actions.push(Action::UpdateStatus(set.into()));
    }
    if set.metadata.deletion_timestamp.is_none() {
        actions.extend(turn::actions(context, &members, &revisions));
        actions.extend(revisions::tidy(
            &revisions,
            spec.revision_history_limit,
            |it| {
                let name = it.name_any();
                name == members.current || members.pods.iter().any(|pod| revision(pod) == name)
            },
        ));
    }
    actions.extend(
        (members.pods.iter())
            .filter_map(|pod| pods::available_from(pod, members.min_ready()))
            .filter(|time| *time > context.now)
            .map(Action::WakeAt),
    );
    actions
}

/// The revision that all pods were in when last they were all in one.
fn current(set: &StatefulSet, revisions: &Revisions) -> String {
    let noted = (set.status.as_ref()).and_then(|status| status.current_revision.clone());
    noted
        .filter(|name| revisions.all.iter().any(|it| it.name_any() == *name))
        .unwrap_or_else(|| revisions.update.name_any())
}

/// The revision that a pod is in.
fn revision(pod: &Pod) -> &str {
    pod.labels().get(REVISION).map_or("", String::as_str)
}

/// A set and the pods that are its own.
struct Members<'a> {
    set: &'a StatefulSet,
    spec: &'a StatefulSetSpec,
    pods: Vec<Arc<Pod>>,
    current: String,
    update: String,
}

impl Members<'_> {
    fn min_ready(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or_default()
    }

    fn status(&self, context: &Context<'_>) -> StatefulSetStatus {
        let number =
            |is: &dyn Fn(&Pod) -> bool| self.pods.iter().filter(|pod| is(pod)).count() as i32;
        let some = |number: i32| (number > 0).then_some(number);
        let is_in = |pod: &Pod, name: &str| {
            pod.metadata.deletion_timestamp.is_none() && revision(pod) == name
        };
        let replicas = number(&|_| true);
        let ready = number(&pods::is_ready);
        let updated = number(&|pod| is_in(pod, &self.update));
        let mut status = StatefulSetStatus {
            observed_generation: self.set.metadata.generation,
            replicas,
            ready_replicas: some(ready),
            available_replicas: Some(number(&|pod| {
                pods::is_available(pod, self.min_ready(), context.now)
            })),
            current_replicas: some(number(&|pod| is_in(pod, &self.current))),
            updated_replicas: some(updated),
            current_revision: Some(self.current.clone()),
            update_revision: Some(self.update.clone()),
            collision_count: Some(
                (self.set.status.as_ref())
                    .and_then(|status| status.collision_count)
                    .unwrap_or_default(),
            ),
            conditions: self
                .set
                .status
                .as_ref()
                .and_then(|status| status.conditions.clone()),
        };
        // When all pods are in the new revision it is the current one.
        if updated == replicas && ready == replicas && !self.is_on_delete() {
            status.current_revision = Some(self.update.clone());
            status.current_replicas = some(updated);
        }
        status
    }

    fn is_on_delete(&self) -> bool {
        let strategy = self.spec.update_strategy.as_ref();
        strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete"))
    }
}

#[cfg(test)]
mod tests;
