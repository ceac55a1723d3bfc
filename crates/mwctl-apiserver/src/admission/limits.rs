//! Limit ranges of a namespace: what containers get that say nothing, and the least and the most that containers, pods and claims may have.

use super::amounts::{self, Amounts};
use super::{containers, items, text};
use serde_json::{Value, json};

/// The note on a pod that was given something.
const NOTE: &str = "kubernetes.io/limit-ranger";

/// Gives the containers of a pod what they don't say, and notes it.
pub(crate) fn complete(pod: &mut Value, ranges: &[&Value]) {
    let (mut requests, mut limits) = (json!({}), json!({}));
    for item in ranges
        .iter()
        .flat_map(|range| items(&range["spec"]["limits"]))
    {
        if item["type"] == "Container" {
            for (usual, field) in [(&mut requests, "defaultRequest"), (&mut limits, "default")] {
                for (name, amount) in item[field].as_object().into_iter().flatten() {
                    usual[name] = amount.clone();
                }
            }
        }
    }
    let mut notes = Vec::new();
    for (list, kind) in [
        ("containers", "container"),
        ("initContainers", "init container"),
    ] {
        for container in containers(&mut pod["spec"], &[list]) {
            let name = text(container, "/name").to_owned();
            for (usual, field, word) in [
                (&requests, "requests", "request"),
                (&limits, "limits", "limit"),
            ] {
                let given = fill(&mut container["resources"][field], usual);
                if !given.is_empty() {
                    notes.push(format!("{} {word} for {kind} {name}", given.join(", ")));
                }
            }
        }
    }
    if !notes.is_empty() {
        let note = format!("LimitRanger plugin set: {}", notes.join("; "));
        pod["metadata"]["annotations"][NOTE] = json!(note);
    }
}

/// Fills in what is missing, and tells what that was.
fn fill(amounts: &mut Value, usual: &Value) -> Vec<String> {
    let mut given = Vec::new();
    for (name, amount) in usual.as_object().into_iter().flatten() {
        if amounts[name].is_null() {
            amounts[name] = amount.clone();
            given.push(name.clone());
        }
    }
    // Looking for a name has made a map that nobody wants.
    if amounts.as_object().is_none_or(serde_json::Map::is_empty) {
        *amounts = Value::Null;
    }
    given.sort_unstable();
    given
}

/// What an object has too much or too little of.
pub(crate) fn complaints(kind: &str, object: &Value, ranges: &[&Value]) -> Vec<String> {
    let mut complaints = Vec::new();
    let spec = &object["spec"];
    for item in ranges
        .iter()
        .flat_map(|range| items(&range["spec"]["limits"]))
    {
        let own = text(item, "/type");
        match (kind, own) {
            ("Pod", "Container") => {
                for container in items(&spec["initContainers"]).chain(items(&spec["containers"])) {
                    let resources = &container["resources"];
                    let requests = amounts::read(&resources["requests"]);
                    let limits = amounts::read(&resources["limits"]);
                    judge(item, own, &requests, &limits, &mut complaints);
                }
            }
            ("Pod", "Pod") => {
                let requests = amounts::of_pod(spec, "requests");
                let limits = amounts::of_pod(spec, "limits");
                judge(item, own, &requests, &limits, &mut complaints);
            }
            ("PersistentVolumeClaim", "PersistentVolumeClaim") => {
                let requests = amounts::read(&spec["resources"]["requests"]);
                least(item, own, &requests, &Amounts::new(), &mut complaints);
                for (name, most) in amounts::read(&item["max"]) {
                    let bound = format!("maximum {name} usage per {own} is {most}");
                    match requests.get(&name) {
                        None => complaints.push(format!("{bound}.  No request is specified")),
                        Some(asked) if asked.nano() > most.nano() => {
                            complaints.push(format!("{bound}, but request is {asked}"));
                        }
                        Some(_) => {}
                    }
                }
            }
            _ => {}
        }
    }
    complaints
}

fn judge(
    item: &Value,
    own: &str,
    requests: &Amounts,
    limits: &Amounts,
    complaints: &mut Vec<String>,
) {
    least(item, own, requests, limits, complaints);
    for (name, most) in amounts::read(&item["max"]) {
        let bound = format!("maximum {name} usage per {own} is {most}");
        let beyond = |amount: &&crate::decode::quantity::Quantity| amount.nano() > most.nano();
        match (limits.get(&name), requests.get(&name).filter(beyond)) {
            (None, _) => complaints.push(format!("{bound}.  No limit is specified")),
            (Some(limit), _) if beyond(&limit) => {
                complaints.push(format!("{bound}, but limit is {limit}"));
            }
            (Some(_), Some(request)) => {
                complaints.push(format!("{bound}, but request is {request}"));
            }
            (Some(_), None) => {}
        }
    }
    for (name, most) in amounts::read(&item["maxLimitRequestRatio"]) {
        let bound = format!("{name} max limit to request ratio per {own} is {most}");
        let amount = |amounts: &Amounts| {
            amounts
                .get(&name)
                .map(|amount| amount.nano())
                .filter(|amount| *amount > 0)
        };
        match (amount(requests), amount(limits)) {
            (None, _) => complaints.push(format!(
                "{bound}, but no request is specified or request is 0"
            )),
            (_, None) => {
                complaints.push(format!("{bound}, but no limit is specified or limit is 0"));
            }
            (Some(request), Some(limit)) => {
                let ratio = limit as f64 / request as f64;
                if ratio > most.nano() as f64 / 1e9 {
                    complaints.push(format!("{bound}, but provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

fn least(
    item: &Value,
    own: &str,
    requests: &Amounts,
    limits: &Amounts,
    complaints: &mut Vec<String>,
) {
    for (name, least) in amounts::read(&item["min"]) {
        let bound = format!("minimum {name} usage per {own} is {least}");
        let below = |amount: &&crate::decode::quantity::Quantity| amount.nano() < least.nano();
        match (requests.get(&name), limits.get(&name).filter(below)) {
            (None, _) => complaints.push(format!("{bound}.  No request is specified")),
            (Some(request), _) if below(&request) => {
                complaints.push(format!("{bound}, but request is {request}"));
            }
            (Some(_), Some(limit)) => complaints.push(format!("{bound}, but limit is {limit}")),
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range() -> Value {
        json!({"spec": {"limits": [
            {"type": "Container", "default": {"cpu": "200m"}, "defaultRequest": {"cpu": "100m", "memory": "64Mi"}, "max": {"cpu": "1"}, "min": {"cpu": "50m"}},
            {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
        ]}})
    }

    #[test]
    fn containers_get_what_they_do_not_say() {
        let mut pod = json!({"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "150m"}}}]}});
        complete(&mut pod, &[&range()]);
        let resources = &pod["spec"]["containers"][0]["resources"];
        assert_eq!(
            resources["requests"],
            json!({"cpu": "150m", "memory": "64Mi"})
        );
        assert_eq!(resources["limits"], json!({"cpu": "200m"}));
        let note =
            "LimitRanger plugin set: memory request for container c; cpu limit for container c";
        assert_eq!(pod["metadata"]["annotations"][NOTE], note);
    }

    #[test]
    fn a_namespace_without_ranges_changes_nothing() {
        let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {}}]}});
        let mut same = pod.clone();
        complete(&mut same, &[]);
        assert_eq!(same["metadata"], pod["metadata"]);
        assert!(complaints("Pod", &pod, &[]).is_empty());
    }

    #[test]
    fn what_is_too_much_or_too_little_is_told() {
        let container = |cpu: &str| json!({"spec": {"containers": [{"resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}}]}});
        assert_eq!(
            complaints("Pod", &container("2"), &[&range()]),
            ["maximum cpu usage per Container is 1, but limit is 2"]
        );
        assert_eq!(
            complaints("Pod", &container("10m"), &[&range()]),
            ["minimum cpu usage per Container is 50m, but request is 10m"]
        );
        let claim = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
        assert_eq!(
            complaints("PersistentVolumeClaim", &claim, &[&range()]),
            ["maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"]
        );
    }
}
