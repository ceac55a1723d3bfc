//! What a node doesn't do, and says.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use serde_json::json;

use crate::stage::{Stage, shell};

/// Why the first container waits.
fn waits(pod: Option<&Pod>) -> Option<String> {
    let status = pod?.status.as_ref()?.container_statuses.as_ref()?.first()?;
    status.state.as_ref()?.waiting.as_ref()?.reason.clone()
}

#[tokio::test]
async fn what_would_be_part_of_the_machine_fails_with_a_reason() {
    let stage = Stage::new().await;
    let mut container = shell("main", "true");
    container["securityContext"] = json!({"privileged": true});
    stage
        .create("privileged", json!({"containers": [container]}))
        .await;
    let pod = stage.phase("privileged", "Failed").await;
    let status = pod.status.unwrap();
    assert_eq!(status.reason.as_deref(), Some("NotPermitted"));
    assert!(
        status
            .message
            .unwrap()
            .contains("securityContext.privileged")
    );
    stage.delete("privileged", 30).await;
    stage.gone("privileged").await;
}

#[tokio::test]
async fn an_image_that_is_not_there_is_waited_for() {
    let stage = Stage::new().await;
    let container = json!({"name": "main", "image": "registry.invalid/none:1"});
    stage
        .create("none", json!({"containers": [container]}))
        .await;
    stage
        .wait("none", |pod: Option<&_>| {
            waits(pod).as_deref() == Some("ErrImagePull")
        })
        .await;
    stage.reasons("none", &["Failed"]).await;
    stage.delete("none", 30).await;
    stage.gone("none").await;
}

#[tokio::test]
async fn a_missing_config_map_is_named() {
    let stage = Stage::new().await;
    let mut container = shell("main", "true");
    container["envFrom"] = json!([{"configMapRef": {"name": "nowhere"}}]);
    stage
        .create("unset", json!({"containers": [container]}))
        .await;
    let config = "CreateContainerConfigError";
    let pod = stage
        .wait("unset", move |pod: Option<&_>| {
            waits(pod).as_deref() == Some(config)
        })
        .await;
    let status = &pod.status.unwrap().container_statuses.unwrap()[0];
    let message = status
        .state
        .as_ref()
        .unwrap()
        .waiting
        .as_ref()
        .unwrap()
        .message
        .clone()
        .unwrap();
    assert_eq!(message, "configmap \"nowhere\" not found");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_end_with_a_reason() {
    let stage = Stage::new().await;
    let container = json!({"name": "main", "image": "mwctl.local/host", "command": ["nosuch"]});
    stage
        .create(
            "nosuch",
            json!({"restartPolicy": "Never", "containers": [container]}),
        )
        .await;
    let pod = stage.phase("nosuch", "Failed").await;
    let ended = pod.status.unwrap().container_statuses.unwrap()[0]
        .state
        .clone()
        .unwrap()
        .terminated
        .unwrap();
    assert_eq!(
        (ended.exit_code, ended.reason.as_deref()),
        (128, Some("StartError"))
    );
    assert!(ended.message.unwrap().contains("nosuch"));
}

#[tokio::test]
async fn the_node_says_what_it_lacks() {
    let stage = Stage::new().await;
    let nodes: Api<Node> = Api::all(stage.client.clone());
    let conditions = nodes
        .get("here")
        .await
        .unwrap()
        .status
        .unwrap()
        .conditions
        .unwrap();
    let lacking = conditions
        .iter()
        .filter(|condition| condition.type_.ends_with("Lacking"))
        .count();
    assert_eq!(lacking, stage.runtime.lacks().len());
    assert!(
        conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    );
}

#[tokio::test]
async fn a_port_of_the_node_is_one_pods_alone() {
    let stage = Stage::new().await;
    let pod = || {
        let mut container = shell("main", "exec sleep 1000");
        container["ports"] = json!([{"containerPort": 80, "hostPort": 18080}]);
        // Without the scheduler, which wouldn't send a second one.
        json!({"nodeName": "here", "terminationGracePeriodSeconds": 0, "containers": [container]})
    };
    stage.create("first", pod()).await;
    stage.phase("first", "Running").await;
    stage.create("second", pod()).await;
    let refused = stage.phase("second", "Failed").await.status.unwrap();
    assert_eq!(refused.reason.as_deref(), Some("NodePorts"));
    // It is free again when the first one is gone.
    stage.delete("first", 0).await;
    stage.gone("first").await;
    stage.create("third", pod()).await;
    stage.phase("third", "Running").await;
}
