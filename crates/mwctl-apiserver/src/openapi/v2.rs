//! The one document of `OpenAPI` 2, out of those of version 3.

use serde_json::{Map, Value, json};

use super::components::REFERENCE;

/// Which kinds a type is that of.
const KINDS: &str = "x-kubernetes-group-version-kind";

/// Joins documents into one.
pub(super) fn document(documents: impl Iterator<Item = Value>) -> Value {
    let mut info = Value::Null;
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for mut document in documents {
        info = document["info"].take();
        if let Value::Object(items) = document["paths"].take() {
            paths.extend(
                items
                    .into_iter()
                    .map(|(path, item)| (path, path_item(item))),
            );
        }
        if let Value::Object(types) = document["components"]["schemas"].take() {
            definitions.extend(
                types
                    .into_iter()
                    .map(|(name, value)| (name, definition(value))),
            );
        }
    }
    json!({"swagger": "2.0", "info": info, "paths": paths, "definitions": definitions})
}

/// Parameters have their type at their own level in version 2.
fn path_item(mut item: Value) -> Value {
    for (method, operation) in item.as_object_mut().into_iter().flatten() {
        let parameters = if method == "parameters" {
            Some(operation)
        } else {
            operation.get_mut("parameters")
        };
        let parameters = parameters.and_then(Value::as_array_mut);
        for parameter in parameters
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            if let Some(Value::Object(schema)) = parameter.remove("schema") {
                parameter.extend(schema);
            }
        }
    }
    item
}

/// A kind whose objects may have any fields has none here: clients of this version would take those for all that there are.
fn definition(mut value: Value) -> Value {
    let is_kind = value.get(KINDS).is_some();
    if is_kind && value["x-kubernetes-preserve-unknown-fields"] == true {
        return json!({"type": "object", KINDS: value[KINDS].take()});
    }
    schema(value)
}

/// Version 2 refers to definitions, may have something beside a reference, and knows no `oneOf`: what may be several things is a string.
fn schema(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut out = Map::new();
            for (name, value) in object {
                match (name.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        out.insert(name, json!(reference.replace(REFERENCE, "#/definitions/")));
                    }
                    ("allOf", Value::Array(all)) => {
                        for one in all {
                            if let Value::Object(one) = schema(one) {
                                out.extend(one);
                            }
                        }
                    }
                    ("oneOf", _) => {
                        out.insert("type".to_owned(), json!("string"));
                    }
                    // Fields may have any name, and mean nothing by it.
                    ("properties", Value::Object(fields)) => {
                        let fields = fields.into_iter();
                        let fields: Map<String, Value> = fields
                            .map(|(field, value)| (field, schema(value)))
                            .collect();
                        out.insert(name, Value::Object(fields));
                    }
                    // A default is a value, whatever it looks like.
                    ("default", value) => {
                        out.insert(name, value);
                    }
                    (_, value) => {
                        out.insert(name, schema(value));
                    }
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => items.into_iter().map(schema).collect(),
        other => other,
    }
}
