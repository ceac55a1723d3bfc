//! Kinds that come and go.

use super::*;
use crate::kinds;
use crate::patch::PatchKind;
use crate::registry::{Change, Deleted};
use serde_json::json;

fn registry() -> Registry {
    let registry = Registry::new(kinds::builtin()).unwrap();
    let body = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count"}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "count": {"type": "integer", "maximum": 9}, "colour": {"type": "string", "default": "green"},
                    }},
                    "status": {"type": "object", "properties": {"count": {"type": "integer"}}},
                }}},
            }],
        },
    });
    let mut target = definition(&registry);
    target.name.clear();
    registry
        .create(&target, body, &WriteOptions::default())
        .unwrap();
    registry
}

fn definition(registry: &Registry) -> Target {
    let resource = registry.resource("apiextensions.k8s.io", "v1", "customresourcedefinitions");
    Target {
        resource: resource.unwrap(),
        namespace: String::new(),
        name: "widgets.example.org".to_owned(),
        subresource: String::new(),
    }
}

fn widget(registry: &Registry, name: &str) -> Target {
    Target {
        resource: registry.resource("example.org", "v1", "widgets").unwrap(),
        namespace: "default".to_owned(),
        name: name.to_owned(),
        subresource: String::new(),
    }
}

fn make(registry: &Registry, metadata: &Value) -> Result<Arc<Object>, Status> {
    let body = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": metadata, "spec": {"count": 2}});
    let answer = registry.create(&widget(registry, ""), body, &WriteOptions::default())?;
    Ok(answer.object)
}

#[test]
fn a_kind_is_served_from_its_definition_on() {
    let registry = registry();
    let object = make(&registry, &json!({"name": "one"})).unwrap();
    assert_eq!(object.value()["spec"]["colour"], "green");
    assert_eq!(object.value()["metadata"]["generation"], 1);
    let too_many = Change::Patch(PatchKind::Merge, json!({"spec": {"count": 10}}));
    let refusal = registry.change(
        &widget(&registry, "one"),
        &too_many,
        &WriteOptions::default(),
    );
    assert_eq!(refusal.unwrap_err().code, 422);
}

#[test]
fn a_scale_is_where_the_definition_says() {
    let registry = registry();
    make(&registry, &json!({"name": "one"})).unwrap();
    let mut target = widget(&registry, "one");
    target.subresource = "scale".to_owned();
    assert_eq!(
        registry.scale(&target).unwrap().value()["spec"]["replicas"],
        2
    );
    let change = Change::Patch(PatchKind::Merge, json!({"spec": {"replicas": 5}}));
    registry
        .change_scale(&target, &change, &WriteOptions::default())
        .unwrap();
    let object = registry.get(&widget(&registry, "one")).unwrap();
    assert_eq!(
        object.value()["spec"],
        json!({"count": 5, "colour": "green"})
    );
}

#[test]
fn a_definition_takes_its_objects_along() {
    let registry = registry();
    make(&registry, &json!({"name": "one"})).unwrap();
    let deleted = registry
        .delete(&definition(&registry), &DeleteOptions::default())
        .unwrap();
    assert!(matches!(deleted, Deleted::Object(_)));
    assert_eq!(registry.get(&definition(&registry)).unwrap_err().code, 404);
    assert!(registry.resource("example.org", "v1", "widgets").is_none());
    let left = registry
        .store()
        .list(&GroupResource::new("example.org", "widgets"), &Query::all());
    assert!(left.unwrap().objects.is_empty());
}

#[test]
fn a_definition_waits_for_objects_that_something_holds() {
    let registry = registry();
    make(
        &registry,
        &json!({"name": "one", "finalizers": ["example.org/held"]}),
    )
    .unwrap();
    registry
        .delete(&definition(&registry), &DeleteOptions::default())
        .unwrap();
    let refusal = make(&registry, &json!({"name": "two"})).unwrap_err();
    assert_eq!(refusal.code, 405);
    let free = Change::Patch(PatchKind::Merge, json!({"metadata": {"finalizers": null}}));
    registry
        .change(&widget(&registry, "one"), &free, &WriteOptions::default())
        .unwrap();
    assert_eq!(registry.get(&definition(&registry)).unwrap_err().code, 404);
}

#[test]
fn an_object_of_the_past_is_shown_as_its_definition_is_now() {
    let registry = registry();
    make(&registry, &json!({"name": "one"})).unwrap();
    let size = json!({"type": "integer", "default": 3});
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size";
    let change = Change::Patch(
        PatchKind::Json,
        json!([{"op": "add", "path": path, "value": size}]),
    );
    registry
        .change(&definition(&registry), &change, &WriteOptions::default())
        .unwrap();
    let target = widget(&registry, "one");
    let stored = registry.get(&target).unwrap();
    assert!(stored.value()["spec"].get("size").is_none());
    let shown = target.resource.show(stored.clone());
    assert_eq!(shown.value()["spec"]["size"], 3);
    assert_eq!(shown.revision(), stored.revision());
}
