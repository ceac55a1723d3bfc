//! RFC 6902 as the Kubernetes API understands it: a list of operations, all or nothing.
//!
//! Upstream's reading is broader than the RFC in ways that clients lean on: replacing a field that is not there adds it, an index may count
//! from the end, a `test` for `null` passes when nothing is there. A short list of short operations must not cost much, so what is copied,
//! what is moved about and how deep the object grows are bounded.

mod budget;
mod pointer;

use super::go;
use crate::status::{Details, Status};
use budget::Budget;
use pointer::Pointer;
use serde_json::Value;

/// Upstream's limit of operations in one patch.
const MOST_OPERATIONS: usize = 10_000;

/// An operation failed. Upstream tells clients no more than that, whichever it was.
#[derive(Debug)]
struct Failed;

/// What `live` becomes by the JSON patch `body`.
pub(super) fn apply(live: &Value, body: &Value) -> Result<Value, Status> {
    let operations = match body {
        Value::Null => &[],
        Value::Array(operations) => operations.as_slice(),
        other => return Err(undecodable(other, "[]handlers.jsonPatchOp")),
    };
    if operations.len() > MOST_OPERATIONS {
        return Err(Status::new(
            413,
            "RequestEntityTooLarge",
            format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}",
                operations.len()
            ),
        ));
    }
    if let Some(other) = operations.iter().find(|one| !one.is_object()) {
        return Err(undecodable(other, "handlers.jsonPatchOp"));
    }
    let mut document = live.clone();
    let mut budget = Budget::new();
    for operation in operations {
        run(&mut document, operation, &mut budget).map_err(|Failed| Status {
            details: Some(Box::<Details>::default()),
            ..Status::new(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
            )
        })?;
    }
    Ok(document)
}

fn undecodable(value: &Value, into: &str) -> Status {
    Status::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {} into Go value of type {into}",
        go::json_name(value)
    ))
}

fn run(document: &mut Value, operation: &Value, budget: &mut Budget) -> Result<(), Failed> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str).ok_or(Failed);
    // Upstream reads an absent value as null.
    let value = || operation.get("value").cloned().unwrap_or_default();
    let path = Pointer::parse(text("path")?)?;
    match text("op")? {
        "add" => {
            let value = value();
            budget.nest(&path, &value)?;
            path.add(document, value, budget)
        }
        "replace" => {
            let value = value();
            budget.nest(&path, &value)?;
            path.replace(document, value)
        }
        "remove" => path.remove(document, budget).map(drop),
        "test" => {
            let expected = operation.get("value").unwrap_or(&Value::Null);
            let found = path.get(document)?.unwrap_or(&Value::Null);
            (found == expected).then_some(()).ok_or(Failed)
        }
        "copy" => {
            let from = Pointer::parse(text("from")?)?;
            let source = from.get(document)?.ok_or(Failed)?;
            budget.copy(source)?;
            budget.nest(&path, source)?;
            let copied = source.clone();
            path.add(document, copied, budget)
        }
        "move" => {
            let from = Pointer::parse(text("from")?)?;
            let moved = from.remove(document, budget)?;
            budget.nest(&path, &moved)?;
            path.add(document, moved, budget)
        }
        _ => Err(Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(live: &Value, body: &Value) -> Option<Value> {
        match apply(live, body) {
            Ok(document) => Some(document),
            Err(refusal) => {
                assert_eq!(
                    (refusal.code, refusal.message.as_str()),
                    (
                        422,
                        "the server rejected our request due to an error in our request"
                    )
                );
                None
            }
        }
    }

    #[test]
    fn each_operation_does_what_its_name_says() {
        let live = json!({"a": {"b": "1"}, "l": [1, 2, 3]});
        for (operation, expected) in [
            (
                json!({"op": "add", "path": "/a/c", "value": 2}),
                json!({"a": {"b": "1", "c": 2}, "l": [1, 2, 3]}),
            ),
            (
                json!({"op": "add", "path": "/l/1", "value": 9}),
                json!({"a": {"b": "1"}, "l": [1, 9, 2, 3]}),
            ),
            (
                json!({"op": "add", "path": "/l/-", "value": 9}),
                json!({"a": {"b": "1"}, "l": [1, 2, 3, 9]}),
            ),
            (
                json!({"op": "replace", "path": "/l/0", "value": 9}),
                json!({"a": {"b": "1"}, "l": [9, 2, 3]}),
            ),
            (
                json!({"op": "remove", "path": "/l/0"}),
                json!({"a": {"b": "1"}, "l": [2, 3]}),
            ),
            (
                json!({"op": "copy", "from": "/a/b", "path": "/x"}),
                json!({"a": {"b": "1"}, "l": [1, 2, 3], "x": "1"}),
            ),
            (
                json!({"op": "move", "from": "/a/b", "path": "/x"}),
                json!({"a": {}, "l": [1, 2, 3], "x": "1"}),
            ),
            (
                json!({"op": "test", "path": "/a/b", "value": "1"}),
                live.clone(),
            ),
        ] {
            assert_eq!(
                patched(&live, &json!([operation])),
                Some(expected),
                "{operation}"
            );
        }
    }

    #[test]
    fn it_is_as_lenient_as_upstream() {
        let live = json!({"data": {"k": "1"}, "l": [1, 2]});
        for (operation, expected) in [
            (
                json!({"op": "replace", "path": "/data/n", "value": "1"}),
                json!({"data": {"k": "1", "n": "1"}, "l": [1, 2]}),
            ),
            (
                json!({"op": "add", "path": "/data/z"}),
                json!({"data": {"k": "1", "z": null}, "l": [1, 2]}),
            ),
            (
                json!({"op": "remove", "path": "/l/-1"}),
                json!({"data": {"k": "1"}, "l": [1]}),
            ),
            (
                json!({"op": "test", "path": "/data/n", "value": null}),
                live.clone(),
            ),
        ] {
            assert_eq!(
                patched(&live, &json!([operation])),
                Some(expected),
                "{operation}"
            );
        }
        assert_eq!(apply(&live, &json!(null)).unwrap(), live);
    }

    #[test]
    fn an_operation_that_fails_fails_them_all() {
        let live = json!({"data": {"k": "1"}, "l": [1]});
        for operation in [
            json!({"op": "zap", "path": "/a"}),
            json!({"path": "/a"}),
            json!({"op": "test", "path": "/data/k", "value": "2"}),
            json!({"op": "test", "path": "/nope/k", "value": "2"}),
            json!({"op": "remove", "path": "/nope"}),
            json!({"op": "remove", "path": ""}),
            json!({"op": "add", "path": "/a/b/c", "value": 1}),
            json!({"op": "add", "path": "/data/k/x", "value": 1}),
            json!({"op": "add", "path": "/l/3", "value": 1}),
            json!({"op": "add", "path": "/l/x", "value": 1}),
            json!({"op": "add", "path": "/metadata/finalizers/-", "value": "x"}),
            json!({"op": "copy", "path": "/q"}),
            json!({"op": "copy", "from": "/nope", "path": "/q"}),
        ] {
            assert_eq!(patched(&live, &json!([operation])), None, "{operation}");
        }
    }

    #[test]
    fn what_is_no_list_of_objects_cannot_be_decoded() {
        let refused = |body| {
            let refusal = apply(&json!({}), &body).unwrap_err();
            assert_eq!(refusal.code, 400);
            refusal.message
        };
        assert_eq!(
            refused(json!({})),
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        );
        assert_eq!(
            refused(json!([1])),
            "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"
        );
    }

    #[test]
    fn there_are_no_more_operations_than_upstream_allows() {
        let test = json!({"op": "test", "path": "/k", "value": null});
        let refusal = apply(&json!({}), &json!(vec![test; 10_001])).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (
                413,
                "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
            )
        );
    }

    #[test]
    fn an_object_cannot_be_made_huge_by_copying_it_into_itself() {
        let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        assert_eq!(
            patched(&json!({"a": ["x"]}), &json!(vec![double; 40])),
            None
        );
    }

    #[test]
    fn an_object_cannot_be_made_deep_by_moving_it_into_itself() {
        let deeper = [
            json!({"op": "add", "path": "/b", "value": {}}),
            json!({"op": "move", "from": "/a", "path": "/b/a"}),
            json!({"op": "move", "from": "/b", "path": "/a"}),
        ];
        let body: Vec<Value> = deeper.iter().cycle().take(3_000).cloned().collect();
        assert_eq!(patched(&json!({"a": {}}), &json!(body)), None);
    }
}
