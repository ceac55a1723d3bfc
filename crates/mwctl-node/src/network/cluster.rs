//! The mirror of the cluster's objects that watches keep: changes in, one [`Observed`] out. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Resource;
use kube::runtime::watcher::Event;

use super::observed::{Observed, Workload};

/// Something learnt of the cluster.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved once, from the watch to the mirror"
)]
pub enum Change {
    /// Of a namespace.
    Namespace(Event<Namespace>),
    /// Of a pod.
    Pod(Event<Pod>),
    /// Of a service.
    Service(Event<Service>),
    /// Of an endpoint slice.
    EndpointSlice(Event<EndpointSlice>),
    /// Of a network policy.
    NetworkPolicy(Event<NetworkPolicy>),
}

/// All objects, as last seen.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    namespaces: Mirror<Namespace>,
    pods: Mirror<Pod>,
    services: Mirror<Service>,
    slices: Mirror<EndpointSlice>,
    policies: Mirror<NetworkPolicy>,
}

impl Cluster {
    /// Takes a change in.
    pub(crate) fn learn(&mut self, change: Change) {
        match change {
            Change::Namespace(event) => self.namespaces.learn(event),
            Change::Pod(event) => self.pods.learn(event),
            Change::Service(event) => self.services.learn(event),
            Change::EndpointSlice(event) => self.slices.learn(event),
            Change::NetworkPolicy(event) => self.policies.learn(event),
        }
    }

    /// Whether each kind was listed once, so that what isn't there is known not to be.
    pub(crate) fn is_complete(&self) -> bool {
        self.namespaces.listed
            && self.pods.listed
            && self.services.listed
            && self.slices.listed
            && self.policies.listed
    }

    /// What is known, with the pods of this node at the addresses they were given here: their status may not tell yet.
    pub(crate) fn observed(&self, local: &BTreeMap<String, (Arc<Pod>, Ipv4Addr)>) -> Observed {
        let mut pods = Vec::new();
        for pod in self.pods.objects.values() {
            let here = pod.metadata.uid.as_ref().and_then(|uid| local.get(uid));
            match here {
                Some((_, address)) => pods.push(Arc::new(Workload::new(pod, *address))),
                None => pods.extend(Workload::from_status(pod).map(Arc::new)),
            }
        }
        // A pod may be started before the watch tells of it.
        for (uid, (pod, address)) in local {
            let seen = self
                .pods
                .get(pod)
                .and_then(|seen| seen.metadata.uid.as_ref());
            if seen != Some(uid) {
                pods.push(Arc::new(Workload::new(pod, *address)));
            }
        }
        let namespaces = (self.namespaces.objects.values())
            .filter_map(|namespace| {
                let name = namespace.metadata.name.clone()?;
                Some((name, namespace.metadata.labels.clone().unwrap_or_default()))
            })
            .collect();
        Observed {
            namespaces,
            pods,
            services: self.services.objects.values().cloned().collect(),
            slices: self.slices.objects.values().cloned().collect(),
            policies: self.policies.objects.values().cloned().collect(),
        }
    }
}

/// The objects of a kind by namespace and name.
#[derive(Debug)]
struct Mirror<K> {
    objects: BTreeMap<(String, String), Arc<K>>,
    coming: BTreeMap<(String, String), Arc<K>>,
    listed: bool,
}

impl<K> Default for Mirror<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            coming: BTreeMap::new(),
            listed: false,
        }
    }
}

impl<K: Resource> Mirror<K> {
    fn learn(&mut self, event: Event<K>) {
        match event {
            Event::Init => self.coming.clear(),
            Event::InitApply(object) => {
                self.coming.insert(key(&object), Arc::new(object));
            }
            Event::InitDone => {
                self.objects = std::mem::take(&mut self.coming);
                self.listed = true;
            }
            Event::Apply(object) => {
                self.objects.insert(key(&object), Arc::new(object));
            }
            Event::Delete(object) => {
                self.objects.remove(&key(&object));
            }
        }
    }

    fn get(&self, object: &K) -> Option<&Arc<K>> {
        self.objects.get(&key(object))
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    let meta = object.meta();
    (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}
