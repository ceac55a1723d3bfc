//! Jobs, and what Cron jobs make of their templates.

use serde_json::{Map, Value, json};

use super::{failure_policy, labels_differ, pods, success_policy};
use crate::names;
use crate::validation::report::{Path, Report, text};
use crate::validation::selector;

/// The most pods of an Indexed job at a time, and the most of its indexes that may fail.
const MOST: i64 = 100_000;

/// So many with more completions than [`MOST`], where each index has a limit of its own.
const MOST_OF_MANY: i64 = 10_000;

/// The longest name of another controller, in bytes.
const LONGEST_CONTROLLER: usize = 63;

/// What the name of another controller may have besides letters and digits, after its domain.
const PATH: &str = "/-._~%!$&'()*+,;=:";

/// A Job, whether it is new or not.
pub(in crate::validation) fn job(job: &Value, report: &mut Report) {
    let spec = &job["spec"];
    let at = &Path::root("spec");
    if spec["selector"].is_null() {
        report.required(&at.field("selector"), "");
    }
    self::spec(spec, at, report);
    generated_selector(spec, at, report);
    if !selector::matches(&spec["selector"], &spec["template"]["metadata"]["labels"])
        || spec["selector"].is_null()
    {
        labels_differ(spec, at, report);
    }
    hostnames(job, report);
}

/// The policies of a job as Go prints them; everything else as it is.
pub(in crate::validation) fn shown(path: &str, value: &Value) -> Value {
    match path {
        "spec.podFailurePolicy" => failure_policy::shown(value),
        "spec.successPolicy" => success_policy::shown(value),
        _ => value.clone(),
    }
}

/// Unless a job says otherwise, it selects its pods by its own uid, and by nothing else.
fn generated_selector(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let selector = &spec["selector"];
    if spec["manualSelector"] == true || selector.is_null() {
        return;
    }
    let labels = selector["matchLabels"].as_object().map_or(0, Map::len);
    let own = !selector["matchLabels"]["batch.kubernetes.io/controller-uid"].is_null();
    if labels != 1 || !own {
        report.invalid(
            &at.field("selector"),
            selector,
            "`selector` not auto-generated",
        );
    }
}

/// The pods of an Indexed job are named after it on their network.
fn hostnames(job: &Value, report: &mut Report) {
    let completions = job["spec"]["completions"].as_i64().unwrap_or_default();
    if job["spec"]["completionMode"] != "Indexed" || completions <= 0 {
        return;
    }
    let name = text(&job["metadata"]["name"]);
    let last = format!("{name}-{}", completions - 1);
    if !names::dns_label(&last).is_empty() {
        let metadata = Path::root("metadata");
        let detail = format!("will not able to create pod with invalid DNS label: {last}");
        report.invalid(&metadata.field("name"), &json!(name), &detail);
    }
}

/// What a job is to do, its selector apart.
pub(super) fn spec(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let counts = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    report.not_negative(spec, at, &counts);
    if !spec["maxFailedIndexes"].is_null() && spec["backoffLimitPerIndex"].is_null() {
        let detail = "when maxFailedIndexes is specified";
        report.required(&at.field("backoffLimitPerIndex"), detail);
    }
    if let Some(controller) = spec["managedBy"].as_str() {
        managed_by(controller, &at.field("managedBy"), report);
    }
    report.one_of(spec, at, "completionMode", &["NonIndexed", "Indexed"]);
    match text(&spec["completionMode"]) {
        "Indexed" => indexed(spec, at, report),
        "NonIndexed" | "" => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if !spec[field].is_null() {
                    let detail = "requires indexed completion mode";
                    report.invalid(&at.field(field), &spec[field], detail);
                }
            }
        }
        _ => {}
    }
    failure_policy::check(spec, at, report);
    success_policy::check(spec, at, report);
    let replacement = if spec["podFailurePolicy"].is_null() {
        &["Failed", "TerminatingOrFailed"][..]
    } else {
        &["Failed"]
    };
    report.one_of(spec, at, "podReplacementPolicy", replacement);
    pods(spec, at, report);
    let at = at.field("template");
    let at = at.field("spec");
    let at = at.field("restartPolicy");
    let policy = &spec["template"]["spec"]["restartPolicy"];
    match text(policy) {
        "Always" | "" => report.required(&at, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if !spec["podFailurePolicy"].is_null() => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            report.invalid(&at, policy, detail);
        }
        _ => {}
    }
}

fn managed_by(controller: &str, at: &Path<'_>, report: &mut Report) {
    match controller.split_once('/') {
        _ if controller.is_empty() => report.required(at, ""),
        Some((host, path)) if !host.is_empty() && !path.is_empty() => {
            report.all_invalid(at, &json!(host), names::dns_subdomain(host));
            let fits = |letter: char| letter.is_ascii_alphanumeric() || PATH.contains(letter);
            if !path.chars().all(fits) {
                let detail = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
                report.invalid(at, &json!(path), detail);
            }
        }
        _ => {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            report.invalid(at, &json!(controller), detail);
        }
    }
    if controller.len() > LONGEST_CONTROLLER {
        report.too_long(at, LONGEST_CONTROLLER);
    }
}

/// An Indexed job: the sets of its indexes must not outgrow an object.
fn indexed(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let number = |field: &str| spec[field].as_i64();
    let (completions, failed) = (number("completions"), number("maxFailedIndexes"));
    let parallelism = number("parallelism");
    let over = |number: Option<i64>, most: i64| number.is_some_and(|number| number > most);
    if completions.is_none() {
        report.required(&at.field("completions"), "when completion mode is Indexed");
    }
    if over(parallelism, MOST) {
        let detail =
            format!("must be less than or equal to {MOST} when completion mode is Indexed");
        report.invalid(&at.field("parallelism"), &spec["parallelism"], &detail);
    }
    let place = at.field("maxFailedIndexes");
    if completions.is_some_and(|completions| over(failed, completions)) {
        let detail = "must be less than or equal to completions";
        report.invalid(&place, &spec["maxFailedIndexes"], detail);
    }
    if over(failed, MOST) {
        let detail = format!("must be less than or equal to {MOST}");
        report.invalid(&place, &spec["maxFailedIndexes"], &detail);
    }
    if !over(completions, MOST) || spec["backoffLimitPerIndex"].is_null() {
        return;
    }
    if failed.is_none() {
        let detail = format!("must be specified when completions is above {MOST}");
        report.required(&place, &detail);
    }
    for (field, number) in [("parallelism", parallelism), ("maxFailedIndexes", failed)] {
        if over(number, MOST_OF_MANY) {
            let detail = format!(
                "must be less than or equal to {MOST_OF_MANY} when completions are above {MOST} and used with backoff limit per index"
            );
            report.invalid(&at.field(field), &spec[field], &detail);
        }
    }
}

#[cfg(test)]
mod tests;
