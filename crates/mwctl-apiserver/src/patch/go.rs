//! Values in the words of Go's formatter, because refusals of the Kubernetes API quote them so: `map[image:q name:one]`.
//!
//! Text for people only; nothing reads it back.

use serde_json::Value;
use std::fmt::Write;

/// A value as `%v` prints it; the keys of maps are sorted.
pub(crate) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// The type that Go's decoder gives a value, as in `cannot unmarshal array`.
pub(crate) fn json_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The Go type of a decoded value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as `%s` prints it: text as itself, everything else with a complaint about its type.
pub(crate) fn string_verb(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "%!s(<nil>)".to_owned(),
        other => format!("%!s({}={})", type_name(other), text(other)),
    }
}

/// A value as `%#v` prints it: Go source.
pub(crate) fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entry = |(key, value)| format!("{}:{}", Value::from(key), syntax(value));
            let mut entries: Vec<String> = map
                .iter()
                .map(|(key, value)| entry((key.as_str(), value)))
                .collect();
            entries.sort_unstable();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::String(text) => out.push_str(text),
        Value::Bool(_) | Value::Number(_) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{value}");
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push_str("map[");
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write(value, out);
            }
            out.push(']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_are_sorted_and_lists_are_spaced() {
        let value = json!({"b": [1, "x", null], "a": {"c": true}});
        assert_eq!(text(&value), "map[a:map[c:true] b:[1 x <nil>]]");
    }

    #[test]
    fn source_names_its_types() {
        assert_eq!(syntax(&json!({})), "map[string]interface {}{}");
        assert_eq!(syntax(&json!(["a", 1])), "[]interface {}{\"a\", 1}");
    }

    #[test]
    fn what_is_no_string_complains_where_a_string_belongs() {
        assert_eq!(string_verb(&json!("zap")), "zap");
        assert_eq!(string_verb(&json!(3)), "%!s(int64=3)");
        assert_eq!(string_verb(&json!(null)), "%!s(<nil>)");
    }
}
