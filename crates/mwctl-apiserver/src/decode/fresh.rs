//! What the API adds to a new object of its own accord, beyond defaults: finalizers, labels, tolerations. Addresses and ports that must be free
//! are given out by the store's owner, not here.

use serde_json::{Map, Value, json};

use crate::schema::Gvk;

/// Prepares a new object that has its defaults, its name and its uid. The status that a client sent with it is taken away.
pub fn prepare(gvk: &Gvk, object: &mut Map<String, Value>) {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => pod(object),
        ("", "Namespace") => namespace(object),
        ("", "PersistentVolumeClaim") => protect(object, "kubernetes.io/pvc-protection"),
        ("", "PersistentVolume") => protect(object, "kubernetes.io/pv-protection"),
        ("apps", "DaemonSet") => {
            let annotations = child(child(object, "metadata"), "annotations");
            annotations.insert(
                "deprecated.daemonset.template.generation".to_owned(),
                json!("1"),
            );
        }
        ("batch", "Job") => job(object),
        _ => {}
    }
}

/// The object in a field, which is made or replaced where it is none.
fn child<'a>(object: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let place = object.entry(field).or_insert(Value::Null);
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    place
        .as_object_mut()
        .expect("it was made an object just now")
}

fn protect(object: &mut Map<String, Value>, finalizer: &str) {
    let finalizers = child(object, "metadata")
        .entry("finalizers")
        .or_insert_with(|| json!([]));
    if let Value::Array(finalizers) = finalizers
        && !finalizers.iter().any(|known| known == finalizer)
    {
        finalizers.push(Value::from(finalizer));
    }
}

fn namespace(namespace: &mut Map<String, Value>) {
    let metadata = child(namespace, "metadata");
    let name = metadata.get("name").cloned().unwrap_or_default();
    child(metadata, "labels").insert("kubernetes.io/metadata.name".to_owned(), name);
    let finalizers = child(namespace, "spec")
        .entry("finalizers")
        .or_insert_with(|| json!([]));
    if let Value::Array(finalizers) = finalizers
        && !finalizers.iter().any(|known| known == "kubernetes")
    {
        finalizers.push(json!("kubernetes"));
    }
}

/// A pod stays for five minutes on a node that is lost, unless it says otherwise.
fn pod(pod: &mut Map<String, Value>) {
    let class = quality(pod);
    let spec = child(pod, "spec");
    for taint in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
        if let Value::Array(tolerations) = tolerations
            && !tolerations.iter().any(|known| tolerates(known, taint))
        {
            tolerations.push(json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
    if !spec.contains_key("priorityClassName") {
        spec.entry("priority").or_insert(json!(0));
        spec.entry("preemptionPolicy")
            .or_insert(json!("PreemptLowerPriority"));
    }
    let status = child(pod, "status");
    status.clear();
    status.insert("phase".to_owned(), json!("Pending"));
    status.insert("qosClass".to_owned(), json!(class));
}

fn tolerates(toleration: &Value, taint: &str) -> bool {
    let key = toleration["key"].as_str().unwrap_or_default();
    let effect = toleration["effect"].as_str().unwrap_or_default();
    (key.is_empty() || key == taint) && (effect.is_empty() || effect == "NoExecute")
}

/// The quality of service: guaranteed where every container limits what it requests, nothing promised where nobody says anything.
pub fn quality(pod: &Map<String, Value>) -> &'static str {
    let spec = pod.get("spec");
    let containers = ["containers", "initContainers"]
        .into_iter()
        .filter_map(|field| spec?.get(field)?.as_array())
        .flatten();
    let (mut any, mut all) = (false, true);
    for container in containers {
        let amount = |kind: &str, resource: &str| {
            container["resources"][kind][resource]
                .as_str()
                .filter(|amount| *amount != "0")
        };
        for resource in ["cpu", "memory"] {
            let (request, limit) = (amount("requests", resource), amount("limits", resource));
            any |= request.is_some() || limit.is_some();
            all &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// A job finds its pods by its own uid, unless it brings a selector.
fn job(job: &mut Map<String, Value>) {
    let metadata = child(job, "metadata");
    let name = metadata.get("name").cloned().unwrap_or_default();
    let uid = metadata.get("uid").cloned().unwrap_or_default();
    let spec = child(job, "spec");
    if spec.get("manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    let uid_label = "batch.kubernetes.io/controller-uid";
    let labels = [
        ("controller-uid", &uid),
        ("job-name", &name),
        (uid_label, &uid),
        ("batch.kubernetes.io/job-name", &name),
    ];
    child(child(spec, "selector"), "matchLabels").insert(uid_label.to_owned(), uid.clone());
    let template = child(child(child(spec, "template"), "metadata"), "labels");
    for (label, value) in labels {
        template.insert(label.to_owned(), value.clone());
    }
    // Only the new object shows them on itself too, as a convenience of upstream's defaults.
    let template = template.clone();
    let own = child(child(job, "metadata"), "labels");
    for (label, value) in template {
        own.entry(label).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(containers: &Value) -> &'static str {
        quality(
            json!({"spec": {"containers": containers}})
                .as_object()
                .unwrap(),
        )
    }

    #[test]
    fn quality_is_what_all_containers_promise() {
        assert_eq!(class(&json!([{}])), "BestEffort");
        assert_eq!(
            class(&json!([{"resources": {"requests": {"cpu": "1"}}}])),
            "Burstable"
        );
        let sure = json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}});
        assert_eq!(class(&json!([sure])), "Guaranteed");
        assert_eq!(class(&json!([sure, {}])), "Burstable");
    }

    #[test]
    fn a_toleration_of_ones_own_is_left_alone() {
        let mut object = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
        prepare(
            &Gvk {
                group: String::new(),
                version: "v1".to_owned(),
                kind: "Pod".to_owned(),
            },
            object.as_object_mut().unwrap(),
        );
        assert_eq!(
            object["spec"]["tolerations"],
            json!([{"operator": "Exists"}])
        );
    }
}
