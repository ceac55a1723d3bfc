//! What is particular to a kind when it is created, changed or deleted. Everything that is the same for all kinds is elsewhere.

use super::{Served, metadata, text};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How objects of a kind count their changes (`metadata.generation`), as upstream's strategies do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// They don't.
    None,
    /// They are the first for ever, until they are deleted.
    First,
    /// By what is wanted: all but metadata and status.
    Wanted,
    /// So, but that a new object isn't counted.
    Changes,
    /// By what is wanted and by labels.
    WantedAndLabels,
    /// By what is wanted and by annotations, which a Deployment's pods inherit.
    WantedAndAnnotations,
}

pub(super) fn generation(resource: &Served) -> Generation {
    if resource.definition().is_some() {
        return Generation::Wanted;
    }
    match (resource.gvk.group.as_str(), resource.gvk.kind.as_str()) {
        ("", "Pod" | "PodTemplate" | "ReplicationController")
        | ("apps", "DaemonSet" | "ReplicaSet" | "StatefulSet")
        | ("batch" | "policy" | "apiextensions.k8s.io", _)
        | ("networking.k8s.io", "Ingress" | "IngressClass" | "NetworkPolicy")
        | ("resource.k8s.io", "DeviceClass" | "ResourceSlice") => Generation::Wanted,
        ("apps", "Deployment") => Generation::WantedAndAnnotations,
        ("discovery.k8s.io", "EndpointSlice") => Generation::WantedAndLabels,
        ("scheduling.k8s.io", "PriorityClass") => Generation::First,
        ("storage.k8s.io", "CSIDriver") => Generation::Changes,
        _ => Generation::None,
    }
}

impl Generation {
    /// That of a new object.
    pub(super) fn first(self) -> Option<i64> {
        match self {
            Self::None | Self::Changes => None,
            _ => Some(1),
        }
    }

    /// Whether a changed object is another generation.
    pub(super) fn differs(self, before: &Value, after: &Value) -> bool {
        let also = match self {
            Self::None | Self::First => return false,
            Self::Wanted | Self::Changes => None,
            Self::WantedAndLabels => Some("labels"),
            Self::WantedAndAnnotations => Some("annotations"),
        };
        let texts = |object: &Value| match &object["metadata"][also?] {
            Value::Object(texts) if !texts.is_empty() => Some(texts.clone()),
            _ => None,
        };
        wanted(before) != wanted(after) || texts(before) != texts(after)
    }
}

/// What somebody wants of an object: all of it but `metadata` and `status`, by name.
fn wanted(object: &Value) -> BTreeMap<&String, &Value> {
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"))
        .collect()
}

/// Whether the status is written at a path of its own, and nowhere else.
pub(super) fn status_apart(resource: &Served) -> bool {
    resource.has_subresource("status")
}

/// The status that a new object begins with: whoever creates it says nothing of it. Only a node brings its own.
pub(super) fn begin(resource: &Served, object: &mut Map<String, Value>) {
    let kind = (resource.gvk.group.as_str(), resource.gvk.kind.as_str());
    if !status_apart(resource) || kind == ("", "Node") {
        return;
    }
    let status = match kind {
        ("", "PersistentVolume" | "PersistentVolumeClaim") => json!({"phase": "Pending"}),
        ("", "Namespace") => json!({"phase": "Active"}),
        _ => {
            object.shift_remove("status");
            return;
        }
    };
    object.insert("status".to_owned(), status);
}

/// How long an object goes on after its deletion, if it does: a pod on a node ends in its own time.
pub(super) fn grace(resource: &Served, object: &Value, asked: Option<i64>) -> i64 {
    let is_pod = resource.gvk.group.is_empty() && resource.gvk.kind == "Pod";
    let ended = matches!(text(object, "/status/phase"), "Succeeded" | "Failed");
    if !is_pod || ended || text(object, "/spec/nodeName").is_empty() {
        return 0;
    }
    let own = object
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_i64);
    asked.or(own).unwrap_or(30).max(0)
}

/// Whether a deletion answers with the object; other kinds answer with a `Status`.
pub(super) fn answers_deletion_with_object(resource: &Served) -> bool {
    resource.gvk.group.is_empty()
        && matches!(
            resource.gvk.kind.as_str(),
            "Pod"
                | "PodTemplate"
                | "PersistentVolume"
                | "PersistentVolumeClaim"
                | "ResourceQuota"
                | "Service"
                | "ServiceAccount"
        )
}

/// Whether a deleted object goes on: finalizers hold it, or its time to end, and a namespace lasts as long as its content.
pub(super) fn is_held(resource: &Served, object: &Value) -> bool {
    let is_namespace = resource.gvk.group.is_empty() && resource.gvk.kind == "Namespace";
    let content = object.pointer("/spec/finalizers").and_then(Value::as_array);
    !metadata::finalizers(object).is_empty()
        || object["metadata"]["deletionGracePeriodSeconds"].as_i64() > Some(0)
        || is_namespace && content.is_some_and(|finalizers| !finalizers.is_empty())
}
