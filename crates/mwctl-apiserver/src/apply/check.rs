//! What an applied object may not look like: server-side apply refuses what it could not keep the books of, in words of its own.
//!
//! Every field must be declared and fit its type roughly, and no two items may have one name. This comes before decoding, which is stricter,
//! and before validation.

use super::item;
use super::typed::{Class, Form, Type};
use crate::patch::go;
use crate::schema::{ListKind, Shape};
use crate::status::Status;
use serde_json::Value;
use std::collections::HashSet;

/// Refuses a body that is at fault, with every fault.
pub(super) fn check(root: Type<'_>, body: &Value) -> Result<(), Status> {
    let mut faults = Faults::default();
    faults.value(root, body);
    let told = match faults.told.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => format!("errors:\n  {}", several.join("\n  ")),
    };
    let subject = subject(body);
    let message = format!("failed to create typed patch object ({subject}): {told}");
    Err(Status::new(500, "", message))
}

/// What refusals call an object: `namespace/name; apps/v1, Kind=Deployment`.
pub(crate) fn subject(body: &Value) -> String {
    let metadata = |name| body["metadata"][name].as_str().unwrap_or_default();
    let version = body["apiVersion"].as_str().unwrap_or_default();
    let slash = if version.contains('/') { "" } else { "/" };
    format!(
        "{}/{}; {slash}{version}, Kind={}",
        metadata("namespace"),
        metadata("name"),
        body["kind"].as_str().unwrap_or_default(),
    )
}

/// Faults found so far, and the path to the place that is looked at.
#[derive(Default)]
struct Faults {
    path: String,
    told: Vec<String>,
}

impl Faults {
    fn value(&mut self, ty: Type<'_>, value: &Value) {
        match (ty.form(), value) {
            (_, Value::Null) | (Form::Plain(Shape::Any), _) => {}
            (Form::Struct(_) | Form::Plain(Shape::Map { .. }), Value::Object(map)) => {
                self.map(ty, map);
            }
            (Form::Struct(_) | Form::Plain(Shape::Map { .. }), other) => {
                self.tell(&format!("expected map, got &{{{}}}", go::text(other)));
            }
            (Form::Plain(Shape::List { kind, .. }), Value::Array(items)) => {
                self.list(ty, kind, items);
            }
            (Form::Plain(Shape::List { .. }), other) => {
                self.tell(&format!("expected list, got &{{{}}}", go::text(other)));
            }
            (Form::Plain(scalar), value) => {
                if let Some(fault) = scalar_fault(scalar, value) {
                    self.tell(&fault);
                }
            }
        }
    }

    fn map(&mut self, ty: Type<'_>, map: &serde_json::Map<String, Value>) {
        let mut names: Vec<&String> = map.keys().collect();
        names.sort_unstable();
        for name in names {
            let length = self.path.len();
            self.path.push('.');
            self.path.push_str(name);
            let field = ty.field(name);
            match field {
                Some(ty) => self.value(ty, &map[name]),
                None => self.tell("field not declared in schema"),
            }
            self.path.truncate(length);
            if field.is_none() {
                // Upstream looks no further in an object once it met a field it doesn't know.
                return;
            }
        }
    }

    fn list(&mut self, ty: Type<'_>, kind: &ListKind, items: &[Value]) {
        let class = match kind {
            ListKind::Atomic => Class::Leaf,
            ListKind::Set => Class::Set,
            ListKind::Map(keys) => Class::Keyed(keys),
        };
        let mut names = HashSet::new();
        for (at, item) in items.iter().enumerate() {
            if let Some(fault) = nameless(kind, item) {
                self.tell(&format!("element {at}: {fault}"));
                continue;
            }
            let name = item::name(ty, class, item);
            let pretty = name
                .as_deref()
                .map_or_else(|| format!("[{at}]"), item::pretty);
            if name.is_some_and(|name| !names.insert(name)) {
                self.tell(&format!("duplicate entries for key {pretty}"));
                continue;
            }
            let length = self.path.len();
            self.path.push_str(&pretty);
            self.value(ty.item(), item);
            self.path.truncate(length);
        }
    }

    fn tell(&mut self, fault: &str) {
        self.told.push(format!("{}: {fault}", self.path));
    }
}

/// Why an item can have no name.
fn nameless(kind: &ListKind, item: &Value) -> Option<&'static str> {
    match (kind, item) {
        (ListKind::Map(_), Value::Null) => {
            Some("associative list with keys may not have a null element")
        }
        (ListKind::Map(_), Value::Object(_)) | (ListKind::Atomic, _) => None,
        (ListKind::Map(_), _) => Some("associative list with keys may not have non-map elements"),
        (ListKind::Set, Value::Null) => {
            Some("associative list without keys has an element that's an explicit null")
        }
        (ListKind::Set, Value::Object(_)) => {
            Some("associative list without keys has an element that's a map type")
        }
        (ListKind::Set, Value::Array(_)) => {
            Some("not supported: associative list with lists as elements")
        }
        (ListKind::Set, _) => None,
    }
}

fn scalar_fault(shape: &Shape, value: &Value) -> Option<String> {
    match shape {
        Shape::String | Shape::Bytes if !value.is_string() => Some(format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go::syntax(value)
        )),
        Shape::Bool if !value.is_boolean() => {
            Some(format!("expected boolean, got &{{{}}}", go::text(value)))
        }
        Shape::Int32 | Shape::Int64 | Shape::Float if !value.is_number() => Some(format!(
            "expected numeric (int or float), got {}",
            go::type_name(value)
        )),
        _ if value.is_object() || value.is_array() => {
            Some(format!("expected any scalar, got &{{{}}}", go::text(value)))
        }
        _ => None,
    }
}
