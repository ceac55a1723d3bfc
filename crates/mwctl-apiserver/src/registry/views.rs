//! Objects as readers see them, where that isn't how they are stored.
//!
//! An event is one object with two names: `v1` and `events.k8s.io/v1` show the same fields under different names, and it is stored under the
//! older ones. A custom resource that was stored before its definition changed is shown as the definition is now.

use super::{Registry, Served, Target};
use crate::schema::Gvk;
use crate::storage::Object;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;

/// What the newer events call the fields of the older ones; all others have one name.
const FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Whether objects of this kind are stored as those of another.
pub(crate) fn is_newer_event(kind: &Gvk) -> bool {
    kind.group == "events.k8s.io" && kind.kind == "Event"
}

/// The name under which a field of a newer event is stored.
pub(crate) fn stored_name(field: &str) -> &str {
    let known = FIELDS.iter().find(|(_, newer)| *newer == field);
    known.map_or(field, |(older, _)| older)
}

fn shown_name(field: &str) -> &str {
    let known = FIELDS.iter().find(|(older, _)| *older == field);
    known.map_or(field, |(_, newer)| newer)
}

/// A newer event, or a part of one, under the names that are stored.
pub(crate) fn stored_event(event: Value) -> Value {
    renamed(event, "v1", stored_name)
}

/// The same for a JSON patch: its operations name fields by their paths.
pub(crate) fn stored_operations(mut operations: Value) -> Value {
    for operation in operations.as_array_mut().into_iter().flatten() {
        for place in ["path", "from"] {
            let Some(path) = operation[place].as_str() else {
                continue;
            };
            let Some(inside) = path.strip_prefix('/') else {
                continue;
            };
            let (field, rest) = inside.split_at(inside.find('/').unwrap_or(inside.len()));
            operation[place] = json!(format!("/{}{rest}", stored_name(field)));
        }
    }
    operations
}

fn renamed(event: Value, version: &str, name: fn(&str) -> &str) -> Value {
    let Value::Object(fields) = event else {
        return event;
    };
    let rename = |(field, value): (String, Value)| match field.as_str() {
        "apiVersion" => (field, json!(version)),
        field => (name(field).to_owned(), value),
    };
    Value::Object(fields.into_iter().map(rename).collect::<Map<_, _>>())
}

impl Registry {
    /// Where the objects of a target are: itself, but for newer events.
    pub(crate) fn at_rest<'a>(&self, target: &'a Target) -> Cow<'a, Target> {
        if !is_newer_event(&target.resource.gvk) {
            return Cow::Borrowed(target);
        }
        match self.resource("", "v1", "events") {
            Some(resource) => Cow::Owned(Target {
                resource,
                ..target.clone()
            }),
            None => Cow::Borrowed(target),
        }
    }
}

impl Served {
    /// A stored object as this resource shows it.
    pub(crate) fn show(&self, object: Arc<Object>) -> Arc<Object> {
        if is_newer_event(&self.gvk) {
            let event = renamed(object.value().clone(), "events.k8s.io/v1", shown_name);
            return Arc::new(Object::unstored(event));
        }
        match self.definition() {
            Some(definition) if object.revision() < definition.revision() => {
                let value = definition.renew(object.value().clone());
                Arc::new(Object::unstored(value))
            }
            _ => object,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_two_names_for_some_of_its_fields() {
        let newer = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "n", "regarding": {"kind": "Pod"}, "reason": "r"});
        let older = stored_event(newer.clone());
        assert_eq!(
            older,
            json!({"apiVersion": "v1", "kind": "Event", "message": "n", "involvedObject": {"kind": "Pod"}, "reason": "r"})
        );
        assert_eq!(renamed(older, "events.k8s.io/v1", shown_name), newer);
    }

    #[test]
    fn a_patch_of_a_newer_event_names_the_fields_that_are_stored() {
        let patch = json!([
            {"op": "replace", "path": "/note", "value": "x"},
            {"op": "copy", "from": "/regarding/name", "path": "/metadata/labels/a"},
            {"op": "test", "path": "", "value": {}},
        ]);
        let paths: Vec<Value> = stored_operations(patch)
            .as_array()
            .into_iter()
            .flatten()
            .map(|operation| json!([operation["from"], operation["path"]]))
            .collect();
        assert_eq!(
            paths,
            [
                json!([null, "/message"]),
                json!(["/involvedObject/name", "/metadata/labels/a"]),
                json!([null, ""])
            ]
        );
    }
}
