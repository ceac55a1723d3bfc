//! The node: its object and heartbeat in the cluster, and a task for each of its pods.

mod heartbeat;
mod interrupted;
mod object;
mod shown;

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Client};
use mwctl_container::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::attachment::PodNetworks;
use crate::context::{Context, Options};
use crate::images::Images;
use crate::meter::{self, NodeMeter};
use crate::pod::actor::{self, Update};
use crate::pod::ports::{self, HostPort};
use crate::pod::sources::Needs;
use crate::streams::NodeStreams;

use shown::Shown;

/// A node that runs pods. Dropping it ends them.
#[derive(Debug)]
pub struct Node {
    context: Arc<Context>,
    meter: NodeMeter,
    _tasks: JoinSet<()>,
}

/// A node can't begin.
#[derive(Debug, thiserror::Error)]
#[error("the node can't be made known to the cluster")]
pub struct StartError(#[source] Box<kube::Error>);

impl Node {
    /// Makes the node known, and runs the pods that are bound to it from then on.
    pub async fn start(
        client: Client,
        runtime: Runtime,
        images: Arc<dyn Images>,
        networks: Arc<dyn PodNetworks>,
        options: Options,
    ) -> Result<Self, StartError> {
        let (context, events) = Context::new(client, runtime, images, networks, options);
        let context = Arc::new(context);
        let failed = |error| StartError(Box::new(error));
        heartbeat::register(&context).await.map_err(failed)?;
        interrupted::make_unready(&context).await.map_err(failed)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(events.run());
        tasks.spawn(heartbeat::beat(context.clone()));
        tasks.spawn(Pods::new(context.clone()).watch());
        let (meter, asked) = meter::channel();
        tasks.spawn(meter::serve(context.clone(), asked));
        Ok(Self {
            context,
            meter,
            _tasks: tasks,
        })
    }

    /// What is used, for whoever asks in the cluster's name.
    pub fn meter(&self) -> NodeMeter {
        self.meter.clone()
    }

    /// Logs, commands and connections, for whoever asks in the cluster's name.
    pub fn streams(&self) -> NodeStreams {
        NodeStreams {
            context: self.context.clone(),
        }
    }
}

/// A pod that has a task.
struct Known {
    updates: mpsc::UnboundedSender<Update>,
    /// The ports of the node that lead to it.
    ports: Vec<HostPort>,
}

/// The pods of the node, by uid.
struct Pods {
    context: Arc<Context>,
    known: HashMap<String, Known>,
    tasks: JoinSet<String>,
    shown: Shown,
}

impl Pods {
    fn new(context: Arc<Context>) -> Self {
        Self {
            shown: Shown::new(context.client.clone()),
            context,
            known: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    async fn watch(mut self) {
        let api: Api<Pod> = Api::all(self.context.client.clone());
        let bound = watcher::Config::default()
            .fields(&format!("spec.nodeName={}", self.context.options.name));
        let mut events = watch(api, bound).default_backoff().boxed();
        // Pods that the cluster names while it is asked anew; the others are gone.
        let mut named: Option<Vec<String>> = None;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.take(event, &mut named),
                    Some(Err(error)) => tracing::debug!("the pods of this node: {error}"),
                    None => return,
                },
                pods = self.shown.next() => {
                    for known in pods.iter().filter_map(|uid| self.known.get(uid)) {
                        // Whose task has ended has no volumes.
                        drop(known.updates.send(Update::Volumes));
                    }
                }
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(uid) => {
                        self.shown.remove(&uid);
                        self.known.remove(&uid);
                    }
                    Err(error) => tracing::error!("the task of a pod: {error}"),
                },
            }
        }
    }

    fn take(&mut self, event: Event<Pod>, named: &mut Option<Vec<String>>) {
        match event {
            Event::Init => *named = Some(Vec::new()),
            Event::InitApply(pod) => {
                if let (Some(named), Some(uid)) = (named.as_mut(), pod.metadata.uid.clone()) {
                    named.push(uid);
                }
                self.changed(pod);
            }
            Event::InitDone => {
                let named = named.take().unwrap_or_default();
                for (uid, known) in &self.known {
                    if !named.contains(uid) {
                        drop(known.updates.send(Update::Gone));
                    }
                }
            }
            Event::Apply(pod) => self.changed(pod),
            Event::Delete(pod) => {
                if let Some(known) = pod
                    .metadata
                    .uid
                    .as_ref()
                    .and_then(|uid| self.known.get_mut(uid))
                {
                    known.ports.clear();
                    drop(known.updates.send(Update::Gone));
                }
            }
        }
    }

    fn changed(&mut self, pod: Pod) {
        let Some(uid) = pod.metadata.uid.clone() else {
            return;
        };
        let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
        let is_over = matches!(phase, Some("Succeeded" | "Failed"));
        if let Some(known) = self.known.get_mut(&uid) {
            if is_over {
                known.ports.clear();
            }
            drop(known.updates.send(Update::Changed(Box::new(pod))));
            return;
        }
        if is_over {
            // An earlier run of this node has finished it; only its object may be left to be removed.
            if pod.metadata.deletion_timestamp.is_some() {
                self.tasks.spawn(remove(self.context.clone(), pod, uid));
            }
            return;
        }
        let (updates, updates_rx) = mpsc::unbounded_channel();
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let needs = Needs::of_volumes(&pod);
        let mut ports = HostPort::of(&pod);
        let taken = self.known.values().flat_map(|known| &known.ports);
        let refused = ports::refuse(&ports, taken);
        if refused.is_some() {
            ports.clear();
        }
        self.shown.add(&uid, &namespace, &needs);
        self.known.insert(uid.clone(), Known { updates, ports });
        let context = self.context.clone();
        self.tasks.spawn(async move {
            actor::run(context, pod, refused, updates_rx).await;
            uid
        });
    }
}

/// Removes the object of a pod of which nothing is left.
async fn remove(context: Arc<Context>, pod: Pod, uid: String) -> String {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    if let Err(error) = api
        .delete(name, &DeleteParams::default().grace_period(0))
        .await
    {
        tracing::debug!(name, "a pod that has ended isn't removed: {error}");
    }
    uid
}
