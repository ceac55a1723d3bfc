//! Facts about pods that several controllers ask for, and the making of a pod from a template.

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::observed::{Watched, owner_reference};

/// The phase, which a pod without a status has not got yet.
pub(crate) fn phase(pod: &Pod) -> &str {
    (pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref()))
    .unwrap_or("Pending")
}

/// Whether it counts: it hasn't ended and isn't being deleted.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// Whether all its containers have ended for good.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// A condition by its type.
pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Whether it is ready to serve.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// Since when it is ready, if it is.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    (ready.last_transition_time.as_ref()).map(|time| time.0)
}

/// When a ready pod becomes available: it has to stay ready for some seconds. Nothing for one that isn't ready.
pub(crate) fn available_from(pod: &Pod, min_ready_seconds: i32) -> Option<Timestamp> {
    if min_ready_seconds == 0 {
        return is_ready(pod).then_some(Timestamp::MIN);
    }
    let wait = SignedDuration::from_secs(min_ready_seconds.into());
    ready_since(pod)?.saturating_add(wait).ok()
}

/// Whether it has been ready for long enough.
pub(crate) fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    available_from(pod, min_ready_seconds).is_some_and(|time| time <= now)
}

/// The node it is on.
pub(crate) fn node(pod: &Pod) -> Option<&str> {
    pod.place().filter(|node| !node.is_empty())
}

/// How often its containers were restarted.
pub(crate) fn restarts(pod: &Pod) -> i32 {
    (pod.status.iter())
        .flat_map(|status| status.container_statuses.iter().flatten())
        .map(|container| container.restart_count)
        .sum()
}

/// A pod of a template, controlled by its owner. It has no name yet.
pub(crate) fn from_template(template: &PodTemplateSpec, owner: &impl Watched) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            namespace: owner.namespace(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![owner_reference(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone().or_else(|| Some(PodSpec::default())),
        status: None,
    }
}

/// A counter of a status: zero is left out, as the server does.
pub(crate) fn count(number: usize) -> Option<i32> {
    i32::try_from(number).ok().filter(|number| *number > 0)
}

/// The conditions with one of them set; its time moves only when its status does.
pub(crate) fn with_condition(
    conditions: Option<&[PodCondition]>,
    mut new: PodCondition,
    now: Timestamp,
) -> Vec<PodCondition> {
    let mut conditions = conditions.unwrap_or_default().to_vec();
    let old = conditions.iter_mut().find(|old| old.type_ == new.type_);
    new.last_transition_time = match &old {
        Some(old) if old.status == new.status => old.last_transition_time.clone(),
        _ => Some(Time(now)),
    };
    match old {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
    conditions
}
