//! The scheduler: places a pod on a node that fits, or says why none does, in the words that Kubernetes uses.
//!
//! It doesn't preempt, and weighs nodes by their free room alone.

mod affinity;
mod fit;
mod quantity;
mod taints;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, PodCondition};
use kube::ResourceExt;
use serde_json::json;

pub(crate) use self::affinity::matches_node;
pub(crate) use self::quantity::Amount;
pub(crate) use self::taints::tolerates;
use crate::action::{Action, Announcement, Note, Severity, Target};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed, reference_to};
use crate::pods;
use crate::volumes::SELECTED_NODE;

/// The controller's name, which is also that of the scheduler that pods ask for.
pub(crate) const NAME: &str = "default-scheduler";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[
        Kind::Pod,
        Kind::Node,
        Kind::PersistentVolumeClaim,
        Kind::PersistentVolume,
        Kind::StorageClass,
    ],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    match change.object() {
        Object::Pod(pod) => {
            let is_waiting = pods::node(pod).is_none();
            let mut keys = vec![Key::of(pod.as_ref())];
            // Room became free, or a pod that others want to be near to came.
            if change.after.is_none() || pods::is_finished(pod) || !is_waiting {
                keys.extend(waiting(observed));
            }
            keys
        }
        Object::Node(_)
        | Object::PersistentVolumeClaim(_)
        | Object::PersistentVolume(_)
        | Object::StorageClass(_) => waiting(observed).collect(),
        _ => Vec::new(),
    }
}

/// The pods that no node has.
fn waiting(observed: &Observed) -> impl Iterator<Item = Key> {
    (observed.pods.placed_on("").filter(|pod| is_ours(pod))).map(|pod| Key::of(pod.as_ref()))
}

fn is_ours(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let scheduler = spec.and_then(|spec| spec.scheduler_name.as_deref());
    pods::is_active(pod) && pods::node(pod).is_none() && scheduler.unwrap_or(NAME) == NAME
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(pod) = observed.pods.get(key).filter(|pod| is_ours(pod)) else {
        return Vec::new();
    };
    let gates = (pod.spec.iter()).flat_map(|spec| spec.scheduling_gates.iter().flatten());
    if gates.count() > 0 {
        let text = "Scheduling is blocked due to non-empty scheduling gates";
        return set_condition(context, pod, "SchedulingGated", text);
    }
    match place(observed, pod) {
        Ok(node) if volumes::waiting(observed, pod).next().is_some() => {
            choose(observed, pod, &node.name_any())
        }
        Ok(node) => vec![Action::Bind {
            target: Target::of(pod.as_ref()),
            node: node.name_any(),
            announcement: Some(Announcement {
                about: reference_to(pod.as_ref()),
                component: NAME,
                done: Some((
                    "Scheduled",
                    format!("Successfully assigned {key} to {}", node.name_any()),
                )),
                refused: None,
            }),
        }],
        Err(why) => {
            let mut actions = set_condition(context, pod, "Unschedulable", &why);
            if !actions.is_empty() {
                actions.push(Action::Record(Note {
                    about: reference_to(pod.as_ref()),
                    severity: Severity::Warning,
                    reason: "FailedScheduling",
                    message: why,
                    component: NAME,
                }));
            }
            actions
        }
    }
}

/// Tells the claims that wait for it where the pod will be; it is put there when they have their volumes.
fn choose(observed: &Observed, pod: &Pod, node: &str) -> Vec<Action> {
    let known = |claim: &PersistentVolumeClaim| {
        (claim.annotations().get(SELECTED_NODE)).is_some_and(|known| known == node)
    };
    let claims = volumes::waiting(observed, pod).filter(|claim| !known(claim));
    let tell = |claim: &PersistentVolumeClaim| Action::Patch {
        target: Target::of(claim),
        subresource: None,
        patch: json!({"metadata": {"annotations": {SELECTED_NODE: node}}}),
        announcement: None,
    };
    claims.map(tell).collect()
}

/// The node for a pod, or why there is none.
fn place<'a>(observed: &'a Observed, pod: &Pod) -> Result<&'a Node, String> {
    let nodes: Vec<&Node> = observed.nodes.iter().map(AsRef::as_ref).collect();
    if nodes.is_empty() {
        return Err("no nodes available to schedule pods".to_owned());
    }
    let total = nodes.len();
    if let Some(why) = volumes::missing(observed, pod) {
        return Err(format!("0/{total} nodes are available: {why}. not found"));
    }
    let mut best: Option<(&Node, fit::Room)> = None;
    let mut refusals = Vec::new();
    for node in nodes {
        match check(observed, pod, node) {
            Ok(room) => {
                if best.as_ref().is_none_or(|(_, most)| room > *most) {
                    best = Some((node, room));
                }
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    match best {
        Some((node, _)) => Ok(node),
        None => Err(explain(total, &refusals)),
    }
}

/// Why a node can't have a pod.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    reasons: Vec<String>,
    /// Whether the pod would fit if others went.
    others_in_the_way: bool,
}

impl Refusal {
    fn final_because(reason: impl Into<String>) -> Self {
        Self {
            reasons: vec![reason.into()],
            others_in_the_way: false,
        }
    }
}

fn check(observed: &Observed, pod: &Pod, node: &Node) -> Result<fit::Room, Refusal> {
    let tolerations = pod
        .spec
        .iter()
        .flat_map(|spec| spec.tolerations.iter().flatten());
    taints::check(node, &tolerations.collect::<Vec<_>>()).map_err(Refusal::final_because)?;
    if !matches_node(pod, node) {
        let reason = "node(s) didn't match Pod's node affinity/selector";
        return Err(Refusal::final_because(reason));
    }
    volumes::unobtainable(observed, pod).map_err(Refusal::final_because)?;
    let room = fit::check(observed, pod, node)?;
    affinity::check_pods(observed, pod, node).map_err(Refusal::final_because)?;
    Ok(room)
}

fn explain(total: usize, refusals: &[Refusal]) -> String {
    let count = |reasons: &mut dyn Iterator<Item = &str>| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in reasons {
            *counts.entry(reason).or_default() += 1;
        }
        let mut texts: Vec<String> = (counts.into_iter())
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        texts.sort();
        texts.join(", ")
    };
    let reasons = count(
        &mut refusals
            .iter()
            .flat_map(|it| &it.reasons)
            .map(String::as_str),
    );
    let preemption = count(&mut refusals.iter().map(|refusal| {
        if refusal.others_in_the_way {
            "No preemption victims found for incoming pod"
        } else {
            "Preemption is not helpful for scheduling"
        }
    }));
    format!(
        "0/{total} nodes are available: {reasons}. no new claims to deallocate, \
         preemption: 0/{total} nodes are available: {preemption}."
    )
}

/// Tells by the pod's condition why it waits.
fn set_condition(context: &Context<'_>, pod: &Pod, reason: &str, message: &str) -> Vec<Action> {
    let known = pods::condition(pod, "PodScheduled");
    if known.is_some_and(|it| {
        it.reason.as_deref() == Some(reason) && it.message.as_deref() == Some(message)
    }) {
        return Vec::new();
    }
    let condition = PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    };
    let old = (pod.status.as_ref()).and_then(|status| status.conditions.as_deref());
    let conditions = pods::with_condition(old, condition, context.now);
    vec![Action::Patch {
        target: Target::of(pod),
        subresource: Some("status"),
        patch: json!({"status": {"conditions": conditions}}),
        announcement: None,
    }]
}

#[cfg(test)]
mod tests;
