//! Documents about the built-in kinds.

use super::*;
use crate::kinds;

fn documents() -> Documents {
    Documents::new(vec![kinds::builtin()])
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn every_group_has_a_document_and_an_address_with_a_hash() {
    let documents = documents();
    let index = documents.index();
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    assert!(url.starts_with("/openapi/v3/apis/apps/v1?hash="));
    for path in index["paths"].as_object().unwrap().keys() {
        assert_eq!(
            parsed(&documents.v3(path).unwrap())["openapi"],
            "3.0.0",
            "{path}"
        );
    }
    assert!(documents.v3("apis/nope/v1").is_none());
}

#[test]
fn a_client_finds_the_kind_and_field_validation_at_a_path() {
    let document = parsed(&documents().v3("apis/apps/v1").unwrap());
    let post = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments"]["post"];
    assert_eq!(
        post["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    let parameters = post["parameters"].as_array().unwrap();
    assert!(
        parameters
            .iter()
            .any(|parameter| parameter["name"] == "fieldValidation")
    );
    let scale = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"];
    assert_eq!(
        scale["get"]["x-kubernetes-group-version-kind"]["kind"],
        "Scale"
    );
}

#[test]
fn every_reference_leads_to_a_type() {
    let documents = documents();
    for path in documents.index()["paths"].as_object().unwrap().keys() {
        let document = parsed(&documents.v3(path).unwrap());
        let mut references = Vec::new();
        collect(&document, &mut references);
        for reference in references {
            let name = reference.strip_prefix(components::REFERENCE).unwrap();
            assert!(
                document["components"]["schemas"].get(name).is_some(),
                "{path}: {name}"
            );
        }
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            references.extend(
                object
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            object.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[test]
fn types_say_how_they_merge() {
    let document = parsed(&documents().v3("api/v1").unwrap());
    let spec = &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"];
    let containers = &spec["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(
        containers["items"]["$ref"],
        "#/components/schemas/io.k8s.api.core.v1.Container"
    );
    assert_eq!(spec["required"], json!(["containers"]));
}

#[test]
fn version_two_has_all_groups_and_refers_to_definitions() {
    let documents = documents();
    let document = parsed(&documents.v2_json());
    assert!(
        document["paths"]
            .get("/api/v1/namespaces/{namespace}/pods/{name}")
            .is_some()
    );
    assert!(
        document["paths"]
            .get("/apis/apps/v1/namespaces/{namespace}/deployments")
            .is_some()
    );
    let deployment = &document["definitions"]["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(
        deployment["properties"]["spec"]["$ref"],
        "#/definitions/io.k8s.api.apps.v1.DeploymentSpec"
    );
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let name = reference.strip_prefix("#/definitions/").unwrap();
        assert!(document["definitions"].get(name).is_some(), "{name}");
    }
    let protobuf = documents.v2_protobuf();
    assert!(protobuf.starts_with(b"\x0a\x032.0"));
}
