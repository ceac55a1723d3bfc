//! What is known of the cluster: every object that a controller reads, as it was last seen.
//!
//! Two sources feed it: watches, and the server's answers to our own writes. The second keeps a controller from deciding on a state that
//! its own last write has left behind, whatever the watch's delay, so nothing else ("expectations") is needed against creating twice.
//! It changes nothing in the cluster and asks for nothing: [`crate::driver`] does.

pub mod cache;
pub mod graph;
mod kinds;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use kube::core::ApiResource;
use serde::{Serialize, de::DeserializeOwned};

pub use self::cache::Cache;
use self::graph::Graph;
pub(crate) use self::kinds::watch;
pub use self::kinds::{Caches, Kind, Object};

/// How many uids of deleted objects are remembered: far more than can be on their way at once.
const REMEMBERED: usize = 16_384;

/// Name and namespace of an object; the namespace is empty for what lies in none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The namespace, or nothing.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The key of this namespace and name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of something that lies in no namespace.
    pub fn cluster(name: impl Into<String>) -> Self {
        Self::new("", name)
    }

    /// The key of an object.
    pub fn of(object: &impl Watched) -> Self {
        Self::of_meta(object.meta())
    }

    /// The key of the object with this metadata.
    pub fn of_meta(meta: &ObjectMeta) -> Self {
        Self::new(
            meta.namespace.clone().unwrap_or_default(),
            meta.name.clone().unwrap_or_default(),
        )
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            formatter.write_str(&self.name)
        } else {
            write!(formatter, "{}/{}", self.namespace, self.name)
        }
    }
}

/// A kind with a cache of its own.
pub trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Which kind it is.
    const KIND: Kind;

    /// The object, whatever its kind.
    fn wrap(object: Arc<Self>) -> Object;

    /// Where it is placed, as a pod on its node.
    fn place(&self) -> Option<&str> {
        None
    }
}

/// An object of a kind without a cache: its metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// What it is one of.
    pub resource: Arc<ApiResource>,
    /// All that is known.
    pub meta: ObjectMeta,
}

/// A difference between what was known and what is.
#[derive(Clone, Debug)]
pub struct Change {
    /// What was known; nothing for a new object.
    pub before: Option<Object>,
    /// What is; nothing for one that is gone.
    pub after: Option<Object>,
}

impl Change {
    /// The object, as it is or was last.
    ///
    /// # Panics
    ///
    /// On a change of nothing, which nobody makes.
    pub fn object(&self) -> &Object {
        (self.after.as_ref().or(self.before.as_ref())).expect("a change is of something")
    }

    /// Both states that there are, the old one first.
    pub fn states(&self) -> impl Iterator<Item = &Object> {
        self.before.iter().chain(&self.after)
    }

    /// Those of a kind that control the object or did so before; one that did and does is there twice.
    pub fn controllers(&self, kind: &str) -> Vec<Key> {
        let controller = |state: &Object| {
            let owner = controller_of(state.meta()).filter(|owner| owner.kind == kind)?;
            Some(Key::new(state.key().namespace, &owner.name))
        };
        self.states().filter_map(controller).collect()
    }
}

/// Why a controller's last action on an object was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was tried: `create`, `delete`, `patch`.
    pub verb: &'static str,
    /// The server's word for it, as `AlreadyExists`.
    pub reason: String,
    /// The server's words.
    pub message: String,
}

/// Everything known.
#[derive(Debug, Default)]
pub struct Observed {
    caches: Caches,
    /// All objects and their owners.
    pub graph: Graph,
    gone: HashSet<String>,
    gone_in_order: VecDeque<String>,
    /// Uids of our own writes while their kind is listed anew: the list may be older than the write.
    listing: HashMap<ApiResource, HashSet<String>>,
    /// Refusals, by the controller's name and its key.
    pub refusals: HashMap<(&'static str, Key), Refused>,
}

impl std::ops::Deref for Observed {
    type Target = Caches;

    fn deref(&self) -> &Caches {
        &self.caches
    }
}

impl Observed {
    /// Whether an object of this uid is known not to exist any more.
    pub fn is_gone(&self, uid: &str) -> bool {
        self.gone.contains(uid)
    }

    /// The graph's object of this uid that is also of type `T`.
    pub fn by_uid<T: Watched>(&self, uid: &str) -> Option<&Object> {
        (self.graph.get(uid)).filter(|object| object.kind() == Some(T::KIND))
    }

    /// Takes note of an object as the server has it. An older state than the known one, and what is known to be gone, change nothing.
    pub fn see(&mut self, object: Object) -> Option<Change> {
        let uid = object.uid();
        if self.gone.contains(uid) {
            return None;
        }
        if let Some(known) = self.graph.get(uid)
            && !is_newer(object.meta(), known.meta())
        {
            return None;
        }
        if let Some(written) = self.listing.get_mut(object.resource().as_ref()) {
            written.insert(uid.to_owned());
        }
        // A new object of an old name: the old one is gone, though nobody has said so yet.
        let replaced = self.caches.put(&object);
        if let Some(replaced) = replaced.filter(|replaced| replaced.uid() != uid) {
            self.graph.take(replaced.uid());
            self.bury(replaced.uid().to_owned());
        }
        let before = self.graph.put(object.clone());
        Some(Change {
            before,
            after: Some(object),
        })
    }

    /// Takes note that the object of this uid is gone.
    pub fn lose(&mut self, uid: &str) -> Option<Change> {
        self.bury(uid.to_owned());
        let before = self.graph.take(uid)?;
        self.caches.take(&before);
        Some(Change {
            before: Some(before),
            after: None,
        })
    }

    /// A kind is about to be listed anew.
    pub fn begin_list(&mut self, resource: &ApiResource) {
        self.listing.insert(resource.clone(), HashSet::new());
    }

    /// A kind was listed: what isn't on the list, and wasn't written meanwhile, is gone.
    pub fn end_list(&mut self, resource: &ApiResource, listed: &HashSet<String>) -> Vec<Change> {
        let written = self.listing.remove(resource).unwrap_or_default();
        let missing: Vec<String> = (self.graph.iter())
            .filter(|object| object.resource().as_ref() == resource)
            .map(|object| object.uid().to_owned())
            .filter(|uid| !listed.contains(uid) && !written.contains(uid))
            .collect();
        (missing.iter()).filter_map(|uid| self.lose(uid)).collect()
    }

    fn bury(&mut self, uid: String) {
        if self.gone.insert(uid.clone()) {
            self.gone_in_order.push_back(uid);
        }
        if self.gone_in_order.len() > REMEMBERED
            && let Some(oldest) = self.gone_in_order.pop_front()
        {
            self.gone.remove(&oldest);
        }
    }
}

/// Whether the first is a later state than the second. Versions that aren't numbers can't be compared: the last to arrive is taken.
fn is_newer(candidate: &ObjectMeta, known: &ObjectMeta) -> bool {
    let version = |meta: &ObjectMeta| meta.resource_version.as_ref()?.parse::<u64>().ok();
    match (version(candidate), version(known)) {
        (Some(candidate), Some(known)) => candidate > known,
        _ => candidate != known,
    }
}

/// The owner that controls an object.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    (meta.owner_references.iter().flatten()).find(|owner| owner.controller == Some(true))
}

/// The reference by which an object's children name it as their controller.
pub fn owner_reference(owner: &impl Watched) -> OwnerReference {
    let mut reference = owner.controller_owner_ref(&()).unwrap_or_default();
    reference.block_owner_deletion = Some(true);
    reference
}

/// A reference to an object, as events carry it.
pub fn reference_to(object: &impl Watched) -> ObjectReference {
    object.object_ref(&())
}

#[cfg(test)]
mod tests;
