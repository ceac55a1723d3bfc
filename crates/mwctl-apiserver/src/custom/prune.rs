//! Undeclared fields of custom resources are dropped and told of. `metadata` is the same for every kind, and has types that are checked.

use serde_json::{Map, Value};

use super::structural::Node;
use crate::decode::{MOST_COMPLAINTS, Reader};
use crate::schema::{Schema, StructId};
use crate::{decode, kinds};

/// Drops what nobody declared; complaints about each, in the order of the fields' names.
pub(super) fn prune(root: &Node, value: &mut Value) -> Result<Vec<String>, String> {
    let mut strict = Vec::new();
    if let Value::Object(object) = value {
        prune_object(root, object, true, "", &mut strict)?;
    }
    Ok(strict)
}

fn prune_value(
    node: &Node,
    value: &mut Value,
    path: &str,
    strict: &mut Vec<String>,
) -> Result<(), String> {
    match value {
        Value::Object(object) => prune_object(node, object, node.embedded, path, strict),
        Value::Array(items) => {
            let Some(node) = &node.items else {
                return Ok(());
            };
            for (index, item) in items.iter_mut().enumerate() {
                prune_value(node, item, &format!("{path}[{index}]"), strict)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `whole`: an object of a kind, which has `apiVersion`, `kind` and `metadata` without saying so.
fn prune_object(
    node: &Node,
    object: &mut Map<String, Value>,
    whole: bool,
    path: &str,
    strict: &mut Vec<String>,
) -> Result<(), String> {
    let mut names: Vec<String> = object.keys().cloned().collect();
    names.sort_unstable();
    for name in names {
        let below = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        if whole && ["apiVersion", "kind"].contains(&name.as_str()) {
            continue;
        }
        if whole && name == "metadata" {
            let metadata = object
                .get_mut("metadata")
                .map(Value::take)
                .unwrap_or_default();
            object.insert(name, check_metadata(metadata, &below, strict)?);
        } else if let Some(field) = node.field(&name) {
            if let Some(value) = object.get_mut(&name) {
                prune_value(field, value, &below, strict)?;
            }
        } else if !node.open {
            object.shift_remove(&name);
            if strict.len() < MOST_COMPLAINTS {
                strict.push(format!("unknown field \"{below}\""));
            }
        }
    }
    Ok(())
}

fn check_metadata(metadata: Value, path: &str, strict: &mut Vec<String>) -> Result<Value, String> {
    let schema = kinds::builtin();
    let Some(id) = metadata_type(&schema) else {
        return Ok(metadata);
    };
    let checked = decode::check(&schema, id, metadata, Reader::Decoder)?;
    let below = checked.strict.iter();
    strict.extend(
        below.map(|complaint| complaint.replacen("field \"", &format!("field \"{path}."), 1)),
    );
    Ok(checked.value)
}

/// The type of `metadata` among the built-in ones.
pub(super) fn metadata_type(schema: &Schema) -> Option<StructId> {
    let place = schema
        .structs
        .iter()
        .position(|structure| structure.name == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    place.map(|place| StructId(place as u32))
}
