//! Containers that are added to a pod that runs, to look into it, as `kubectl debug` does.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::stage::{Stage, shell};

/// Adds one.
async fn add(stage: &Stage, pod: &str, container: Value) {
    let patch = json!({"spec": {"ephemeralContainers": [container]}});
    stage
        .pods()
        .patch_ephemeral_containers(pod, &PatchParams::default(), &Patch::Strategic(patch))
        .await
        .unwrap();
}

fn status<'a>(pod: Option<&'a Pod>, name: &str) -> Option<&'a ContainerStatus> {
    let statuses = pod?.status.as_ref()?.ephemeral_container_statuses.as_ref();
    statuses?.iter().find(|status| status.name == name)
}

fn ended(pod: Option<&Pod>, name: &str) -> bool {
    let state = status(pod, name).and_then(|status| status.state.as_ref());
    state.is_some_and(|state| state.terminated.is_some())
}

#[tokio::test]
async fn it_sees_the_processes_and_the_network_of_the_container_it_is_for() {
    let stage = Stage::new().await;
    let mut container = shell("main", "exec -a looked-for sleep 1000");
    container["command"][0] = json!("bash");
    container["volumeMounts"] = json!([{"name": "v", "mountPath": "/shared"}]);
    let spec = json!({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]});
    stage.create("p", spec).await;
    stage.phase("p", "Running").await;
    let script = "until tr '\\0' ' ' < /proc/1/cmdline | grep looked-for; do sleep 0.01; done; \
        ls /shared && hostname";
    let mut debugger = shell("debugger", script);
    debugger["targetContainerName"] = json!("main");
    debugger["volumeMounts"] = json!([{"name": "v", "mountPath": "/shared"}]);
    add(&stage, "p", debugger).await;
    let pod = stage
        .wait("p", |pod: Option<&Pod>| ended(pod, "debugger"))
        .await;
    let query = mwctl_node::log::Query::default();
    let log = stage.log_of(&pod, "debugger", query).await;
    assert_eq!(log, "looked-for 1000 \np\n");
    let main = &pod.status.unwrap().container_statuses.unwrap()[0];
    assert_eq!((main.restart_count, main.ready), (0, true));
    stage.delete("p", 0).await;
    stage.gone("p").await;
}

#[tokio::test]
async fn what_it_may_not_is_said_and_leaves_the_pod_alone() {
    let stage = Stage::new().await;
    stage.script("p", "exec sleep 1000", "Always").await;
    stage.phase("p", "Running").await;
    let mut debugger = shell("debugger", "true");
    debugger["securityContext"] = json!({"privileged": true});
    add(&stage, "p", debugger).await;
    let waits = |pod: Option<&Pod>| {
        let waiting = status(pod, "debugger").and_then(|it| it.state.as_ref()?.waiting.as_ref());
        let message = waiting.and_then(|waiting| waiting.message.as_deref());
        message.is_some_and(|message| message.contains("nothing of the machine itself"))
    };
    let pod = stage.wait("p", waits).await;
    let main = &pod.status.unwrap().container_statuses.unwrap()[0];
    assert!(main.ready);
}
