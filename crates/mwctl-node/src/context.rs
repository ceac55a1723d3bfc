//! What all pods of a node have in common.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use mwctl_container::{Running, Runtime};

use crate::attachment::PodNetworks;
use crate::events::{self, Events};
use crate::images::Images;
use crate::pod::decide::Notice;
use crate::pod::live::Live;

/// How a node works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name in the cluster.
    pub name: String,
    /// Where the logs of its pods are.
    pub logs: PathBuf,
    /// Folders of this machine below which pods may mount.
    pub mountable: Vec<PathBuf>,
    /// A folder of symbolic links to the checkouts that pods may mount, for reading only. It is read whenever a pod mounts one, so that
    /// its owner can add some while the node runs.
    pub checkouts: Option<PathBuf>,
    /// Where volumes are that begin empty and go with their pod, as far as they aren't in memory.
    pub empty: PathBuf,
    /// Where what containers write to their own root goes; to memory, which then counts as theirs, without it. Overlays must be
    /// possible there.
    pub written: Option<PathBuf>,
}

pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
    pub(crate) images: Arc<dyn Images>,
    pub(crate) networks: Arc<dyn PodNetworks>,
    pub(crate) options: Options,
    pub(crate) machine: crate::machine::Machine,
    /// What runs, by the pod's uid and the container's name.
    live: Mutex<HashMap<(String, String), Live>>,
    events: Events,
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Context")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// What pods have in common, and what has to be run so that what is told of them is written.
    pub(crate) fn new(
        client: Client,
        runtime: Runtime,
        images: Arc<dyn Images>,
        networks: Arc<dyn PodNetworks>,
        options: Options,
    ) -> (Self, events::Writer) {
        let (events, writer) = events::channel(client.clone(), options.name.clone());
        let machine = crate::machine::Machine::look(&options.empty);
        let context = Self {
            events,
            client,
            runtime,
            images,
            networks,
            options,
            machine,
            live: Mutex::default(),
        };
        (context, writer)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, uid: &str, container: &str, live: Live) {
        self.lock()
            .insert((uid.to_owned(), container.to_owned()), live);
    }

    pub(crate) fn remove(&self, uid: &str, container: &str) {
        self.lock().remove(&(uid.to_owned(), container.to_owned()));
    }

    pub(crate) fn live(&self, uid: &str, container: &str) -> Option<Live> {
        self.lock()
            .get(&(uid.to_owned(), container.to_owned()))
            .cloned()
    }

    /// All containers that run, by the pod's uid and the container's name.
    pub(crate) fn all_running(&self) -> Vec<((String, String), Running)> {
        (self.lock().iter())
            .map(|(place, live)| (place.clone(), live.running.clone()))
            .collect()
    }

    /// Has an event about a pod written.
    pub(crate) fn tell(&self, pod: &Pod, notice: &Notice) {
        self.events.tell(pod, notice);
    }
}
