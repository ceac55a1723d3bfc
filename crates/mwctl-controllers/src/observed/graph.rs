//! Every object of every kind by its uid, with the edges that owner references draw and the namespaces they lie in.
//!
//! Garbage collection and the end of namespaces ask it. Kinds that no controller reads otherwise are in here as metadata alone.

use std::collections::{BTreeSet, HashMap};

use super::Object;

/// All objects, by uid.
#[derive(Debug, Default)]
pub struct Graph {
    objects: HashMap<String, Object>,
    dependents: HashMap<String, BTreeSet<String>>,
    in_namespace: HashMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The object of this uid.
    pub fn get(&self, uid: &str) -> Option<&Object> {
        self.objects.get(uid)
    }

    /// The objects that name this uid among their owners, controlling or not.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &Object> {
        self.listed(self.dependents.get(uid))
    }

    /// Everything in a namespace.
    pub fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &Object> {
        self.listed(self.in_namespace.get(namespace))
    }

    /// All objects.
    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    fn listed<'a>(
        &'a self,
        uids: Option<&'a BTreeSet<String>>,
    ) -> impl Iterator<Item = &'a Object> {
        uids.into_iter()
            .flatten()
            .filter_map(|uid| self.objects.get(uid))
    }

    pub(super) fn put(&mut self, object: Object) -> Option<Object> {
        let uid = object.uid().to_owned();
        let before = self.take(&uid);
        for owner in object.owners() {
            let dependents = self.dependents.entry(owner.uid.clone()).or_default();
            dependents.insert(uid.clone());
        }
        if let Some(namespace) = &object.meta().namespace {
            let inside = self.in_namespace.entry(namespace.clone()).or_default();
            inside.insert(uid.clone());
        }
        self.objects.insert(uid, object);
        before
    }

    pub(super) fn take(&mut self, uid: &str) -> Option<Object> {
        let before = self.objects.remove(uid)?;
        for owner in before.owners() {
            forget(&mut self.dependents, &owner.uid, uid);
        }
        if let Some(namespace) = &before.meta().namespace {
            forget(&mut self.in_namespace, namespace, uid);
        }
        Some(before)
    }
}

fn forget(index: &mut HashMap<String, BTreeSet<String>>, entry: &str, uid: &str) {
    if let Some(uids) = index.get_mut(entry) {
        uids.remove(uid);
        if uids.is_empty() {
            index.remove(entry);
        }
    }
}
