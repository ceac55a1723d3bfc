//! Where a pod may run: affinity, tolerations, spreading.

use serde_json::{Value, json};

use super::report::{Path, Report, items, text};
use crate::names;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Affinity to nodes and to pods.
pub(super) fn affinity(affinity: &Value, at: &Path<'_>, report: &mut Report) {
    let node = &affinity["nodeAffinity"];
    let at_node = at.field("nodeAffinity");
    if !node[REQUIRED].is_null() {
        let at = at_node.field(REQUIRED);
        let at = at.field("nodeSelectorTerms");
        let terms = &node[REQUIRED]["nodeSelectorTerms"];
        if items(terms).next().is_none() {
            report.required(&at, "must have at least one node selector term");
        }
        for (index, term) in items(terms) {
            node_term(term, &at.index(index), report);
        }
    }
    let preferred = at_node.field(PREFERRED);
    for (index, term) in items(&node[PREFERRED]) {
        let at = preferred.index(index);
        weight(term, &at, report);
        node_term(&term["preference"], &at.field("preference"), report);
    }
    for field in ["podAffinity", "podAntiAffinity"] {
        let at = at.field(field);
        let required = at.field(REQUIRED);
        for (index, term) in items(&affinity[field][REQUIRED]) {
            pod_term(term, &required.index(index), report);
        }
        let preferred = at.field(PREFERRED);
        for (index, term) in items(&affinity[field][PREFERRED]) {
            let at = preferred.index(index);
            weight(term, &at, report);
            pod_term(
                &term["podAffinityTerm"],
                &at.field("podAffinityTerm"),
                report,
            );
        }
    }
}

fn weight(term: &Value, at: &Path<'_>, report: &mut Report) {
    let weight = term["weight"].as_i64().unwrap_or_default();
    if !(1..=100).contains(&weight) {
        report.invalid(
            &at.field("weight"),
            &json!(weight),
            "must be in the range 1-100",
        );
    }
}

fn node_term(term: &Value, at: &Path<'_>, report: &mut Report) {
    let expressions = at.field("matchExpressions");
    for (index, expression) in items(&term["matchExpressions"]) {
        let at = expressions.index(index);
        let values = expression["values"].as_array().map_or(0, Vec::len);
        match text(&expression["operator"]) {
            "In" | "NotIn" if values == 0 => {
                report.required(
                    &at.field("values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                );
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                report.forbidden(&at.field("values"), detail);
            }
            "Gt" | "Lt" if values != 1 => {
                report.required(
                    &at.field("values"),
                    "must be specified single value when `operator` is 'Lt' or 'Gt'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            _ => report.invalid(
                &at.field("operator"),
                &expression["operator"],
                "not a valid selector operator",
            ),
        }
        let key = &expression["key"];
        report.all_invalid(&at.field("key"), key, names::qualified_name(text(key)));
    }
}

fn pod_term(term: &Value, at: &Path<'_>, report: &mut Report) {
    let key = text(&term["topologyKey"]);
    let at = at.field("topologyKey");
    if key.is_empty() {
        report.required(&at, "can not be empty");
    }
    report.all_invalid(&at, &json!(key), names::qualified_name(key));
}

/// Tolerations of taints.
pub(super) fn tolerations(tolerations: &Value, at: &Path<'_>, report: &mut Report) {
    for (index, toleration) in items(tolerations) {
        let at = at.index(index);
        let key = text(&toleration["key"]);
        if !key.is_empty() {
            report.all_invalid(
                &at.field("key"),
                &toleration["key"],
                names::qualified_name(key),
            );
        }
        let operator = text(&toleration["operator"]);
        if key.is_empty() && operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            report.invalid(&at.field("operator"), &json!(operator), detail);
        }
        let effect = &toleration["effect"];
        if !toleration["tolerationSeconds"].is_null() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            report.invalid(&at.field("effect"), effect, detail);
        }
        match operator {
            "" | "Equal" => {
                let value = &toleration["value"];
                report.all_invalid(
                    &at.field("operator"),
                    value,
                    names::label_value(text(value)),
                );
            }
            "Exists" if !text(&toleration["value"]).is_empty() => {
                let detail = "value must be empty when `operator` is 'Exists'";
                report.invalid(&at.field("operator"), &toleration["value"], detail);
            }
            "Exists" => {}
            _ => report.unsupported(
                &at.field("operator"),
                &toleration["operator"],
                &["Equal", "Exists"],
            ),
        }
        if !text(effect).is_empty() {
            let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            report.one_of(toleration, &at, "effect", &effects);
        }
    }
}

/// How pods spread over nodes.
pub(super) fn spread(constraints: &Value, at: &Path<'_>, report: &mut Report) {
    for (index, constraint) in items(constraints) {
        let at = at.index(index);
        let skew = constraint["maxSkew"].as_i64().unwrap_or_default();
        if skew <= 0 {
            report.invalid(
                &at.field("maxSkew"),
                &json!(skew),
                "must be greater than zero",
            );
        }
        if text(&constraint["topologyKey"]).is_empty() {
            report.required(&at.field("topologyKey"), "can not be empty");
        }
        report.one_of(
            constraint,
            &at,
            "whenUnsatisfiable",
            &["DoNotSchedule", "ScheduleAnyway"],
        );
    }
}
