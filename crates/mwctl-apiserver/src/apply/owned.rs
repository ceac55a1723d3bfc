//! The set of an applied object: what a manager says it wants, by writing it down.
//!
//! Scalars, whole values, nulls and empty maps are members, and so is every item of a set or a keyed list; structs and maps are not, for
//! others may want other fields of them. Empty lists say nothing.

use super::fields::FieldSet;
use super::item;
use super::typed::{Class, Type};
use serde_json::Value;

/// The set of a checked object.
pub(super) fn owned(ty: Type<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    match (ty.class(value), value) {
        (Class::Map, Value::Object(map)) => {
            for (name, value) in map {
                let mut below = owned(ty.field_or_any(name), value);
                let empty = value.as_object().is_some_and(serde_json::Map::is_empty);
                // A key that no type declares exists only because it is written here.
                if empty || ty.declared(name).is_none() {
                    below.own();
                }
                set.add_field(name, below);
            }
        }
        (class @ (Class::Set | Class::Keyed(_)), Value::Array(items)) => {
            for value in items {
                let Some(name) = item::name(ty, class, value) else {
                    continue;
                };
                let mut below = match class {
                    Class::Set => FieldSet::default(),
                    _ => owned(ty.item(), value),
                };
                below.own();
                set.add_item(name, below);
            }
        }
        _ => set.own(),
    }
    set
}
