//! RFC 7386: a document that looks like the change; `null` removes.

use super::go;
use crate::status::Status;
use serde_json::{Map, Value};

/// What `live` becomes by the merge patch `body`.
pub(super) fn apply(live: &Value, body: &Value) -> Result<Value, Status> {
    match body {
        Value::Object(_) => {
            let mut merged = live.clone();
            merge(&mut merged, body);
            Ok(merged)
        }
        Value::Null => Err(Status::bad_request("Invalid JSON Patch")),
        other => Err(Status::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            go::json_name(other)
        ))),
    }
}

fn merge(live: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        patch.clone_into(live);
        return;
    };
    if !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let Value::Object(live) = live else { return };
    if patch.values().any(Value::is_null) {
        // One pass for all of them: removing one by one moves the rest each time.
        live.retain(|key, _| !patch.get(key).is_some_and(Value::is_null));
    }
    for (key, value) in patch {
        if !value.is_null() {
            merge(live.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_examples_of_the_rfc() {
        for (live, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            assert_eq!(apply(&live, &patch).unwrap(), merged, "{live} with {patch}");
        }
    }

    #[test]
    fn an_object_is_patched_by_objects_only() {
        let refused = |body| apply(&json!({}), &body).unwrap_err().message;
        assert_eq!(refused(json!(null)), "Invalid JSON Patch");
        assert_eq!(
            refused(json!([])),
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        );
    }
}
