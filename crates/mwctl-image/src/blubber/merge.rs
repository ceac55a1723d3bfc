//! What a variant is together with the top level and all that it includes.

use serde_json::{Map, Value, json};

/// A variant, expanded; `None` where it, or one that it includes, isn't there.
pub(super) fn variant(document: &Map<String, Value>, name: &str) -> Option<Map<String, Value>> {
    let variants = document.get("variants")?.as_object()?;
    let mut order = Vec::new();
    include(variants, name, &mut Vec::new(), &mut order)?;
    let mut expanded = defaults();
    let mut common = document.clone();
    common.remove("variants");
    common.remove("version");
    merge(&mut expanded, &common);
    for name in order {
        if let Some(variant) = variants[&name].as_object() {
            merge(&mut expanded, variant);
        }
    }
    expanded.remove("includes");
    Some(expanded)
}

/// The names in the order in which they are merged: what is included first, each once.
fn include(
    variants: &Map<String, Value>,
    name: &str,
    above: &mut Vec<String>,
    order: &mut Vec<String>,
) -> Option<()> {
    if above.iter().any(|other| other == name) {
        return None;
    }
    let variant = variants.get(name)?;
    above.push(name.to_owned());
    for included in variant["includes"].as_array().into_iter().flatten() {
        include(variants, included.as_str()?, above, order)?;
    }
    above.pop();
    if !order.iter().any(|other| other == name) {
        order.push(name.to_owned());
    }
    Some(())
}

/// Whether a variant includes itself by way of others.
pub(super) fn is_circle(document: &Map<String, Value>, name: &str) -> bool {
    let variants = document.get("variants").and_then(Value::as_object);
    variants.is_some_and(|variants| {
        variants.contains_key(name)
            && include(variants, name, &mut Vec::new(), &mut Vec::new()).is_none()
    })
}

fn defaults() -> Map<String, Value> {
    let defaults = json!({
        "lives": {"as": "somebody", "uid": 65533, "gid": 65533, "in": "/srv/app"},
        "runs": {"as": "runuser", "uid": 900, "gid": 900},
    });
    match defaults {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Puts `over` over `under`. Which lists are added to and which replaced is Blubber's own rule.
fn merge(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (key.as_str(), value) {
            // Nothing undoes what was said before.
            (_, Value::Null) => {}
            ("copies", Value::Array(copies)) => {
                let mut all = list(under.get(key));
                for copy in copies {
                    all.retain(|known| known != copy);
                    all.push(copy.clone());
                }
                under.insert(key.clone(), Value::Array(all));
            }
            ("apt", Value::Object(apt)) => {
                let mut all = map(under.get(key));
                merge_apt(&mut all, apt);
                under.insert(key.clone(), Value::Object(all));
            }
            ("builders", Value::Array(builders)) => {
                let all = merge_builders(list(under.get(key)), builders);
                under.insert(key.clone(), Value::Array(all));
            }
            ("environment" | "arguments", Value::Object(values)) => {
                let mut all = map(under.get(key));
                all.extend(values.clone());
                under.insert(key.clone(), Value::Object(all));
            }
            (_, Value::Object(inner)) => {
                let mut all = map(under.get(key));
                merge(&mut all, inner);
                under.insert(key.clone(), Value::Object(all));
            }
            // No name and no id are none.
            (_, Value::String(text)) if text.is_empty() => {}
            (_, Value::Number(number)) if number.as_u64() == Some(0) => {}
            _ => drop(under.insert(key.clone(), value.clone())),
        }
    }
}

fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn map(value: Option<&Value>) -> Map<String, Value> {
    value
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

fn merge_apt(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        if key == "packages" {
            let mut all = packages(under.get(key));
            for (release, names) in packages(Some(value)) {
                let known = all.entry(release).or_insert_with(|| json!([]));
                if let (Value::Array(known), Value::Array(names)) = (known, names) {
                    known.extend(names);
                }
            }
            under.insert(key.clone(), Value::Object(all));
        } else {
            let mut all = list(under.get(key));
            all.extend(list(Some(value)));
            under.insert(key.clone(), Value::Array(all));
        }
    }
}

/// Packages by release; those of a plain list are of the release `default`.
pub(super) fn packages(value: Option<&Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(releases)) => releases.clone(),
        Some(names @ Value::Array(_)) => Map::from_iter([("default".to_owned(), names.clone())]),
        _ => Map::new(),
    }
}

/// A predefined builder in both is merged and stays where the upper list has it; all others of
/// the lower list come before the upper one.
fn merge_builders(under: Vec<Value>, over: &[Value]) -> Vec<Value> {
    let kind = |builder: &Value| -> String {
        let mut keys = builder.as_object().into_iter().flat_map(Map::keys);
        keys.next().cloned().unwrap_or_default()
    };
    let mut upper = over.to_vec();
    let mut all = Vec::new();
    for builder in under {
        let kind_of = kind(&builder);
        let same = upper
            .iter_mut()
            .find(|other| kind_of != "custom" && kind(other) == kind_of);
        match same {
            Some(other) => {
                let mut merged = map(builder.get(&kind_of));
                merge(&mut merged, &map(other.get(&kind_of)));
                *other = json!({ kind_of: merged });
            }
            None => all.push(builder),
        }
    }
    all.extend(upper);
    all
}
