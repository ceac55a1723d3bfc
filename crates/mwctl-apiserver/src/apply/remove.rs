//! Taking out of an object what nobody wants any more.

use super::fields::FieldSet;
use super::item;
use super::typed::{Class, Type};
use serde_json::Value;

/// Removes the places in `gone`, and the containers that this empties and that none of `kept` wants.
pub(super) fn remove(ty: Type<'_>, value: &mut Value, gone: &FieldSet, kept: &[&FieldSet]) {
    let class = ty.class(value);
    match (class, value) {
        (Class::Map, Value::Object(map)) => {
            map.retain(|name, value| {
                let Some(below) = gone.field(name) else {
                    return true;
                };
                if below.is_member() {
                    return false;
                }
                let was_empty = is_empty(value);
                let kept: Vec<&FieldSet> = kept.iter().filter_map(|set| set.field(name)).collect();
                remove(ty.field_or_any(name), value, below, &kept);
                was_empty || !is_empty(value) || !kept.is_empty()
            });
        }
        (Class::Set | Class::Keyed(_), Value::Array(items)) => {
            items.retain_mut(|value| {
                let name = item::name(ty, class, value).unwrap_or_default();
                let Some(below) = gone.item(&name) else {
                    return true;
                };
                if below.is_member() {
                    return false;
                }
                let kept: Vec<&FieldSet> = kept.iter().filter_map(|set| set.item(&name)).collect();
                remove(ty.item(), value, below, &kept);
                true
            });
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
