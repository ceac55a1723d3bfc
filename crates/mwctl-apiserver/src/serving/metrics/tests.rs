//! The group on a node whose meter says always the same.

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};

use super::*;
use crate::access::User;
use crate::backend::{
    Backend, Connection, ContainerRef, Log, LogOptions, Meter, PodRef, Process, Registration,
    Streams,
};
use crate::kinds;
use crate::registry::{Registry, Target, WriteOptions};
use crate::serving::Api;

struct Node(Option<NodeUsage>);

#[async_trait]
impl Backend for Node {
    async fn log(&self, _: &ContainerRef, _: &LogOptions) -> Result<Log, Status> {
        Err(no_page())
    }

    async fn exec(&self, _: &ContainerRef, _: &[String], _: Streams) -> Result<Process, Status> {
        Err(no_page())
    }

    async fn attach(&self, _: &ContainerRef, _: Streams) -> Result<Process, Status> {
        Err(no_page())
    }

    async fn connect(&self, _: &PodRef, _: u16) -> Result<Connection, Status> {
        Err(no_page())
    }

    fn meter(&self) -> Option<&dyn Meter> {
        Some(self)
    }
}

#[async_trait]
impl Meter for Node {
    async fn usage(&self) -> Result<NodeUsage, Status> {
        (self.0.clone()).ok_or_else(|| Status::internal("it measures nothing"))
    }
}

const AT: &str = "2026-01-01T00:00:00Z";

fn pod(name: &str, label: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": label}},
        "spec": {"nodeName": "n", "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}})
}

/// A cluster with the node `n`, on which both containers of the pod `p` run, and none of the pod `q`.
fn cluster() -> (Api, Registration) {
    let api = Api::new(Registry::new(kinds::builtin()).unwrap()).unwrap();
    let registry = api.registry();
    let create = |target: Target, body: Value| {
        let written = registry.create(&target, body, &WriteOptions::default());
        written.unwrap().object.uid().to_owned()
    };
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
    create(registry.core("nodes", "", "n").unwrap(), node);
    let [uid, _] = [("p", "one"), ("q", "two")].map(|(name, label)| {
        let target = registry.core("pods", "default", name).unwrap();
        create(target, pod(name, label))
    });
    let used = |processors, memory| Usage { processors, memory };
    let of = |name: &str| (uid.clone(), name.to_owned());
    let usage = NodeUsage {
        at: AT.parse().unwrap(),
        window: Duration::from_millis(1500),
        node: used(1_250_000_000, 3 << 30),
        containers: HashMap::from([
            (of("a"), used(250_000_001, 20 << 20)),
            (of("b"), used(0, 1_234_567)),
        ]),
    };
    let registration = api.backends().register("n", Arc::new(Node(Some(usage))));
    (api, registration)
}

async fn ask_as(api: &Api, user: User, path: &str) -> (u16, Value) {
    let mut request = Request::get(path).body(Full::<Bytes>::default()).unwrap();
    request.extensions_mut().insert(user);
    let answer = api.answer(request).await;
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap())
}

async fn ask(api: &Api, path: &str) -> (u16, Value) {
    let path = format!("/apis/metrics.k8s.io{path}");
    ask_as(api, User::admin(), &path).await
}

#[tokio::test]
async fn a_pod_and_a_node_are_told_as_a_metrics_server_tells_them() {
    let (api, _registration) = cluster();
    let (code, pod) = ask(&api, "/v1beta1/namespaces/default/pods/p").await;
    let expected = json!({
        "kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {"name": "p", "namespace": "default", "creationTimestamp": AT, "labels": {"app": "one"}},
        "timestamp": AT, "window": "1.5s",
        "containers": [
            {"name": "a", "usage": {"cpu": "250000001n", "memory": "20Mi"}},
            {"name": "b", "usage": {"cpu": "0", "memory": "1205Ki"}},
        ],
    });
    assert_eq!((code, pod), (200, expected));
    let (code, node) = ask(&api, "/v1beta1/nodes/n").await;
    let expected = json!({
        "kind": "NodeMetrics", "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {"name": "n", "creationTimestamp": AT},
        "timestamp": AT, "window": "1.5s", "usage": {"cpu": "1250m", "memory": "3Gi"},
    });
    assert_eq!((code, node), (200, expected));
}

#[tokio::test]
async fn lists_have_what_runs_and_are_selected_as_pods_are() {
    let (api, _registration) = cluster();
    for (query, expected) in [
        ("pods", 1),
        ("namespaces/default/pods?labelSelector=app%3Done", 1),
        ("pods?labelSelector=app%3Dtwo", 0),
        ("pods?fieldSelector=metadata.name%3Dp", 1),
        ("namespaces/kube-system/pods", 0),
        ("nodes", 1),
    ] {
        let (code, list) = ask(&api, &format!("/v1beta1/{query}")).await;
        assert_eq!(code, 200, "{query}: {list}");
        assert_eq!(list["items"].as_array().unwrap().len(), expected, "{query}");
    }
    let (_, list) = ask(&api, "/v1beta1/pods").await;
    assert_eq!(list["kind"], "PodMetricsList");
    assert_eq!(list["items"][0]["containers"][0]["name"], "a");
}

#[tokio::test]
async fn what_does_not_run_is_not_found() {
    let (api, _registration) = cluster();
    for name in ["q", "none"] {
        let (code, told) = ask(&api, &format!("/v1beta1/namespaces/default/pods/{name}")).await;
        let message = format!("podmetrics.metrics.k8s.io \"default/{name}\" not found");
        assert_eq!((code, &told["message"]), (404, &json!(message)));
    }
    for path in [
        "/v1beta1/pods/p",
        "/v1beta1/namespaces/default/nodes/n",
        "/v1/pods",
        "/v1beta1/things",
    ] {
        assert_eq!(ask(&api, path).await.0, 404, "{path}");
    }
    assert_eq!(ask(&api, "/v1beta1/pods?watch=true").await.0, 405);
}

#[tokio::test]
async fn the_group_is_there_while_a_node_measures() {
    let (api, registration) = cluster();
    let (code, list) = ask(&api, "/v1beta1").await;
    assert_eq!(code, 200);
    let names: Vec<&str> = (list["resources"].as_array().unwrap().iter())
        .map(|resource| resource["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["nodes", "pods"]);
    drop(registration);
    for path in ["", "/v1beta1", "/v1beta1/nodes"] {
        assert_eq!(ask(&api, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_node_that_cannot_measure_says_so() {
    let (api, registration) = cluster();
    drop(registration);
    let _registration = api.backends().register("n", Arc::new(Node(None)));
    assert_eq!(ask(&api, "/v1beta1/nodes").await.0, 500);
}

#[tokio::test]
async fn who_may_not_see_it_is_refused() {
    let (api, _registration) = cluster();
    let user = User::service_account("default", "nobody");
    let path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";
    let (code, told) = ask_as(&api, user, path).await;
    let message = "pods.metrics.k8s.io is forbidden: User \"system:serviceaccount:default:nobody\" cannot list resource \"pods\" in API group \"metrics.k8s.io\" in the namespace \"default\"";
    assert_eq!((code, &told["message"]), (403, &json!(message)));
}
