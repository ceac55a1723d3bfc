//! One step from the old ReplicaSets towards the new one, and the tidying when it is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::ResourceExt;

use super::progress::{self, Progress};
use super::revision::{self, REVISION};
use super::scale::{DESIRED, MAX, Slack, annotations, announcement, is_recreate, set_replicas};
use super::sets::{HASH, Sets, available, existing, replicas};
use super::{status, wanted};
use crate::action::{Action, Target};
use crate::controller::Context;
use crate::hash;
use crate::observed::{Key, owner_reference};
use crate::pods;

/// How many old ReplicaSets are kept, unless the Deployment says otherwise.
const HISTORY: usize = 10;

/// The status, and one step.
pub(super) fn actions(context: &Context<'_>, deployment: &Deployment, sets: &Sets) -> Vec<Action> {
    let Some(new) = &sets.new else {
        return begin(context, deployment, sets);
    };
    let has_condition = (deployment.status.as_ref())
        .is_some_and(|status| progress::find(status, progress::PROGRESSING).is_some());
    let progress = if has_condition {
        match Progress::of_pause(deployment) {
            Progress::Unchanged => Progress::FromNumbers,
            said => said,
        }
    } else {
        Progress::Found(new.name_any())
    };
    let mut actions = status::update(context, deployment, sets, &progress);
    let step = step(context, deployment, sets, new);
    if step.is_empty() {
        actions.extend(tidy(deployment, sets));
    }
    actions.extend(step);
    if let Some(time) = progress::overdue_at(deployment).filter(|time| *time >= context.now) {
        // A little later, so that the deadline is over and not just reached.
        let time = time.saturating_add(k8s_openapi::jiff::SignedDuration::from_millis(1));
        actions.extend(time.ok().map(Action::WakeAt));
    }
    actions
}

fn step(
    context: &Context<'_>,
    deployment: &Deployment,
    sets: &Sets,
    new: &Arc<ReplicaSet>,
) -> Vec<Action> {
    if is_recreate(deployment) {
        let down = all_down(deployment, sets);
        if !down.is_empty() || old_pods_exist(context, sets) {
            return down;
        }
        return set_replicas(deployment, new, wanted(deployment))
            .into_iter()
            .collect();
    }
    let up = set_replicas(deployment, new, room(deployment, sets, replicas(new)));
    if up.is_some() {
        return up.into_iter().collect();
    }
    scale_down(deployment, sets, new)
}

/// Makes the ReplicaSet of a new template, if it may be made yet.
fn begin(context: &Context<'_>, deployment: &Deployment, sets: &Sets) -> Vec<Action> {
    let mut first = Vec::new();
    let number = if is_recreate(deployment) {
        first = all_down(deployment, sets);
        if !first.is_empty() || old_pods_exist(context, sets) {
            let mut actions = status::update(context, deployment, sets, &Progress::FromNumbers);
            actions.append(&mut first);
            return actions;
        }
        wanted(deployment)
    } else {
        room(deployment, sets, 0)
    };
    let set = make(deployment, sets, number);
    let key = Key::of(&set);
    if context.observed.replica_sets.get(&key).is_some() {
        // The name is taken by another template: the next try gets another one.
        let mut status = deployment.status.clone().unwrap_or_default();
        status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
        return status::write(deployment, status);
    }
    let created = Progress::Created(key.name.clone());
    let mut status = status::compute(deployment, sets, &created, context.now);
    // Whoever reads that this description was seen takes the revision of the Deployment for its own, which follows the set.
    let before = deployment.status.as_ref();
    status.observed_generation = before.and_then(|status| status.observed_generation);
    first.extend(status::write(deployment, status));
    let text = format!("Scaled up replica set {} from 0 to {number}", key.name);
    let announcement = (number > 0).then(|| announcement(deployment, text));
    first.push(Action::Create(set.into(), announcement));
    first
}

fn make(deployment: &Deployment, sets: &Sets, number: i32) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let collisions = (deployment.status.as_ref()).and_then(|status| status.collision_count);
    let hash = hash::name_of(&spec.template, collisions);
    let mut template = spec.template;
    let meta = template.metadata.get_or_insert_default();
    let labels = meta.labels.get_or_insert_default();
    labels.insert(HASH.to_owned(), hash.clone());
    let labels = labels.clone();
    let mut selector = spec.selector;
    (selector.match_labels.get_or_insert_default()).insert(HASH.to_owned(), hash.clone());
    let (desired, max) = annotations(deployment);
    let mut notes: BTreeMap<String, String> = revision::copied(deployment);
    notes.insert(DESIRED.to_owned(), desired);
    notes.insert(MAX.to_owned(), max);
    notes.insert(REVISION.to_owned(), revision::next(sets).to_string());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name_any())),
            namespace: deployment.namespace(),
            labels: Some(labels),
            annotations: Some(notes),
            owner_references: Some(vec![owner_reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(number),
            min_ready_seconds: spec.min_ready_seconds,
            selector: LabelSelector { ..selector },
            template: Some(template),
        }),
        status: None,
    }
}

/// How many replicas the new set may have now.
fn room(deployment: &Deployment, sets: &Sets, has: i32) -> i32 {
    let total = wanted(deployment);
    if has >= total {
        return total;
    }
    let free = total + Slack::of(deployment).surge - sets.replicas();
    has + free.clamp(0, total - has)
}

fn all_down(deployment: &Deployment, sets: &Sets) -> Vec<Action> {
    (sets.old.iter().filter(|set| replicas(set) > 0))
        .filter_map(|set| set_replicas(deployment, set, 0))
        .collect()
}

fn old_pods_exist(context: &Context<'_>, sets: &Sets) -> bool {
    (sets
        .old
        .iter()
        .filter_map(|set| set.metadata.uid.as_deref()))
    .flat_map(|uid| context.observed.pods.owned_by(uid))
    .any(|pod| !pods::is_finished(pod))
}

/// Takes away old pods as far as enough others serve; those that don't serve anyway go first.
fn scale_down(deployment: &Deployment, sets: &Sets, new: &ReplicaSet) -> Vec<Action> {
    let least = wanted(deployment) - Slack::of(deployment).unavailable;
    let missing = replicas(new) - available(new);
    let mut removable = sets.replicas() - least - missing.max(0);
    let mut numbers: Vec<(&Arc<ReplicaSet>, i32)> =
        (sets.old.iter()).map(|set| (set, replicas(set))).collect();
    for (set, number) in &mut numbers {
        let idle = (*number - available(set)).clamp(0, removable.max(0));
        *number -= idle;
        removable -= idle;
    }
    let serving: i32 = sets.all().map(|set| available(set)).sum();
    let mut dispensable = serving - least;
    for (set, number) in &mut numbers {
        let going = (*number).min(dispensable.max(0)).min(removable.max(0));
        *number -= going;
        dispensable -= going;
        removable -= going;
        debug_assert!(*number >= 0, "{}", set.name_any());
    }
    (numbers.into_iter())
        .filter(|(set, number)| *number != replicas(set))
        .filter_map(|(set, number)| set_replicas(deployment, set, number))
        .collect()
}

/// Deletes old ReplicaSets beyond the history that is to be kept, once all is rolled out.
fn tidy(deployment: &Deployment, sets: &Sets) -> Vec<Action> {
    let is_complete =
        (deployment.status.as_ref()).is_some_and(|it| progress::is_complete(deployment, it));
    if !is_complete {
        return Vec::new();
    }
    let limit = (deployment.spec.as_ref()).and_then(|spec| spec.revision_history_limit);
    let kept = limit.map_or(HISTORY, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let mut old: Vec<&Arc<ReplicaSet>> = (sets.old.iter())
        .filter(|set| set.metadata.deletion_timestamp.is_none())
        .collect();
    old.sort_by_key(|set| revision::revision(set));
    let surplus = old.len().saturating_sub(kept);
    (old.into_iter().take(surplus))
        .filter(|set| replicas(set) == 0 && existing(set) == 0)
        .map(|set| Action::Delete {
            target: Target::of(set.as_ref()),
            propagation: None,
            grace: None,
            announcement: None,
        })
        .collect()
}
