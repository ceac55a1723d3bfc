//! What a wanted object has that the live one has not.
//!
//! Only what is wanted counts: the server fills in defaults, controllers add fields of their own.
//! Lists of things with a name are compared by that name, since the server keeps an order of its own
//! when several managers add to a list; other lists are compared as they stand.

pub(super) mod quantity;

use serde_json::Value;

/// One place where the live object isn't as wanted.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    /// The place, as in `spec.template.spec.containers[mathoid-main].image`.
    pub(super) path: String,
    wanted: Value,
    live: Option<Value>,
}

/// The longest value that is shown.
const SHOWN: usize = 60;

impl Difference {
    /// The difference in words; without the values where they are secret.
    pub(super) fn describe(&self, secret: bool) -> String {
        let shown = |value: &Value| -> Option<String> {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Null | Value::Array(_) | Value::Object(_) => return None,
                other => other.to_string(),
            };
            let fits = text.chars().count() <= SHOWN && !text.contains('\n') && !text.is_empty();
            (fits && !secret).then_some(text)
        };
        let path = &self.path;
        match (&self.live, shown(&self.wanted)) {
            (None, Some(wanted)) => format!("`{path}` is missing in the cluster, {wanted} here"),
            (None, None) => format!("`{path}` is missing in the cluster"),
            (Some(live), Some(wanted)) => match shown(live) {
                Some(live) => format!("`{path}` is {live} in the cluster, {wanted} here"),
                None => format!("`{path}` differs from {wanted}"),
            },
            (Some(_), None) => format!("`{path}` differs"),
        }
    }
}

/// All places where `live` isn't as `wanted`.
pub(super) fn differences(wanted: &Value, live: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", wanted, Some(live), &mut found);
    found
}

fn compare(path: &str, wanted: &Value, live: Option<&Value>, found: &mut Vec<Difference>) {
    let equal = match (wanted, live) {
        (Value::Object(wanted), Some(Value::Object(live))) => {
            for (key, value) in wanted {
                compare(&join(path, key), value, live.get(key), found);
            }
            true
        }
        (Value::Array(wanted), Some(Value::Array(live))) => {
            return compare_lists(path, wanted, live, found);
        }
        // The server drops what is empty, so a missing field equals an empty one.
        (wanted, None) => zero(wanted),
        (wanted, Some(live)) => {
            wanted == live || (zero(wanted) && zero(live)) || quantity::equal(path, wanted, live)
        }
    };
    if !equal {
        found.push(Difference {
            path: path.to_owned(),
            wanted: wanted.clone(),
            live: live.cloned(),
        });
    }
}

fn compare_lists(path: &str, wanted: &[Value], live: &[Value], found: &mut Vec<Difference>) {
    if let Some(key) = wanted.first().and_then(key_of) {
        for item in wanted {
            let name = item.get(key);
            let twin = live.iter().find(|other| other.get(key) == name);
            let shown = name.map(|name| name.as_str().map_or(name.to_string(), str::to_owned));
            let path = format!("{path}[{}]", shown.unwrap_or_default());
            compare(&path, item, twin, found);
        }
        return;
    }
    if wanted.len() != live.len() {
        found.push(Difference {
            path: path.to_owned(),
            wanted: Value::from(wanted.to_vec()),
            live: Some(Value::from(live.to_vec())),
        });
        return;
    }
    for (index, (wanted, live)) in wanted.iter().zip(live).enumerate() {
        compare(&format!("{path}[{index}]"), wanted, Some(live), found);
    }
}

/// The field that tells a list's items apart: a volume may be mounted twice, but not in one place.
pub(super) fn key_of(item: &Value) -> Option<&'static str> {
    ["mountPath", "name", "key"]
        .into_iter()
        .find(|key| item.get(key).is_some_and(Value::is_string))
}

/// Whether a value is what the server leaves out.
pub(super) fn zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(zero),
    }
}

fn join(path: &str, key: &str) -> String {
    if key.contains(['.', '/']) {
        format!("{path}[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests;
