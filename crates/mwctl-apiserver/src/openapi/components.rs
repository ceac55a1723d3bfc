//! Types as `OpenAPI` 3 writes them.

use serde_json::{Map, Value, json};

use super::descriptions;
use crate::schema::{Field, ListKind, Schema, Shape, Struct, StructId};

/// What references to types begin with.
pub(super) const REFERENCE: &str = "#/components/schemas/";

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";

/// Types that JSON shows as one value.
pub(super) fn leaves() -> [(&'static str, Value); 4] {
    [
        (
            QUANTITY,
            json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        ),
        (
            INT_OR_STRING,
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        ),
        (TIME, json!({"type": "string", "format": "date-time"})),
        (MICRO_TIME, json!({"type": "string", "format": "date-time"})),
    ]
}

/// A type with named fields, and the types its fields have.
pub(super) fn structure(schema: &Schema, id: StructId) -> (Value, Vec<StructId>) {
    let structure = schema.structure(id);
    let told = structure.told.as_ref().and_then(Value::as_object);
    // Whoever defined the type described what is in it; only what every object has is added.
    let added = |name: &str| matches!(name, "apiVersion" | "kind" | "metadata");
    let mut inner = Vec::new();
    let mut properties = Map::new();
    let mut required = Vec::new();
    let fields = structure.fields.iter();
    for (name, declared) in fields.filter(|(name, _)| told.is_none() || added(name)) {
        properties.insert(name.clone(), field(schema, declared));
        if declared.required {
            required.push(Value::from(name.as_str()));
        }
        collect(&declared.shape, &mut inner);
    }
    let mut object = told.cloned().unwrap_or_default();
    if let Some(Value::Object(own)) = object.remove("properties") {
        let own = own.into_iter().filter(|(name, _)| !added(name));
        properties.extend(own);
    }
    object.insert("type".to_owned(), json!("object"));
    if !properties.is_empty() {
        object.insert("properties".to_owned(), Value::Object(properties));
    }
    if !required.is_empty() {
        object.insert("required".to_owned(), Value::Array(required));
    }
    extend(&mut object, schema, structure, id);
    descriptions::describe(&structure.name, told.is_some(), &mut object);
    (Value::Object(object), inner)
}

fn extend(object: &mut Map<String, Value>, schema: &Schema, structure: &Struct, id: StructId) {
    let mut kinds: Vec<_> = schema
        .kinds
        .iter()
        .filter(|(_, known)| **known == id)
        .map(|(gvk, _)| gvk)
        .collect();
    kinds.sort();
    if !kinds.is_empty() {
        let kinds = kinds
            .into_iter()
            .map(|gvk| json!({"group": gvk.group, "kind": gvk.kind, "version": gvk.version}));
        object.insert(
            "x-kubernetes-group-version-kind".to_owned(),
            kinds.collect(),
        );
    }
    if structure.atomic {
        object.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
    }
    if structure.open {
        object.insert(
            "x-kubernetes-preserve-unknown-fields".to_owned(),
            json!(true),
        );
    }
}

fn field(schema: &Schema, field: &Field) -> Value {
    let mut object = referring(schema, &field.shape);
    let mut set = |name: &str, value: Value| {
        object.insert(name.to_owned(), value);
    };
    if let Some(default) = &field.default {
        set("default", default.clone());
    }
    if !field.values.is_empty() {
        set("enum", json!(field.values));
    }
    if field.granular {
        set("x-kubernetes-map-type", json!("granular"));
    }
    let strategies = [
        (field.patch.merge, "merge"),
        (field.patch.retain_keys, "retainKeys"),
    ];
    let strategies: Vec<&str> = strategies
        .iter()
        .filter(|(has, _)| *has)
        .map(|(_, name)| *name)
        .collect();
    if !strategies.is_empty() {
        set("x-kubernetes-patch-strategy", json!(strategies.join(",")));
    }
    if let Some(key) = &field.patch.merge_key {
        set("x-kubernetes-patch-merge-key", json!(key));
    }
    Value::Object(object)
}

/// A shape beside which something else may stand: a reference alone may not.
fn referring(schema: &Schema, shape: &Shape) -> Map<String, Value> {
    let value = self::shape(schema, shape);
    let object = if value.get("$ref").is_some() {
        json!({ "allOf": [value] })
    } else {
        value
    };
    match object {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn shape(schema: &Schema, shape: &Shape) -> Value {
    let reference = |name: &str| json!({"$ref": format!("{REFERENCE}{name}")});
    match shape {
        Shape::Any => json!({"type": "object"}),
        Shape::String => json!({"type": "string"}),
        Shape::Bytes => json!({"type": "string", "format": "byte"}),
        Shape::Int32 => json!({"type": "integer", "format": "int32"}),
        Shape::Int64 => json!({"type": "integer", "format": "int64"}),
        Shape::Float => json!({"type": "number", "format": "double"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::IntOrString => reference(INT_OR_STRING),
        Shape::Quantity => reference(QUANTITY),
        Shape::Time => reference(TIME),
        Shape::MicroTime => reference(MICRO_TIME),
        Shape::Struct(id) => reference(&schema.structure(*id).name),
        Shape::Map { value, atomic } => {
            let mut map =
                json!({"type": "object", "additionalProperties": self::shape(schema, value)});
            if *atomic {
                map["x-kubernetes-map-type"] = json!("atomic");
            }
            map
        }
        Shape::List { item, kind } => {
            let mut list = json!({"type": "array", "items": self::shape(schema, item)});
            match kind {
                ListKind::Atomic => list["x-kubernetes-list-type"] = json!("atomic"),
                ListKind::Set => list["x-kubernetes-list-type"] = json!("set"),
                ListKind::Map(keys) => {
                    list["x-kubernetes-list-type"] = json!("map");
                    list["x-kubernetes-list-map-keys"] = json!(keys);
                }
            }
            list
        }
    }
}

fn collect(shape: &Shape, types: &mut Vec<StructId>) {
    match shape {
        Shape::Struct(id) => types.push(*id),
        Shape::Map { value, .. } => collect(value, types),
        Shape::List { item, .. } => collect(item, types),
        _ => {}
    }
}
