//! An object as the API stores it: defaults filled in, and nothing written that Go would not write. Every write of a built-in kind ends here,
//! so that what clients read does not depend on how they wrote it.

use serde_json::{Map, Value};

use super::defaults;
use crate::schema::{Field, Gvk, Schema, Shape, StructId};

/// Fills in defaults and leaves out what means nothing. A kind that the schema doesn't know stays as it is.
pub fn complete(schema: &Schema, gvk: &Gvk, object: &mut Map<String, Value>) {
    if let Some(id) = schema.kind(gvk) {
        structure(schema, id, object);
    }
}

/// The same for an object within another.
pub(crate) fn within(schema: &Schema, id: StructId, object: &mut Map<String, Value>) {
    structure(schema, id, object);
}

fn structure(schema: &Schema, id: StructId, object: &mut Map<String, Value>) {
    let structure_of = schema.structure(id);
    defaults::fill(&structure_of.name, object);
    for (name, field) in &structure_of.fields {
        // Protobuf writes zeros out, and Go can't tell them from nothing.
        let zero = |value: &Value| !field.pointer && is_zero(value, &field.shape);
        if field.default.is_some() && object.get(name).is_some_and(zero) {
            object.shift_remove(name);
        }
        match object.get_mut(name) {
            None | Some(Value::Null) => match absent(schema, field) {
                Some(value) => {
                    object.insert(name.clone(), value);
                }
                None => {
                    object.shift_remove(name);
                }
            },
            Some(value) => {
                inner(schema, &field.shape, value);
                let means_nothing = match value {
                    Value::Object(map) => {
                        map.is_empty() && matches!(field.shape, Shape::Map { .. })
                    }
                    Value::Array(items) => items.is_empty(),
                    scalar => !field.pointer && is_zero(scalar, &field.shape),
                };
                if means_nothing && !field.required && !field.written {
                    object.shift_remove(name);
                }
            }
        }
    }
}

fn inner(schema: &Schema, shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Struct(id), Value::Object(object)) => structure(schema, *id, object),
        (Shape::List { item, .. }, Value::Array(items)) => {
            for value in items {
                inner(schema, item, value);
            }
        }
        (Shape::Map { value: shape, .. }, Value::Object(map)) => {
            for value in map.values_mut() {
                inner(schema, shape, value);
            }
        }
        _ => {}
    }
}

/// What stands where nothing was written.
fn absent(schema: &Schema, field: &Field) -> Option<Value> {
    if let (Shape::Struct(id), Some(Value::Object(_))) = (&field.shape, &field.default) {
        let mut object = Map::new();
        structure(schema, *id, &mut object);
        return Some(Value::Object(object));
    }
    let written = field.required || field.written;
    match (&field.default, &field.shape) {
        (Some(default), _) if written || !is_zero(default, &field.shape) => Some(default.clone()),
        (_, Shape::List { .. } | Shape::Time | Shape::MicroTime) if written => Some(Value::Null),
        (_, Shape::Int32 | Shape::Int64) if written => Some(Value::from(0)),
        _ => None,
    }
}

fn is_zero(value: &Value, shape: &Shape) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty(),
        // The zero of an integer or a string is the integer, and that of a quantity is none.
        Value::Number(number) => {
            number.as_f64() == Some(0.0) && !matches!(shape, Shape::IntOrString)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use serde_json::json;

    fn completed(group: &str, version: &str, kind: &str, mut value: Value) -> Value {
        let gvk = Gvk {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        };
        complete(&kinds::builtin(), &gvk, value.as_object_mut().unwrap());
        value
    }

    #[test]
    fn empty_optional_maps_and_lists_are_left_out() {
        let map = completed(
            "",
            "v1",
            "ConfigMap",
            json!({"metadata": {"name": "c", "annotations": {}, "finalizers": []}, "data": {}}),
        );
        assert_eq!(map, json!({"metadata": {"name": "c"}}));
    }

    #[test]
    fn a_zero_stays_where_it_is_a_value() {
        let kept = json!({"metadata": {"name": "c", "deletionGracePeriodSeconds": 0, "generation": 0}, "immutable": false});
        let map = completed("", "v1", "ConfigMap", kept);
        assert_eq!(
            map,
            json!({"metadata": {"name": "c", "deletionGracePeriodSeconds": 0}, "immutable": false})
        );
    }

    #[test]
    fn structs_that_are_always_there_are_there() {
        let pod = completed(
            "",
            "v1",
            "Pod",
            json!({"spec": {"containers": [{"name": "c"}]}}),
        );
        assert_eq!(pod["status"], json!({"phase": "Pending"}));
        assert_eq!(pod["spec"]["containers"][0]["resources"], json!({}));
    }

    #[test]
    fn a_zero_that_is_no_value_gets_the_default() {
        let service = completed(
            "",
            "v1",
            "Service",
            json!({"spec": {"ports": [{"port": 80, "protocol": ""}], "sessionAffinity": ""}}),
        );
        assert_eq!(service["spec"]["ports"][0]["protocol"], "TCP");
        assert_eq!(service["spec"]["sessionAffinity"], "None");
    }

    #[test]
    fn the_texts_of_a_secret_are_data() {
        let secret = completed(
            "",
            "v1",
            "Secret",
            json!({"data": {"kept": "YQ==", "a": "YQ=="}, "stringData": {"a": "b", "empty": ""}}),
        );
        assert_eq!(
            secret["data"],
            json!({"kept": "YQ==", "a": "Yg==", "empty": ""})
        );
        assert!(secret.get("stringData").is_none());
    }

    #[test]
    fn completing_twice_changes_nothing() {
        let once = completed(
            "apps",
            "v1",
            "Deployment",
            json!({"spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}}),
        );
        assert_eq!(completed("apps", "v1", "Deployment", once.clone()), once);
    }
}
