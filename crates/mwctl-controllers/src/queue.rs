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

/// How many keys of one controller are carried out at a time. What happens to the others meanwhile is one change to them: fifty Services
/// of the same fifty pods are written a few times each, and not once for every step of every pod.
const AT_ONCE: usize = 10;

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
    /// Those that are due while their controller has enough to do.
    held: HashMap<&'static str, VecDeque<Item>>,
    later: BTreeSet<(Timestamp, Item)>,
    /// The keys that each controller has under way.
    running: HashMap<&'static str, HashSet<Key>>,
    refusals: HashMap<Item, u32>,
}

impl Queue {
    /// Adds an item that isn't waiting yet. One that is being carried out waits for its end.
    pub(crate) fn add(&mut self, item: Item) {
        if self.is_due.insert(item.clone()) && !self.is_running(&item) {
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
        let item = match self.take_held() {
            Some(item) => item,
            None => self.take_due()?,
        };
        self.is_due.remove(&item);
        Some(item)
    }

    /// The item that has waited longest for its controller, if one may begin.
    fn take_held(&mut self) -> Option<Item> {
        let running = &self.running;
        (self.held.iter_mut())
            .filter(|(controller, _)| !is_full(running, controller))
            .find_map(|(_, held)| held.pop_front())
    }

    fn take_due(&mut self) -> Option<Item> {
        loop {
            let item = self.due.pop_front()?;
            if !is_full(&self.running, item.controller) {
                return Some(item);
            }
            let held = self.held.entry(item.controller).or_default();
            held.push_back(item);
        }
    }

    /// The actions of an item are being carried out: it is not handed out before their end.
    pub(crate) fn start(&mut self, item: Item) {
        let running = self.running.entry(item.controller).or_default();
        running.insert(item.key);
    }

    fn is_running(&self, item: &Item) -> bool {
        let running = self.running.get(item.controller);
        running.is_some_and(|keys| keys.contains(&item.key))
    }

    /// Its controller has time for one more; false if it wasn't under way.
    fn end(&mut self, item: &Item) -> bool {
        let running = self.running.get_mut(item.controller);
        running.is_some_and(|keys| keys.remove(&item.key))
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
        self.end(item);
        self.is_due.remove(item);
        self.add_at(
            now.saturating_add(wait).unwrap_or(Timestamp::MAX),
            item.clone(),
        );
    }

    fn release(&mut self, item: &Item) {
        if self.end(item) && self.is_due.contains(item) {
            self.due.push_back(item.clone());
        }
    }

    /// When the next item becomes due by itself.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        self.later.first().map(|(time, _)| *time)
    }
}

fn is_full(running: &HashMap<&'static str, HashSet<Key>>, controller: &'static str) -> bool {
    (running.get(controller)).is_some_and(|keys| keys.len() >= AT_ONCE)
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
    fn a_controller_is_given_a_few_items_at_a_time_and_all_of_them_in_the_end() {
        let mut queue = Queue::default();
        let now = Timestamp::UNIX_EPOCH;
        let all: Vec<Item> = (0..3 * AT_ONCE).map(|n| item(&n.to_string())).collect();
        for item in &all {
            queue.add(item.clone());
        }
        let mut taken = Vec::new();
        while let Some(item) = queue.take(now) {
            queue.start(item.clone());
            taken.push(item);
        }
        assert_eq!(taken.len(), AT_ONCE);
        let other = Item {
            controller: "other",
            key: Key::cluster("a"),
        };
        queue.add(other.clone());
        assert_eq!(queue.take(now), Some(other));
        for item in taken.clone() {
            queue.finish(&item);
        }
        // These need nothing done, so that none of them ends.
        while let Some(item) = queue.take(now) {
            taken.push(item);
        }
        assert_eq!(taken, all);
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
