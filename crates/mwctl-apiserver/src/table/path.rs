//! Columns of custom resources, which say by a path in the object what they show. Of `JSONPath`, fields, indexes and `[*]` are known, and one
//! filter by equality; anything else shows nothing.

use serde_json::{Value, json};

use super::{Shown, age};
use crate::schema::Column;

/// The cell of a column.
pub(super) fn cell(column: &Column, shown: Shown<'_>) -> Value {
    let Some(found) = find(shown.object, &column.path) else {
        return Value::Null;
    };
    match (column.kind.as_str(), found) {
        (_, Value::Null) => Value::Null,
        ("date", moment) => json!(age::since(moment, shown.now)),
        ("string", Value::String(_))
        | ("integer" | "number", Value::Number(_))
        | ("boolean", Value::Bool(_)) => found.clone(),
        ("string", other) => json!(other.to_string()),
        // What isn't of the column's type isn't shown.
        _ => Value::Null,
    }
}

/// The first value at a path such as `.status.conditions[?(@.type=="Ready")].status`.
fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    let mut rest = path.trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = inside.split_once(']')?;
            value = element(value, step)?;
            rest = after;
        } else {
            let named = rest.strip_prefix('.').unwrap_or(rest);
            let end = named.find(['.', '[']).unwrap_or(named.len());
            let (name, after) = named.split_at(end);
            value = value.get(name)?;
            rest = after;
        }
    }
    Some(value)
}

fn element<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    if let Some(name) = step
        .strip_prefix('\'')
        .and_then(|step| step.strip_suffix('\''))
    {
        return value.get(name);
    }
    let list = value.as_array()?;
    if step == "*" {
        return list.first();
    }
    if let Some(filter) = step
        .strip_prefix("?(@.")
        .and_then(|step| step.strip_suffix(')'))
    {
        let (field, wanted) = filter.split_once("==")?;
        let wanted = wanted.trim().trim_matches(['"', '\'']);
        return list.iter().find(|item| item[field.trim()] == wanted);
    }
    let index: usize = step.parse().ok()?;
    list.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_through_fields_lists_and_filters() {
        let object = json!({"spec": {"l": [{"a": 1}, {"a": 2}]},
            "status": {"conditions": [{"type": "A", "status": "x"}, {"type": "Ready", "status": "True"}]}});
        assert_eq!(find(&object, ".spec.l[1].a"), Some(&json!(2)));
        assert_eq!(find(&object, ".spec.l[*].a"), Some(&json!(1)));
        assert_eq!(
            find(&object, r#".status.conditions[?(@.type=="Ready")].status"#),
            Some(&json!("True"))
        );
        for path in [".spec.nope.a", ".spec.l[7]", ".spec[", "[?(@.x)]"] {
            assert_eq!(find(&object, path), None, "{path}");
        }
    }
}
