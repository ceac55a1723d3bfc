//! A namespace of a test's own in the cluster that the environment names.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Namespace, Node, Pod};
use kube::api::{AttachParams, DeleteParams, ListParams, LogParams, PostParams};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

/// Nothing here takes as long, also where a processor is emulated: what does is stuck.
const LONGEST: Duration = Duration::from_mins(3);

pub(crate) struct Space {
    client: Client,
    name: String,
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the judge says of the machine"
)]
pub(crate) fn said(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} isn't set: see the head of main.rs"))
}

/// A container of busybox's commands that runs a script.
pub(crate) fn shell(script: &str, more: Value) -> Value {
    let mut container = json!({"name": "main", "image": said("MWCTL_SMOKE_IMAGE"), "command": ["sh", "-c", script]});
    let Value::Object(more) = more else {
        panic!("fields of a container, not {more}")
    };
    container.as_object_mut().unwrap().extend(more);
    container
}

/// A container of this machine's own commands that runs a script, and has `curl`.
pub(crate) fn machine(script: &str) -> Value {
    json!({"name": "main", "image": "mwctl.local/host", "command": ["sh", "-c", script]})
}

impl Space {
    /// A new namespace, whose pods can be made: they have an account.
    pub(crate) async fn new(name: &str) -> Self {
        let client = Client::try_default().await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let new = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        namespaces
            .create(&PostParams::default(), &new)
            .await
            .unwrap();
        Self {
            client,
            name: name.to_owned(),
        }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub(crate) async fn create<K>(&self, name: &str, mut object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        object["metadata"]["name"] = json!(name);
        let object = serde_json::from_value(object).unwrap();
        self.api()
            .create(&PostParams::default(), &object)
            .await
            .unwrap()
    }

    /// A pod with one container, which isn't started again.
    pub(crate) async fn pod(&self, name: &str, container: Value) {
        let spec = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]});
        self.create::<Pod>(
            name,
            json!({"metadata": {"labels": {"name": name}}, "spec": spec}),
        )
        .await;
    }

    pub(crate) async fn becomes<K>(&self, name: &str, condition: impl Condition<K>) -> Option<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let api: Api<K> = self.api();
        let met = await_condition(api.clone(), name, condition);
        if let Ok(met) = tokio::time::timeout(LONGEST, met).await {
            return met.unwrap();
        }
        panic!("{name} stays so: {:#?}", api.get_opt(name).await);
    }

    pub(crate) async fn runs(&self, pod: &str) {
        self.becomes(pod, |pod: Option<&Pod>| {
            let phase = pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref());
            phase == Some("Running")
        })
        .await;
    }

    /// How the only container of a pod ended, when it has.
    pub(crate) async fn ended(&self, pod: &str) -> ContainerStateTerminated {
        let over = |pod: Option<&Pod>| {
            let phase = pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        let pod = self.becomes(pod, over).await.unwrap();
        let containers = pod.status.unwrap().container_statuses.unwrap();
        let state = containers.into_iter().next().unwrap().state.unwrap();
        state.terminated.unwrap()
    }

    /// What a pod wrote that ran to its end.
    pub(crate) async fn output(&self, pod: &str) -> String {
        let code = self.ended(pod).await.exit_code;
        let pods: Api<Pod> = self.api();
        let out = pods.logs(pod, &LogParams::default()).await.unwrap();
        assert_eq!(code, 0, "{pod}: {out}");
        out
    }

    /// What a command in a running pod wrote.
    pub(crate) async fn exec(&self, pod: &str, command: &[&str]) -> String {
        let pods: Api<Pod> = self.api();
        let parameters = AttachParams::default().stderr(false);
        let process = pods.exec(pod, command.iter().copied(), &parameters).await;
        // Held until all has been read: what it carries goes with it.
        let mut process = process.unwrap();
        let mut out = String::new();
        let mut stdout = process.stdout().unwrap();
        stdout.read_to_string(&mut out).await.unwrap();
        out
    }

    /// The conditions of the node that hold.
    pub(crate) async fn conditions(&self) -> Vec<String> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let nodes = nodes.list(&ListParams::default()).await.unwrap();
        let conditions = nodes.items.into_iter().next().unwrap().status.unwrap();
        let conditions = conditions.conditions.unwrap().into_iter();
        conditions
            .filter(|condition| condition.status == "True")
            .map(|condition| condition.type_)
            .collect()
    }

    /// Deletes the namespace, and is back when nothing is left of it.
    pub(crate) async fn end(self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .delete(&self.name, &DeleteParams::default())
            .await
            .unwrap();
        let gone = await_condition(namespaces, &self.name, |it: Option<&Namespace>| {
            it.is_none()
        });
        let gone = tokio::time::timeout(LONGEST, gone).await;
        assert!(gone.is_ok(), "the namespace {} stays", self.name);
        let pods: Api<Pod> = Api::namespaced(self.client, &self.name);
        let left = pods.list(&ListParams::default()).await.unwrap();
        assert_eq!(left.items.len(), 0);
    }
}
