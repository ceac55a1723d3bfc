//! Definitions that are wrong, or ask for what this server doesn't do.

use serde_json::{Value, json};

use crate::names;
use crate::status::Cause;

/// What is wrong with a definition.
pub fn refuse(definition: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut invalid = |field: &str, value: &Value, detail: &str| {
        causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {detail}"),
            field: field.to_owned(),
        });
    };
    let (name, plural, group) = (
        &definition["metadata"]["name"],
        text(&spec["names"]["plural"]),
        text(&spec["group"]),
    );
    if text(name) != format!("{plural}.{group}") {
        invalid(
            "metadata.name",
            name,
            "must be spec.names.plural+\".\"+spec.group",
        );
    }
    for complaint in names::dns_subdomain(&group) {
        invalid("spec.group", &json!(group), &complaint);
    }
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let count = |flag: &str| {
        versions
            .iter()
            .filter(|version| version[flag] == true)
            .count()
    };
    if count("storage") != 1 {
        let detail = "must have exactly one version marked as storage version";
        invalid("spec.versions", &spec["versions"], detail);
    }
    let mut add = |reason: &'static str, field: String, message: &str| {
        causes.push(Cause {
            reason,
            message: message.to_owned(),
            field,
        });
    };
    for (index, version) in versions.iter().enumerate() {
        let schema = &version["schema"]["openAPIV3Schema"];
        let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
        if schema.is_null() {
            add(
                "FieldValueRequired",
                field,
                "Required value: schemas are required",
            );
        } else if schema["type"] != "object" {
            add(
                "FieldValueRequired",
                format!("{field}.type"),
                "Required value: must not be empty at the root",
            );
        }
    }
    if versions
        .iter()
        .filter(|version| version["served"] == true)
        .count()
        > 1
    {
        let message = "Forbidden: this server serves one version of a custom resource";
        add("FieldValueForbidden", "spec.versions".to_owned(), message);
    }
    if spec["conversion"]["strategy"] == "Webhook" {
        let message = "Forbidden: this server calls no webhooks";
        add(
            "FieldValueForbidden",
            "spec.conversion.strategy".to_owned(),
            message,
        );
    }
    for field in ["plural", "kind"] {
        if text(&spec["names"][field]).is_empty() {
            add(
                "FieldValueRequired",
                format!("spec.names.{field}"),
                "Required value",
            );
        }
    }
    causes
}
