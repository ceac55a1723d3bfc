//! Defaults of the remaining groups.

use serde_json::{Map, Value, json};

use super::{has, set, set_text, text, within};

/// Fills the defaults of a type, if it has some.
pub(super) fn fill(name: &str, object: &mut Map<String, Value>) {
    match name {
        "api.networking.v1.NetworkPolicy" => network_policy(object),
        "api.networking.v1.NetworkPolicyPort" | "api.discovery.v1.EndpointPort" => {
            set(object, "protocol", "TCP");
            if name.ends_with("EndpointPort") {
                set(object, "name", "");
            }
        }
        "api.networking.v1.IngressClassParametersReference" => set(object, "scope", "Cluster"),
        "api.rbac.v1.RoleRef" => set_text(object, "apiGroup", "rbac.authorization.k8s.io"),
        "api.rbac.v1.Subject" if matches!(text(object, "kind"), "User" | "Group") => {
            set_text(object, "apiGroup", "rbac.authorization.k8s.io");
        }
        "api.storage.v1.StorageClass" => {
            set(object, "reclaimPolicy", "Delete");
            set(object, "volumeBindingMode", "Immediate");
        }
        "api.storage.v1.CSIDriverSpec" => {
            set(object, "attachRequired", true);
            set(object, "fsGroupPolicy", "ReadWriteOnceWithFSType");
            set(object, "volumeLifecycleModes", json!(["Persistent"]));
            for field in [
                "podInfoOnMount",
                "storageCapacity",
                "requiresRepublish",
                "seLinuxMount",
            ] {
                set(object, field, false);
            }
        }
        "api.scheduling.v1.PriorityClass" => {
            set(object, "preemptionPolicy", "PreemptLowerPriority");
        }
        "api.authentication.v1.TokenRequestSpec" => set(object, "expirationSeconds", 3600),
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition" => {
            definition(object);
        }
        _ => {}
    }
}

/// A policy concerns what comes in, and what goes out only if it says something about that.
fn network_policy(policy: &mut Map<String, Value>) {
    let Some(spec) = within(policy, "spec") else {
        return;
    };
    let untyped = spec
        .get("policyTypes")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty);
    if untyped {
        let outward = spec
            .get("egress")
            .and_then(Value::as_array)
            .is_some_and(|rules| !rules.is_empty());
        let types = if outward {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
        spec.insert("policyTypes".to_owned(), types);
    }
}

fn definition(definition: &mut Map<String, Value>) {
    let Some(spec) = within(definition, "spec") else {
        return;
    };
    if !has(spec, "conversion") {
        spec.insert("conversion".to_owned(), json!({"strategy": "None"}));
    }
    if let Some(names) = within(spec, "names") {
        let kind = text(names, "kind").to_owned();
        set_text(names, "singular", &kind.to_lowercase());
        set_text(names, "listKind", &format!("{kind}List"));
    }
}
