//! Pods that an earlier run of the node left as they were: nothing of them runs, whatever their status says. Before anybody is told that the
//! node is there, they are unready; what they do now is said by their own tasks.

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::context::Context;

/// So many are written at once.
const AT_ONCE: usize = 8;

/// Says of all pods of the node that they aren't ready.
pub(super) async fn make_unready(context: &Context) -> Result<(), kube::Error> {
    let all: Api<Pod> = Api::all(context.client.clone());
    let bound = ListParams::default().fields(&format!("spec.nodeName={}", context.options.name));
    let pods = all.list(&bound).await?.items;
    let patches = pods.iter().filter_map(|pod| Some((pod, unready(pod)?)));
    let written = stream::iter(patches.map(|(pod, patch)| async move {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let (parameters, patch) = (PatchParams::default(), Patch::Strategic(patch));
        let written = api.patch_status(name, &parameters, &patch).await;
        if let Err(error) = written {
            tracing::debug!("a pod of an earlier run still looks ready: {error}");
        }
    }));
    written.buffer_unordered(AT_ONCE).collect::<()>().await;
    Ok(())
}

/// What its status is to say; nothing where it doesn't look ready.
fn unready(pod: &Pod) -> Option<Value> {
    let status = pod.status.as_ref()?;
    let conditions: Vec<Value> = (status.conditions.iter().flatten())
        .filter(|it| matches!(it.type_.as_str(), "Ready" | "ContainersReady"))
        .filter(|it| it.status == "True")
        .map(|it| json!({"type": it.type_, "status": "False", "reason": "ContainersNotReady"}))
        .collect();
    let containers: Vec<Value> = (status.container_statuses.iter().flatten())
        .filter(|it| it.ready)
        .map(|it| json!({"name": it.name, "ready": false}))
        .collect();
    let is_over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let says_so = !conditions.is_empty() || !containers.is_empty();
    (says_so && !is_over).then(|| {
        json!({
            "metadata": {"uid": pod.metadata.uid},
            "status": {"conditions": conditions, "containerStatuses": containers},
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: &Value) -> Pod {
        let pod = json!({"metadata": {"name": "a", "uid": "u"}, "status": status});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn what_looks_ready_is_made_unready_and_nothing_else() {
        let ready = |status: &str| json!({"type": "Ready", "status": status});
        let container = |ready: bool| json!({"name": "c", "image": "i", "imageID": "", "ready": ready, "restartCount": 0});
        let status = json!({"phase": "Running", "conditions": [ready("True"), {"type": "Initialized", "status": "True"}],
            "containerStatuses": [container(true)]});
        let patch = unready(&pod(&status)).unwrap();
        assert_eq!(
            patch["status"],
            json!({"conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
                "containerStatuses": [{"name": "c", "ready": false}]})
        );
        assert_eq!(patch["metadata"]["uid"], "u");
        let status =
            json!({"conditions": [ready("False")], "containerStatuses": [container(false)]});
        assert_eq!(unready(&pod(&status)), None);
        let over = json!({"phase": "Succeeded", "conditions": [ready("True")]});
        assert_eq!(unready(&pod(&over)), None);
        assert_eq!(unready(&pod(&json!({}))), None);
    }
}
