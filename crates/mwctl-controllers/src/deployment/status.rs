//! A Deployment's status: the sums over its ReplicaSets, and the conditions.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::progress::{self, Progress};
use super::scale::Slack;
use super::sets::{Sets, existing};
use super::wanted;
use crate::action::Action;
use crate::controller::Context;

/// Writes the status if it is another.
pub(super) fn update(
    context: &Context<'_>,
    deployment: &Deployment,
    sets: &Sets,
    progress: &Progress,
) -> Vec<Action> {
    let status = compute(deployment, sets, progress, context.now);
    write(deployment, status)
}

/// Writes a status if it is another.
pub(super) fn write(deployment: &Deployment, status: DeploymentStatus) -> Vec<Action> {
    if deployment.status.as_ref() == Some(&status) {
        return Vec::new();
    }
    let mut deployment = deployment.clone();
    deployment.status = Some(status);
    vec![Action::UpdateStatus(deployment.into())]
}

/// The status as it should be.
pub(super) fn compute(
    deployment: &Deployment,
    sets: &Sets,
    progress: &Progress,
    now: Timestamp,
) -> DeploymentStatus {
    let old = deployment.status.clone().unwrap_or_default();
    let sum = |of: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> i32| -> i32 {
        (sets.all().filter_map(|set| set.status.as_ref()))
            .map(of)
            .sum()
    };
    let some = |number: i32| (number > 0).then_some(number);
    let available = sum(|status| status.available_replicas.unwrap_or_default());
    let mut new = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: some(sum(|status| status.replicas)),
        updated_replicas: some(sets.new.as_ref().map_or(0, |set| existing(set))),
        ready_replicas: some(sum(|status| status.ready_replicas.unwrap_or_default())),
        available_replicas: some(available),
        unavailable_replicas: some(sets.replicas() - available),
        collision_count: old.collision_count,
        terminating_replicas: old.terminating_replicas,
        conditions: old.conditions,
    };
    let mut conditions = new.conditions.take().unwrap_or_default();
    set(&mut conditions, availability(deployment, available, now));
    if let Some(condition) = progress::condition(deployment, sets, &new, progress, now) {
        set(&mut conditions, condition);
    }
    conditions.retain(|condition| condition.type_ != "ReplicaFailure");
    if let Some(failure) = failure(sets) {
        conditions.push(failure);
    }
    new.conditions = Some(conditions);
    new
}

fn availability(deployment: &Deployment, available: i32, now: Timestamp) -> DeploymentCondition {
    let least = wanted(deployment) - Slack::of(deployment).unavailable;
    let (status, reason, verb) = if available >= least {
        ("True", "MinimumReplicasAvailable", "has")
    } else {
        ("False", "MinimumReplicasUnavailable", "does not have")
    };
    DeploymentCondition {
        type_: "Available".to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(format!("Deployment {verb} minimum availability.")),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

/// A ReplicaSet's complaint is the Deployment's, too.
fn failure(sets: &Sets) -> Option<DeploymentCondition> {
    let complaint = (sets.new.iter().chain(&sets.old))
        .filter_map(|set| set.status.as_ref()?.conditions.as_ref())
        .flatten()
        .find(|condition| condition.type_ == "ReplicaFailure")?;
    Some(DeploymentCondition {
        type_: complaint.type_.clone(),
        status: complaint.status.clone(),
        reason: complaint.reason.clone(),
        message: complaint.message.clone(),
        last_update_time: complaint.last_transition_time.clone(),
        last_transition_time: complaint.last_transition_time.clone(),
    })
}

/// Sets a condition. One that says the same stays as it is; one that says it for another reason keeps the time of its status.
fn set(conditions: &mut Vec<DeploymentCondition>, mut new: DeploymentCondition) {
    let place = conditions.iter().position(|old| old.type_ == new.type_);
    if let Some(place) = place {
        let old = &conditions[place];
        let is_same = old.status == new.status && old.reason == new.reason;
        // Every step of a rollout counts as progress, even if the words are the same.
        if is_same && new.reason.as_deref() != Some("ReplicaSetUpdated") {
            return;
        }
        if old.status == new.status {
            new.last_transition_time
                .clone_from(&old.last_transition_time);
        }
        conditions.remove(place);
    }
    conditions.push(new);
}
