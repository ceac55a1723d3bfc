//! The JSON Schema of the documents, made from the wire types.
//!
//! One description serves editors (`mwctl schema`), the reference page and the validation of what
//! people write. The keys of a kind are its own and those of the shared `Spec`, side by side.

use std::sync::OnceLock;

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::document::Kind;
use super::wire;

/// What every document starts with.
pub(crate) const API_VERSION: &str = "mwctl/v1";

/// The JSON Schema of a document, for editors and `mwctl schema`.
pub fn schema() -> Value {
    root().clone()
}

pub(crate) fn root() -> &'static Value {
    static ROOT: OnceLock<Value> = OnceLock::new();
    ROOT.get_or_init(generate)
}

/// The validator for one kind of document.
pub(crate) fn validator(kind: Kind) -> &'static Validator {
    static VALIDATORS: [OnceLock<Validator>; 5] = [const { OnceLock::new() }; 5];
    VALIDATORS[kind as usize].get_or_init(|| {
        let mut schema = root().clone();
        if let Value::Object(schema) = &mut schema {
            schema.retain(|key, _| key == "$schema" || key == "$defs");
            schema.insert("$ref".to_owned(), json!(format!("#/$defs/{}", kind.name())));
        }
        jsonschema::validator_for(&schema).expect("the schema made from our own types is valid")
    })
}

/// The keys of a header type: those of a document that aren't the Spec's.
pub(crate) fn is_spec_key(key: &str) -> bool {
    root()["$defs"]["Spec"]["properties"].get(key).is_some()
}

fn generate() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    generator.subschema_for::<wire::Convention>();
    generator.subschema_for::<wire::Service>();
    generator.subschema_for::<wire::Stack>();
    generator.subschema_for::<wire::Member>();
    generator.subschema_for::<wire::Helper>();
    generator.subschema_for::<wire::Overrides>();
    generator.subschema_for::<wire::HelperContainer>();
    generator.subschema_for::<wire::Spec>();
    let mut definitions = generator.take_definitions(true);
    for definition in definitions.values_mut() {
        tidy(definition);
    }
    let spec = definitions["Spec"]["properties"].clone();
    let helper = definitions["HelperContainer"]["properties"].clone();
    for kind in Kind::ALL {
        let definition = &mut definitions[kind.name()];
        add_header(definition, kind);
        if matches!(kind, Kind::Stack | Kind::Overrides) {
            definition["properties"]["services"] = json!({
                "type": "object",
                "description": "Its services by name.",
                "additionalProperties": { "$ref": "#/$defs/Member" }
            });
            require(definition, "services");
        } else if kind == Kind::Helper {
            add_properties(definition, &helper);
        } else {
            add_properties(definition, &spec);
        }
    }
    add_properties(&mut definitions["Member"], &spec);
    definitions.sort_keys();
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    let branches: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            json!({
                "if": { "properties": { "kind": { "const": kind } }, "required": ["kind"] },
                "then": { "$ref": format!("#/$defs/{kind}") }
            })
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("A document of {API_VERSION}"),
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": { "const": API_VERSION },
            "kind": { "enum": kinds }
        },
        "allOf": branches,
        "$defs": definitions
    })
}

fn add_header(definition: &mut Value, kind: Kind) {
    let mut properties = json!({
        "apiVersion": { "const": API_VERSION, "description": format!("Always `{API_VERSION}`.") },
        "kind": { "const": kind.name(), "description": format!("Always `{}`.", kind.name()) }
    });
    let own = definition["properties"].take();
    add(&mut properties, &own);
    definition["properties"] = properties;
    require(definition, "kind");
    require(definition, "apiVersion");
}

fn require(definition: &mut Value, key: &str) {
    match definition.get_mut("required").and_then(Value::as_array_mut) {
        Some(required) => required.insert(0, json!(key)),
        None => definition["required"] = json!([key]),
    }
}

fn add_properties(definition: &mut Value, properties: &Value) {
    add(&mut definition["properties"], properties);
}

fn add(target: &mut Value, more: &Value) {
    if let (Value::Object(target), Value::Object(more)) = (target, more) {
        target.extend(more.clone());
    }
}

/// Takes out what schemars adds for Rust's sake: `null` for `Option`, defaults, line ends in texts.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(map) => {
            map.remove("default");
            drop_null(map);
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            map.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

fn drop_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|it| it != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|it| !it.is_null());
    }
    if let Some(Value::Array(branches)) = map.get_mut("anyOf") {
        branches.retain(|it| it["type"] != "null");
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            map.remove("anyOf");
            map.extend(only);
        }
    }
}
