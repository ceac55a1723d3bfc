//! What a user merges over rendered objects in the end: the way out where no key says it.
//!
//! Maps are merged by key, lists of things with a name by that name, anything else is replaced; a
//! null takes away. What identifies an object and who owns it can't be patched.

use serde_json::{Map, Value};

use super::{MANAGED_BY, NAME, Object, PART_OF, WORKTREE};
use crate::model::{Patch, Service};

/// The object with the service's patches merged over it.
pub(super) fn patched(service: &Service, object: Object) -> Object {
    let id = object.id();
    let fits = |patch: &&Patch| {
        patch.kind == id.kind && patch.name.as_ref().is_none_or(|name| *name == id.name)
    };
    let mut patches = service.patches.iter().filter(fits).peekable();
    if patches.peek().is_none() {
        return object;
    }
    let before = object.to_value();
    let mut value = before.clone();
    for patch in patches {
        merge(&mut value, &patch.merge);
    }
    keep(&mut value, &before);
    Object::from_value(value).unwrap_or(object)
}

/// Puts back what must stay: by it the object is found again.
fn keep(value: &mut Value, before: &Value) {
    for field in ["apiVersion", "kind"] {
        value[field] = before[field].clone();
    }
    if !value["metadata"].is_object() {
        value["metadata"] = Value::Object(Map::new());
    }
    for field in ["name", "namespace"] {
        if let Some(own) = before["metadata"].get(field) {
            value["metadata"][field] = own.clone();
        }
    }
    let labels = &mut value["metadata"]["labels"];
    if !labels.is_object() {
        *labels = Value::Object(Map::new());
    }
    for label in [MANAGED_BY, PART_OF, NAME, WORKTREE] {
        if let Some(own) = before["metadata"]["labels"].get(label) {
            labels[label] = own.clone();
        }
    }
}

/// Lays `over` over `value`.
fn merge(value: &mut Value, over: &Value) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) => {
            for (key, over) in over {
                if over.is_null() {
                    fields.shift_remove(key);
                } else {
                    merge(fields.entry(key.clone()).or_insert(Value::Null), over);
                }
            }
        }
        (Value::Array(items), Value::Array(over)) if named(items) && named(over) => {
            for over in over {
                match items.iter_mut().find(|item| item["name"] == over["name"]) {
                    Some(item) => merge(item, over),
                    None => items.push(over.clone()),
                }
            }
        }
        (value, over) => {
            *value = over.clone();
            bare(value);
        }
    }
}

/// Whether each item has a name.
fn named(items: &[Value]) -> bool {
    items
        .iter()
        .all(|item| item.get("name").is_some_and(Value::is_string))
}

/// What is new has nothing to take away.
fn bare(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(bare);
        }
        Value::Array(items) => items.iter_mut().for_each(bare),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::fixture::service;

    fn merged(mut value: Value, over: &Value) -> Value {
        merge(&mut value, over);
        value
    }

    #[test]
    fn maps_are_merged_named_lists_too_and_a_null_takes_away() {
        let value = json!({ "a": { "b": 1, "c": 2 }, "l": [{ "name": "x", "v": 1 }], "p": [1, 2] });
        let over = json!({
            "a": { "c": null, "d": { "e": null, "f": 1 } },
            "l": [{ "name": "y" }, { "name": "x", "v": 2 }],
            "p": [3],
        });
        assert_eq!(
            merged(value, &over),
            json!({
                "a": { "b": 1, "d": { "f": 1 } },
                "l": [{ "name": "x", "v": 2 }, { "name": "y" }],
                "p": [3],
            })
        );
    }

    #[test]
    fn an_object_keeps_its_name_and_its_owner_whatever_is_merged() {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "a", "namespace": "n", "labels": { PART_OF: "s", "x": "1" } },
        });
        let object = Object::from_value(object).unwrap();
        let mut service = service("a", 1);
        service.patches = vec![Patch {
            kind: "Service".to_owned(),
            name: None,
            merge: json!({ "kind": "Pod", "metadata": { "name": "b", "labels": null }, "spec": { "type": "X" } }),
        }];
        let value = patched(&service, object.clone()).to_value();
        assert_eq!(value["kind"], "Service");
        assert_eq!(value["metadata"]["name"], "a");
        assert_eq!(value["metadata"]["labels"], json!({ PART_OF: "s" }));
        assert_eq!(value["spec"]["type"], "X");
        service.patches[0].kind = "Deployment".to_owned();
        assert_eq!(patched(&service, object.clone()), object);
    }
}
