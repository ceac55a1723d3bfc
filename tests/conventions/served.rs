//! What is rendered is what a Kubernetes API takes: every sample, by server-side dry run.

use std::path::Path;

use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta};
use mwctl_core::manifest::{Object, render};
use mwctl_core::model::Stack;
use mwctl_testing::TestCluster;

/// The objects of a stack as they would be applied.
fn objects(stack: &Stack) -> Vec<Object> {
    let rendered = render(stack, &std::collections::BTreeMap::new(), "checkout");
    rendered.into_iter().map(Object::stamped).collect()
}

fn api(cluster: &TestCluster, object: &Object) -> Api<DynamicObject> {
    let id = object.id();
    let types = TypeMeta {
        api_version: id.api_version,
        kind: id.kind,
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
    match &id.namespace {
        Some(namespace) => Api::namespaced_with(cluster.client(), namespace, &resource),
        None => Api::all_with(cluster.client(), &resource),
    }
}

#[tokio::test]
async fn the_api_takes_everything_that_is_rendered() {
    let cluster = TestCluster::start().await.unwrap();
    let dry = PatchParams::apply("mwctl").dry_run();
    let mut kinds = std::collections::BTreeSet::new();
    for file in super::scenarios("valid") {
        let stack = super::resolve(&file, &file.with_extension("")).unwrap();
        for object in objects(&stack) {
            let id = object.id();
            kinds.insert(id.kind.clone());
            // What is in a namespace needs it to be there.
            let wet = PatchParams::apply("mwctl");
            let parameters = if id.kind == "Namespace" { &wet } else { &dry };
            let patch = Patch::Apply(object.to_value());
            let answer = api(&cluster, &object)
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
}
