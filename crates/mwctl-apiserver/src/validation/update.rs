//! What may not change once an object is there.

use serde_json::{Value, json};

use super::report::{Path, Report, items, text};
use super::workload::job;
use crate::decode::quantity::Quantity;
use crate::schema::Gvk;

const IMMUTABLE: &str = "field is immutable";

/// Fields that may never change, by their path within the object.
const FIXED: [(&str, &str, &[&str]); 8] = [
    ("apps", "Deployment", &["spec.selector"]),
    ("apps", "ReplicaSet", &["spec.selector"]),
    ("apps", "DaemonSet", &["spec.selector"]),
    (
        "batch",
        "Job",
        &[
            "spec.completionMode",
            "spec.selector",
            "spec.podFailurePolicy",
            "spec.backoffLimitPerIndex",
            "spec.managedBy",
            "spec.successPolicy",
        ],
    ),
    ("", "Secret", &["type"]),
    ("discovery.k8s.io", "EndpointSlice", &["addressType"]),
    ("scheduling.k8s.io", "PriorityClass", &["preemptionPolicy"]),
    ("storage.k8s.io", "StorageClass", &["volumeBindingMode"]),
];

/// What of a `StatefulSet` may change.
const STATEFUL_SET: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

const POD: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const CLAIM: &str = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

/// Complains about what has changed and may not.
pub(super) fn check(gvk: &Gvk, old: &Value, new: &Value, report: &mut Report) {
    let (group, kind) = (gvk.group.as_str(), gvk.kind.as_str());
    match (group, kind) {
        ("", "Pod") => pod(&old["spec"], &new["spec"], report),
        ("", "Service") => service(&old["spec"], &new["spec"], report),
        ("", "ConfigMap" | "Secret") => sealed(old, new, report),
        ("", "PersistentVolumeClaim") => claim(old, new, report),
        ("apps", "StatefulSet") => stateful_set(&old["spec"], &new["spec"], report),
        ("batch", "Job") => changed_job(&old["spec"], &new["spec"], report),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            binding(old, new, report);
        }
        ("storage.k8s.io", "StorageClass") => {
            for field in ["parameters", "provisioner", "reclaimPolicy"] {
                if old[field] != new[field] {
                    report.forbidden(
                        &Path::root(field),
                        &format!("updates to {field} are forbidden."),
                    );
                }
            }
        }
        ("scheduling.k8s.io", "PriorityClass") if old["value"] != new["value"] => {
            report.forbidden(&Path::root("value"), "may not be changed in an update.");
        }
        _ => {}
    }
    let fixed = FIXED
        .iter()
        .find(|(of, known, _)| (*of, *known) == (group, kind));
    for path in fixed.into_iter().flat_map(|(_, _, paths)| *paths) {
        let pointer = format!("/{}", path.replace('.', "/"));
        let (before, after) = (old.pointer(&pointer), new.pointer(&pointer));
        if before != after {
            let shown = job::shown(path, after.unwrap_or(&Value::Null));
            report.invalid(&Path::root(path), &shown, IMMUTABLE);
        }
    }
}

/// A config map or a secret that was declared immutable.
fn sealed(old: &Value, new: &Value, report: &mut Report) {
    if old["immutable"] != true {
        return;
    }
    let detail = "field is immutable when `immutable` is set";
    if new["immutable"] != true {
        report.forbidden(&Path::root("immutable"), detail);
    }
    for field in ["data", "binaryData"] {
        if old[field] != new[field] {
            report.forbidden(&Path::root(field), detail);
        }
    }
}

fn service(old: &Value, new: &Value, report: &mut Report) {
    let external = old["type"] == "ExternalName" || new["type"] == "ExternalName";
    let before = text(&old["clusterIP"]);
    if !external && !before.is_empty() && old["clusterIP"] != new["clusterIP"] {
        let at = Path::root("spec");
        let shown = if items(&new["clusterIPs"]).next().is_some()
            && new["clusterIPs"][0] == new["clusterIP"]
        {
            new["clusterIPs"].clone()
        } else {
            json!([new["clusterIP"]])
        };
        report.invalid(
            &at.field("clusterIPs").index(0),
            &shown,
            "may not change once set",
        );
    }
}

/// A pod is what it was made, but for a few things.
fn pod(old: &Value, new: &Value, report: &mut Report) {
    let at = Path::root("spec");
    for field in ["containers", "initContainers"] {
        let count = |spec: &Value| spec[field].as_array().map_or(0, Vec::len);
        if count(old) != count(new) {
            report.forbidden(
                &at.field(field),
                "pod updates may not add or remove containers",
            );
            return;
        }
    }
    let deadline = |spec: &Value| spec["activeDeadlineSeconds"].as_i64();
    if let Some(before) = deadline(old) {
        let place = at.field("activeDeadlineSeconds");
        match deadline(new) {
            Some(after) if after > before => {
                let detail = format!("must be less than or equal to previous value {before}");
                report.invalid(&place, &json!(after), &detail);
            }
            None => report.invalid(
                &place,
                &Value::Null,
                "must not update from a positive integer to nil value",
            ),
            Some(_) => {}
        }
    }
    // A pod may be bound once, and is by its `binding`; its containers may be added to by their own subresources.
    let comparable = |spec: &Value| {
        let mut spec = spec.clone();
        for field in ["containers", "initContainers"] {
            let containers = spec.get_mut(field).and_then(Value::as_array_mut);
            for container in containers
                .into_iter()
                .flatten()
                .filter_map(Value::as_object_mut)
            {
                container.remove("image");
            }
        }
        if let Some(spec) = spec.as_object_mut() {
            for field in [
                "activeDeadlineSeconds",
                "tolerations",
                "ephemeralContainers",
            ] {
                spec.remove(field);
            }
        }
        spec
    };
    let kept = items(&old["tolerations"]).all(|(_, toleration)| {
        let mut now = items(&new["tolerations"]);
        now.any(|(_, candidate)| same_toleration(candidate, toleration))
    });
    let tolerations = kept || new["tolerations"].is_null();
    let gates = |spec: &Value| items(&spec["schedulingGates"]).count();
    let mut before = comparable(old);
    let mut after = comparable(new);
    if gates(new) <= gates(old) {
        for spec in [&mut before, &mut after] {
            if let Some(spec) = spec.as_object_mut() {
                spec.remove("schedulingGates");
            }
        }
    }
    if before != after || !tolerations {
        report.forbidden(&at, POD);
    }
}

/// The seconds of a toleration may change, and nothing else of it.
fn same_toleration(one: &Value, other: &Value) -> bool {
    ["key", "operator", "value", "effect"]
        .iter()
        .all(|field| one[field] == other[field])
}

fn stateful_set(old: &Value, new: &Value, report: &mut Report) {
    let fixed = |spec: &Value| {
        let mut spec = spec.as_object().cloned().unwrap_or_default();
        for field in STATEFUL_SET {
            spec.remove(field);
        }
        spec
    };
    if fixed(old) != fixed(new) {
        let (last, others) = ("'minReadySeconds'", &STATEFUL_SET[..STATEFUL_SET.len() - 1]);
        let others: Vec<String> = others.iter().map(|field| format!("'{field}'")).collect();
        let detail = format!(
            "updates to statefulset spec for fields other than {} and {last} are forbidden",
            others.join(", ")
        );
        report.forbidden(&Path::root("spec"), &detail);
    }
}

/// The template of a job is fixed, but where its pods may run as long as it is suspended.
fn changed_job(old: &Value, new: &Value, report: &mut Report) {
    let at = Path::root("spec");
    let elastic = new["completionMode"] == "Indexed"
        && new["completions"] == new["parallelism"]
        && old["completions"] == old["parallelism"];
    if old["completions"] != new["completions"] && !elastic {
        report.invalid(&at.field("completions"), &new["completions"], IMMUTABLE);
    }
    let template = |spec: &Value| {
        let mut template = spec["template"].clone();
        if old["suspend"] == true {
            if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("labels");
                metadata.remove("annotations");
            }
            if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
                for field in ["nodeSelector", "affinity", "tolerations", "schedulingGates"] {
                    spec.remove(field);
                }
            }
        }
        template
    };
    if template(old) != template(new) {
        report.invalid(&at.field("template"), &new["template"], IMMUTABLE);
    }
}

fn claim(old: &Value, new: &Value, report: &mut Report) {
    let at = Path::root("spec");
    let bound = old["status"]["phase"] == "Bound";
    let fixed = |claim: &Value| {
        let mut spec = claim["spec"].as_object().cloned().unwrap_or_default();
        spec.remove("volumeAttributesClassName");
        // The controller binds it, and fills in the class.
        for field in ["storageClassName", "volumeName"] {
            if old["spec"][field].is_null() {
                spec.remove(field);
            }
        }
        if bound {
            spec.remove("resources");
        }
        spec
    };
    if fixed(old) != fixed(new) {
        report.forbidden(&at, CLAIM);
        return;
    }
    let size = |claim: &Value| {
        Quantity::parse(text(&claim["spec"]["resources"]["requests"]["storage"]))
            .map(Quantity::nano)
    };
    let has = Quantity::parse(text(&old["status"]["capacity"]["storage"])).map(Quantity::nano);
    if size(new) < size(old) && size(new) < has {
        let detail = "field can not be less than status.capacity";
        report.forbidden(
            &at.field("resources").field("requests").field("storage"),
            detail,
        );
    }
}

fn binding(old: &Value, new: &Value, report: &mut Report) {
    if old["roleRef"] != new["roleRef"] {
        let role = &new["roleRef"];
        let shown =
            json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
        report.invalid(&Path::root("roleRef"), &shown, "cannot change roleRef");
    }
}
