//! The document of one group and version: what can be asked of which path, and the types of its kinds.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::components;
use crate::schema::{Gvk, Resource, Schema};

/// Where the resources of a group and a version are: `/apis/apps/v1`.
pub(super) fn base(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    }
}

/// The document.
pub(super) fn document(schemas: &[Arc<Schema>], group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut components = Map::new();
    let mut release = "";
    for schema in schemas {
        let mut kinds = Vec::new();
        for resource in &schema.resources {
            if resource.gvk.group == group && resource.gvk.version == version {
                describe(resource, &mut paths);
                kinds.push(resource.gvk.clone());
                kinds.push(Gvk {
                    kind: format!("{}List", resource.gvk.kind),
                    ..resource.gvk.clone()
                });
                kinds.extend(resource.subresources.iter().map(|sub| sub.gvk.clone()));
            }
        }
        if !kinds.is_empty() {
            release = release.max(&schema.version);
            define(schema, &kinds, &mut components);
        }
    }
    let mut numbers = release.trim_start_matches('v').splitn(3, '.');
    let release: Vec<&str> = numbers.by_ref().take(2).collect();
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": release.join(".")},
        "paths": paths,
        "components": {"schemas": components},
    })
}

/// The types of these kinds, and the types in them.
fn define(schema: &Schema, kinds: &[Gvk], components: &mut Map<String, Value>) {
    let mut next: Vec<_> = kinds.iter().filter_map(|gvk| schema.kind(gvk)).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = next.pop() {
        if seen.insert(id.0) {
            let (value, inner) = components::structure(schema, id);
            components.insert(schema.structure(id).name.clone(), value);
            next.extend(inner);
        }
    }
    for (name, value) in components::leaves() {
        components.insert(name.to_owned(), value);
    }
}

/// The paths of a resource and of what is below its objects.
fn describe(resource: &Resource, paths: &mut Map<String, Value>) {
    let base = base(&resource.gvk.group, &resource.gvk.version);
    let plural = &resource.plural;
    let collection = if resource.namespaced {
        let everywhere = operations(&resource.gvk, &resource.verbs, &[("list", "get", "list")]);
        insert(paths, format!("{base}/{plural}"), everywhere);
        format!("{base}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("{base}/{plural}")
    };
    let on_collection = [
        ("list", "get", "list"),
        ("create", "post", "post"),
        ("deletecollection", "delete", "deletecollection"),
    ];
    insert(
        paths,
        collection.clone(),
        operations(&resource.gvk, &resource.verbs, &on_collection),
    );

    let on_object = [
        ("get", "get", "get"),
        ("update", "put", "put"),
        ("patch", "patch", "patch"),
        ("delete", "delete", "delete"),
    ];
    let object = format!("{collection}/{{name}}");
    insert(
        paths,
        object.clone(),
        operations(&resource.gvk, &resource.verbs, &on_object),
    );

    let below = [&on_object[..], &[("create", "post", "post")]].concat();
    for sub in &resource.subresources {
        let item = operations(&sub.gvk, &sub.verbs, &below);
        insert(paths, format!("{object}/{}", sub.name), item);
    }
}

fn insert(paths: &mut Map<String, Value>, path: String, mut item: Map<String, Value>) {
    if item.is_empty() {
        return;
    }
    let within: Vec<Value> = ["name", "namespace"]
        .into_iter()
        .filter(|name| path.contains(&format!("{{{name}}}")))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    if !within.is_empty() {
        item.insert("parameters".to_owned(), Value::Array(within));
    }
    paths.insert(path, Value::Object(item));
}

/// The operations behind those verbs that are served: verb, method and what Kubernetes calls it.
fn operations(gvk: &Gvk, served: &[String], known: &[(&str, &str, &str)]) -> Map<String, Value> {
    let mut item = Map::new();
    for (verb, method, action) in known {
        if served.iter().any(|serves| serves == verb) {
            item.insert((*method).to_owned(), operation(gvk, action));
        }
    }
    item
}

fn operation(gvk: &Gvk, action: &str) -> Value {
    let parameters: &[&str] = match action {
        "post" | "put" => &["dryRun", "fieldManager", "fieldValidation"],
        "patch" => &["dryRun", "fieldManager", "fieldValidation", "force"],
        "delete" => &[
            "dryRun",
            "gracePeriodSeconds",
            "orphanDependents",
            "propagationPolicy",
        ],
        "list" | "deletecollection" => &[
            "continue",
            "fieldSelector",
            "labelSelector",
            "limit",
            "resourceVersion",
            "resourceVersionMatch",
        ],
        _ => &[],
    };
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": gvk.group, "kind": gvk.kind, "version": gvk.version},
    })
}
