//! Claims of volumes and classes of storage.

use serde_json::Value;

use super::report::{Path, Report, items, text};
use crate::decode::quantity::Quantity;
use crate::names;

const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

/// The `spec` of a claim.
pub(super) fn claim(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let modes = at.field("accessModes");
    if items(&spec["accessModes"]).next().is_none() {
        report.required(&modes, "at least 1 access mode is required");
    }
    for (_, mode) in items(&spec["accessModes"]) {
        if !MODES.contains(&text(mode)) {
            report.unsupported(&modes, mode, &MODES);
        }
    }
    let resources = at.field("resources");
    let storage = &spec["resources"]["requests"]["storage"];
    if storage.is_null() {
        report.required(&resources.key("storage"), "");
    } else if Quantity::parse(text(storage)).is_some_and(|size| size.nano() <= 0) {
        report.invalid(
            &resources.key("storage"),
            storage,
            "must be greater than zero",
        );
    }
    if let Some(class) = spec["storageClassName"]
        .as_str()
        .filter(|class| !class.is_empty())
    {
        report.all_invalid(
            &at.field("storageClassName"),
            &spec["storageClassName"],
            names::dns_subdomain(class),
        );
    }
    report.one_of(spec, at, "volumeMode", &["Block", "Filesystem"]);
}

/// A class of storage.
pub(super) fn class(class: &Value, report: &mut Report) {
    if text(&class["provisioner"]).is_empty() {
        report.required(&Path::root("provisioner"), "");
    }
    for (field, values) in [
        ("reclaimPolicy", ["Delete", "Retain"]),
        ("volumeBindingMode", ["Immediate", "WaitForFirstConsumer"]),
    ] {
        report.among(&class[field], &Path::root(field), &values);
    }
}
