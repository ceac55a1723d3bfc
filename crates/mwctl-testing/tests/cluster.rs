//! What a test author gets.

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config};
use mwctl_testing::{Options, TestCluster};
use serde_json::json;

fn deployment(replicas: i32) -> Deployment {
    let labels = json!({"app": "web"});
    serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    }))
    .expect("a Deployment")
}

#[tokio::test]
async fn a_deployment_gets_its_pods_and_they_run_when_that_is_simulated() {
    let cluster = Options::default().simulate_pods().start().await.unwrap();
    let namespace = cluster.namespace().await.unwrap();
    assert_eq!(
        namespace,
        "a-deployment-gets-its-pods-and-they-run-when-that-is-simulated"
    );
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), &namespace);
    let parameters = PostParams::default();
    deployments
        .create(&parameters, &deployment(3))
        .await
        .unwrap();
    let complete = conditions::is_deployment_completed();
    await_condition(deployments, "web", complete).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    let pods = pods.list(&ListParams::default()).await.unwrap();
    let phases = pods
        .iter()
        .map(|pod| pod.status.as_ref().unwrap().phase.clone().unwrap());
    assert_eq!(phases.collect::<Vec<_>>(), ["Running"; 3]);
}

#[tokio::test]
async fn without_simulation_a_pod_waits_and_says_why() {
    let cluster = TestCluster::start().await.unwrap();
    let namespace = cluster.namespace().await.unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
    let spec = json!({"containers": [{"name": "a", "image": "a"}]});
    let pod = serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let unschedulable = |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        let conditions = status.and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| {
            all.iter().any(|condition| {
                condition.reason.as_deref() == Some("Unschedulable")
                    && condition.message.as_deref() == Some("no nodes available to schedule pods")
            })
        })
    };
    await_condition(pods, "a", unschedulable).await.unwrap();
}

#[tokio::test]
async fn another_program_reaches_it_through_the_kubeconfig() {
    let cluster = Options::default()
        .without_controllers()
        .start()
        .await
        .unwrap();
    let namespace = cluster.namespace().await.unwrap();
    let path = cluster.kubeconfig().await.unwrap();
    let read = Kubeconfig::read_from(path).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(read, &options);
    let theirs = Client::try_from(config.await.unwrap()).unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(theirs, &namespace);

    let mine: Api<ConfigMap> = Api::namespaced(cluster.client(), &namespace);
    let events = mine.watch(&WatchParams::default(), "0").await.unwrap();
    let map =
        serde_json::from_value(json!({"metadata": {"name": "m"}, "data": {"k": "v"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let event = std::pin::pin!(events).next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Added(map) if map.metadata.name.as_deref() == Some("m")));
}

#[tokio::test]
async fn manifests_come_from_files() {
    let cluster = TestCluster::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.yaml");
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n---\n\
        apiVersion: v1\nkind: Namespace\nmetadata: {name: two}\n";
    std::fs::write(&file, text).unwrap();
    cluster.apply(&file).await.unwrap();
    let namespace = cluster.namespace().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), &namespace);
    assert!(maps.get("one").await.is_ok());

    std::fs::write(
        &file,
        "apiVersion: v1\nkind: ConfigMpa\nmetadata: {name: one}\n",
    )
    .unwrap();
    let refused = cluster.apply(&file).await.unwrap_err();
    assert!(
        refused.to_string().contains("ConfigMpa one is refused"),
        "{refused}"
    );
}
