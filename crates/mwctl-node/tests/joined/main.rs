//! The node at a control plane that isn't ours: it registers with the real Kubernetes of the test bed, whose controllers and scheduler
//! give it work. `tests/compat/joined/run` starts the bed.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

#[path = "../pods/parts.rs"]
#[allow(dead_code, reason = "its network is for pods that are alone")]
mod parts;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Node as NodeObject, Pod, Service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{Condition, await_condition, conditions};
use kube::{Api, Client, Config};
use mwctl_container::Runtime;
use mwctl_node::attachment::Routed;
use mwctl_node::network::{Config as NetworkConfig, Network, watch};
use mwctl_node::{Node, Options};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The node's name, and the namespace's.
const NAME: &str = "joined";
/// Nothing here takes as long: what does is stuck.
const LONGEST: std::time::Duration = std::time::Duration::from_mins(2);

#[expect(
    clippy::disallowed_methods,
    reason = "the environment says where the test bed is"
)]
async fn bed() -> Client {
    let path = std::env::var_os("MWCTL_TEST_KUBECONFIG").expect("tests/compat/joined/run sets it");
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let context = kubeconfig.current_context.as_deref().unwrap();
    assert!(
        context.starts_with("mwctl-test-"),
        "{context} is no test bed's"
    );
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.unwrap();
    NAME.clone_into(&mut config.default_namespace);
    Client::try_from(config).unwrap()
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A pod that only our node runs.
fn pod(script: &str, more: Value) -> Value {
    let mut container = json!({"name": "main", "image": "mwctl.local/host",
        "imagePullPolicy": "IfNotPresent", "command": ["python3", "-c", script]});
    container
        .as_object_mut()
        .unwrap()
        .extend(read::<serde_json::Map<_, _>>(more));
    json!({"nodeSelector": {"kubernetes.io/hostname": NAME}, "containers": [container],
        "terminationGracePeriodSeconds": 0, "restartPolicy": "Always"})
}

async fn create<K>(client: &Client, object: Value)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + serde::Serialize
        + std::fmt::Debug,
{
    let api: Api<K> = Api::default_namespaced(client.clone());
    api.create(&PostParams::default(), &read(object))
        .await
        .unwrap();
}

async fn becomes<K>(api: Api<K>, name: &str, condition: impl Condition<K>)
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    let met = tokio::time::timeout(LONGEST, await_condition(api.clone(), name, condition)).await;
    if let Ok(met) = met {
        return drop(met.unwrap());
    }
    panic!("it stays so: {:#?}", api.get_opt(name).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_control_plane_has_its_pods_run_here() {
    let client = bed().await;
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::start(mwctl_container::Options::default())
        .await
        .unwrap();
    let network = Network::start(NetworkConfig::default(), watch::cluster(&client))
        .await
        .unwrap();
    let options = Options {
        name: NAME.to_owned(),
        logs: folder.path().join("logs"),
        mountable: Vec::new(),
        checkouts: None,
        empty: folder.path().join("empty"),
        written: None,
    };
    let networks = Arc::new(Routed::new(network, runtime.clone()));
    let images = Arc::new(parts::HostImage);
    let node = Node::start(client.clone(), runtime, images, networks, options)
        .await
        .unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = read(json!({"metadata": {"name": NAME}}));
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();

    // The cluster's controllers make its pods, its scheduler gives them to this node, whose word on them it takes.
    let server =
        "import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port=8000)";
    let probed = json!({"ports": [{"containerPort": 8000}],
        "readinessProbe": {"httpGet": {"port": 8000}, "periodSeconds": 1}});
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod(server, probed)});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": labels}, "template": template});
    create::<Deployment>(&client, json!({"metadata": {"name": "web"}, "spec": spec})).await;
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let available = |count: i32| {
        move |deployment: Option<&Deployment>| {
            let status = deployment.and_then(|it| it.status.as_ref());
            let number = status
                .and_then(|it| it.available_replicas)
                .unwrap_or_default();
            number == count && status.is_some_and(|it| it.replicas == Some(count))
        }
    };
    becomes(deployments.clone(), "web", available(2)).await;

    // Its controllers' EndpointSlices are what this node's network goes by.
    let service = json!({"selector": labels, "ports": [{"port": 80, "targetPort": 8000}]});
    create::<Service>(
        &client,
        json!({"metadata": {"name": "web"}, "spec": service}),
    )
    .await;
    let asks = "import time, urllib.request\nfor _ in range(300):\n  try: urllib.request.urlopen('http://web/', timeout=1); break\n  \
        except OSError: time.sleep(0.1)\nelse: raise SystemExit('nobody answers')";
    let mut asking = pod(asks, json!({}));
    asking["restartPolicy"] = json!("Never");
    let job = json!({"backoffLimit": 0, "template": {"spec": asking}});
    create::<Job>(&client, json!({"metadata": {"name": "asks"}, "spec": job})).await;
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    becomes(jobs, "asks", conditions::is_job_completed()).await;

    // Fewer, and none: what ends here is gone there.
    let fewer = Patch::Merge(json!({"spec": {"replicas": 1}}));
    deployments
        .patch("web", &PatchParams::default(), &fewer)
        .await
        .unwrap();
    becomes(deployments.clone(), "web", available(1)).await;
    namespaces
        .delete(NAME, &DeleteParams::default())
        .await
        .unwrap();
    becomes(namespaces, NAME, |namespace: Option<&Namespace>| {
        namespace.is_none()
    })
    .await;
    let pods: Api<Pod> = Api::all(client.clone());
    let left = ListParams::default().fields(&format!("spec.nodeName={NAME}"));
    assert_eq!(pods.list(&left).await.unwrap().items.len(), 0);
    drop(node);
    let nodes: Api<NodeObject> = Api::all(client);
    nodes.delete(NAME, &DeleteParams::default()).await.unwrap();
}
