//! What an item of a list is called in a set of fields: `k:{"containerPort":80,"protocol":"TCP"}` by its keys, `v:"x"` by its value.

use super::typed::{Class, Type};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write;

/// The name of an item, as `fieldsV1` writes it; none where items have no names.
pub(super) fn name(list: Type<'_>, class: Class<'_>, item: &Value) -> Option<String> {
    match class {
        Class::Set => Some(format!("v:{item}")),
        Class::Keyed(keys) => Some(keyed(list.item(), keys, item)),
        Class::Leaf | Class::Map => None,
    }
}

/// The items of a list by their names. Of two with one name, which only other writes than an apply can make, the first is meant.
pub(super) fn index<'v>(
    list: Type<'_>,
    class: Class<'_>,
    value: Option<&'v Value>,
) -> HashMap<String, &'v Value> {
    let items = value
        .and_then(Value::as_array)
        .map_or(&[] as &[Value], Vec::as_slice);
    let mut named = HashMap::with_capacity(items.len());
    for item in items {
        if let Some(name) = name(list, class, item) {
            named.entry(name).or_insert(item);
        }
    }
    named
}

/// The keys in the order of the alphabet; one that the item lacks has the default of its type.
fn keyed(ty: Type<'_>, keys: &[String], item: &Value) -> String {
    let mut sorted: Vec<&String> = keys.iter().collect();
    sorted.sort_unstable();
    let mut name = "k:{".to_owned();
    for key in sorted {
        let default = || ty.declared(key)?.default.as_ref();
        let Some(value) = item.get(key).or_else(default) else {
            continue;
        };
        if !name.ends_with('{') {
            name.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(name, "{}:{value}", Value::from(key.as_str()));
    }
    name.push('}');
    name
}

/// The name as a path has it: `[containerPort=80,protocol="TCP"]`, `[="x"]`.
pub(super) fn pretty(name: &str) -> String {
    let keys = name
        .strip_prefix("k:")
        .and_then(|keys| serde_json::from_str(keys).ok());
    if let Some(Value::Object(keys)) = keys {
        let keys: Vec<String> = keys
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        return format!("[{}]", keys.join(","));
    }
    match name.strip_prefix("v:") {
        Some(value) => format!("[={value}]"),
        None => format!("[{}]", name.strip_prefix("i:").unwrap_or(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_to_people_without_their_braces() {
        assert_eq!(
            pretty(r#"k:{"containerPort":80,"protocol":"TCP"}"#),
            r#"[containerPort=80,protocol="TCP"]"#
        );
        assert_eq!(pretty(r#"v:"x""#), r#"[="x"]"#);
        assert_eq!(pretty("i:3"), "[3]");
    }
}
