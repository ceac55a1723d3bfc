//! Events as the kubelet writes them: what is said again counts up an event instead of making another, and nobody waits for them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::pod::decide::Notice;
use crate::pod::state;

/// How many different ones are remembered; after that counting begins anew.
const REMEMBERED: usize = 4096;
/// The server takes no longer message.
const LONGEST: usize = 1024;

/// As many wait to be written; what is said then is not. So does upstream's broadcaster.
const WAITING: usize = 1000;
/// How long they wait: a pod begins sooner when what is said of its beginning is written after it.
const LATER: Duration = Duration::from_millis(50);

/// Tells of pods.
pub(crate) struct Events {
    node: String,
    said: Mutex<HashMap<Topic, (String, i32)>>,
    records: mpsc::Sender<Record>,
}

/// Writes what was told.
pub(crate) struct Writer {
    client: Client,
    records: mpsc::Receiver<Record>,
}

/// What is to be written.
enum Record {
    New(Box<Event>),
    /// Another count of one that is there.
    Again {
        namespace: String,
        name: String,
        patch: serde_json::Value,
    },
}

/// What makes two events the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Topic {
    uid: String,
    container: Option<String>,
    reason: &'static str,
    message: String,
}

/// Where events are told, and what has to be run so that they are written.
pub(crate) fn channel(client: Client, node: String) -> (Events, Writer) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let events = Events {
        node,
        said: Mutex::default(),
        records: sender,
    };
    let writer = Writer {
        client,
        records: receiver,
    };
    (events, writer)
}

impl Events {
    /// Has one written. Nobody depends on it, so that a failure is only traced.
    pub(crate) fn tell(&self, pod: &Pod, notice: &Notice) {
        let now = Timestamp::now();
        let (name, count) = self.count(pod, notice, now);
        let record = if count == 1 {
            Record::New(Box::new(event(pod, notice, name, &self.node, now)))
        } else {
            Record::Again {
                namespace: pod.metadata.namespace.clone().unwrap_or_default(),
                name,
                patch: serde_json::json!({"count": count, "lastTimestamp": Time(now)}),
            }
        };
        if self.records.try_send(record).is_err() {
            tracing::debug!(notice.message, "too many events wait to be written");
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

impl Writer {
    /// Writes one after the other, in the order in which they were told, until nobody can tell any more.
    pub(crate) async fn run(mut self) {
        while let Some(first) = self.records.recv().await {
            sleep(LATER).await;
            let mut next = Some(first);
            while let Some(record) = next {
                if let Err(error) = self.write(record).await {
                    tracing::debug!("an event isn't written: {error}");
                }
                next = self.records.try_recv().ok();
            }
        }
    }

    async fn write(&self, record: Record) -> Result<(), kube::Error> {
        let events = |namespace: &str| Api::<Event>::namespaced(self.client.clone(), namespace);
        match record {
            Record::New(event) => {
                let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
                let api = events(namespace);
                let created = api.create(&PostParams::default(), &event).await;
                created.map(drop)
            }
            Record::Again {
                namespace,
                name,
                patch,
            } => {
                let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
                let patched = events(&namespace).patch(&name, &params, &patch).await;
                patched.map(drop)
            }
        }
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
