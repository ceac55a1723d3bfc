//! The form for programs: every document and every line carries `"schema": 1`.

use mwctl_engine::event::{Event, SCHEMA};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    #[serde(flatten)]
    event: &'a Event,
}

/// An event as one line.
pub(super) fn line(event: &Event) -> String {
    let mut text = serde_json::to_string(&Line {
        schema: SCHEMA,
        event,
    })
    .unwrap_or_default();
    text.push('\n');
    text
}

/// An answer as a document.
pub(super) fn document(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or(Value::Null);
    let value = match value {
        Value::Object(mut fields) => {
            fields.insert("schema".to_owned(), SCHEMA.into());
            Value::Object(fields)
        }
        other => json!({ "schema": SCHEMA, "items": other }),
    };
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}
