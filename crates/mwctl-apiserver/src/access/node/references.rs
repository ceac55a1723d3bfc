//! What a pod refers to, and hence its node may read.

use crate::access::Resource;
use serde_json::Value;

/// An object of the pod's namespace that a pod refers to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference<'p> {
    pub(super) resource: &'static str,
    pub(super) name: &'p str,
}

/// Whether one of `pods` that is on `node` is the object that is asked for, or refers to it.
pub fn related<'p>(
    node: &str,
    pods: impl IntoIterator<Item = &'p Value>,
    asked: &Resource<'_>,
) -> bool {
    pods.into_iter().any(|pod| {
        if pod["spec"]["nodeName"] != node || pod["metadata"]["namespace"] != asked.namespace {
            return false;
        }
        if asked.resource == "pods" {
            return pod["metadata"]["name"] == asked.name;
        }
        let same = |one: &Reference<'_>| one.resource == asked.resource && one.name == asked.name;
        references(pod).iter().any(same)
    })
}

/// Everything that a pod refers to.
pub(super) fn references(pod: &Value) -> Vec<Reference<'_>> {
    let spec = &pod["spec"];
    let mut references = Vec::new();
    let mut add = |resource, name| push(&mut references, resource, name);
    add("serviceaccounts", &spec["serviceAccountName"]);
    for secret in items(&spec["imagePullSecrets"]) {
        add("secrets", &secret["name"]);
    }
    for volume in items(&spec["volumes"]) {
        add("secrets", &volume["secret"]["secretName"]);
        add("configmaps", &volume["configMap"]["name"]);
        add(
            "persistentvolumeclaims",
            &volume["persistentVolumeClaim"]["claimName"],
        );
        for source in items(&volume["projected"]["sources"]) {
            add("secrets", &source["secret"]["name"]);
            add("configmaps", &source["configMap"]["name"]);
        }
    }
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items(&spec[kind]) {
            for variable in items(&container["env"]) {
                add("secrets", &variable["valueFrom"]["secretKeyRef"]["name"]);
                add(
                    "configmaps",
                    &variable["valueFrom"]["configMapKeyRef"]["name"],
                );
            }
            for source in items(&container["envFrom"]) {
                add("secrets", &source["secretRef"]["name"]);
                add("configmaps", &source["configMapRef"]["name"]);
            }
        }
    }
    references
}

fn push<'p>(references: &mut Vec<Reference<'p>>, resource: &'static str, name: &'p Value) {
    if let Some(name) = name.as_str().filter(|name| !name.is_empty()) {
        references.push(Reference { resource, name });
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
