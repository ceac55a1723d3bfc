//! What is particular to a kind when it is created, changed or deleted. Everything that is the same for all kinds is elsewhere.

use super::{Served, metadata, text};
use serde_json::{Map, Value, json};

/// Whether objects count the changes of what is wanted (`metadata.generation`).
pub(super) fn has_generation(resource: &Served) -> bool {
    if resource.definition().is_some() {
        return true;
    }
    match resource.gvk.group.as_str() {
        "" => matches!(resource.gvk.kind.as_str(), "Pod" | "ReplicationController"),
        "apps" => resource.gvk.kind != "ControllerRevision",
        "batch"
        | "policy"
        | "apiextensions.k8s.io"
        | "flowcontrol.apiserver.k8s.io"
        | "admissionregistration.k8s.io" => true,
        "networking.k8s.io" => matches!(
            resource.gvk.kind.as_str(),
            "Ingress" | "NetworkPolicy" | "IngressClass"
        ),
        _ => false,
    }
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
