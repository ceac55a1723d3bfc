//! Puts a service's configuration file together: the repository's own, with values and settings merged
//! over it.
//!
//! The repository's text is data: its `{{ … }}` and `{env(…)}` are the service's business and are left
//! alone.

use std::path::Path;

use serde_json::{Map, Value};

use super::check::Check;
use super::late;
use super::node::{Node, steps};
use super::repository::Files;
use super::wire;
use crate::model::Evidence;

/// The file's path and text, and which file of the repository it started from.
pub(crate) fn assemble(
    spec: &wire::Spec,
    files: &Files<'_>,
    check: &mut Check<'_>,
) -> Option<((String, String), Option<Evidence>)> {
    let config = spec.config.as_ref()?;
    let Some(path) = &config.path else {
        check.hinted(
            "/config",
            "`config` lacks `path`",
            Some("such as `/etc/x/config.yaml`".into()),
        );
        return None;
    };
    let start = config
        .from
        .iter()
        .find_map(|file| Some((file, files.tree(file)?)));
    let evidence = start.as_ref().map(|(file, _)| Evidence {
        conclusion: format!("configuration {path}"),
        file: file.into(),
        line: 1,
    });
    let mut value = start.map_or(Value::Object(Map::new()), |(_, node)| node.value(true));
    patch(
        &mut value,
        &Value::Object(config.values.clone().into_iter().collect()),
    );
    if let Some(pointer) = &config.settings_at
        && !spec.settings.is_empty()
    {
        let settings = Value::Object(spec.settings.clone().into_iter().collect());
        if let Some(place) = reach(&mut value, pointer) {
            patch(place, &settings);
        } else {
            let message = format!("the configuration has no place {pointer} for settings");
            check.fail("/config/settingsAt", message);
        }
    }
    let original = evidence
        .as_ref()
        .and_then(|evidence| files.text(&evidence.file.to_string_lossy()));
    match write(path, &value).map(|text| late::unquoted(text, original.unwrap_or_default())) {
        Ok(text) => Some(((path.clone(), text), evidence)),
        Err(message) => {
            check.fail("/config", message);
            None
        }
    }
}

fn write(path: &str, value: &Value) -> Result<String, String> {
    let text = if Path::new(path).extension().is_some_and(|it| it == "json") {
        serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .map_err(|it| it.to_string())
    } else {
        serde_yaml::to_string(value).map_err(|it| it.to_string())
    };
    text.map_err(|error| format!("the configuration can't be written: {error}"))
}

/// Lays `over` over `value`, as a JSON merge patch does: maps deeply, `null` removes.
fn patch(value: &mut Value, over: &Value) {
    let Value::Object(over) = over else {
        *value = over.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else {
        return;
    };
    for (key, over) in over {
        if over.is_null() {
            map.shift_remove(key);
        } else {
            patch(map.entry(key.clone()).or_insert(Value::Null), over);
        }
    }
}

/// The value at a pointer; maps on the way are made, list items are not.
fn reach<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    steps(pointer).try_fold(value, |value, step| match value {
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        Value::Object(map) => Some(map.entry(step).or_insert_with(|| Value::Object(Map::new()))),
        Value::Null => {
            *value = Value::Object(Map::new());
            value
                .as_object_mut()
                .map(|map| map.entry(step).or_insert(Value::Null))
        }
        _ => None,
    })
}

/// Whether settings become variables rather than part of the file.
pub(crate) fn settings_as_variables(tree: &Node) -> bool {
    tree.pointer("/config/settingsAt").is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_are_patched_deeply_and_null_removes() {
        let mut value = json!({ "a": { "b": 1, "c": 2 }, "l": [1] });
        patch(
            &mut value,
            &json!({ "a": { "b": null, "d": 3 }, "l": [2], "n": { "x": null } }),
        );
        assert_eq!(value, json!({ "a": { "c": 2, "d": 3 }, "l": [2], "n": {} }));
    }

    #[test]
    fn settings_reach_into_lists_but_never_make_items() {
        let mut value = json!({ "services": [{ "conf": null }] });
        assert!(reach(&mut value, "/services/0/conf/deep").is_some());
        assert!(reach(&mut value, "/services/1/conf").is_none());
        assert!(reach(&mut json!({}), "/a/b").is_some());
    }

    #[test]
    fn texts_that_look_like_other_things_survive_the_writing() {
        let value = json!({ "a": "yes", "b": "1e3", "c": "null", "d": "0x1f", "e": "{{domain}}",
            "f": "a: b", "g": "- x", "h": "#", "i": "", "j": "line\nline\n", "k": "'\"\\", "l": "*x" });
        let text = write("/x.yaml", &value).unwrap();
        let back = super::super::text::single(Path::new("x.yaml"), &text).unwrap();
        assert_eq!(back.value(true), value, "{text}");
    }
}
