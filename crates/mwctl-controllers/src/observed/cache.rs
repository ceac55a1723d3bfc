//! The objects of one kind, by name, by their controlling owner and by where they are placed.
//!
//! It holds values and knows nothing of watches: what is newer, and what is gone for good, is decided by [`super::Observed`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::{Key, Watched};

/// The objects of one kind.
#[derive(Debug)]
pub struct Cache<T> {
    objects: BTreeMap<Key, Arc<T>>,
    owned: HashMap<String, BTreeSet<Key>>,
    placed: HashMap<String, BTreeSet<Key>>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            owned: HashMap::new(),
            placed: HashMap::new(),
        }
    }
}

impl<T: Watched> Cache<T> {
    /// The object of this name.
    pub fn get(&self, key: &Key) -> Option<&Arc<T>> {
        self.objects.get(key)
    }

    /// All objects, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.objects.values()
    }

    /// The objects of one namespace, by name.
    pub fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<T>> {
        let first = Key::new(namespace, "");
        self.objects
            .range((Bound::Included(first), Bound::Unbounded))
            .take_while(move |(key, _)| key.namespace == namespace)
            .map(|(_, object)| object)
    }

    /// The objects whose controlling owner has this uid.
    pub fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Arc<T>> {
        self.listed(self.owned.get(uid))
    }

    /// The objects placed there: the pods of a node.
    pub fn placed_on(&self, place: &str) -> impl Iterator<Item = &Arc<T>> {
        self.listed(self.placed.get(place))
    }

    fn listed<'a>(
        &'a self,
        keys: Option<&'a BTreeSet<Key>>,
    ) -> impl Iterator<Item = &'a Arc<T>> + use<'a, T> {
        keys.into_iter()
            .flatten()
            .filter_map(|key| self.objects.get(key))
    }

    /// Puts an object in its place and returns the one that was there.
    pub(super) fn put(&mut self, object: Arc<T>) -> Option<Arc<T>> {
        let key = Key::of(object.as_ref());
        let before = self.take(&key);
        if let Some(owner) = super::controller_of(object.meta()) {
            let keys = self.owned.entry(owner.uid.clone()).or_default();
            keys.insert(key.clone());
        }
        if let Some(place) = object.place() {
            let keys = self.placed.entry(place.to_owned()).or_default();
            keys.insert(key.clone());
        }
        self.objects.insert(key, object);
        before
    }

    /// Takes an object out, also of the indexes.
    pub(super) fn take(&mut self, key: &Key) -> Option<Arc<T>> {
        let before = self.objects.remove(key)?;
        if let Some(owner) = super::controller_of(before.meta()) {
            forget(&mut self.owned, &owner.uid, key);
        }
        if let Some(place) = before.place() {
            forget(&mut self.placed, place, key);
        }
        Some(before)
    }
}

fn forget(index: &mut HashMap<String, BTreeSet<Key>>, entry: &str, key: &Key) {
    if let Some(keys) = index.get_mut(entry) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(entry);
        }
    }
}
