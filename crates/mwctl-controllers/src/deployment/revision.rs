//! Revisions: ReplicaSets are numbered, the newest has the highest number, and what a rollback brings back gets a new one.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt;
use serde_json::json;

use super::scale::{DESIRED, MAX};
use super::sets::Sets;
use crate::action::{Action, Target};

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The annotations that are a ReplicaSet's own and aren't copied to it.
const OWN: [&str; 6] = [
    LAST_APPLIED,
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// The number of a set; zero when it has none.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    (set.annotations().get(REVISION))
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// The number that the new set is to have.
pub(super) fn next(sets: &Sets) -> i64 {
    sets.old.iter().map(|set| revision(set)).max().unwrap_or(0) + 1
}

/// The annotations of the Deployment that its new set carries as well.
pub(super) fn copied(deployment: &Deployment) -> BTreeMap<String, String> {
    (deployment.annotations().iter())
        .filter(|(name, _)| !OWN.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Brings the numbers of the new set and of the Deployment up to date.
pub(super) fn actions(deployment: &Deployment, sets: &Sets) -> Vec<Action> {
    let Some(new) = &sets.new else {
        return Vec::new();
    };
    let mut changed = copied(deployment);
    let (own, next) = (revision(new), next(sets));
    if own < next {
        changed.insert(REVISION.to_owned(), next.to_string());
        if own > 0 {
            let history = match new.annotations().get(HISTORY) {
                Some(earlier) => format!("{earlier},{own}"),
                None => own.to_string(),
            };
            changed.insert(HISTORY.to_owned(), history);
        }
    }
    changed.retain(|name, value| new.annotations().get(name) != Some(value));
    let min_ready = |seconds: Option<i32>| seconds.unwrap_or_default();
    let wanted = min_ready(
        deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.min_ready_seconds),
    );
    let has = min_ready(new.spec.as_ref().and_then(|spec| spec.min_ready_seconds));
    let mut actions = Vec::new();
    if !changed.is_empty() || wanted != has {
        actions.push(Action::Patch {
            target: Target::of(new.as_ref()),
            subresource: None,
            patch: json!({"metadata": {"annotations": changed}, "spec": {"minReadySeconds": wanted}}),
            announcement: None,
        });
    }
    let number = own.max(next).to_string();
    if deployment.annotations().get(REVISION) != Some(&number) {
        // With the status, as upstream: elsewhere another annotation is another generation.
        actions.push(Action::Patch {
            target: Target::of(deployment),
            subresource: Some("status"),
            patch: json!({"metadata": {"annotations": {REVISION: number}}}),
            announcement: None,
        });
    }
    actions
}
