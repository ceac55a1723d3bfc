//! What one object uses of the resources that a quota may limit.

use crate::admission::amounts::{self, Amounts};
use crate::admission::{items, text};
use crate::decode::quantity::Quantity;
use serde_json::Value;

/// An object, and what it is one of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) group: &'a str,
    pub(crate) plural: &'a str,
    pub(crate) value: &'a Value,
}

/// The kinds that are counted by their plain name.
const PLAIN: [&str; 7] = [
    "pods",
    "services",
    "configmaps",
    "secrets",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
];

/// What an object uses of these resources.
pub(crate) fn usage(object: Counted<'_>, hard: &Amounts) -> Amounts {
    let mut used = Amounts::new();
    for name in hard.keys() {
        if let Some(amount) = of(object, name) {
            used.insert(name.clone(), amount);
        }
    }
    used
}

fn of(object: Counted<'_>, name: &str) -> Option<Quantity> {
    let one = Some(Quantity::whole(1));
    let core = object.group.is_empty();
    if let Some(counted) = name.strip_prefix("count/") {
        let own = crate::status::qualified(object.group, object.plural);
        return one.filter(|_| own == counted);
    }
    if !core {
        return None;
    }
    let (spec, ended) = (
        &object.value["spec"],
        matches!(text(object.value, "/status/phase"), "Succeeded" | "Failed"),
    );
    match (object.plural, name) {
        // Pods that have ended need nothing.
        ("pods", _) if ended => None,
        (plural, name) if plural == name && PLAIN.contains(&name) => one,
        ("pods", name) => of_pod(spec, name),
        ("services", "services.nodeports") => {
            let exposed = match text(spec, "/type") {
                "NodePort" => true,
                "LoadBalancer" => spec["allocateLoadBalancerNodePorts"] != false,
                _ => false,
            };
            let ports = items(&spec["ports"]).count();
            exposed.then(|| Quantity::whole(ports as i64))
        }
        ("services", "services.loadbalancers") if spec["type"] == "LoadBalancer" => one,
        ("persistentvolumeclaims", name) => of_claim(spec, name),
        _ => None,
    }
}

fn of_pod(spec: &Value, name: &str) -> Option<Quantity> {
    let (kind, resource) = match name.split_once('.') {
        Some((kind @ ("requests" | "limits"), resource)) => (kind, resource),
        _ => ("requests", name),
    };
    amounts::of_pod(spec, kind).get(resource).copied()
}

fn of_claim(spec: &Value, name: &str) -> Option<Quantity> {
    let class = text(spec, "/storageClassName");
    let own = name.strip_prefix(&format!("{class}.storageclass.storage.k8s.io/"));
    match own.filter(|_| !class.is_empty()).unwrap_or(name) {
        "persistentvolumeclaims" => Some(Quantity::whole(1)),
        "requests.storage" => amounts::read(&spec["resources"]["requests"])
            .get("storage")
            .copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(group: &str, plural: &str, value: &Value, names: &[&str]) -> Vec<String> {
        let hard = names
            .iter()
            .map(|name| ((*name).to_owned(), Quantity::whole(1)))
            .collect();
        let used = usage(
            Counted {
                group,
                plural,
                value,
            },
            &hard,
        );
        used.iter()
            .map(|(name, amount)| format!("{name}={amount}"))
            .collect()
    }

    #[test]
    fn kinds_are_counted_by_either_name() {
        let names = [
            "configmaps",
            "count/configmaps",
            "count/deployments.apps",
            "pods",
        ];
        assert_eq!(
            told("", "configmaps", &json!({}), &names),
            ["configmaps=1", "count/configmaps=1"]
        );
        assert_eq!(
            told("apps", "deployments", &json!({}), &names),
            ["count/deployments.apps=1"]
        );
    }

    #[test]
    fn a_pod_that_has_ended_is_counted_as_an_object_alone() {
        let pod = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]}, "status": {"phase": "Failed"}});
        assert_eq!(
            told("", "pods", &pod, &["pods", "cpu", "count/pods"]),
            ["count/pods=1"]
        );
    }

    #[test]
    fn claims_count_for_their_class_too() {
        let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}});
        let names = [
            "requests.storage",
            "fast.storageclass.storage.k8s.io/requests.storage",
            "slow.storageclass.storage.k8s.io/requests.storage",
        ];
        assert_eq!(told("", "persistentvolumeclaims", &claim, &names).len(), 2);
    }

    #[test]
    fn ports_of_the_nodes_are_counted_one_by_one() {
        let service = json!({"spec": {"type": "NodePort", "ports": [{}, {}]}});
        assert_eq!(
            told(
                "",
                "services",
                &service,
                &["services", "services.nodeports", "services.loadbalancers"]
            ),
            ["services=1", "services.nodeports=2"]
        );
    }
}
