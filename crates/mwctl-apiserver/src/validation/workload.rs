//! What makes pods: Deployments and their like, jobs, and what scales or protects them.

use serde_json::{Value, json};

use super::report::{Path, Report, text};
use super::{pod, selector, texts};

mod failure_policy;
pub(super) mod job;
mod schedule;
mod success_policy;

/// A Deployment.
pub(super) fn deployment(spec: &Value, at: &Path<'_>, report: &mut Report) {
    report.not_negative(spec, at, &["replicas"]);
    selected(spec, at, "deployment", report);
    strategy(&spec["strategy"], &at.field("strategy"), report);
    report.not_negative(spec, at, &["minReadySeconds", "revisionHistoryLimit"]);
    let deadline = spec["progressDeadlineSeconds"].as_i64();
    if deadline
        .is_some_and(|deadline| deadline <= spec["minReadySeconds"].as_i64().unwrap_or_default())
    {
        let detail = "must be greater than minReadySeconds";
        report.invalid(
            &at.field("progressDeadlineSeconds"),
            &spec["progressDeadlineSeconds"],
            detail,
        );
    }
}

/// A `ReplicaSet`.
pub(super) fn replica_set(spec: &Value, at: &Path<'_>, report: &mut Report) {
    report.not_negative(spec, at, &["replicas", "minReadySeconds"]);
    selected(spec, at, "replicaset", report);
}

/// A `StatefulSet`.
pub(super) fn stateful_set(spec: &Value, at: &Path<'_>, report: &mut Report) {
    if !["OrderedReady", "Parallel"].contains(&text(&spec["podManagementPolicy"])) {
        let detail = "must be 'OrderedReady' or 'Parallel'";
        report.invalid(
            &at.field("podManagementPolicy"),
            &spec["podManagementPolicy"],
            detail,
        );
    }
    let update = &spec["updateStrategy"];
    let place = at.field("updateStrategy");
    if !["RollingUpdate", "OnDelete"].contains(&text(&update["type"])) {
        let detail = "must be 'RollingUpdate' or 'OnDelete'";
        report.invalid(&place, &go_strategy(update), detail);
    }
    report.not_negative(
        &update["rollingUpdate"],
        &place.field("rollingUpdate"),
        &["partition"],
    );
    report.not_negative(
        spec,
        at,
        &["replicas", "minReadySeconds", "revisionHistoryLimit"],
    );
    selected(&with_claims(spec), at, "statefulset", report);
}

/// The spec of a `StatefulSet` with the volumes in its pods that their claims will be.
fn with_claims(spec: &Value) -> Value {
    let claims = spec["volumeClaimTemplates"].as_array();
    let mut completed = spec.clone();
    if let (Some(claims), Some(Value::Object(pod))) =
        (claims, completed.pointer_mut("/template/spec"))
    {
        let volumes = pod.entry("volumes").or_insert(Value::Null);
        if volumes.is_null() {
            *volumes = json!([]);
        }
        let named = |claim: &Value| json!({ "name": claim["metadata"]["name"], "emptyDir": {} });
        if let Some(volumes) = volumes.as_array_mut() {
            volumes.extend(claims.iter().map(named));
        }
    }
    completed
}

/// A `DaemonSet`.
pub(super) fn daemon_set(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let before = report.causes.len();
    selector::check(&spec["selector"], &at.field("selector"), report);
    let usable = report.causes.len() == before;
    if usable && !matches_template(spec) {
        labels_differ(spec, at, report);
    }
    if !spec["selector"].is_null() && selector::is_empty(&spec["selector"]) {
        let detail = "empty selector is invalid for daemonset";
        report.invalid(&at.field("selector"), &json!({}), detail);
    }
    template(spec, at, report);
    report.not_negative(spec, at, &["minReadySeconds", "revisionHistoryLimit"]);
    let update = &spec["updateStrategy"];
    let at = at.field("updateStrategy");
    match text(&update["type"]) {
        "OnDelete" => {}
        "RollingUpdate" => {
            let rolling = &update["rollingUpdate"];
            let at = at.field("rollingUpdate");
            for field in ["maxUnavailable", "maxSurge"] {
                amount(&rolling[field], &at.field(field), report);
            }
            if is_nothing(&rolling["maxUnavailable"]) && is_nothing(&rolling["maxSurge"]) {
                report.required(
                    &at.field("maxUnavailable"),
                    "cannot be 0 when maxSurge is 0",
                );
            }
        }
        _ => report.unsupported(&at, &go_strategy(update), &["RollingUpdate", "OnDelete"]),
    }
}

/// A selector that must be there, say something, and select the template; and that template, which nobody looks at without a selector to
/// judge it by.
fn selected(spec: &Value, at: &Path<'_>, kind: &str, report: &mut Report) {
    let place = at.field("selector");
    let selector = &spec["selector"];
    if selector.is_null() {
        report.required(&place, "");
        labels_differ(spec, at, report);
    } else if !selector::check(selector, &place, report) {
        report.invalid(&place, selector, "invalid label selector");
        return;
    } else if selector::is_empty(selector) {
        let detail = format!("empty selector is invalid for {kind}");
        report.invalid(&place, &json!({}), &detail);
    } else if !matches_template(spec) {
        labels_differ(spec, at, report);
    }
    template(spec, at, report);
}

fn matches_template(spec: &Value) -> bool {
    let selector = &spec["selector"];
    !selector.is_null()
        && !selector::is_empty(selector)
        && selector::matches(selector, &spec["template"]["metadata"]["labels"])
}

fn labels_differ(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let template = at.field("template");
    let metadata = template.field("metadata");
    let labels = &spec["template"]["metadata"]["labels"];
    report.invalid(
        &metadata.field("labels"),
        labels,
        "`selector` does not match template `labels`",
    );
}

/// A template of pods that live on and on.
fn template(spec: &Value, at: &Path<'_>, report: &mut Report) {
    pods(spec, at, report);
    let at = at.field("template");
    let at = at.field("spec");
    let pod = &spec["template"]["spec"];
    if !["Always", ""].contains(&text(&pod["restartPolicy"])) {
        // That it is none at all has been said already.
        if ["OnFailure", "Never"].contains(&text(&pod["restartPolicy"])) {
            report.unsupported(
                &at.field("restartPolicy"),
                &pod["restartPolicy"],
                &["Always"],
            );
        }
    }
    if !pod["activeDeadlineSeconds"].is_null() {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        report.forbidden(&at.field("activeDeadlineSeconds"), detail);
    }
}

/// Any template of pods.
fn pods(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let at = at.field("template");
    let template = &spec["template"];
    texts::labels(&template["metadata"]["labels"], &at.field("labels"), report);
    pod::spec(&template["spec"], &at.field("spec"), report);
}

fn strategy(strategy: &Value, at: &Path<'_>, report: &mut Report) {
    let rolling = &strategy["rollingUpdate"];
    let place = at.field("rollingUpdate");
    match text(&strategy["type"]) {
        "Recreate" if !rolling.is_null() => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            report.forbidden(&place, detail);
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let unavailable = place.field("maxUnavailable");
            amount(&rolling["maxUnavailable"], &unavailable, report);
            texts::count_or_share(&rolling["maxSurge"], &place.field("maxSurge"), report);
            if is_nothing(&rolling["maxUnavailable"]) && is_nothing(&rolling["maxSurge"]) {
                report.invalid(
                    &unavailable,
                    &rolling["maxUnavailable"],
                    "may not be 0 when `maxSurge` is 0",
                );
            }
        }
        _ => report.unsupported(at, &go_strategy(strategy), &["Recreate", "RollingUpdate"]),
    }
}

/// A count, or a share of no more than all.
fn amount(value: &Value, at: &Path<'_>, report: &mut Report) {
    texts::count_or_share(value, at, report);
    if value
        .as_str()
        .and_then(texts::share_of)
        .is_some_and(|share| share > 100)
    {
        report.invalid(at, value, "must not be greater than 100%");
    }
}

fn is_nothing(value: &Value) -> bool {
    *value == 0 || *value == "0%"
}

/// A strategy as Go writes the internal type.
fn go_strategy(strategy: &Value) -> Value {
    json!({"Type": strategy["type"], "RollingUpdate": strategy["rollingUpdate"]})
}

/// A `CronJob`.
pub(super) fn cron_job(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let place = at.field("schedule");
    if text(&spec["schedule"]).is_empty() {
        report.required(&place, "");
    } else if let Some(complaint) = schedule::complaint(text(&spec["schedule"])) {
        report.invalid(&place, &spec["schedule"], &complaint);
    }
    report.not_negative(spec, at, &["startingDeadlineSeconds"]);
    if let Some(zone) = spec["timeZone"].as_str()
        && !schedule::is_zone(zone)
    {
        report.invalid(
            &at.field("timeZone"),
            &spec["timeZone"],
            &format!("unknown time zone {zone}"),
        );
    }
    report.one_of(
        spec,
        at,
        "concurrencyPolicy",
        &["Allow", "Forbid", "Replace"],
    );
    let template = at.field("jobTemplate");
    job::spec(
        &spec["jobTemplate"]["spec"],
        &template.field("spec"),
        report,
    );
    report.not_negative(
        spec,
        at,
        &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"],
    );
}

/// A `HorizontalPodAutoscaler`.
pub(super) fn autoscaler(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let least = spec["minReplicas"].as_i64();
    if least.is_some_and(|least| least < 1) {
        report.invalid(
            &at.field("minReplicas"),
            &spec["minReplicas"],
            "must be greater than or equal to 1",
        );
    }
    let most = spec["maxReplicas"].as_i64().unwrap_or_default();
    if most < 1 {
        report.invalid(
            &at.field("maxReplicas"),
            &json!(most),
            "must be greater than 0",
        );
    }
    if least.is_some_and(|least| most < least) {
        let detail = "must be greater than or equal to `minReplicas`";
        report.invalid(&at.field("maxReplicas"), &json!(most), detail);
    }
    let target = at.field("scaleTargetRef");
    report.filled(&spec["scaleTargetRef"], &target, "kind");
    report.filled(&spec["scaleTargetRef"], &target, "name");
    if least == Some(0) && !scales_from_nothing(spec) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        report.forbidden(&at.field("metrics"), detail);
    }
}

fn scales_from_nothing(spec: &Value) -> bool {
    let metrics = spec["metrics"].as_array();
    metrics.is_some_and(|metrics| {
        metrics
            .iter()
            .any(|metric| metric["type"] == "Object" || metric["type"] == "External")
    })
}

/// A `PodDisruptionBudget`.
pub(super) fn disruption_budget(spec: &Value, at: &Path<'_>, report: &mut Report) {
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let shown = json!({"MinAvailable": spec["minAvailable"], "Selector": spec["selector"],
            "MaxUnavailable": spec["maxUnavailable"], "UnhealthyPodEvictionPolicy": spec["unhealthyPodEvictionPolicy"]});
        report.invalid(
            at,
            &shown,
            "minAvailable and maxUnavailable cannot be both set",
        );
    }
    for field in ["minAvailable", "maxUnavailable"] {
        amount(&spec[field], &at.field(field), report);
    }
    selector::check(&spec["selector"], &at.field("selector"), report);
}
