//! Probes and lifecycle hooks.

use serde_json::Value;

use super::report::{Path, Report, items};
use super::texts;

const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// All probes and hooks of a container.
pub(super) fn all(container: &Value, at: &Path<'_>, report: &mut Report) {
    let lifecycle = at.field("lifecycle");
    for hook in ["postStart", "preStop"] {
        let value = &container["lifecycle"][hook];
        if !value.is_null() {
            handler(value, &lifecycle.field(hook), report);
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let value = &container[field];
        if !value.is_null() {
            let at = at.field(field);
            probe(value, &at, report);
            let threshold = value["successThreshold"].as_i64().unwrap_or(1);
            if field != "readinessProbe" && threshold != 1 {
                report.invalid(
                    &at.field("successThreshold"),
                    &value["successThreshold"],
                    "must be 1",
                );
            }
        }
    }
}

fn probe(probe: &Value, at: &Path<'_>, report: &mut Report) {
    handler(probe, at, report);
    let counts = [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ];
    report.not_negative(probe, at, &counts);
}

/// What is done: one thing, and one only.
fn handler(handler: &Value, at: &Path<'_>, report: &mut Report) {
    let mut found = 0;
    for field in HANDLERS {
        let value = &handler[field];
        if value.is_null() {
            continue;
        }
        let at = at.field(field);
        found += 1;
        if found > 1 {
            report.forbidden(&at, "may not specify more than 1 handler type");
            continue;
        }
        match field {
            "exec" if items(&value["command"]).next().is_none() => {
                report.required(&at.field("command"), "");
            }
            "httpGet" => {
                if value["path"].as_str().is_none_or(str::is_empty) {
                    report.required(&at.field("path"), "");
                }
                texts::port(&value["port"], &at.field("port"), report);
                report.one_of(value, &at, "scheme", &["HTTP", "HTTPS"]);
            }
            "tcpSocket" | "grpc" => texts::port(&value["port"], &at.field("port"), report),
            _ => {}
        }
    }
    if found == 0 {
        report.required(at, "must specify a handler type");
    }
}
