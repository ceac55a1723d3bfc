//! What is generated from the wire types: the schema file and the reference page.

use std::fmt::Write as _;
use std::path::Path;

use mwctl_core::conventions;
use serde_json::Value;

use crate::expect::Expect;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn the_schema_file_is_the_one_of_the_types() {
    let schema = serde_json::to_string_pretty(&conventions::schema()).unwrap() + "\n";
    let mut check = Expect::default();
    check.file(&root().join("conventions/schema/mwctl-v1.json"), &schema);
    check.finish();
}

#[test]
fn the_reference_page_is_the_one_of_the_types() {
    let mut check = Expect::default();
    check.file(
        &root().join("docs/reference/conventions.md"),
        &(page(&conventions::schema()) + &crate::catalogue::chapter()),
    );
    check.finish();
}

/// The types in the order in which a reader meets them.
const ORDER: [&str; 6] = [
    "Stack",
    "Member",
    "Service",
    "Convention",
    "Helper",
    "Overrides",
];

fn page(schema: &Value) -> String {
    let mut page = "# Conventions: every key\n\n\
        Generated from the types in `crates/mwctl-core/src/conventions/wire.rs`; a test keeps it in sync. \
        How these files are read, layered and found is in [conventions/README.md](../../conventions/README.md).\n\n\
        Durations are written as `30s` or `250ms`, quantities as Kubernetes does (`100m`, `200Mi`). \
        A whole number may be a template such as `\"{{ facts.port }}\"`.\n"
        .to_owned();
    let definitions = schema["$defs"].as_object().unwrap();
    let rest = definitions
        .keys()
        .map(String::as_str)
        .filter(|name| !ORDER.contains(name));
    for name in ORDER
        .into_iter()
        .chain(["Spec"])
        .chain(rest.filter(|name| *name != "Spec"))
    {
        section(&mut page, name, definitions);
    }
    page
}

fn section(page: &mut String, name: &str, definitions: &serde_json::Map<String, Value>) {
    let definition = &definitions[name];
    let properties = definition["properties"].as_object().unwrap();
    let description = definition["description"].as_str().unwrap();
    writeln!(page, "\n## {name}\n\n{description}\n").unwrap();
    let shared = definitions["Spec"]["properties"].as_object().unwrap();
    let extends = name != "Spec" && shared.keys().all(|key| properties.contains_key(key));
    if extends {
        writeln!(page, "Beside these, all keys of [Spec](#spec).\n").unwrap();
    }
    writeln!(page, "| key | value | meaning |\n| --- | --- | --- |").unwrap();
    let required = definition["required"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for (key, property) in properties {
        if extends && shared.contains_key(key) {
            continue;
        }
        let needed = if required.iter().any(|it| it == key) {
            " (required)"
        } else {
            ""
        };
        let meaning = property["description"].as_str().unwrap_or_default();
        let value = kind(property);
        writeln!(
            page,
            "| `{key}`{needed} | {value} | {} |",
            meaning.replace('|', "\\|")
        )
        .unwrap();
    }
}

fn kind(property: &Value) -> String {
    if let Some(target) = property["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(value) = property.get("const") {
        return format!("`{}`", value.as_str().unwrap());
    }
    if let Some(values) = property["enum"].as_array() {
        let values: Vec<String> = values
            .iter()
            .map(|it| format!("`{}`", it.as_str().unwrap()))
            .collect();
        return values.join(", ");
    }
    match &property["type"] {
        Value::String(one) if one == "array" => format!("list of {}", kind(&property["items"])),
        Value::String(one) if one == "object" => match property.get("additionalProperties") {
            Some(values) if values != &Value::Bool(false) => format!("map of {}", kind(values)),
            _ => "map".to_owned(),
        },
        Value::String(one) => word(one).to_owned(),
        Value::Array(many) => {
            let words: Vec<&str> = many.iter().map(|it| word(it.as_str().unwrap())).collect();
            words.join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn word(kind: &str) -> &str {
    match kind {
        "string" => "text",
        "integer" => "whole number",
        "boolean" => "`true` or `false`",
        "array" => "list",
        "object" => "map",
        other => other,
    }
}
