//! The files under `conventions/` themselves: the shipped conventions and the sample stacks.

use std::path::Path;

use mwctl_core::conventions;
use serde_json::Value;

fn folder(name: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("conventions")
        .join(name);
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect()
}

#[test]
fn every_file_under_services_is_shipped() {
    let shipped = conventions::shipped();
    let mut names: Vec<&str> = shipped
        .iter()
        .filter_map(conventions::Document::name)
        .collect();
    let files = folder("services");
    let mut stems: Vec<&str> = files
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap())
        .collect();
    names.sort_unstable();
    stems.sort_unstable();
    assert_eq!(names, stems);
}

#[test]
fn the_sample_stacks_resolve_with_the_files_their_sources_have() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("conventions/valid/npm-package");
    let files = folder("stacks");
    assert!(!files.is_empty());
    for file in files {
        let stack = crate::resolve(&file, &repository).unwrap_or_else(|it| panic!("{it:?}"));
        assert_eq!(stack.services["mathoid"].port().unwrap().number, 10044);
        assert!(stack.services.contains_key("redis"));
    }
}

#[test]
fn the_schema_accepts_what_is_shipped_and_names_every_kind() {
    let schema = conventions::schema();
    for kind in ["Convention", "Service", "Stack"] {
        assert!(schema["$defs"][kind]["properties"]["apiVersion"].is_object());
    }
    assert!(
        undocumented(&schema["$defs"]).is_empty(),
        "{:?}",
        undocumented(&schema["$defs"])
    );
}

/// Keys without a description: the reference would be silent about them.
fn undocumented(definitions: &Value) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, definition) in definitions.as_object().unwrap() {
        for (key, property) in definition["properties"].as_object().unwrap() {
            if property["description"].as_str().is_none_or(str::is_empty) {
                missing.push(format!("{name}.{key}"));
            }
        }
    }
    missing
}
