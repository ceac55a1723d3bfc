//! Strategic merge patches: `kubectl apply` and `kubectl patch` without `--type`.
//!
//! As a merge patch, but a list whose items have a name (`patchMergeKey`) is merged item by item, and directives say the rest:
//! `$patch: replace|delete`, `$retainKeys`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`. No directive is ever stored. This
//! file walks objects; [`list`] merges lists, [`order`] arranges what was merged.

mod list;
mod order;

use super::go;
use crate::schema::{PatchStrategy, Schema, Shape, StructId};
use crate::status::Status;
use order::Order;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_ITEMS: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Fields that no type declares merge as a plain merge patch would.
static UNDECLARED: (Shape, PatchStrategy) = (
    Shape::Any,
    PatchStrategy {
        merge: false,
        retain_keys: false,
        merge_key: None,
    },
);

/// What `live` becomes by the strategic merge patch `body`.
pub(super) fn apply(
    schema: &Schema,
    structure: StructId,
    live: &Value,
    body: &Value,
) -> Result<Value, Status> {
    let mut merged = live.clone();
    match body {
        Value::Object(patch) => {
            merge_object(schema, &Shape::Struct(structure), &mut merged, patch)?;
        }
        Value::Null => {}
        other => {
            return Err(Status::bad_request(format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                go::json_name(other)
            )));
        }
    }
    Ok(merged)
}

/// Merges `patch` into `live`, which becomes an object if it was something else.
fn merge_object(
    schema: &Schema,
    shape: &Shape,
    live: &mut Value,
    patch: &Map<String, Value>,
) -> Result<(), Status> {
    match patch.get(DIRECTIVE) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => {
            *live = Value::Object(taken_object(patch));
            return Ok(());
        }
        Some(Value::String(directive)) if directive == "delete" => {
            *live = Value::Object(Map::new());
            return Ok(());
        }
        Some(other) => return Err(unknown_directive(other, patch)),
    }
    let Value::Object(fields) = live else {
        *live = Value::Object(taken_object(patch));
        return Ok(());
    };
    retain_keys(fields, patch)?;
    if patch.values().any(Value::is_null) {
        fields.retain(|key, _| !patch.get(key).is_some_and(Value::is_null));
    }
    delete_items(fields, patch);
    let mut orders = orders(schema, shape, patch)?;
    for (key, value) in patch {
        if value.is_null() || is_directive(key) {
            continue;
        }
        let (shape, strategy) = field(schema, shape, key);
        match (fields.get_mut(key), value) {
            (Some(old @ Value::Object(_)), Value::Object(patch)) => {
                merge_object(schema, shape, old, patch)?;
            }
            (Some(Value::Array(old)), Value::Array(patch)) if strategy.merge => {
                let order = orders.remove(key.as_str());
                list::Merge::new(schema, shape, strategy).run(old, patch, order)?;
            }
            _ => {
                fields.insert(key.clone(), taken(value));
            }
        }
    }
    for (name, order) in orders {
        if let Some(Value::Array(items)) = fields.get_mut(name)
            && !patch.contains_key(name)
            && field(schema, shape, name).1.merge
        {
            let before = items.len();
            order.arrange(items, before);
        }
    }
    Ok(())
}

/// `$setElementOrder/<field>` of every field that has it.
fn orders<'p>(
    schema: &'p Schema,
    shape: &'p Shape,
    patch: &'p Map<String, Value>,
) -> Result<BTreeMap<&'p str, Order<'p>>, Status> {
    let mut orders = BTreeMap::new();
    for (key, order) in patch {
        let Some(name) = key.strip_prefix(SET_ORDER) else {
            continue;
        };
        let Value::Array(order) = order else {
            return Err(internal(format!(
                "expected a []interface {{}}, but received a {}",
                go::type_name(order)
            )));
        };
        let strategy = ordered_field(schema, shape, name)?;
        let order = Order::new(strategy.merge_key.as_deref(), order)?;
        if let Some(Value::Array(items)) = patch.get(name) {
            order.check(items)?;
        }
        orders.insert(name, order);
    }
    Ok(orders)
}

/// The strategy of a field that has an order, or upstream's complaint that there can be none.
fn ordered_field<'s>(
    schema: &'s Schema,
    shape: &'s Shape,
    name: &str,
) -> Result<&'s PatchStrategy, Status> {
    if let Shape::Struct(id) = shape {
        let structure = schema.structure(*id);
        let Some(field) = structure.fields.get(name) else {
            let short = structure.name.rsplit('.').next().unwrap_or_default();
            return Err(internal(format!(
                "unable to find api field in struct {short} for the json field \"{name}\""
            )));
        };
        if !matches!(field.shape, Shape::List { .. } | Shape::Any) {
            return Err(internal(
                "expected slice or array type, but got: struct".to_owned(),
            ));
        }
    }
    Ok(field(schema, shape, name).1)
}

/// `$retainKeys`: every field that it doesn't name goes. The patch itself may set no other.
fn retain_keys(live: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), Status> {
    let Some(keep) = patch.get(RETAIN_KEYS) else {
        return Ok(());
    };
    let bad = || Status::bad_request("invalid patch format of retainKeys");
    let keep: HashSet<&str> = keep
        .as_array()
        .and_then(|keys| keys.iter().map(Value::as_str).collect())
        .ok_or_else(bad)?;
    let sets_other = |(key, value): (&String, &Value)| {
        !value.is_null() && !is_directive(key) && !keep.contains(key.as_str())
    };
    if patch.iter().any(sets_other) {
        return Err(bad());
    }
    live.retain(|key, _| keep.contains(key.as_str()));
    Ok(())
}

/// `$deleteFromPrimitiveList/<field>`: these items go.
fn delete_items(live: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, gone) in patch {
        if let (Some(name), Value::Array(gone)) = (key.strip_prefix(DELETE_ITEMS), gone)
            && let Some(Value::Array(items)) = live.get_mut(name)
        {
            let gone: HashSet<&Value> = gone.iter().collect();
            items.retain(|item| !gone.contains(item));
        }
    }
}

/// Shape and strategy of a field.
fn field<'s>(schema: &'s Schema, shape: &'s Shape, name: &str) -> (&'s Shape, &'s PatchStrategy) {
    let declared = match shape {
        Shape::Struct(id) => {
            let field = schema.structure(*id).fields.get(name);
            field.map(|field| (&field.shape, &field.patch))
        }
        Shape::Map { value, .. } => Some((value.as_ref(), &UNDECLARED.1)),
        _ => None,
    };
    declared.unwrap_or((&UNDECLARED.0, &UNDECLARED.1))
}

/// The shape of a list's items.
fn item_shape(shape: &Shape) -> &Shape {
    match shape {
        Shape::List { item, .. } => item,
        _ => &UNDECLARED.0,
    }
}

/// A value of the patch where there was nothing to merge it with: itself, without directives, and without the fields it deletes.
fn taken(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(taken_object(map)),
        Value::Array(items) => items
            .iter()
            .filter(|item| item.get(DIRECTIVE).is_none())
            .map(taken)
            .collect(),
        other => other.clone(),
    }
}

fn taken_object(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter()
        .filter(|(key, value)| !is_directive(key) && !value.is_null())
        .map(|(key, value)| (key.clone(), taken(value)))
        .collect()
}

fn is_directive(key: &str) -> bool {
    key.starts_with('$')
        && (key == DIRECTIVE
            || key == RETAIN_KEYS
            || key.starts_with(DELETE_ITEMS)
            || key.starts_with(SET_ORDER))
}

fn unknown_directive(directive: &Value, patch: &Map<String, Value>) -> Status {
    internal(format!(
        "unknown patch type: {} in map: {}",
        go::string_verb(directive),
        go::text(&Value::Object(patch.clone()))
    ))
}

/// Upstream answers what it cannot merge with a bare 500.
fn internal(message: String) -> Status {
    Status::new(500, "", message)
}

/// The value that an item of a keyed list is known by.
fn key_of<'v>(key: &str, item: &'v Map<String, Value>) -> Result<&'v Value, Status> {
    item.get(key).ok_or_else(|| {
        internal(format!(
            "map: {} does not contain declared merge key: {key}",
            go::text(&Value::Object(item.clone()))
        ))
    })
}

#[cfg(test)]
mod tests;
