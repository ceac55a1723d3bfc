//! Writes and deletes objects: server-side apply, and deletion of exactly what was seen.

use std::time::Duration;

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta};
use kube::runtime::wait::{await_condition, conditions};
use mwctl_core::manifest::{Object, ObjectId};
use serde_json::json;

use super::{Cluster, FIELD_MANAGER, Request, request};

/// The API of an object's kind, in its namespace.
pub(super) fn api(cluster: &Cluster, id: &ObjectId) -> Api<DynamicObject> {
    let resource = resource(id);
    match &id.namespace {
        Some(namespace) => Api::namespaced_with(cluster.client.clone(), namespace, &resource),
        None => Api::all_with(cluster.client.clone(), &resource),
    }
}

fn resource(id: &ObjectId) -> ApiResource {
    let types = TypeMeta {
        api_version: id.api_version.clone(),
        kind: id.kind.clone(),
    };
    // Our kinds are all built in, and their plurals regular.
    let kind = GroupVersionKind::try_from(&types)
        .unwrap_or_else(|_| GroupVersionKind::gvk("", "v1", &id.kind));
    ApiResource::from_gvk(&kind)
}

/// Applies an object, taking back fields that somebody else set.
pub async fn apply(cluster: &Cluster, object: &Object) -> Result<(), Request> {
    let id = object.id();
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let value = object.to_value();
    let api = api(cluster, &id);
    request(
        || format!("apply {id}"),
        api.patch(&id.name, &parameters, &Patch::Apply(&value)),
    )
    .await?;
    Ok(())
}

/// Deletes an object with all that it owns and waits until it is gone, at most `timeout`; one that
/// is gone already is fine.
pub async fn delete(cluster: &Cluster, id: &ObjectId, timeout: Duration) -> Result<(), Request> {
    let parameters = DeleteParams {
        // In the foreground: an object that is gone has no pods any more either.
        propagation_policy: Some(PropagationPolicy::Foreground),
        ..DeleteParams::default()
    };
    let api = api(cluster, id);
    match request(|| format!("delete {id}"), api.delete(&id.name, &parameters)).await {
        Ok(deletion) => {
            let Some(uid) = deletion.left().and_then(|object| object.metadata.uid) else {
                return Ok(());
            };
            let gone = await_condition(api, &id.name, conditions::is_deleted(&uid));
            match tokio::time::timeout(timeout, gone).await {
                Ok(Ok(_)) => Ok(()),
                // A watch that breaks doesn't mean that the deletion won't be done.
                Ok(Err(error)) => {
                    tracing::debug!("stopped waiting until {id} is gone: {error}");
                    Ok(())
                }
                Err(_) => Err(Request::Silent {
                    what: format!("delete {id}"),
                }),
            }
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes new pods of a workload that keeps pods running, as `kubectl rollout restart` does.
pub async fn restart(cluster: &Cluster, workload: &ObjectId) -> Result<(), Request> {
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let annotations = json!({ "kubectl.kubernetes.io/restartedAt": now });
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
    let api = api(cluster, workload);
    let parameters = PatchParams::default();
    request(
        || format!("restart {workload}"),
        api.patch(&workload.name, &parameters, &Patch::Merge(&patch)),
    )
    .await?;
    Ok(())
}
