//! Objects of a custom kind, and what a Kubernetes 1.34 API server did with them.

use super::*;
use crate::schema::{ListKind, Shape};
use serde_json::json;

fn recorded() -> (Definition, Vec<Value>) {
    let mut file: Value =
        serde_json::from_str(include_str!("../../tests/vectors/custom.json")).unwrap();
    let definition = Definition::read(&file["definition"]).unwrap();
    let Value::Array(vectors) = file["vectors"].take() else {
        panic!("the vectors are a list");
    };
    (definition, vectors)
}

#[test]
fn objects_are_pruned_completed_and_refused_as_recorded() {
    let (definition, vectors) = recorded();
    let mut different = Vec::new();
    for vector in &vectors {
        let strictness = if vector["validation"] == "Strict" {
            Strictness::Strict
        } else {
            Strictness::Warn
        };
        let body = vector["body"].to_string();
        let answer = definition.decode(body.as_bytes(), Format::Json, strictness);
        let told = match answer {
            Err(status) => json!(status.message),
            Ok(mut decoded) => {
                definition.complete(&mut decoded.object);
                let warnings: Vec<String> = decoded
                    .warnings
                    .iter()
                    .map(|warning| format!("299 - {warning:?}"))
                    .collect();
                let object = Value::Object(decoded.object);
                match definition.validate(&object) {
                    causes if causes.is_empty() => json!([object["spec"], warnings]),
                    causes => json!(
                        causes
                            .iter()
                            .map(|cause| json!([cause.reason, cause.field, cause.message]))
                            .collect::<Vec<_>>()
                    ),
                }
            }
        };
        let causes = vector["causes"].as_array();
        let expected = match (vector["status"].as_u64(), causes) {
            (Some(201), _) => json!([vector["object"]["spec"], vector["warnings"]]),
            (_, Some(causes)) => causes
                .iter()
                .map(|cause| json!([cause["reason"], cause["field"], cause["message"]]))
                .collect(),
            _ => vector["message"].clone(),
        };
        let name = vector["body"]["metadata"]["name"].as_str();
        // The name is the registry's business, and other versions are refused by the address they are sent to.
        if told != expected
            && name != Some("A_b")
            && !vector["body"]["apiVersion"]
                .as_str()
                .unwrap()
                .ends_with("v2")
        {
            different.push(format!(
                "{}\nrecorded {expected}\n     got {told}",
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
fn the_kind_has_facts_like_any_other() {
    let (definition, _) = recorded();
    let schema = definition.schema();
    let resource = definition.resource();
    assert_eq!(
        (resource.plural.as_str(), resource.namespaced),
        ("foos", true)
    );
    let subs: Vec<&str> = resource
        .subresources
        .iter()
        .map(|sub| sub.name.as_str())
        .collect();
    assert_eq!(subs, ["scale", "status"]);
    assert_eq!(resource.columns[1].path, ".spec.replicas");
    let object = schema.structure(schema.kind(&resource.gvk).unwrap());
    assert!(matches!(object.fields["metadata"].shape, Shape::Struct(_)));
    let Shape::Struct(spec) = object.fields["spec"].shape else {
        panic!("the spec is a type of its own");
    };
    let Shape::List { kind, .. } = &schema.structure(spec).fields["keyed"].shape else {
        panic!("it is a list");
    };
    assert_eq!(*kind, ListKind::Map(vec!["k".to_owned(), "p".to_owned()]));
}

#[test]
fn doubled_fields_are_told_of() {
    let (definition, _) = recorded();
    let body = br#"{"metadata":{"name":"a"},"spec":{"name":"ab","name":"cd"}}"#;
    let refused = definition
        .decode(body, Format::Json, Strictness::Strict)
        .unwrap_err();
    assert!(
        refused
            .message
            .ends_with("strict decoding error: duplicate field \"spec.name\""),
        "{refused}"
    );
}

#[test]
fn what_this_server_does_not_do_is_refused() {
    let mut definition = json!({"metadata": {"name": "foos.x.io"}, "spec": {"group": "x.io", "names": {"plural": "foos", "kind": "Foo"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    assert_eq!(refuse(&definition), []);
    definition["spec"]["conversion"] = json!({"strategy": "Webhook"});
    let version = definition["spec"]["versions"][0].clone();
    definition["spec"]["versions"] = json!([version, version]);
    let fields: Vec<String> = refuse(&definition)
        .into_iter()
        .map(|cause| cause.field)
        .collect();
    assert_eq!(
        fields,
        ["spec.versions", "spec.versions", "spec.conversion.strategy"]
    );
}

#[test]
fn rules_in_cel_are_warned_of() {
    let definition = json!({"spec": {"group": "x.io", "names": {"plural": "foos", "kind": "Foo"}, "versions": [{"name": "v1", "served": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-validations": [{"rule": "true"}]}}}}}]}});
    assert_eq!(Definition::read(&definition).unwrap().warnings().len(), 1);
}

#[test]
fn an_answer_does_not_outgrow_its_question() {
    let (definition, _) = recorded();
    let mut object = json!({"kind": "Foo", "spec": {"list": vec![1; 100_000]}});
    for at in 0..10_000 {
        object["spec"][format!("unknown{at}")] = json!(0);
    }
    assert!(definition.validate(&object).len() < 300);
    assert!(definition.check(object).unwrap().strict.len() <= 100);
}
