//! The cells of autoscalers.

use serde_json::{Value, json};

use super::{items, number, text};

/// Only so many metrics are told.
const SHOWN: usize = 2;

/// The cell of a column.
pub(super) fn cell(column: &str, object: &Value) -> Option<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    Some(match column {
        "Reference" => {
            let target = &spec["scaleTargetRef"];
            json!(format!(
                "{}/{}",
                text(&target["kind"]),
                text(&target["name"])
            ))
        }
        "Targets" => json!(targets(spec, status)),
        "MinPods" => match spec["minReplicas"].as_i64() {
            Some(least) => json!(least.to_string()),
            None => json!("<unset>"),
        },
        "MaxPods" => json!(number(&spec["maxReplicas"])),
        "Replicas" => json!(number(&status["currentReplicas"])),
        _ => return None,
    })
}

fn targets(spec: &Value, status: &Value) -> String {
    // The old version knows one metric only.
    if let Some(wanted) = spec["targetCPUUtilizationPercentage"].as_i64() {
        return format!(
            "cpu: {}/{wanted}%",
            share(&status["currentCPUUtilizationPercentage"])
        );
    }
    let all: Vec<String> = items(&spec["metrics"])
        .enumerate()
        .map(|(index, metric)| target(metric, &status["currentMetrics"][index]))
        .collect();
    if all.is_empty() {
        return "<none>".to_owned();
    }
    let shown = all[..all.len().min(SHOWN)].join(", ");
    if all.len() > SHOWN {
        format!("{shown} + {} more...", all.len() - SHOWN)
    } else {
        shown
    }
}

fn share(value: &Value) -> String {
    value
        .as_i64()
        .map_or_else(|| "<unknown>".to_owned(), |share| format!("{share}%"))
}

fn target(metric: &Value, current: &Value) -> String {
    let field = match text(&metric["type"]) {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return "<unknown type>".to_owned(),
    };
    let (wanted, current) = (&metric[field]["target"], &current[field]["current"]);
    let amount = |value: &Value| value.as_str().unwrap_or("<unknown>").to_owned();
    let (now, aim) = if let Some(aim) = wanted["averageUtilization"].as_i64() {
        (share(&current["averageUtilization"]), format!("{aim}%"))
    } else if wanted["averageValue"].is_null() {
        (amount(&current["value"]), amount(&wanted["value"]))
    } else {
        let suffix = if field == "external" || field == "object" {
            " (avg)"
        } else {
            ""
        };
        (
            amount(&current["averageValue"]),
            format!("{}{suffix}", amount(&wanted["averageValue"])),
        )
    };
    match field {
        "resource" | "containerResource" => {
            format!("{}: {now}/{aim}", text(&metric[field]["name"]))
        }
        _ => format!("{now}/{aim}"),
    }
}
