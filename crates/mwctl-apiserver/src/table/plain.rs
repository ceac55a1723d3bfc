//! Cells that show little more than a field.

use serde_json::{Value, json};

use super::{items, joined, number, or_none, text};

/// The cell of a column.
pub(super) fn cell(plural: &str, column: &str, object: &Value) -> Option<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    Some(match (plural, column) {
        ("namespaces", "Status") => status["phase"].clone(),
        ("configmaps", "Data") => json!(count(&object["data"]) + count(&object["binaryData"])),
        ("secrets", "Type") => object["type"].clone(),
        ("secrets", "Data") => json!(count(&object["data"])),
        ("serviceaccounts", "Secrets") => json!(items(&object["secrets"]).count()),
        ("leases", "Holder") => json!(text(&spec["holderIdentity"])),
        ("nodes", _) => return node(column, object),
        ("resourcequotas", _) => return quota(column, status),
        ("controllerrevisions", "Controller") => or_none(&controller(object)),
        ("controllerrevisions", "Revision") => json!(number(&object["revision"])),
        ("priorityclasses", "Value") => json!(number(&object["value"])),
        ("priorityclasses", "Global-Default") => json!(object["globalDefault"] == true),
        ("priorityclasses", "PreemptionPolicy") => object["preemptionPolicy"].clone(),
        ("storageclasses", "Provisioner") => object["provisioner"].clone(),
        ("storageclasses", "ReclaimPolicy") => object["reclaimPolicy"].clone(),
        ("storageclasses", "VolumeBindingMode") => object["volumeBindingMode"].clone(),
        ("storageclasses", "AllowVolumeExpansion") => json!(object["allowVolumeExpansion"] == true),
        ("poddisruptionbudgets", "Min Available") => amount(&spec["minAvailable"]),
        ("poddisruptionbudgets", "Max Unavailable") => amount(&spec["maxUnavailable"]),
        ("poddisruptionbudgets", "Allowed Disruptions") => {
            json!(number(&status["disruptionsAllowed"]))
        }
        ("runtimeclasses", "Handler") => object["handler"].clone(),
        ("servicecidrs", "CIDRs") => json!(joined(items(&spec["cidrs"]).map(text))),
        ("ipaddresses", "ParentRef") => json!(parent(&spec["parentRef"])),
        _ => return None,
    })
}

fn count(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

fn amount(value: &Value) -> Value {
    match value {
        Value::Null => json!("N/A"),
        Value::String(_) => value.clone(),
        other => json!(other.to_string()),
    }
}

fn controller(object: &Value) -> String {
    let owner =
        items(&object["metadata"]["ownerReferences"]).find(|owner| owner["controller"] == true);
    owner.map_or_else(String::new, |owner| {
        let group = text(&owner["apiVersion"])
            .split_once('/')
            .map_or("", |(group, _)| group);
        let kind = text(&owner["kind"]).to_lowercase();
        let kind = if group.is_empty() {
            kind
        } else {
            format!("{kind}.{group}")
        };
        format!("{kind}/{}", text(&owner["name"]))
    })
}

fn parent(parent: &Value) -> String {
    let parts = ["group", "resource", "namespace", "name"].map(|field| text(&parent[field]));
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/")
}

fn node(column: &str, node: &Value) -> Option<Value> {
    let info = &node["status"]["nodeInfo"];
    let or_unknown = |value: &Value| {
        json!(if text(value).is_empty() {
            "<unknown>"
        } else {
            text(value)
        })
    };
    let address = |kind: &str| {
        let mut addresses = items(&node["status"]["addresses"]);
        or_none(
            addresses
                .find(|address| address["type"] == kind)
                .map_or("", |address| text(&address["address"])),
        )
    };
    Some(match column {
        "Status" => json!(readiness(node)),
        "Roles" => or_none(&roles(&node["metadata"]["labels"])),
        "Version" => json!(text(&info["kubeletVersion"])),
        "Internal-IP" => address("InternalIP"),
        "External-IP" => address("ExternalIP"),
        "OS-Image" => or_unknown(&info["osImage"]),
        "Kernel-Version" => or_unknown(&info["kernelVersion"]),
        "Container-Runtime" => or_unknown(&info["containerRuntimeVersion"]),
        _ => return None,
    })
}

fn readiness(node: &Value) -> String {
    let condition =
        items(&node["status"]["conditions"]).find(|condition| condition["type"] == "Ready");
    let mut words = vec![match condition {
        Some(condition) if condition["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if node["spec"]["unschedulable"] == true {
        words.push("SchedulingDisabled");
    }
    words.join(",")
}

fn roles(labels: &Value) -> String {
    let mut roles: Vec<&str> = labels
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None => (key == "kubernetes.io/role").then(|| text(value)),
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    joined(roles.into_iter())
}

/// What is used of what may be, requests apart from limits.
fn quota(column: &str, status: &Value) -> Option<Value> {
    let limits = match column {
        "Request" => false,
        "Limit" => true,
        _ => return None,
    };
    let mut parts: Vec<String> = status["hard"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.starts_with("limits.") == limits)
        .map(|(name, hard)| {
            format!(
                "{name}: {}/{}",
                status["used"][name].as_str().unwrap_or("0"),
                text(hard)
            )
        })
        .collect();
    parts.sort_unstable();
    Some(json!(parts.join(", ")))
}
