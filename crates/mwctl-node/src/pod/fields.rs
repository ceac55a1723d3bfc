//! What a pod's containers may know of the pod: `fieldRef` and `resourceFieldRef`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use crate::quantity;

use super::state;

/// What isn't in the pod's own object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) pod_address: Option<String>,
    pub(crate) node_address: String,
    /// What the node has, for whoever sets no limit: bytes, and thousandths of a processor.
    pub(crate) memory: u64,
    pub(crate) processor: u64,
}

/// The value of a field, or why there is none.
pub(crate) fn field(pod: &Pod, path: &str, around: &Surroundings) -> Result<String, String> {
    let spec = pod.spec.as_ref();
    let own = |text: &Option<String>| text.clone().unwrap_or_default();
    if let Some((map, key)) = path.split_once('[') {
        let key = key.trim_end_matches(']').trim_matches(['\'', '"']);
        let map = match map {
            "metadata.labels" => pod.metadata.labels.as_ref(),
            "metadata.annotations" => pod.metadata.annotations.as_ref(),
            _ => return Err(format!("unsupported field: {path}")),
        };
        return Ok(map
            .and_then(|map| map.get(key))
            .cloned()
            .unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => own(&pod.metadata.name),
        "metadata.namespace" => own(&pod.metadata.namespace),
        "metadata.uid" => own(&pod.metadata.uid),
        "metadata.labels" => lines(pod.metadata.labels.as_ref()),
        "metadata.annotations" => lines(pod.metadata.annotations.as_ref()),
        "spec.nodeName" => spec.map(|spec| own(&spec.node_name)).unwrap_or_default(),
        "spec.serviceAccountName" => spec
            .map(|spec| own(&spec.service_account_name))
            .unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => around.node_address.clone(),
        "status.podIP" | "status.podIPs" => around.pod_address.clone().unwrap_or_default(),
        _ => return Err(format!("unsupported field: {path}")),
    })
}

/// As the kubelet writes a map into a file: sorted, quoted as Go quotes.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let line = |(key, value): (&String, &String)| {
        let mut text = format!("{key}=\"");
        for letter in value.chars() {
            match letter {
                '"' | '\\' => text.extend(['\\', letter]),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                control if control.is_control() => {
                    // A string takes whatever is written to it.
                    let _written = write!(text, "\\x{:02x}", u32::from(control));
                }
                other => text.push(other),
            }
        }
        text + "\""
    };
    map.into_iter()
        .flatten()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The value of a resource, divided and rounded up.
pub(crate) fn resource(
    pod: &Pod,
    own: &Container,
    selector: &ResourceFieldSelector,
    around: &Surroundings,
) -> Result<String, String> {
    let named = selector
        .container_name
        .as_deref()
        .filter(|name| !name.is_empty());
    let container = match named {
        Some(name) => {
            state::container(pod, name).ok_or_else(|| format!("container {name} not found"))?
        }
        None => own,
    };
    let unsupported = || format!("unsupported container resource : {}", selector.resource);
    let (kind, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let resources = container.resources.as_ref();
    let set = match kind {
        "limits" => resources.and_then(|it| it.limits.as_ref()),
        "requests" => resources.and_then(|it| it.requests.as_ref()),
        _ => return Err(unsupported()),
    };
    let set = set
        .and_then(|map| map.get(name))
        .and_then(quantity::thousandths);
    let value = set.unwrap_or_else(|| match (kind, name) {
        ("limits", "cpu") => around.processor,
        ("limits", "memory") => around.memory.saturating_mul(1000),
        _ => 0,
    });
    let divisor = selector
        .divisor
        .as_ref()
        .and_then(quantity::thousandths)
        .filter(|divisor| *divisor > 0);
    Ok(value.div_ceil(divisor.unwrap_or(1000)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "labels": {"b": "2", "a": "say \"x\""}},
            "spec": {"nodeName": "here", "containers": [
                {"name": "c", "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "1500m"}}}]},
        }))
        .unwrap()
    }

    #[test]
    fn fields_are_those_of_the_pod() {
        let around = Surroundings {
            pod_address: Some("10.1.2.3".to_owned()),
            ..Surroundings::default()
        };
        let value = |path: &str| field(&pod(), path, &around);
        assert_eq!(value("metadata.name").unwrap(), "p");
        assert_eq!(value("metadata.labels['b']").unwrap(), "2");
        assert_eq!(
            value("metadata.labels").unwrap(),
            "a=\"say \\\"x\\\"\"\nb=\"2\""
        );
        assert_eq!(value("spec.nodeName").unwrap(), "here");
        assert_eq!(value("status.podIP").unwrap(), "10.1.2.3");
        value("spec.containers").unwrap_err();
        value("spec.x['y']").unwrap_err();
    }

    #[test]
    fn resources_are_divided_and_rounded_up() {
        let around = Surroundings {
            processor: 4000,
            ..Surroundings::default()
        };
        let value = |resource_: &str, divisor: Option<&str>| {
            let selector = serde_json::json!({"resource": resource_, "divisor": divisor});
            let pod = pod();
            let own = state::container(&pod, "c").unwrap().clone();
            resource(
                &pod,
                &own,
                &serde_json::from_value(selector).unwrap(),
                &around,
            )
        };
        assert_eq!(value("limits.memory", None).unwrap(), "67108864");
        assert_eq!(value("limits.memory", Some("1Mi")).unwrap(), "64");
        assert_eq!(value("requests.cpu", None).unwrap(), "2");
        assert_eq!(value("requests.cpu", Some("1m")).unwrap(), "1500");
        assert_eq!(value("limits.cpu", None).unwrap(), "4");
        value("other", None).unwrap_err();
    }
}
