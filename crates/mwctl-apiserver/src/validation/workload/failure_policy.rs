//! What a Job's policy for failures may say.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::names;
use crate::validation::report::{Path, Report, items, text};

/// The most rules, and the most conditions in one.
const MOST: usize = 20;

/// The most exit codes in a rule.
const MOST_CODES: usize = 255;

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// The policy of a job, if it has one.
pub(super) fn check(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let at = at.field("podFailurePolicy");
    let at = at.field("rules");
    let rules = &spec["podFailurePolicy"]["rules"];
    report.not_more(rules, &at, MOST);
    for (place, rule) in items(rules) {
        check_rule(spec, rule, &at.index(place), report);
    }
}

/// The policy as Go prints the internal type.
pub(super) fn shown(policy: &Value) -> Value {
    if policy.is_null() {
        return Value::Null;
    }
    let list = |list: &Value, of: fn(&Value) -> Value| match list {
        Value::Array(items) => items.iter().map(of).collect(),
        _ => Value::Null,
    };
    let condition: fn(&Value) -> Value =
        |pattern| json!({"Type": pattern["type"], "Status": pattern["status"]});
    let rules = items(&policy["rules"]).map(|(_, rule)| {
        let codes = &rule["onExitCodes"];
        let shown = json!({"ContainerName": codes["containerName"], "Operator": codes["operator"], "Values": codes["values"]});
        json!({"Action": rule["action"], "OnExitCodes": if codes.is_null() { Value::Null } else { shown },
            "OnPodConditions": list(&rule["onPodConditions"], condition)})
    });
    json!({ "Rules": rules.collect::<Value>() })
}

fn check_rule(spec: &Value, rule: &Value, at: &Path<'_>, report: &mut Report) {
    chosen(&rule["action"], &at.field("action"), &ACTIONS, report);
    if rule["action"] == "FailIndex" && spec["backoffLimitPerIndex"].is_null() {
        let detail = "requires the backoffLimitPerIndex to be set";
        report.invalid(&at.field("action"), &rule["action"], detail);
    }
    let codes = &rule["onExitCodes"];
    let has_codes = !codes.is_null();
    if has_codes {
        exit_codes(spec, codes, &at.field("onExitCodes"), report);
    }
    let patterns = &rule["onPodConditions"];
    let has_conditions = items(patterns).next().is_some();
    conditions(patterns, &at.field("onPodConditions"), report);
    let detail = match (has_codes, has_conditions) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    report.invalid_as_a_whole(at, detail);
}

fn conditions(patterns: &Value, at: &Path<'_>, report: &mut Report) {
    report.not_more(patterns, at, MOST);
    for (place, pattern) in items(patterns) {
        let at = at.index(place);
        let kind = &pattern["type"];
        let complaints = names::qualified_name(text(kind));
        report.all_invalid(&at.field("type"), &json!(text(kind)), complaints);
        chosen(&pattern["status"], &at.field("status"), &STATUSES, report);
    }
}

fn exit_codes(spec: &Value, codes: &Value, at: &Path<'_>, report: &mut Report) {
    chosen(
        &codes["operator"],
        &at.field("operator"),
        &OPERATORS,
        report,
    );
    if let Some(name) = codes["containerName"].as_str() {
        let pod = &spec["template"]["spec"];
        let mut all = items(&pod["containers"]).chain(items(&pod["initContainers"]));
        if !all.any(|(_, container)| container["name"] == name) {
            let detail = "must be one of the container or initContainer names in the pod template";
            report.invalid(&at.field("containerName"), &codes["containerName"], detail);
        }
    }
    let values = &codes["values"];
    let at = at.field("values");
    if items(values).next().is_none() {
        report.invalid(&at, values, "at least one value is required");
    }
    report.not_more(values, &at, MOST_CODES);
    let (mut known, mut order) = (HashSet::new(), Vec::new());
    for (place, value) in items(values) {
        let code = value.as_i64().unwrap_or_default();
        if codes["operator"] == "In" && code == 0 {
            let detail = "must not be 0 for the In operator";
            report.invalid(&at.index(place), value, detail);
        }
        if !known.insert(code) {
            report.duplicate(&at.index(place), value);
        }
        order.push(code);
    }
    if !order.is_sorted() {
        report.invalid(&at, values, "must be ordered");
    }
}

/// A word that must be there, and be one of these.
fn chosen(value: &Value, at: &Path<'_>, supported: &[&str], report: &mut Report) {
    if text(value).is_empty() {
        let supported: Vec<String> = supported.iter().map(|text| format!("{text:?}")).collect();
        let detail = format!("valid values: [{}]", supported.join(" "));
        report.required(at, &detail);
    } else {
        report.among(value, at, supported);
    }
}
