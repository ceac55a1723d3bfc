//! Defaults that the kinds' own types don't tell: a rule for each type that has some. Types that embed such a type (a template of pods) get
//! them too.

mod core;
mod others;
mod workloads;

use serde_json::{Map, Value};

/// Fills the defaults of one type into one object. What is below is the caller's business, and comes after.
pub(super) fn fill(structure: &str, object: &mut Map<String, Value>) {
    let Some(name) = structure.strip_prefix("io.k8s.") else {
        return;
    };
    let known = core::fill(name, object) || workloads::fill(name, object);
    if !known {
        others::fill(name, object);
    }
}

/// The value of an absent field. A text that is empty is absent, too: Go can't tell.
fn set(object: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    let place = object.entry(field).or_insert(Value::Null);
    if place.is_null() || place == "" {
        *place = value.into();
    }
}

/// The value of an absent or an empty field.
fn set_text(object: &mut Map<String, Value>, field: &str, value: &str) {
    if text(object, field).is_empty() {
        object.insert(field.to_owned(), Value::from(value));
    }
}

/// A field that is a text, or none.
fn text<'a>(object: &'a Map<String, Value>, field: &str) -> &'a str {
    object
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn has(object: &Map<String, Value>, field: &str) -> bool {
    object.get(field).is_some_and(|value| !value.is_null())
}

/// The object in a field, made where it is missing; `None` when something else stands there.
fn within<'a>(
    object: &'a mut Map<String, Value>,
    field: &str,
) -> Option<&'a mut Map<String, Value>> {
    set(object, field, Map::new());
    object.get_mut(field)?.as_object_mut()
}

/// The objects in a list.
fn each<'a>(
    object: &'a mut Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let items = object.get_mut(field).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut)
}
