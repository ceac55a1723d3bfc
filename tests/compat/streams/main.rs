//! Logs, commands, copies and forwarded ports, as foreign clients ask for them: kube-rs and `kubectl` on a server whose only node is one of
//! this test, which starts processes of this machine. What a real node does with them is tested where nodes are.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]
#![expect(
    clippy::disallowed_methods,
    reason = "the node of this test starts processes, and the clients are programs under test"
)]

mod kube_rs;
#[cfg(feature = "kubectl")]
mod kubectl;
mod node;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use mwctl_apiserver::backend::Registration;
use mwctl_apiserver::server::Server;
use serde_json::json;

use node::Node;

/// A server with a pod `p` on a node; its containers are `main` and `side`.
async fn server() -> (Server, Registration) {
    let server = Server::new().unwrap();
    let registration = server.api().backends().register("here", Arc::new(Node));
    let pods: Api<Pod> = Api::default_namespaced(server.client());
    let container = |name: &str| json!({"name": name, "image": "none"});
    for (name, node) in [("p", "here"), ("q", "elsewhere"), ("r", "")] {
        let containers = match name {
            "p" => vec![container("main"), container("side")],
            _ => vec![container("main")],
        };
        let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": node, "containers": containers}});
        let pod = serde_json::from_value(pod).unwrap();
        pods.create(&PostParams::default(), &pod).await.unwrap();
    }
    let running = json!({"status": {"phase": "Running"}});
    pods.patch_status("p", &PatchParams::default(), &Patch::Merge(running))
        .await
        .unwrap();
    (server, registration)
}
