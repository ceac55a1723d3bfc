//! What the volumes of pods show is watched: each object once, however many pods show it. It says whom a change concerns, not what changed.

use std::collections::{BTreeSet, HashMap};

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Client, Resource};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::pod::sources::Needs;

/// An object that volumes can show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Thing {
    kind: Kind,
    namespace: String,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    ConfigMap,
    Secret,
}

/// Who shows a thing, by uid.
#[derive(Debug)]
struct Watched {
    pods: BTreeSet<String>,
    _watch: JoinSet<()>,
}

/// All that is shown on this node.
pub(super) struct Shown {
    client: Client,
    things: HashMap<Thing, Watched>,
    changes: mpsc::UnboundedSender<Thing>,
    changed: mpsc::UnboundedReceiver<Thing>,
}

impl Shown {
    pub(super) fn new(client: Client) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            client,
            things: HashMap::new(),
            changes: sender,
            changed: receiver,
        }
    }

    /// From now on a pod hears of changes to what its volumes need.
    pub(super) fn add(&mut self, pod: &str, namespace: &str, needs: &Needs) {
        for thing in things(namespace, needs) {
            if let Some(watched) = self.things.get_mut(&thing) {
                watched.pods.insert(pod.to_owned());
                continue;
            }
            let mut watch = JoinSet::new();
            watch.spawn(self.watch(&thing));
            let watched = Watched {
                pods: BTreeSet::from([pod.to_owned()]),
                _watch: watch,
            };
            self.things.insert(thing, watched);
        }
    }

    /// It is over. What no other pod shows is watched no longer.
    pub(super) fn remove(&mut self, pod: &str) {
        self.things.retain(|_, watched| {
            watched.pods.remove(pod);
            !watched.pods.is_empty()
        });
    }

    /// The pods that show what has changed next. Nothing is lost where this isn't waited for to its end.
    pub(super) async fn next(&mut self) -> Vec<String> {
        let thing = self.changed.recv().await;
        let watched = thing.and_then(|thing| self.things.get(&thing));
        watched.map_or_else(Vec::new, |watched| watched.pods.iter().cloned().collect())
    }

    fn watch(&self, thing: &Thing) -> futures::future::BoxFuture<'static, ()> {
        let (client, namespace) = (self.client.clone(), &thing.namespace);
        let (thing, changes) = (thing.clone(), self.changes.clone());
        match thing.kind {
            Kind::ConfigMap => Box::pin(follow::<ConfigMap>(
                Api::namespaced(client, namespace),
                thing,
                changes,
            )),
            Kind::Secret => Box::pin(follow::<Secret>(
                Api::namespaced(client, namespace),
                thing,
                changes,
            )),
        }
    }
}

fn things(namespace: &str, needs: &Needs) -> impl Iterator<Item = Thing> {
    let maps = needs.config_maps.iter().map(|name| (Kind::ConfigMap, name));
    let secrets = needs.secrets.iter().map(|name| (Kind::Secret, name));
    maps.chain(secrets).map(move |(kind, name)| Thing {
        kind,
        namespace: namespace.to_owned(),
        name: name.clone(),
    })
}

async fn follow<K>(api: Api<K>, thing: Thing, changes: mpsc::UnboundedSender<Thing>)
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let one = watcher::Config::default().fields(&format!("metadata.name={}", thing.name));
    let events = watch(api, one).default_backoff();
    let followed = events.try_for_each(|event| {
        // What is there at first need not be what the volumes were made of: they may be a moment older.
        if !matches!(event, Event::Init | Event::InitApply(_)) {
            drop(changes.send(thing.clone()));
        }
        futures::future::ok(())
    });
    let ended = followed.await;
    tracing::debug!("what a volume shows: {ended:?}");
}
