//! Defaults of the core group.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{each, has, set, set_text, text, within};

/// Fills the defaults of a type; whether this is a type of the core group.
pub(super) fn fill(name: &str, object: &mut Map<String, Value>) -> bool {
    let Some(name) = name.strip_prefix("api.core.v1.") else {
        return false;
    };
    match name {
        "Pod" => pod(object),
        "PodSpec" => pod_spec(object),
        "Container" | "EphemeralContainer" => container(object),
        "Probe" => {
            for (field, value) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                set_number(object, field, value);
            }
        }
        "HTTPGetAction" => {
            set_text(object, "path", "/");
            set_text(object, "scheme", "HTTP");
        }
        "ObjectFieldSelector" => set_text(object, "apiVersion", "v1"),
        "Volume" => volume(object),
        "SecretVolumeSource"
        | "ConfigMapVolumeSource"
        | "DownwardAPIVolumeSource"
        | "ProjectedVolumeSource" => {
            set(object, "defaultMode", 0o644);
        }
        "HostPathVolumeSource" => set(object, "type", ""),
        "ServiceAccountTokenProjection" => set(object, "expirationSeconds", 3600),
        "Service" => service(object),
        "Secret" => secret(object),
        "PersistentVolume" => {
            if let Some(spec) = within(object, "spec") {
                set_text(spec, "persistentVolumeReclaimPolicy", "Retain");
                set_text(spec, "volumeMode", "Filesystem");
            }
            phase(object, "Pending");
        }
        "PersistentVolumeClaim" => phase(object, "Pending"),
        "PersistentVolumeClaimSpec" => set_text(object, "volumeMode", "Filesystem"),
        "Namespace" => phase(object, "Active"),
        "Node" => node(object),
        "ReplicationController" => replication_controller(object),
        "LimitRangeItem" => limits(object),
        _ => {}
    }
    true
}

/// What was written as text stands among the data, and nowhere else: no reader sees it.
fn secret(secret: &mut Map<String, Value>) {
    set_text(secret, "type", "Opaque");
    let Some(Value::Object(texts)) = secret.shift_remove("stringData") else {
        return;
    };
    let Some(data) = within(secret, "data") else {
        return;
    };
    for (key, text) in texts {
        let text = text.as_str().unwrap_or_default();
        data.insert(key, Value::from(STANDARD.encode(text)));
    }
}

fn phase(object: &mut Map<String, Value>, phase: &str) {
    if let Some(status) = within(object, "status") {
        set_text(status, "phase", phase);
    }
}

/// Where a zero is the same as nothing.
fn set_number(object: &mut Map<String, Value>, field: &str, value: i64) {
    if object
        .get(field)
        .and_then(Value::as_i64)
        .unwrap_or_default()
        == 0
    {
        object.insert(field.to_owned(), Value::from(value));
    }
}

fn pod(pod: &mut Map<String, Value>) {
    let Some(spec) = within(pod, "spec") else {
        return;
    };
    set(spec, "enableServiceLinks", true);
    for field in ["containers", "initContainers"] {
        for container in each(spec, field) {
            request_the_limits(container);
        }
    }
    phase(pod, "Pending");
}

/// Who limits a resource and requests none requests the limit.
fn request_the_limits(container: &mut Map<String, Value>) {
    let Some(resources) = container
        .get_mut("resources")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else {
        return;
    };
    if let Some(requests) = within(resources, "requests") {
        for (name, limit) in limits {
            set(requests, &name, limit);
        }
    }
}

fn pod_spec(spec: &mut Map<String, Value>) {
    set_text(spec, "dnsPolicy", "ClusterFirst");
    set_text(spec, "restartPolicy", "Always");
    set_text(spec, "schedulerName", "default-scheduler");
    set(spec, "securityContext", Map::new());
    set(spec, "terminationGracePeriodSeconds", 30);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        for field in ["containers", "initContainers"] {
            for port in each(spec, field).flat_map(|container| each(container, "ports")) {
                if let Some(number) = port.get("containerPort").and_then(Value::as_i64) {
                    set_number(port, "hostPort", number);
                }
            }
        }
    }
}

fn container(container: &mut Map<String, Value>) {
    set_text(container, "terminationMessagePath", "/dev/termination-log");
    set_text(container, "terminationMessagePolicy", "File");
    if text(container, "imagePullPolicy").is_empty() {
        let policy = if is_latest(text(container, "image")) {
            "Always"
        } else {
            "IfNotPresent"
        };
        container.insert("imagePullPolicy".to_owned(), Value::from(policy));
    }
}

/// Whether an image says no tag and no digest, or says `latest`.
fn is_latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    if last.contains('@') {
        return false;
    }
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn volume(volume: &mut Map<String, Value>) {
    let sourceless = volume
        .iter()
        .all(|(field, value)| field == "name" || value.is_null());
    if sourceless {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
}

fn service(service: &mut Map<String, Value>) {
    let Some(spec) = within(service, "spec") else {
        return;
    };
    set_text(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => {
            spec.shift_remove("sessionAffinityConfig");
        }
        "ClientIP" => {
            let client =
                within(spec, "sessionAffinityConfig").and_then(|config| within(config, "clientIP"));
            if let Some(client) = client {
                set(client, "timeoutSeconds", 10_800);
            }
        }
        _ => {}
    }
    set_text(spec, "type", "ClusterIP");
    for port in each(spec, "ports") {
        set_text(port, "protocol", "TCP");
        let target = port
            .get("targetPort")
            .is_none_or(|target| *target == 0 || target == "" || target.is_null());
        if let Some(number) = port.get("port").cloned().filter(|_| target) {
            port.insert("targetPort".to_owned(), number);
        }
    }
    let kind = text(spec, "type").to_owned();
    if kind == "NodePort" || kind == "LoadBalancer" {
        set_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind != "ExternalName" {
        set_text(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn node(node: &mut Map<String, Value>) {
    let Some(status) = within(node, "status") else {
        return;
    };
    if let Some(capacity) = status.get("capacity").cloned() {
        set(status, "allocatable", capacity);
    }
}

fn replication_controller(controller: &mut Map<String, Value>) {
    let template = controller.get("spec").and_then(|spec| spec.get("template"));
    let labels = template
        .and_then(|template| template.get("metadata")?.get("labels"))
        .cloned();
    if let Some(labels) =
        labels.filter(|labels| labels.as_object().is_some_and(|labels| !labels.is_empty()))
    {
        if let Some(spec) = within(controller, "spec") {
            set(spec, "selector", labels.clone());
        }
        if let Some(metadata) = within(controller, "metadata")
            && !has(metadata, "labels")
        {
            metadata.insert("labels".to_owned(), labels);
        }
    }
    if let Some(spec) = within(controller, "spec") {
        set(spec, "replicas", 1);
    }
}

/// For containers the default limit is the maximum, and the default request the default limit or else the minimum.
fn limits(item: &mut Map<String, Value>) {
    if text(item, "type") != "Container" {
        return;
    }
    for (field, sources) in [
        ("default", &["max"][..]),
        ("defaultRequest", &["default", "min"]),
    ] {
        for source in sources {
            let Some(Value::Object(known)) = item.get(*source).cloned() else {
                continue;
            };
            if let Some(place) = within(item, field) {
                for (name, amount) in known {
                    set(place, &name, amount);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_pulled_always_when_its_tag_may_move() {
        for (image, moves) in [
            ("a", true),
            ("a:latest", true),
            ("r:5000/a", true),
            ("a:1", false),
            ("r:5000/a:1", false),
            ("a@sha256:0", false),
        ] {
            assert_eq!(is_latest(image), moves, "{image}");
        }
    }
}
