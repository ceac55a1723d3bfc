//! A cluster with one node of this machine.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::api::{DeleteParams, PostParams};
use kube::runtime::wait::{Condition, await_condition};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use mwctl_container::Runtime;
use mwctl_node::log::Query;
use mwctl_node::streams::Place;
use mwctl_node::{Node, Options};
use mwctl_testing::TestCluster;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::parts::{HostImage, LoopbackOnly};

/// Nothing here takes as long: what does is stuck.
const LONGEST: std::time::Duration = std::time::Duration::from_mins(1);

pub(crate) struct Stage {
    pub(crate) node: Node,
    pub(crate) runtime: Runtime,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) folder: TempDir,
    _cluster: TestCluster,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::whose_node_asks(|cluster| cluster).await
    }

    /// With what the node takes for the cluster.
    pub(crate) async fn whose_node_asks(other: impl FnOnce(Client) -> Client) -> Self {
        let cluster = TestCluster::start().await.unwrap();
        let namespace = cluster.namespace().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mountable = folder.path().join("mountable");
        std::fs::create_dir(&mountable).unwrap();
        let runtime = Runtime::start(mwctl_container::Options::default())
            .await
            .unwrap();
        let networks = Arc::new(LoopbackOnly::new(runtime.clone()));
        let options = Options {
            name: "here".to_owned(),
            logs: folder.path().join("logs"),
            mountable: vec![mountable],
            checkouts: Some(folder.path().join("links")),
            empty: folder.path().join("empty"),
            written: Some(folder.path().join("written")),
        };
        let client = cluster.client();
        // Every pod mounts it: one that is earlier is told so, and tries again.
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let there = await_condition(maps, "kube-root-ca.crt", |map: Option<&ConfigMap>| {
            map.is_some()
        });
        there.await.unwrap();
        let node = Node::start(
            other(client.clone()),
            runtime.clone(),
            Arc::new(HostImage),
            networks,
            options,
        )
        .await
        .unwrap();
        Self {
            node,
            runtime,
            client,
            namespace,
            folder,
            _cluster: cluster,
        }
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn create(&self, name: &str, spec: Value) -> Pod {
        let pod = json!({"metadata": {"name": name}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        self.pods()
            .create(&PostParams::default(), &pod)
            .await
            .unwrap()
    }

    /// A pod with one container that runs a script.
    pub(crate) async fn script(&self, name: &str, script: &str, policy: &str) -> Pod {
        self.create(
            name,
            json!({"restartPolicy": policy, "containers": [shell("main", script)]}),
        )
        .await
    }

    pub(crate) async fn wait(&self, name: &str, condition: impl Condition<Pod>) -> Pod {
        let met = await_condition(self.pods(), name, condition);
        if let Ok(met) = tokio::time::timeout(LONGEST, met).await {
            return met.unwrap().unwrap();
        }
        let status = self.pods().get(name).await.map(|pod| pod.status);
        panic!("it stays so: {status:#?}");
    }

    pub(crate) async fn phase(&self, name: &str, phase: &'static str) -> Pod {
        self.wait(name, move |pod: Option<&Pod>| phase_of(pod) == Some(phase))
            .await
    }

    pub(crate) async fn gone(&self, name: &str) {
        await_condition(self.pods(), name, |pod: Option<&Pod>| pod.is_none())
            .await
            .unwrap();
    }

    pub(crate) async fn delete(&self, name: &str, grace: u32) {
        self.pods()
            .delete(name, &DeleteParams::default().grace_period(grace))
            .await
            .unwrap();
    }

    pub(crate) fn place(&self, pod: &Pod, container: &str) -> Place {
        Place {
            namespace: self.namespace.clone(),
            pod: pod.name_any(),
            uid: pod.uid().unwrap(),
            container: container.to_owned(),
        }
    }

    pub(crate) async fn log_of(&self, pod: &Pod, container: &str, query: Query) -> String {
        let pieces = self
            .node
            .streams()
            .log(&self.place(pod, container), query)
            .await
            .unwrap();
        let pieces: Vec<_> = pieces.collect().await;
        let bytes: Vec<u8> = pieces
            .into_iter()
            .flat_map(|piece| piece.unwrap().to_vec())
            .collect();
        String::from_utf8(bytes).unwrap()
    }

    pub(crate) async fn log(&self, pod: &Pod) -> String {
        self.log_of(pod, "main", Query::default()).await
    }

    /// Waits for an event of a pod.
    pub(crate) async fn told(&self, name: &str, reason: &str) {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let config = watcher::Config::default().fields(&format!("involvedObject.name={name}"));
        let mut events = pin!(watcher(events, config).applied_objects());
        loop {
            let event = events.try_next().await.unwrap().unwrap();
            if event.reason.as_deref() == Some(reason) {
                return;
            }
        }
    }

    /// Waits until there are events of a pod with all of these reasons, and gives the reasons of all that are there, sorted.
    pub(crate) async fn reasons(&self, name: &str, awaited: &[&str]) -> BTreeSet<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let config = watcher::Config::default().fields(&format!("involvedObject.name={name}"));
        let mut told = pin!(watcher(events, config).applied_objects());
        let mut reasons = BTreeSet::new();
        while !awaited.iter().all(|awaited| reasons.contains(*awaited)) {
            let next = tokio::time::timeout(LONGEST, told.try_next()).await;
            let event = next.unwrap_or_else(|_| panic!("there are only {reasons:?}"));
            reasons.extend(event.unwrap().unwrap().reason);
        }
        reasons
    }
}

pub(crate) fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "mwctl.local/host", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]})
}

pub(crate) fn phase_of(pod: Option<&Pod>) -> Option<&str> {
    pod?.status.as_ref()?.phase.as_deref()
}

/// Whether a pod is ready.
pub(crate) fn ready(pod: Option<&Pod>) -> bool {
    let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// How often a pod's first container was started again.
pub(crate) fn restarts(pod: Option<&Pod>) -> i32 {
    let status = pod.and_then(|pod| {
        pod.status
            .as_ref()?
            .container_statuses
            .as_ref()?
            .first()
            .cloned()
    });
    status
        .map(|status| status.restart_count)
        .unwrap_or_default()
}
