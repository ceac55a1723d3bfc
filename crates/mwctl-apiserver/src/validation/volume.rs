//! Volumes of a pod: names that differ, one source each, and what the usual sources need.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::report::{Path, Report, items, text};
use super::texts;
use crate::decode::quantity::Quantity;

const HOST_PATH_TYPES: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

/// The order in which upstream looks at sources; whoever comes second is one too many.
const SOURCES: [&str; 9] = [
    "emptyDir",
    "hostPath",
    "secret",
    "nfs",
    "persistentVolumeClaim",
    "downwardAPI",
    "configMap",
    "projected",
    "csi",
];

/// All volumes; their names.
pub(super) fn all<'a>(volumes: &'a Value, at: &Path<'_>, report: &mut Report) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (index, volume) in items(volumes) {
        let at = at.index(index);
        let before = report.causes.len();
        sources(volume, &at, report);
        let name = text(&volume["name"]);
        if report.filled(volume, &at, "name") {
            report.all_invalid(&at.field("name"), &volume["name"], texts::label(name));
            if names.contains(name) {
                report.duplicate(&at.field("name"), &volume["name"]);
            }
        }
        // A volume that is wrong is there all the same for those who mount it, as long as it has a name.
        if report.causes.len() == before || !name.is_empty() {
            names.insert(name);
        }
    }
    names
}

fn sources(volume: &Value, at: &Path<'_>, report: &mut Report) {
    let mut found = 0;
    for field in SOURCES {
        let source = &volume[field];
        if source.is_null() {
            continue;
        }
        let at = at.field(field);
        found += 1;
        if found > 1 {
            report.forbidden(&at, "may not specify more than 1 volume type");
        } else {
            one(field, source, &at, report);
        }
    }
}

fn one(field: &str, source: &Value, at: &Path<'_>, report: &mut Report) {
    match field {
        "emptyDir" => {
            let negative =
                Quantity::parse(text(&source["sizeLimit"])).is_some_and(|size| size.nano() < 0);
            if negative {
                let detail = "SizeLimit field must be a valid resource quantity";
                report.forbidden(&at.field("sizeLimit"), detail);
            }
        }
        "hostPath" => {
            if report.filled(source, at, "path") {
                texts::no_way_up(&source["path"], &at.field("path"), report);
            }
            report.one_of(source, at, "type", &HOST_PATH_TYPES);
        }
        "secret" => {
            report.filled(source, at, "secretName");
            files(source, at, report);
        }
        "configMap" => {
            report.filled(source, at, "name");
            files(source, at, report);
        }
        "persistentVolumeClaim" => {
            report.filled(source, at, "claimName");
        }
        "nfs" => {
            report.filled(source, at, "server");
            report.filled(source, at, "path");
        }
        "csi" => {
            report.filled(source, at, "driver");
        }
        _ => {}
    }
}

fn files(source: &Value, at: &Path<'_>, report: &mut Report) {
    mode(&source["defaultMode"], &at.field("defaultMode"), report);
    let list = at.field("items");
    for (index, item) in items(&source["items"]) {
        let at = list.index(index);
        report.filled(item, &at, "key");
        if report.filled(item, &at, "path") {
            texts::local_path(&item["path"], &at.field("path"), report);
        }
        mode(&item["mode"], &at.field("mode"), report);
    }
}

fn mode(mode: &Value, at: &Path<'_>, report: &mut Report) {
    if let Some(bits) = mode.as_i64()
        && !(0..=0o777).contains(&bits)
    {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        report.invalid(at, &json!(bits), detail);
    }
}
