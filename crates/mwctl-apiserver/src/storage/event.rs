//! A change of one object, as the log keeps it and as a watcher of some objects sees it.

use super::Object;
use std::sync::Arc;

/// What became of an object, in the eyes of a watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is there now.
    Added,
    /// It is another.
    Modified,
    /// It is gone.
    Deleted,
}

/// One entry of a collection's log.
#[derive(Debug)]
pub struct Event {
    before: Option<Arc<Object>>,
    after: Option<Arc<Object>>,
    /// What is told: the object after the change, or its last state with the revision of its removal.
    told: Arc<Object>,
}

impl Event {
    pub(super) fn added(object: Arc<Object>) -> Self {
        Self {
            before: None,
            after: Some(object.clone()),
            told: object,
        }
    }

    pub(super) fn modified(before: Arc<Object>, object: Arc<Object>) -> Self {
        Self {
            before: Some(before),
            after: Some(object.clone()),
            told: object,
        }
    }

    pub(super) fn deleted(before: Arc<Object>, last: Arc<Object>) -> Self {
        Self {
            before: Some(before),
            after: None,
            told: last,
        }
    }

    /// The same, as JSON alone: what somebody looks into is read again.
    pub(super) fn as_json(&self) -> Self {
        let told = Arc::new(self.told.as_json());
        let is_told = |object: &Arc<Object>| Arc::ptr_eq(object, &self.told);
        let of = |object: &Option<Arc<Object>>| {
            object.as_ref().map(|object| {
                if is_told(object) {
                    told.clone()
                } else {
                    Arc::new(object.as_json())
                }
            })
        };
        Self {
            before: of(&self.before),
            after: of(&self.after),
            told: told.clone(),
        }
    }

    /// The revision of the change.
    pub fn revision(&self) -> u64 {
        self.told.revision()
    }

    /// The state before the change; none for a new object.
    pub(super) fn before(&self) -> Option<&Arc<Object>> {
        self.before.as_ref()
    }

    /// The state after the change; none for one that is gone.
    pub(super) fn after(&self) -> Option<&Arc<Object>> {
        self.after.as_ref()
    }

    /// The object that the change is about.
    pub(super) fn object(&self) -> &Arc<Object> {
        &self.told
    }

    /// How a watcher of the objects that `wanted` picks sees the change: one that no longer fits is gone, one that begins to fit is new.
    /// A change of nothing that it wants is none.
    pub fn seen_by(&self, wanted: impl Fn(&Object) -> bool) -> Option<(Change, Arc<Object>)> {
        let fitted = self.before.as_ref().filter(|object| wanted(object));
        let fits = self.after.as_ref().filter(|object| wanted(object));
        match (fitted, fits) {
            (None, None) => None,
            (None, Some(object)) => Some((Change::Added, object.clone())),
            (Some(_), Some(object)) => Some((Change::Modified, object.clone())),
            (Some(_), None) if self.after.is_none() => Some((Change::Deleted, self.told.clone())),
            (Some(last), None) => Some((Change::Deleted, Arc::new(last.at(self.revision())))),
        }
    }
}
