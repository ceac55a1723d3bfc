//! The fields that say how many replicas a custom resource wants and has.

use serde_json::{Value, json};

use crate::status::Cause;

/// Paths such as `.spec.replicas`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    wanted: String,
    present: String,
    selector: String,
}

impl Scale {
    /// Reads `subresources.scale` of a version; none where it isn't there.
    pub(super) fn read(scale: &Value) -> Option<Self> {
        let path = |field: &str| scale[field].as_str().unwrap_or_default().to_owned();
        scale.is_object().then(|| Self {
            wanted: path("specReplicasPath"),
            present: path("statusReplicasPath"),
            selector: path("labelSelectorPath"),
        })
    }

    /// The complaint about the replicas that an object wants.
    pub(super) fn complaint(&self, object: &Value) -> Option<Cause> {
        complaint(object, &self.wanted)
    }

    /// Where an object says how many are wanted, as a JSON pointer.
    pub fn wanted(&self) -> String {
        pointer(&self.wanted)
    }

    /// Where it says how many there are, as a JSON pointer.
    pub fn present(&self) -> String {
        pointer(&self.present)
    }

    /// Where it says which pods these are, as a JSON pointer.
    pub fn selector(&self) -> String {
        pointer(&self.selector)
    }
}

fn pointer(path: &str) -> String {
    path.replace('.', "/")
}

/// The complaint about the replicas at a path such as `.spec.replicas`.
fn complaint(object: &Value, path: &str) -> Option<Cause> {
    let invalid = |value: &Value, detail: &str| {
        Some(Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {detail}"),
            field: path.to_owned(),
        })
    };
    let mistyped = |found: &Value, expected: &str| {
        let shown = found
            .as_str()
            .map_or_else(|| found.to_string(), str::to_owned);
        let detail = format!(
            "{path} accessor error: {shown} is of the type {}, expected {expected}",
            go_type(found)
        );
        invalid(&json!(0), &detail)
    };
    let mut value = object;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        if value.is_null() {
            return None;
        }
        if !value.is_object() {
            return mistyped(value, "map[string]interface{}");
        }
        value = value.get(name)?;
    }
    match value.as_i64() {
        Some(number) if number < 0 => invalid(value, "should be a non-negative integer"),
        Some(number) if number > i64::from(i32::MAX) => invalid(
            value,
            &format!("should be less than or equal to {}", i32::MAX),
        ),
        Some(_) => None,
        None if value.is_null() => None,
        None => mistyped(value, "int64"),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
