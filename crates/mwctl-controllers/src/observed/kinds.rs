//! The kinds that controllers read: one table, from which the caches, the sum of all objects and the ways between them are made.
//!
//! A kind is added by a line at the end. What isn't listed here is known by its metadata alone.

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet,
};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    ReplicationController, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use kube::core::ApiResource;

use super::cache::Cache;
use super::{Key, Traced, Watched};

macro_rules! kinds {
    ($($kind:ident in $cache:ident $(placed by $place:expr)?;)*) => {
        /// A kind with a cache of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are Kubernetes' own")]
        pub enum Kind { $($kind,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The kind in the terms of the API's paths.
            pub fn resource(self) -> &'static Arc<ApiResource> {
                match self {
                    $(Self::$kind => {
                        static RESOURCE: LazyLock<Arc<ApiResource>> =
                            LazyLock::new(|| Arc::new(ApiResource::erase::<$kind>(&())));
                        &RESOURCE
                    })*
                }
            }
        }

        /// An object of any kind.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "the names are Kubernetes' own")]
        pub enum Object {
            $($kind(Arc<$kind>),)*
            /// One of a kind without a cache.
            Other(Arc<Traced>),
        }

        impl Object {
            /// Its kind, where that has a cache.
            pub fn kind(&self) -> Option<Kind> {
                match self {
                    $(Self::$kind(_) => Some(Kind::$kind),)*
                    Self::Other(_) => None,
                }
            }

            /// Its metadata.
            pub fn meta(&self) -> &ObjectMeta {
                match self {
                    $(Self::$kind(object) => object.meta(),)*
                    Self::Other(traced) => &traced.meta,
                }
            }

            /// The object as JSON, which the server reads.
            pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
                match self {
                    $(Self::$kind(object) => serde_json::to_vec(object.as_ref()),)*
                    Self::Other(traced) => serde_json::to_vec(&traced.meta),
                }
            }
        }

        impl Kind {
            /// The kind of a resource, if it is one with a cache.
            pub fn of(resource: &ApiResource) -> Option<Self> {
                (Self::ALL.iter().copied()).find(|kind| kind.resource().as_ref() == resource)
            }

            /// Reads an object of this kind.
            pub fn parse(self, json: &[u8]) -> serde_json::Result<Object> {
                match self {
                    $(Self::$kind => serde_json::from_slice(json)
                        .map(|object| Object::$kind(Arc::new(object))),)*
                }
            }
        }

        /// The watch of a kind's whole objects.
        pub(crate) fn watch(kind: Kind, client: kube::Client) -> crate::driver::watches::Sightings {
            match kind {
                $(Kind::$kind => crate::driver::watches::of_objects::<$kind>(client),)*
            }
        }

        /// A cache for every kind.
        #[derive(Debug, Default)]
        #[allow(missing_docs, reason = "the names are Kubernetes' own")]
        pub struct Caches { $(pub $cache: Cache<$kind>,)* }

        impl Caches {
            pub(super) fn put(&mut self, object: &Object) -> Option<Object> {
                match object {
                    $(Object::$kind(object) => {
                        self.$cache.put(Arc::clone(object)).map(Object::$kind)
                    })*
                    Object::Other(_) => None,
                }
            }

            pub(super) fn take(&mut self, object: &Object) {
                match object {
                    $(Object::$kind(object) => {
                        self.$cache.take(&Key::of(object.as_ref()));
                    })*
                    Object::Other(_) => {}
                }
            }
        }

        $(
            impl Watched for $kind {
                const KIND: Kind = Kind::$kind;

                fn wrap(object: Arc<Self>) -> Object {
                    Object::$kind(object)
                }

                $(fn place(&self) -> Option<&str> {
                    Some($place(self))
                })?
            }

            impl From<$kind> for Object {
                fn from(object: $kind) -> Self {
                    Self::$kind(Arc::new(object))
                }
            }
        )*
    };
}

kinds! {
    Namespace in namespaces;
    Node in nodes;
    Pod in pods placed by node_of;
    ConfigMap in config_maps;
    Service in services;
    ServiceAccount in service_accounts;
    Endpoints in endpoints;
    EndpointSlice in endpoint_slices;
    PersistentVolume in volumes;
    PersistentVolumeClaim in claims;
    StorageClass in storage_classes;
    ReplicaSet in replica_sets;
    ReplicationController in replication_controllers;
    Deployment in deployments;
    StatefulSet in stateful_sets;
    DaemonSet in daemon_sets;
    ControllerRevision in controller_revisions;
    Job in jobs;
    CronJob in cron_jobs;
    PodDisruptionBudget in disruption_budgets;
    ClusterRole in cluster_roles;
}

fn node_of(pod: &Pod) -> &str {
    // Those on no node have a place, too: they are looked for whenever there is new room.
    (pod.spec.as_ref())
        .and_then(|spec| spec.node_name.as_deref())
        .unwrap_or_default()
}

impl Object {
    /// What it is one of, in the terms of the API's paths.
    pub fn resource(&self) -> &Arc<ApiResource> {
        match (self.kind(), self) {
            (Some(kind), _) => kind.resource(),
            (None, Self::Other(traced)) => &traced.resource,
            (None, _) => unreachable!("every other variant has a kind"),
        }
    }

    /// Its uid, which is empty only before the server has seen it.
    pub fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    /// Its key within its kind.
    pub fn key(&self) -> Key {
        Key::of_meta(self.meta())
    }

    /// Its owners, controlling or not.
    pub fn owners(&self) -> &[OwnerReference] {
        self.meta().owner_references.as_deref().unwrap_or_default()
    }

    /// Whether its deletion has begun.
    pub fn is_deleting(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    /// Whether a finalizer of this name holds it.
    pub fn has_finalizer(&self, name: &str) -> bool {
        (self.meta().finalizers.iter().flatten()).any(|finalizer| finalizer == name)
    }
}
