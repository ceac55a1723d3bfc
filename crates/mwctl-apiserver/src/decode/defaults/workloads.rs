//! Defaults of what makes pods: the groups apps, batch, autoscaling and policy.

use serde_json::{Map, Value, json};

use super::{each, has, set, set_text, text, within};

/// Fills the defaults of a type; whether this is a type of these groups.
pub(super) fn fill(name: &str, object: &mut Map<String, Value>) -> bool {
    match name {
        "api.apps.v1.Deployment" => deployment(object),
        "api.apps.v1.DaemonSet" => daemon_set(object),
        "api.apps.v1.StatefulSet" => stateful_set(object),
        "api.apps.v1.ReplicaSet" => {
            if let Some(spec) = within(object, "spec") {
                set(spec, "replicas", 1);
            }
        }
        "api.batch.v1.Job" => job(object),
        "api.batch.v1.CronJob" => cron_job(object),
        "api.batch.v1.PodFailurePolicyOnPodConditionsPattern" => set_text(object, "status", "True"),
        "api.autoscaling.v1.HorizontalPodAutoscaler"
        | "api.autoscaling.v2.HorizontalPodAutoscaler" => {
            autoscaler(object, name.contains(".v2."));
        }
        _ => return false,
    }
    true
}

fn deployment(deployment: &mut Map<String, Value>) {
    let Some(spec) = within(deployment, "spec") else {
        return;
    };
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    let Some(strategy) = within(spec, "strategy") else {
        return;
    };
    set_text(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate"
        && let Some(rolling) = within(strategy, "rollingUpdate")
    {
        set(rolling, "maxUnavailable", "25%");
        set(rolling, "maxSurge", "25%");
    }
}

fn daemon_set(set_of_pods: &mut Map<String, Value>) {
    let Some(spec) = within(set_of_pods, "spec") else {
        return;
    };
    set(spec, "revisionHistoryLimit", 10);
    let Some(strategy) = within(spec, "updateStrategy") else {
        return;
    };
    set_text(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate"
        && let Some(rolling) = within(strategy, "rollingUpdate")
    {
        set(rolling, "maxUnavailable", 1);
        set(rolling, "maxSurge", 0);
    }
}

fn stateful_set(set_of_pods: &mut Map<String, Value>) {
    let Some(spec) = within(set_of_pods, "spec") else {
        return;
    };
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set_text(spec, "podManagementPolicy", "OrderedReady");
    if let Some(policy) = within(spec, "persistentVolumeClaimRetentionPolicy") {
        set_text(policy, "whenDeleted", "Retain");
        set_text(policy, "whenScaled", "Retain");
    }
    // Claims of the list are objects of their own kind, and are written as such.
    for claim in each(spec, "volumeClaimTemplates") {
        set_text(claim, "kind", "PersistentVolumeClaim");
        set_text(claim, "apiVersion", "v1");
    }
    let Some(strategy) = within(spec, "updateStrategy") else {
        return;
    };
    set_text(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate"
        && let Some(rolling) = within(strategy, "rollingUpdate")
    {
        set(rolling, "partition", 0);
    }
}

fn job(job: &mut Map<String, Value>) {
    let Some(spec) = within(job, "spec") else {
        return;
    };
    if !has(spec, "parallelism") && !has(spec, "completions") {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    let by_index = has(spec, "backoffLimitPerIndex");
    set(spec, "backoffLimit", if by_index { i32::MAX } else { 6 });
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    set(spec, "manualSelector", false);
    let replacement = if has(spec, "podFailurePolicy") {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    set(spec, "podReplacementPolicy", replacement);
}

fn cron_job(job: &mut Map<String, Value>) {
    let Some(spec) = within(job, "spec") else {
        return;
    };
    set_text(spec, "concurrencyPolicy", "Allow");
    set(spec, "suspend", false);
    set(spec, "successfulJobsHistoryLimit", 3);
    set(spec, "failedJobsHistoryLimit", 1);
}

fn autoscaler(autoscaler: &mut Map<String, Value>, has_metrics: bool) {
    let Some(spec) = within(autoscaler, "spec") else {
        return;
    };
    set(spec, "minReplicas", 1);
    if !has_metrics {
        return;
    }
    let utilization = json!({"type": "Utilization", "averageUtilization": 80});
    set(
        spec,
        "metrics",
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}]),
    );
    let Some(behavior) = spec.get_mut("behavior").and_then(Value::as_object_mut) else {
        return;
    };
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    for (direction, policies) in [
        ("scaleUp", json!([pods, percent])),
        ("scaleDown", json!([percent])),
    ] {
        if let Some(rules) = within(behavior, direction) {
            if direction == "scaleUp" {
                set(rules, "stabilizationWindowSeconds", 0);
            }
            set(rules, "selectPolicy", "Max");
            set(rules, "policies", policies);
        }
    }
}
