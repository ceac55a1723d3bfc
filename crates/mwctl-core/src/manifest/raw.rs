//! Objects that are described elsewhere, such as the output of a chart: they are applied as they are,
//! in the stack's namespace, with the labels by which they are found again.

use serde_json::{Map, Value};

use super::Object;
use super::label::{RAW, stack_labels};
use crate::model::Stack;

/// The kinds that live in no namespace, of those that Kubernetes itself has.
const CLUSTER_WIDE: [&str; 18] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
];

/// The stack's raw objects as they are applied.
pub(super) fn objects(stack: &Stack, worktree: &str) -> Vec<Object> {
    let manifests = stack.manifests.iter();
    manifests
        .filter_map(|manifest| {
            let mut value = manifest.0.clone();
            let kind = value["kind"].as_str().unwrap_or_default().to_owned();
            let metadata = value.get_mut("metadata").and_then(Value::as_object_mut)?;
            if !CLUSTER_WIDE.contains(&kind.as_str()) && !metadata.contains_key("namespace") {
                metadata.insert("namespace".to_owned(), stack.namespace.clone().into());
            }
            let labels = metadata.entry("labels").or_insert(Value::Null);
            if !labels.is_object() {
                *labels = Value::Object(Map::new());
            }
            for (label, own) in stack_labels(stack, worktree) {
                labels[label.as_str()] = own.into();
            }
            labels[RAW] = "true".into();
            Object::from_value(value)
        })
        .collect()
}
