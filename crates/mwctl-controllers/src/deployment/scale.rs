//! The numbers of replicas: changes of a set's own, and the fair sharing of a changed total among all sets in the middle of a rollout.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use serde_json::json;

use super::sets::{Sets, available, replicas};
use super::{NAME, wanted};
use crate::action::{Action, Announcement, Target};
use crate::observed::reference_to;

pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// How far a rolling update may go above and below the number that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slack {
    /// Pods more than asked for.
    pub(super) surge: i32,
    /// Pods that needn't serve.
    pub(super) unavailable: i32,
}

impl Slack {
    pub(super) fn of(deployment: &Deployment) -> Self {
        let strategy = (deployment.spec.as_ref()).and_then(|spec| spec.strategy.as_ref());
        if is_recreate(deployment) {
            return Self {
                surge: 0,
                unavailable: 0,
            };
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let total = wanted(deployment);
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        let surge = share(surge, total, true);
        let unavailable = share(unavailable, total, false);
        Self {
            surge,
            // Nothing could ever move if both were zero.
            unavailable: if surge == 0 && unavailable == 0 {
                1
            } else {
                unavailable.min(total)
            },
        }
    }
}

/// Whether all old pods go before the first new one comes.
pub(super) fn is_recreate(deployment: &Deployment) -> bool {
    (deployment.spec.as_ref())
        .and_then(|spec| spec.strategy.as_ref())
        .is_some_and(|strategy| strategy.type_.as_deref() == Some("Recreate"))
}

/// A number, or a share of the total in percent; a quarter if nothing is said.
pub(crate) fn share(value: Option<&IntOrString>, total: i32, round_up: bool) -> i32 {
    let percent = match value {
        Some(IntOrString::Int(number)) => return (*number).max(0),
        Some(IntOrString::String(text)) => text.trim_end_matches('%').parse().unwrap_or(0),
        None => 25,
    };
    let exact = i64::from(total) * i64::from(percent);
    let rounded = if round_up {
        (exact + 99) / 100
    } else {
        exact / 100
    };
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

/// Gives a set another number of replicas, and notes what the whole was meant to be.
pub(super) fn set_replicas(
    deployment: &Deployment,
    set: &ReplicaSet,
    number: i32,
) -> Option<Action> {
    let old = replicas(set);
    let (desired, max) = annotations(deployment);
    let has = |name: &str, value: &str| set.annotations().get(name).is_some_and(|it| it == value);
    if old == number && has(DESIRED, &desired) && has(MAX, &max) {
        return None;
    }
    let way = if number > old { "up" } else { "down" };
    let text = format!(
        "Scaled {way} replica set {} from {old} to {number}",
        set.name_any()
    );
    Some(Action::Patch {
        target: Target::of(set),
        subresource: None,
        patch: json!({
            "metadata": {"annotations": {DESIRED: desired, MAX: max}},
            "spec": {"replicas": number},
        }),
        announcement: (old != number).then(|| announcement(deployment, text)),
    })
}

/// What a set is told of the whole: how many are asked for, and how many there may be.
pub(super) fn annotations(deployment: &Deployment) -> (String, String) {
    let total = wanted(deployment);
    let max = total + Slack::of(deployment).surge;
    (total.to_string(), max.to_string())
}

pub(super) fn announcement(deployment: &Deployment, text: String) -> Announcement {
    Announcement {
        about: reference_to(deployment),
        component: NAME,
        done: Some(("ScalingReplicaSet", text)),
        refused: None,
    }
}

fn noted(set: &ReplicaSet, name: &str) -> Option<i32> {
    set.annotations().get(name)?.parse().ok()
}

/// Whether the number that is asked for has changed since the sets were last scaled.
pub(super) fn is_needed(deployment: &Deployment, sets: &Sets) -> bool {
    (sets.all().filter(|set| replicas(set) > 0))
        .filter_map(|set| noted(set, DESIRED))
        .any(|desired| desired != wanted(deployment))
}

/// Scales without any step of a rollout.
pub(super) fn actions(deployment: &Deployment, sets: &Sets) -> Vec<Action> {
    let total = wanted(deployment);
    let active: Vec<&Arc<ReplicaSet>> = sets.all().filter(|set| replicas(set) > 0).collect();
    if let Some(only) = match active.as_slice() {
        [] => (sets.new.as_ref()).or(sets.old.last()),
        [only] => Some(*only),
        _ => None,
    } {
        return set_replicas(deployment, only, total).into_iter().collect();
    }
    if let Some(new) = &sets.new
        && replicas(new) == total
        && available(new) == total
    {
        let old = sets.old.iter().filter(|set| replicas(set) > 0);
        return old
            .filter_map(|set| set_replicas(deployment, set, 0))
            .collect();
    }
    if super::scale::is_recreate(deployment) {
        return Vec::new();
    }
    let allowed = if total > 0 {
        total + Slack::of(deployment).surge
    } else {
        0
    };
    share_out(&active, allowed - sets.replicas(), total, allowed)
        .into_iter()
        .filter_map(|(set, number)| set_replicas(deployment, set, number))
        .collect()
}

/// Shares a difference out among sets in proportion to their sizes; what rounding leaves goes to the largest.
fn share_out<'a>(
    active: &[&'a Arc<ReplicaSet>],
    difference: i32,
    total: i32,
    allowed: i32,
) -> Vec<(&'a ReplicaSet, i32)> {
    let mut sorted = active.to_vec();
    // When there is more to give, the newest of equals gets it first; when less, the oldest loses first.
    sorted.sort_by_key(|set| set.creation_timestamp());
    if difference > 0 {
        sorted.reverse();
    }
    sorted.sort_by_key(|set| std::cmp::Reverse(replicas(set)));
    let mut left = difference;
    let mut numbers: Vec<(&ReplicaSet, i32)> = Vec::new();
    for set in sorted {
        let size = replicas(set);
        let max = noted(set, MAX)
            .filter(|max| *max > 0)
            .unwrap_or(total.max(1));
        let exact = f64::from(size) * f64::from(allowed) / f64::from(max);
        let part = exact.round() as i32 - size;
        let part = if left > 0 {
            part.clamp(0, left)
        } else {
            part.clamp(left, 0)
        };
        left -= part;
        numbers.push((set, size + part));
    }
    if let Some((_, first)) = numbers.first_mut() {
        *first = (*first + left).max(0);
    }
    numbers
}
