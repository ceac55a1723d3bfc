//! Objects that a Kubernetes 1.34 API server refused, and why.

use super::*;
use crate::decode::{self, Format, Strictness, complete::complete, fresh};
use crate::kinds;
use crate::schema::Schema;
use serde_json::json;

fn kind_of(object: &Value) -> Gvk {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Gvk {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: object["kind"].as_str().unwrap().to_owned(),
    }
}

/// An object with defaults, and with what the API adds when it is new.
fn completed(schema: &Schema, gvk: &Gvk, body: &Value, new: bool) -> Value {
    let text = body.to_string();
    let mut object = decode::decode(
        schema,
        gvk,
        text.as_bytes(),
        Format::Json,
        Strictness::Strict,
    )
    .unwrap()
    .object;
    complete(schema, gvk, &mut object);
    if new {
        object["metadata"]["uid"] = json!("u");
        fresh::prepare(gvk, &mut object);
    }
    Value::Object(object)
}

/// The recorded causes that are this module's business, without what differs from run to run: uids, and whole objects as Go prints them.
fn compared(causes: &[(String, String, String)]) -> Vec<(String, String, String)> {
    let own =
        |field: &str| !field.starts_with("metadata.") || field.starts_with("metadata.annotations[");
    let causes = causes.iter().filter(|(_, field, _)| own(field));
    let mut compared = Vec::new();
    for (reason, field, message) in causes {
        let mut message = message.split("\n@@").next().unwrap_or_default().to_owned();
        if field == "spec.template" || message.contains("controller-uid") {
            message = message.rsplit_once(": ").unwrap().1.to_owned();
        }
        // Upstream looks at a changed pod or job twice, and says everything twice.
        let cause = (reason.clone(), field.clone(), message);
        if !compared.contains(&cause) {
            compared.push(cause);
        }
    }
    compared
}

fn recorded(vector: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let causes = vector["causes"].as_array().unwrap().iter();
    causes
        .map(|cause| {
            (
                text(&cause["reason"]),
                text(&cause["field"]),
                text(&cause["message"]),
            )
        })
        .collect()
}

fn told(causes: Vec<Cause>) -> Vec<(String, String, String)> {
    causes
        .into_iter()
        .map(|cause| (cause.reason.to_owned(), cause.field, cause.message))
        .collect()
}

#[test]
fn new_objects_are_refused_as_recorded() {
    let schema = kinds::builtin();
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/vectors/refused-creates.json")).unwrap();
    let mut different = Vec::new();
    for vector in &vectors {
        let gvk = kind_of(&vector["body"]);
        let object = completed(&schema, &gvk, &vector["body"], true);
        let (expected, found) = (
            compared(&recorded(vector)),
            compared(&told(created(&gvk, &object))),
        );
        if expected != found {
            different.push(format!(
                "{}\n recorded {expected:?}\n      got {found:?}",
                vector["body"]
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        vectors.len(),
        different.join("\n")
    );
}

#[test]
fn changes_are_refused_as_recorded() {
    let schema = kinds::builtin();
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/vectors/refused-updates.json")).unwrap();
    let mut different = Vec::new();
    for vector in &vectors {
        let gvk = kind_of(&vector["body"]);
        let object = completed(&schema, &gvk, &vector["body"], false);
        let found = compared(&told(updated(&gvk, &vector["old"], &object)));
        let expected = compared(&recorded(vector));
        if expected != found {
            different.push(format!(
                "{}\n recorded {expected:?}\n      got {found:?}",
                vector["body"]["spec"]
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        vectors.len(),
        different.join("\n")
    );
}

#[test]
fn what_the_server_has_accepted_is_accepted() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/vectors/protobuf.json")).unwrap();
    for vector in vectors {
        let object = &vector["json"];
        assert_eq!(
            updated(&kind_of(object), object, object),
            [],
            "{}",
            vector["path"]
        );
    }
    let defaults: Value =
        serde_json::from_str(include_str!("../../tests/vectors/defaults.json")).unwrap();
    for (path, vector) in defaults.as_object().unwrap() {
        let object = &vector["response"];
        assert_eq!(created(&kind_of(object), object), [], "{path}");
    }
}

#[test]
fn an_object_of_unexpected_form_is_no_panic() {
    let schema = kinds::builtin();
    for resource in &schema.resources {
        for object in [
            json!(null),
            json!({"spec": 1}),
            json!({"spec": {"ports": [1], "template": [], "rules": {}, "containers": "x"}}),
        ] {
            let causes = created(&resource.gvk, &object).len()
                + updated(&resource.gvk, &object, &object).len();
            assert!(causes < 100);
        }
    }
}

#[test]
fn an_answer_does_not_outgrow_its_question() {
    let gvk = kind_of(&json!({"apiVersion": "v1", "kind": "Pod"}));
    let pod = json!({"spec": {"containers": vec![json!({"name": "-"}); 10_000]}});
    assert!(created(&gvk, &pod).len() < 300);
}
