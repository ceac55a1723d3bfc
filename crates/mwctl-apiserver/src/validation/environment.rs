//! The environment of containers: names of variables, and where their values come from.

use serde_json::{Value, json};

use super::report::{Path, Report, items, text};
use super::texts;
use crate::names;

/// What of a pod may be the value of a variable.
const FIELDS: [&str; 11] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// What of a container's resources may be.
const RESOURCE_FIELDS: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// The variables of a container.
pub(super) fn variables(variables: &Value, at: &Path<'_>, report: &mut Report) {
    for (index, variable) in items(variables) {
        let at = at.index(index);
        if report.filled(variable, &at, "name") {
            let name = text(&variable["name"]);
            if !name
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
            {
                let detail = "a valid environment variable name must consist only of printable ASCII characters other than '='";
                report.invalid(&at.field("name"), &variable["name"], detail);
            }
        }
        if !variable["valueFrom"].is_null() {
            let has_value = !text(&variable["value"]).is_empty();
            value_from(
                &variable["valueFrom"],
                has_value,
                &at.field("valueFrom"),
                report,
            );
        }
    }
}

fn value_from(source: &Value, has_value: bool, at: &Path<'_>, report: &mut Report) {
    let known = [
        "fieldRef",
        "resourceFieldRef",
        "configMapKeyRef",
        "secretKeyRef",
    ];
    let sources = known
        .iter()
        .filter(|field| !source[field].is_null())
        .count();
    let field = &source["fieldRef"];
    if !field.is_null() {
        let at = at.field("fieldRef");
        if report.filled(field, &at, "fieldPath") && !is_field(text(&field["fieldPath"])) {
            let path = &field["fieldPath"];
            let detail = format!(
                "error converting fieldPath: field label not supported: {}",
                text(path)
            );
            report.invalid(&at.field("fieldPath"), path, &detail);
        }
    }
    let resource = &source["resourceFieldRef"];
    if !resource.is_null() {
        let at = at.field("resourceFieldRef");
        let name = text(&resource["resource"]);
        let large_pages =
            name.starts_with("limits.hugepages-") || name.starts_with("requests.hugepages-");
        if report.filled(resource, &at, "resource")
            && !RESOURCE_FIELDS.contains(&name)
            && !large_pages
        {
            report.unsupported(
                &at.field("resource"),
                &resource["resource"],
                &RESOURCE_FIELDS,
            );
        }
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        let reference = &source[field];
        if !reference.is_null() {
            let at = at.field(field);
            let name = json!(text(&reference["name"]));
            report.all_invalid(&at.field("name"), &name, names::dns_subdomain(text(&name)));
            if report.filled(reference, &at, "key") {
                let key = &reference["key"];
                report.all_invalid(&at.field("key"), key, texts::config_key(text(key)));
            }
        }
    }
    if sources == 0 {
        let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        report.invalid(at, &json!(""), detail);
    } else if has_value {
        report.invalid(
            at,
            &json!(""),
            "may not be specified when `value` is not empty",
        );
    } else if sources > 1 {
        report.invalid(
            at,
            &json!(""),
            "may not have more than one field specified at a time",
        );
    }
}

/// Whether a field of a pod can be told to its containers.
fn is_field(path: &str) -> bool {
    let of_map = |map: &str| {
        path.strip_prefix(map)
            .is_some_and(|key| key.starts_with("['") && key.ends_with("']"))
    };
    FIELDS.contains(&path) || of_map("metadata.labels") || of_map("metadata.annotations")
}

/// What all the keys of a config map or a secret become variables of.
pub(super) fn sources(sources: &Value, at: &Path<'_>, report: &mut Report) {
    for (index, source) in items(sources) {
        let kinds = ["configMapRef", "secretRef"];
        let found: Vec<&str> = kinds
            .into_iter()
            .filter(|field| !source[field].is_null())
            .collect();
        let item = at.index(index);
        for field in &found {
            report.filled(&source[field], &item.field(field), "name");
        }
        match found.len() {
            0 => report.invalid(
                at,
                &json!(""),
                "must specify one of: `configMapRef` or `secretRef`",
            ),
            1 => {}
            _ => report.invalid(
                at,
                &json!(""),
                "may not have more than one field specified at a time",
            ),
        }
    }
}
