//! What is rendered is what a Kubernetes API takes: every sample, by server-side dry run. The embedded API is asked here, a real one by the
//! suite for clusters.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

use std::collections::BTreeSet;
use std::path::Path;

use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta};
use mwctl_core::manifest::{Object, render};
use mwctl_core::model::Stack;

use crate::scenarios::{resolve, scenarios};

/// The objects of a stack as they would be applied.
fn objects(stack: &Stack) -> Vec<Object> {
    let rendered = render(stack, &std::collections::BTreeMap::new(), "checkout");
    rendered.into_iter().map(Object::stamped).collect()
}

fn api(client: &Client, object: &Object) -> Api<DynamicObject> {
    let id = object.id();
    let types = TypeMeta {
        api_version: id.api_version,
        kind: id.kind,
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
    match &id.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Has everything that is rendered of every sample judged, and returns the namespaces that were made for it.
pub(crate) async fn judged(client: &Client) -> BTreeSet<String> {
    let mut namespaces = BTreeSet::new();
    let dry = PatchParams::apply("mwctl").dry_run();
    let mut kinds = BTreeSet::new();
    for file in scenarios("valid") {
        let stack = resolve(&file, &file.with_extension("")).unwrap();
        for object in objects(&stack) {
            let id = object.id();
            kinds.insert(id.kind.clone());
            // What is in a namespace needs it to be there.
            let wet = PatchParams::apply("mwctl");
            let parameters = if id.kind == "Namespace" {
                namespaces.insert(id.name.clone());
                &wet
            } else {
                &dry
            };
            let patch = Patch::Apply(object.to_value());
            let answer = api(client, &object)
                .patch(&id.name, parameters, &patch)
                .await;
            let name = Path::new(file.file_name().unwrap()).display().to_string();
            answer.unwrap_or_else(|error| panic!("{name}: {id}: {error}"));
        }
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    assert_eq!(
        kinds,
        [
            "ConfigMap",
            "CronJob",
            "DaemonSet",
            "Deployment",
            "Job",
            "LimitRange",
            "Namespace",
            "NetworkPolicy",
            "PersistentVolumeClaim",
            "PodDisruptionBudget",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
            "StatefulSet",
        ]
    );
    namespaces
}
