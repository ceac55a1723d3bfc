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
fn every_field_of_metadata_is_described() {
    let document = parsed(&documents().v3("api/v1").unwrap());
    let schemas = &document["components"]["schemas"];
    let metadata = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
    for (name, field) in metadata["properties"].as_object().unwrap() {
        assert!(field["description"].is_string(), "{name}");
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

#[test]
fn a_kind_with_any_fields_has_none_in_version_two() {
    let definition = |schema: &Value| {
        json!({"metadata": {"name": "widgets.example.org"}, "spec": {
            "group": "example.org", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}})
    };
    let of = |schema: &Value| {
        let read = crate::custom::Definition::read(&definition(schema)).unwrap();
        let documents = Documents::new(vec![kinds::builtin(), read.schema().clone()]);
        parsed(&documents.v2_json())["definitions"]["org.example.v1.Widget"].clone()
    };
    let closed = of(
        &json!({"type": "object", "description": "A thing.", "properties": {"a": {"type": "string"}}}),
    );
    assert_eq!(closed["description"], "A thing.");
    assert_eq!(closed["properties"]["a"]["type"], "string");
    let text = |field: &str| closed["properties"][field]["description"].to_string();
    assert!(text("apiVersion").contains("APIVersion defines"));
    assert!(text("metadata").contains("Standard object's metadata"));
    let open = of(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    let kind = json!([{"group": "example.org", "kind": "Widget", "version": "v1"}]);
    assert_eq!(
        open,
        json!({"type": "object", "x-kubernetes-group-version-kind": kind})
    );
}
