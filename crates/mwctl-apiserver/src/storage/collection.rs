//! The objects of one resource and the log of their latest changes.

use super::{Compacted, Event, Key, Object, Refused, Retention};
use rpds::RedBlackTreeMapSync;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// Objects by key. A clone shares everything with its original, so that a reader takes one and leaves.
pub(super) type Objects = RedBlackTreeMapSync<Key, Arc<Object>>;

/// Objects, and a log that leads from `oldest` to the present.
#[derive(Debug)]
pub(super) struct Collection {
    objects: Objects,
    /// Changes with the keys of their objects, which nobody has to read an old object for.
    log: VecDeque<(Key, Arc<Event>)>,
    log_bytes: usize,
    /// The oldest revision that the log leads back to.
    oldest: u64,
    /// The revision of the latest change, for those who wait for another.
    latest: watch::Sender<u64>,
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            objects: Objects::default(),
            log: VecDeque::new(),
            log_bytes: 0,
            oldest: 0,
            latest: watch::Sender::new(0),
        }
    }
}

impl Collection {
    /// An empty one that knows nothing of what was before this revision.
    pub(super) fn since_revision(revision: u64) -> Self {
        Self {
            oldest: revision,
            latest: watch::Sender::new(revision),
            ..Self::default()
        }
    }

    /// Puts an object where it was before, or takes it away; nobody is told.
    pub(super) fn restore(&mut self, key: Key, object: Option<Arc<Object>>) {
        match object {
            Some(object) => self.objects.insert_mut(key, object),
            None => drop(self.objects.remove_mut(&key)),
        }
    }

    /// All objects by their keys.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&Key, &Arc<Object>)> {
        self.objects.iter()
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.objects.get(key).cloned()
    }

    /// The object of this key, if it is still the one that was read.
    pub(super) fn unchanged(&self, key: &Key, read: &Object) -> Result<Arc<Object>, Refused> {
        match self.objects.get(key) {
            None => Err(Refused::Missing),
            Some(object) if object.revision() != read.revision() => Err(Refused::Changed),
            Some(object) => Ok(object.clone()),
        }
    }

    /// Carries out a change, remembers it, forgets what is too old, and wakes the watchers.
    pub(super) fn record(&mut self, key: Key, event: Event, retention: Retention) {
        match event.after() {
            Some(object) => self.objects.insert_mut(key.clone(), object.clone()),
            None => drop(self.objects.remove_mut(&key)),
        }
        let revision = event.revision();
        self.log_bytes += taken_by(&event);
        self.log.push_back((key, Arc::new(event)));
        self.settle(retention.fresh);
        while self.log.len() > retention.events || self.log_bytes > retention.bytes {
            let Some((_, forgotten)) = self.log.pop_front() else {
                break;
            };
            self.log_bytes -= taken_by(&forgotten);
            self.oldest = forgotten.revision();
        }
        self.latest.send_replace(revision);
    }

    /// Makes JSON alone of the latest change that is no longer fresh, and of its object, if that is still what it became then.
    fn settle(&mut self, fresh: usize) {
        let at = self.log.len().checked_sub(fresh + 1);
        let Some((key, event)) = at.and_then(|at| self.log.get_mut(at)) else {
            return;
        };
        let settled = event.as_json();
        if let (Some(was), Some(object)) = (event.after(), settled.after()) {
            let is_present = |present: &Arc<Object>| Arc::ptr_eq(present, was);
            if self.objects.get(key).is_some_and(is_present) {
                // Another one than the log's: whoever lists the present has it read, and the past would keep what was read.
                let present = Arc::new(object.as_json());
                self.objects.insert_mut(key.clone(), present);
            }
        }
        *event = Arc::new(settled);
    }

    pub(super) fn latest(&self) -> u64 {
        *self.latest.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    /// The changes after a revision.
    pub(super) fn since(&self, revision: u64) -> Result<Vec<Arc<Event>>, Compacted> {
        let later = self.log.range(self.after(revision)?..);
        Ok(later.map(|(_, event)| event.clone()).collect())
    }

    /// The objects as they were at a revision: the present ones with every later change undone.
    pub(super) fn at(&self, revision: u64) -> Result<Objects, Compacted> {
        let mut objects = self.objects.clone();
        for (key, event) in self.log.range(self.after(revision)?..).rev() {
            match event.before() {
                Some(before) => objects.insert_mut(key.clone(), before.clone()),
                None => drop(objects.remove_mut(key)),
            }
        }
        Ok(objects)
    }

    /// Where in the log the changes after a revision begin.
    fn after(&self, revision: u64) -> Result<usize, Compacted> {
        if revision < self.oldest {
            return Err(Compacted {
                asked: revision,
                oldest: self.oldest,
            });
        }
        Ok(self
            .log
            .partition_point(|(_, event)| event.revision() <= revision))
    }
}

/// What a change is counted for in the log.
fn taken_by(event: &Event) -> usize {
    event.object().json().len() + Retention::EACH
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RETENTION: Retention = Retention {
        events: 100,
        bytes: 1 << 20,
        fresh: 2,
    };

    fn added(name: &str, revision: u64) -> (Key, Event) {
        let object = Object::new(json!({"metadata": {"name": name}}), revision);
        (Key::new("", name), Event::added(Arc::new(object)))
    }

    #[test]
    fn the_past_stays_json_also_when_the_present_is_read() {
        let mut collection = Collection::default();
        for revision in 1..=4 {
            let (key, event) = added(&format!("a{revision}"), revision);
            collection.record(key, event, RETENTION);
        }
        let first = collection.get(&Key::new("", "a1")).expect("it is there");
        assert!(!first.is_read());
        assert_eq!(first.name(), "a1");
        assert!(first.is_read());
        let past = collection.since(0).expect("the whole past");
        let read: Vec<bool> = past.iter().map(|it| it.object().is_read()).collect();
        assert_eq!(read, [false, false, true, true]);
        let after = past[0].after().expect("it was added");
        assert!(!after.is_read());
    }
}
