//! What containers request, and what they are limited to.

use serde_json::{Value, json};

use super::report::{Path, Report, text};
use super::texts;
use crate::decode::quantity::Quantity;
use crate::names;

/// The resources that containers have without anybody's help.
fn is_standard(name: &str) -> bool {
    ["cpu", "memory", "ephemeral-storage"].contains(&name) || name.starts_with("hugepages-")
}

/// Requests and limits of a container.
pub(super) fn check(resources: &Value, at: &Path<'_>, report: &mut Report) {
    let limits = &resources["limits"];
    let requests = &resources["requests"];
    let amount = |value: &Value| Quantity::parse(text(value)).map(Quantity::nano);
    for (name, value) in limits.as_object().into_iter().flatten() {
        resource(name, value, &at.field("limits"), report);
    }
    for (name, value) in requests.as_object().into_iter().flatten() {
        resource(name, value, &at.field("requests"), report);
        let limit = &limits[name];
        let extended = !is_standard(name) && name.contains('/');
        if limit.is_null() {
            if extended {
                let detail = "Limit must be set for non overcommitable resources";
                report.required(&at.field("limits"), detail);
            }
        } else if extended && amount(value) != amount(limit) {
            let detail = format!("must be equal to {name} limit of {}", text(limit));
            report.invalid(&at.field("requests"), value, &detail);
        } else if amount(value) > amount(limit) {
            let detail = format!(
                "must be less than or equal to {name} limit of {}",
                text(limit)
            );
            report.invalid(&at.field("requests"), value, &detail);
        }
    }
}

fn resource(name: &str, value: &Value, at: &Path<'_>, report: &mut Report) {
    let at = at.key(name);
    let name_value = json!(name);
    let complaints = names::qualified_name(name);
    let wrong = !complaints.is_empty();
    report.all_invalid(&at, &name_value, complaints);
    if !is_standard(name) && !name.contains('/') {
        if !wrong {
            report.invalid(
                &at,
                &name_value,
                "must be a standard resource type or fully qualified",
            );
        }
        report.invalid(
            &at,
            &name_value,
            "must be a standard resource for containers",
        );
    }
    let nano = Quantity::parse(text(value)).map_or(0, Quantity::nano);
    if nano < 0 {
        report.invalid(&at, value, texts::NOT_NEGATIVE);
    } else if name.contains('/') && nano % 1_000_000_000 != 0 {
        report.invalid(&at, value, "must be an integer");
    }
}
