//! Which pods are missed least: those that don't run yet, aren't ready, cost least to delete, are doubled on a node, are young.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use crate::observed::{Observed, controller_of};
use crate::pods;

/// The annotation by which a user says what a pod's end would cost.
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The pods, those to be deleted first in front.
pub(super) fn least_useful<'a>(
    observed: &Observed,
    set: &ReplicaSet,
    active: &'a [Arc<Pod>],
) -> Vec<&'a Pod> {
    let crowd = crowd(observed, set);
    let mut ranked: Vec<&Pod> = active.iter().map(AsRef::as_ref).collect();
    ranked.sort_by_cached_key(|pod| {
        let crowded = pods::node(pod).and_then(|node| crowd.get(node)).copied();
        (
            pods::node(pod).is_some(),
            match pods::phase(pod) {
                "Pending" => 0,
                "Unknown" => 1,
                _ => 2,
            },
            pods::is_ready(pod),
            cost(pod),
            Reverse(crowded.unwrap_or_default()),
            // Long readiness and great age speak for a pod; restarts speak against it.
            Reverse(pods::ready_since(pod).unwrap_or(Timestamp::MAX)),
            Reverse(pods::restarts(pod)),
            Reverse(pod.creation_timestamp().map(|time| time.0)),
        )
    });
    ranked
}

/// How many pods of this set and of its siblings are on each node.
fn crowd(observed: &Observed, set: &ReplicaSet) -> HashMap<String, usize> {
    let siblings: Vec<&str> = match controller_of(&set.metadata) {
        Some(owner) => (observed.replica_sets.owned_by(&owner.uid))
            .filter_map(|sibling| sibling.metadata.uid.as_deref())
            .collect(),
        None => set.metadata.uid.as_deref().into_iter().collect(),
    };
    let mut crowd = HashMap::new();
    for pod in (siblings.iter()).flat_map(|uid| observed.pods.owned_by(uid)) {
        if let (true, Some(node)) = (pods::is_active(pod), pods::node(pod)) {
            *crowd.entry(node.to_owned()).or_default() += 1;
        }
    }
    crowd
}

fn cost(pod: &Pod) -> i32 {
    (pod.annotations().get(COST))
        .and_then(|cost| cost.parse().ok())
        .unwrap_or_default()
}
