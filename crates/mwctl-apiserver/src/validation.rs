//! Whether an object makes sense: the rules that developers really meet, with upstream's words and causes. An object that breaks none of them
//! need not work, as with any other API server.
//!
//! Names, labels and the other `metadata` are the registry's; types and defaults are `decode`'s, and an object has both when it comes here.

mod access;
mod config;
mod container;
mod environment;
mod events;
mod network;
mod pod;
mod probe;
mod report;
mod resources;
mod scheduling;
mod selector;
mod service;
mod storage;
mod texts;
mod update;
mod volume;
mod workload;

use serde_json::Value;

use crate::custom;
use crate::schema::Gvk;
use crate::status::Cause;
use report::{Path, Report};

/// What is wrong with a new object.
pub fn created(gvk: &Gvk, object: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    general(gvk, object, &mut report);
    if (gvk.group.as_str(), gvk.kind.as_str()) == ("", "Pod") {
        pod::created(object, &mut report);
    }
    report.causes
}

/// What is wrong with an object that shall follow another.
pub fn updated(gvk: &Gvk, old: &Value, object: &Value) -> Vec<Cause> {
    let mut report = Report::default();
    general(gvk, object, &mut report);
    update::check(gvk, old, object, &mut report);
    report.causes
}

/// What is asked of every object of a kind.
fn general(gvk: &Gvk, object: &Value, report: &mut Report) {
    let spec = &object["spec"];
    let at = Path::root("spec");
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => pod::spec(spec, &at, report),
        ("", "ConfigMap") => config::config_map(object, report),
        ("", "Secret") => config::secret(object, report),
        ("", "Service") => service::spec(spec, &at, report),
        ("", "Endpoints") => network::endpoints(object, report),
        ("", "Event") => events::event(object, report),
        ("", "PersistentVolumeClaim") => storage::claim(spec, &at, report),
        ("apps", "Deployment") => workload::deployment(spec, &at, report),
        ("apps", "StatefulSet") => workload::stateful_set(spec, &at, report),
        ("apps", "DaemonSet") => workload::daemon_set(spec, &at, report),
        ("apps", "ReplicaSet") => workload::replica_set(spec, &at, report),
        ("batch", "Job") => workload::job::job(object, report),
        ("batch", "CronJob") => workload::cron_job(spec, &at, report),
        ("autoscaling", "HorizontalPodAutoscaler") => workload::autoscaler(spec, &at, report),
        ("policy", "PodDisruptionBudget") => workload::disruption_budget(spec, &at, report),
        ("networking.k8s.io", "Ingress") => network::ingress(spec, &at, report),
        ("networking.k8s.io", "NetworkPolicy") => network::policy(spec, &at, report),
        ("rbac.authorization.k8s.io", "Role") => access::role(object, true, report),
        ("rbac.authorization.k8s.io", "ClusterRole") => access::role(object, false, report),
        ("rbac.authorization.k8s.io", "RoleBinding") => access::binding(object, true, report),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => {
            access::binding(object, false, report);
        }
        ("storage.k8s.io", "StorageClass") => storage::class(object, report),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            report.causes.extend(custom::refuse(object));
        }
        ("scheduling.k8s.io", "PriorityClass") => config::priority_class(object, report),
        ("coordination.k8s.io", "Lease") => {
            report.positive(spec, &at, "leaseDurationSeconds", "must be greater than 0");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
