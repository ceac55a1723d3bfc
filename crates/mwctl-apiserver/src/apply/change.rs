//! What differs between two versions of an object: the set of a write that is no apply, and the fields that an apply is contested over.

use super::fields::FieldSet;
use super::item;
use super::typed::{Class, Type};
use crate::schema::Shape;
use serde_json::Value;

/// What was there before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Before<'v> {
    /// Nothing.
    Absent,
    /// Nothing, in a type some parts of which are always there: what an empty Go struct looks like in JSON.
    Skeleton,
    /// This.
    Value(&'v Value),
}

/// The places where `after` says something else than `before`: changed and new leaves, and every container that is new.
///
/// What only `before` had is not among them.
pub(super) fn changes(ty: Type<'_>, before: Before<'_>, after: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    let class = ty.class(after);
    if class == Class::Leaf || is_empty(after) {
        let changed = match before {
            Before::Absent => true,
            Before::Skeleton => !is_empty(after),
            Before::Value(before) => before != after,
        };
        if changed {
            set.own();
        }
        return set;
    }
    if matches!(before, Before::Absent) {
        set.own();
    }
    match (class, after) {
        (Class::Map, Value::Object(map)) => {
            for (name, value) in map {
                let below = changes(ty.field_or_any(name), before.field(ty, name), value);
                set.add_field(name, below);
            }
        }
        (_, Value::Array(items)) => {
            let before = match before {
                Before::Value(value) => item::index(ty, class, Some(value)),
                _ => item::index(ty, class, None),
            };
            for value in items {
                let Some(name) = item::name(ty, class, value) else {
                    continue;
                };
                let below = match (before.get(&name), class) {
                    (Some(_), Class::Set) => FieldSet::default(),
                    (None, Class::Set) => FieldSet::here(),
                    (before, _) => {
                        let before = before.map_or(Before::Absent, |value| Before::Value(value));
                        changes(ty.item(), before, value)
                    }
                };
                set.add_item(name, below);
            }
        }
        _ => {}
    }
    set
}

impl Before<'_> {
    fn field(self, ty: Type<'_>, name: &str) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Value(value) => value.get(name).map_or(Self::Absent, Self::Value),
            Self::Skeleton => {
                let Some(field) = ty.declared(name) else {
                    return Self::Absent;
                };
                let always = field.default.as_ref().is_some_and(is_empty_map);
                if always {
                    Self::Skeleton
                } else if field.required && matches!(field.shape, Shape::List { .. }) {
                    // A required list is written even when it is null.
                    Self::Value(&Value::Null)
                } else {
                    Self::Absent
                }
            }
        }
    }
}

/// The leaves of `set` whose values differ between two versions.
pub(super) fn differing(
    ty: Type<'_>,
    set: &FieldSet,
    before: Option<&Value>,
    after: Option<&Value>,
) -> FieldSet {
    if set.is_leaf() {
        return if before == after {
            FieldSet::default()
        } else {
            FieldSet::here()
        };
    }
    let mut differing_below = FieldSet::default();
    for (name, below) in set.fields() {
        let before = before.and_then(|value| value.get(name));
        let after = after.and_then(|value| value.get(name));
        differing_below.add_field(name, differing(ty.field_or_any(name), below, before, after));
    }
    let mut items = set.items().peekable();
    if items.peek().is_some() {
        let class = after
            .or(before)
            .map_or(Class::Leaf, |value| ty.class(value));
        let before = item::index(ty, class, before);
        let after = item::index(ty, class, after);
        for (name, below) in items {
            let below = differing(
                ty.item(),
                below,
                before.get(name).copied(),
                after.get(name).copied(),
            );
            differing_below.add_item(name.clone(), below);
        }
    }
    differing_below
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        other => is_empty_map(other),
    }
}

fn is_empty_map(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}
