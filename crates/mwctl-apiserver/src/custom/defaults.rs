//! Defaults of custom resources, from the top down: what a default brings may lack something itself.

use serde_json::{Map, Value};

use super::structural::Node;

/// Fills in what is absent, or null where null may not be.
pub(super) fn fill(node: &Node, object: &mut Map<String, Value>) {
    for (name, field) in &node.properties {
        let absent = match object.get(name) {
            None => true,
            Some(Value::Null) => !field.nullable,
            Some(_) => false,
        };
        if let Some(default) = field.default.as_ref().filter(|_| absent) {
            object.insert(name.clone(), default.clone());
        }
    }
    for (name, value) in object.iter_mut() {
        if let Some(field) = node.field(name) {
            fill_value(field, value);
        }
    }
}

fn fill_value(node: &Node, value: &mut Value) {
    match value {
        Value::Object(object) => fill(node, object),
        Value::Array(items) => {
            if let Some(node) = &node.items {
                for item in items {
                    fill_value(node, item);
                }
            }
        }
        _ => {}
    }
}
