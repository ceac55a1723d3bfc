//! What is to be reconciled: a set of keys, each at most once, never twice at a time, and again after a while when it was refused.
//!
//! Time is an argument; the queue sleeps nowhere. Only the driver uses it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::observed::Key;

/// The wait after a first refusal: a conflict with another writer is over by then.
const FIRST_WAIT: SignedDuration = SignedDuration::from_millis(5);

/// The longest wait: what a person has put right is noticed within it.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// A controller's name and what it is to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) controller: &'static str,
    pub(crate) key: Key,
}

/// The keys to reconcile.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    due: VecDeque<Item>,
    is_due: HashSet<Item>,
    later: BTreeSet<(Timestamp, Item)>,
    running: HashSet<Item>,
    refusals: HashMap<Item, u32>,
}

impl Queue {
    /// Adds an item that isn't waiting yet. One that is being carried out waits for its end.
    pub(crate) fn add(&mut self, item: Item) {
        if self.is_due.insert(item.clone()) && !self.running.contains(&item) {
            self.due.push_back(item);
        }
    }

    /// Adds an item from that time on.
    pub(crate) fn add_at(&mut self, time: Timestamp, item: Item) {
        self.later.insert((time, item));
    }

    /// Takes the next item that is due, if any.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<Item> {
        while let Some((time, _)) = self.later.first()
            && *time <= now
            && let Some((_, item)) = self.later.pop_first()
        {
            self.add(item);
        }
        let item = self.due.pop_front()?;
        self.is_due.remove(&item);
        Some(item)
    }

    /// The actions of an item are being carried out: it is not handed out before their end.
    pub(crate) fn start(&mut self, item: Item) {
        self.running.insert(item);
    }

    /// The actions are done. What has happened meanwhile makes the item due again.
    pub(crate) fn finish(&mut self, item: &Item) {
        self.refusals.remove(item);
        self.release(item);
    }

    /// An action was refused: the item is due again after a while, the longer the more often it was refused.
    pub(crate) fn refuse(&mut self, item: &Item, now: Timestamp) {
        let refusals = self.refusals.entry(item.clone()).or_default();
        let wait = (FIRST_WAIT * 2_i32.pow((*refusals).min(16))).min(LONGEST_WAIT);
        *refusals += 1;
        self.running.remove(item);
        self.is_due.remove(item);
        self.add_at(
            now.saturating_add(wait).unwrap_or(Timestamp::MAX),
            item.clone(),
        );
    }

    fn release(&mut self, item: &Item) {
        if self.running.remove(item) && self.is_due.contains(item) {
            self.due.push_back(item.clone());
        }
    }

    /// When the next item becomes due by itself.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        self.later.first().map(|(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str) -> Item {
        Item {
            controller: "test",
            key: Key::cluster(name),
        }
    }

    #[test]
    fn an_item_added_twice_is_handed_out_once() {
        let mut queue = Queue::default();
        queue.add(item("a"));
        queue.add(item("a"));
        assert_eq!(queue.take(Timestamp::UNIX_EPOCH), Some(item("a")));
        assert_eq!(queue.take(Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn an_item_in_work_is_handed_out_after_its_end() {
        let mut queue = Queue::default();
        queue.start(item("a"));
        queue.add(item("a"));
        assert_eq!(queue.take(Timestamp::UNIX_EPOCH), None);
        queue.finish(&item("a"));
        assert_eq!(queue.take(Timestamp::UNIX_EPOCH), Some(item("a")));
    }

    #[test]
    fn a_refused_item_waits_longer_each_time() {
        let mut queue = Queue::default();
        let now = Timestamp::UNIX_EPOCH;
        let mut waits = Vec::new();
        for _ in 0..3 {
            queue.start(item("a"));
            queue.refuse(&item("a"), now);
            let next = queue.next_time().unwrap();
            waits.push(next.duration_since(now).as_millis());
            assert_eq!(queue.take(next), Some(item("a")));
        }
        assert_eq!(waits, [5, 10, 20]);
    }

    #[test]
    fn a_success_ends_the_waiting() {
        let mut queue = Queue::default();
        let now = Timestamp::UNIX_EPOCH;
        for _ in 0..5 {
            queue.refuse(&item("a"), now);
        }
        queue.finish(&item("a"));
        let mut fresh = Queue::default();
        queue.later.clear();
        queue.refuse(&item("a"), now);
        fresh.refuse(&item("a"), now);
        assert_eq!(queue.next_time(), fresh.next_time());
    }
}
