//! All objects of the server, in memory, behind one revision counter.
//!
//! Every change of any object takes the next revision. A collection (one resource) keeps its objects in a persistent map, and its latest
//! changes in a bounded log. The log is what makes the rest cheap: a watcher is a place in it and holds no queue of its own, and an earlier
//! revision of a collection is its present one with the later changes undone, so that a list can be read in pages of one revision.
//! What is older than the log is compacted, and a request for it is told so ([`Compacted`]).
//!
//! With a folder, the store is there again when the next process opens it: see [`journal`].
//!
//! The store knows keys, values and revisions. Names, defaults, ownership and permissions are the registry's.

mod collection;
mod event;
mod journal;
mod object;
mod page;
#[cfg(test)]
mod properties;
mod watcher;

pub use event::{Change, Event};
pub use journal::OpenStore;
pub(crate) use object::same_but;
pub use object::{GroupResource, Key, Object};
pub use page::{Continue, Page, Query};
pub use watcher::{Batch, Watcher};

use collection::Collection;
use journal::Journal;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The objects, and who waits for changes. A clone is the same store.
#[derive(Debug, Clone, Default)]
pub struct Store {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    retention: Retention,
    revision: u64,
    collections: HashMap<GroupResource, Collection>,
    /// The revision that the store began with: nothing is known of what was before.
    began: u64,
    journal: Option<Journal>,
}

/// How much of the past is kept, per collection.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The most changes.
    pub events: usize,
    /// The most bytes in them: their JSON, and for each change what it takes besides ([`Retention::EACH`]).
    pub bytes: usize,
    /// How many of the latest are there as values, too, for those who watch and are a little late. An object that hasn't changed since is
    /// read from its JSON once somebody looks into it.
    pub fresh: usize,
}

impl Retention {
    /// What a change takes beside its JSON: keys, counts, pointers.
    pub const EACH: usize = 512;
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events: 4096,
            // Some ten minutes of a busy developer's pods. All collections of a busy cluster fill up, some after an hour: what they have
            // then is what an idle cluster keeps.
            bytes: 2 << 20,
            // Values take six times as much as JSON.
            fresh: 64,
        }
    }
}

/// Why a write did not take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// An object is there already.
    Exists,
    /// There is no such object.
    Missing,
    /// The object is no longer the one that the writer has read.
    Changed,
    /// It could not be written to disk, because of this.
    NotKept(String),
}

/// The revision asked for is older than what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// The revision asked for.
    pub asked: u64,
    /// The oldest one that can be had.
    pub oldest: u64,
}

impl Store {
    /// An empty store that keeps this much of the past.
    pub fn keeping(retention: Retention) -> Self {
        let state = State {
            retention,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The store of a folder, as the last one left it; an empty one where there is none. Nobody else may have it open.
    pub fn open(folder: &Path) -> Result<Self, OpenStore> {
        Self::open_with(folder, None)
    }

    /// The same, with a snapshot after so many bytes of log.
    #[doc(hidden)]
    pub fn open_with(folder: &Path, short: Option<u64>) -> Result<Self, OpenStore> {
        let (journal, kept) = Journal::open(folder, short)?;
        let mut state = State {
            revision: kept.revision,
            began: kept.revision,
            journal: Some(journal),
            ..State::default()
        };
        for change in kept.changes {
            let collection = state.collection(&change.resource);
            let object =
                match change.json {
                    Some(json) => Some(Object::stored(json, change.revision).map_err(|_| {
                        OpenStore::Damaged {
                            path: folder.to_owned(),
                            at: 0,
                            what: "an object that is no JSON",
                        }
                    })?),
                    None => None,
                };
            collection.restore(change.key, object.map(Arc::new));
        }
        Ok(Self {
            state: Arc::new(Mutex::new(state)),
        })
    }

    /// The revision of the latest change of anything.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// The revision of the latest change of a collection; 0 if there was none.
    pub fn latest(&self, resource: &GroupResource) -> u64 {
        let state = self.lock();
        state
            .collections
            .get(resource)
            .map_or(0, Collection::latest)
    }

    /// The object of this key.
    pub fn get(&self, resource: &GroupResource, key: &Key) -> Option<Arc<Object>> {
        self.lock().collections.get(resource)?.get(key)
    }

    /// Objects of one collection, all as they were at one revision.
    pub fn list(&self, resource: &GroupResource, query: &Query<'_>) -> Result<Page, Compacted> {
        let (objects, revision) = {
            let state = self.lock();
            let revision = query.revision.unwrap_or(state.revision);
            match state.collections.get(resource) {
                Some(collection) => (collection.at(revision)?, revision),
                None => return Ok(Page::empty(revision)),
            }
        };
        Ok(page::cut(&objects, revision, query))
    }

    /// Adds an object.
    pub fn create(
        &self,
        resource: &GroupResource,
        key: Key,
        value: Value,
    ) -> Result<Arc<Object>, Refused> {
        let mut state = self.lock();
        if state.collection(resource).get(&key).is_some() {
            return Err(Refused::Exists);
        }
        let object = Arc::new(Object::new(value, state.revision + 1));
        state.commit(resource, key, Event::added(object.clone()))?;
        Ok(object)
    }

    /// Puts a new value in the place of `read`, unless the object has changed since. An equal value is no change and takes no revision.
    pub fn replace(
        &self,
        resource: &GroupResource,
        key: &Key,
        read: &Object,
        value: Value,
    ) -> Result<Arc<Object>, Refused> {
        let mut state = self.lock();
        let previous = state.collection(resource).unchanged(key, read)?;
        if previous.same_as(&value) {
            return Ok(previous);
        }
        let object = Arc::new(Object::new(value, state.revision + 1));
        let event = Event::modified(previous, object.clone());
        state.commit(resource, key.clone(), event)?;
        Ok(object)
    }

    /// Removes `read`, unless it has changed since. The answer is its last state with the revision of the removal.
    pub fn remove(
        &self,
        resource: &GroupResource,
        key: &Key,
        read: &Object,
    ) -> Result<Arc<Object>, Refused> {
        let mut state = self.lock();
        let previous = state.collection(resource).unchanged(key, read)?;
        let last = Arc::new(previous.at(state.revision + 1));
        let event = Event::deleted(previous, last.clone());
        state.commit(resource, key.clone(), event)?;
        Ok(last)
    }

    /// Follows a collection: every change after `revision`.
    pub fn watch(&self, resource: &GroupResource, revision: u64) -> Watcher {
        let wake = self.lock().collection(resource).subscribe();
        Watcher::new(self.clone(), resource.clone(), revision, wake)
    }

    /// The changes of a collection after `revision`, and the revision up to which they are complete.
    fn since(&self, resource: &GroupResource, revision: u64) -> Result<Batch, Compacted> {
        let state = self.lock();
        let events = match state.collections.get(resource) {
            Some(collection) => collection.since(revision)?,
            None => Vec::new(),
        };
        Ok(Batch {
            events,
            revision: state.revision.max(revision),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock is left half-done by a panic: a collection is changed by one call that does not fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A collection, which is there when it is asked for.
    fn collection(&mut self, resource: &GroupResource) -> &mut Collection {
        let began = self.began;
        let collection = self.collections.entry(resource.clone());
        collection.or_insert_with(|| Collection::since_revision(began))
    }

    /// Carries out a change of the next revision: on disk first, where there is one.
    fn commit(&mut self, resource: &GroupResource, key: Key, event: Event) -> Result<(), Refused> {
        let revision = event.revision();
        if let Some(journal) = &mut self.journal {
            let json = event.after().map_or(&[][..], |object| object.json());
            let kept = journal.append(revision, resource, &key, json);
            kept.map_err(|error| Refused::NotKept(error.to_string()))?;
        }
        self.revision = revision;
        let retention = self.retention;
        self.collection(resource).record(key, event, retention);
        self.compact();
        Ok(())
    }

    /// Writes a snapshot if one is due. A failure costs nothing but space: the log has it all.
    fn compact(&mut self) {
        let Some(journal) = self.journal.as_mut().filter(|journal| journal.is_long()) else {
            return;
        };
        let objects = self.collections.iter().flat_map(|(resource, collection)| {
            let objects = collection.objects();
            objects.map(move |(key, object)| (resource, key, object.revision(), &object.json()[..]))
        });
        if let Err(error) = journal.compact(self.revision, objects) {
            tracing::warn!(%error, "cannot write a snapshot");
        }
    }
}
