//! Events as the kubelet writes them: what is said again counts up an event instead of making another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};

use crate::pod::decide::Notice;
use crate::pod::state;

/// How many different ones are remembered; after that counting begins anew.
const REMEMBERED: usize = 4096;
/// The server takes no longer message.
const LONGEST: usize = 1024;

/// Writes events.
pub(crate) struct Events {
    client: Client,
    node: String,
    said: Mutex<HashMap<Topic, (String, i32)>>,
}

/// What makes two events the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Topic {
    uid: String,
    container: Option<String>,
    reason: &'static str,
    message: String,
}

impl Events {
    pub(crate) fn new(client: Client, node: String) -> Self {
        Self {
            client,
            node,
            said: Mutex::default(),
        }
    }

    /// Writes one. Nobody depends on it, so that a failure is only traced.
    pub(crate) async fn tell(&self, pod: &Pod, notice: Notice) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let now = Timestamp::now();
        let (name, count) = self.count(pod, &notice, now);
        let written = if count == 1 {
            let event = event(pod, &notice, name, &self.node, now);
            api.create(&PostParams::default(), &event).await.map(drop)
        } else {
            let patch = serde_json::json!({"count": count, "lastTimestamp": Time(now)});
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await
                .map(drop)
        };
        if let Err(error) = written {
            tracing::debug!("an event isn't written: {error}");
        }
    }

    /// The name of the event, and how often it has been told with this time.
    fn count(&self, pod: &Pod, notice: &Notice, now: Timestamp) -> (String, i32) {
        let topic = Topic {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            container: notice.container.clone(),
            reason: notice.reason,
            message: notice.message.clone(),
        };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() > REMEMBERED {
            said.clear();
        }
        let number = now.as_nanosecond().wrapping_add(said.len() as i128) as u64;
        let name = format!(
            "{}.{number:x}",
            pod.metadata.name.as_deref().unwrap_or_default()
        );
        let known = said.entry(topic).or_insert((name, 0));
        known.1 += 1;
        known.clone()
    }
}

fn event(pod: &Pod, notice: &Notice, name: String, node: &str, now: Timestamp) -> Event {
    let field = notice.container.as_ref().map(|name| {
        let init = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.init_containers.as_ref());
        let is_init = init.is_some_and(|all| all.iter().any(|container| container.name == *name));
        let kind = if is_init {
            "initContainers"
        } else if state::ephemeral(pod, name).is_some() {
            "ephemeralContainers"
        } else {
            "containers"
        };
        format!("spec.{kind}{{{name}}}")
    });
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: pod.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            resource_version: pod.metadata.resource_version.clone(),
            field_path: field,
        },
        type_: Some(if notice.warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(notice.reason.to_owned()),
        message: Some(notice.message.chars().take(LONGEST).collect()),
        source: Some(EventSource {
            component: Some("kubelet".to_owned()),
            host: Some(node.to_owned()),
        }),
        reporting_component: Some("kubelet".to_owned()),
        reporting_instance: Some(node.to_owned()),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    }
}
