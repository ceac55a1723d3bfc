//! What the zygote knows of its children: who carries out which order, what was begun, and what follows from an end. Values
//! alone; what is decided here is done in [`super::serve`].

use std::collections::BTreeMap;

use mwctl_zygote::protocol::End;

/// The children. All of an order's answer must be known here before the end of its helper is.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    /// The orders that helpers carry out.
    helpers: BTreeMap<i32, u64>,
    /// What helpers that haven't answered yet began. No number: nothing so far.
    unanswered: BTreeMap<u64, Option<i32>>,
    /// What orders started and still lives, by order.
    living: BTreeMap<u64, i32>,
    /// What ended before its helper said that it began.
    early: BTreeMap<i32, End>,
    /// What helpers began that died before they had answered, with what they died of.
    forsaken: BTreeMap<i32, (u64, End)>,
}

/// What follows from an end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Consequence {
    Nothing,
    /// What the order started has ended.
    Ended(u64, End),
    /// Nothing of the order is left, and it wasn't carried out, since its helper ended so.
    Failed(u64, End),
    /// Nobody vouches for this process any more: it must end.
    Kill(i32),
}

impl Processes {
    /// A helper has begun with an order.
    pub(crate) fn hand_out(&mut self, order: u64, helper: i32) {
        self.helpers.insert(helper, order);
        self.unanswered.insert(order, None);
    }

    /// A helper has a child of ours, which goes on only where this is known.
    pub(crate) fn begun(&mut self, order: u64, pid: i32) {
        self.unanswered.insert(order, Some(pid));
    }

    /// A helper has answered; `began` is what runs by it. Gives the end, where that came before.
    pub(crate) fn answered(&mut self, order: u64, began: Option<i32>) -> Option<End> {
        let pid = self.unanswered.remove(&order).flatten();
        let end = pid.and_then(|pid| self.early.remove(&pid));
        match began {
            Some(pid) if end.is_none() => drop(self.living.insert(order, pid)),
            Some(_) => return end,
            None => {}
        }
        None
    }

    /// A child has ended.
    pub(crate) fn ended(&mut self, pid: i32, end: End) -> Consequence {
        if let Some(order) = self.helpers.remove(&pid) {
            let consequence = self.forsake(order, end);
            if self.helpers.is_empty() {
                // Nobody is left who could say of them that they began.
                self.early.clear();
            }
            return consequence;
        }
        if let Some((order, why)) = self.forsaken.remove(&pid) {
            return Consequence::Failed(order, why);
        }
        let found = self.living.iter().find(|(_, living)| **living == pid);
        if let Some(order) = found.map(|(order, _)| *order) {
            self.living.remove(&order);
            return Consequence::Ended(order, end);
        }
        self.early.insert(pid, end);
        Consequence::Nothing
    }

    fn forsake(&mut self, order: u64, end: End) -> Consequence {
        match self.unanswered.remove(&order) {
            None => Consequence::Nothing,
            Some(Some(pid)) if self.early.remove(&pid).is_none() => {
                self.forsaken.insert(pid, (order, end));
                Consequence::Kill(pid)
            }
            Some(_) => Consequence::Failed(order, end),
        }
    }

    /// The process that an order started, where it lives.
    pub(crate) fn of(&self, order: u64) -> Option<i32> {
        self.living.get(&order).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: End = End::Signal(libc::SIGKILL);
    const DONE: End = End::Code(0);

    fn handed_out() -> Processes {
        let mut processes = Processes::default();
        processes.hand_out(1, 10);
        processes
    }

    #[test]
    fn what_began_is_known_until_its_end() {
        let mut processes = handed_out();
        processes.begun(1, 11);
        assert_eq!(processes.of(1), None);
        assert_eq!(processes.answered(1, Some(11)), None);
        assert_eq!(processes.of(1), Some(11));
        assert_eq!(processes.ended(10, DONE), Consequence::Nothing);
        assert_eq!(processes.ended(11, DONE), Consequence::Ended(1, DONE));
        assert_eq!(processes.of(1), None);
    }

    #[test]
    fn an_end_before_the_answer_is_told_after_it() {
        let mut processes = handed_out();
        processes.begun(1, 11);
        assert_eq!(processes.ended(11, DONE), Consequence::Nothing);
        assert_eq!(processes.answered(1, Some(11)), Some(DONE));
        assert_eq!(processes.of(1), None);
    }

    #[test]
    fn what_failed_is_nobodys() {
        let mut processes = handed_out();
        processes.begun(1, 11);
        assert_eq!(processes.answered(1, None), None);
        assert_eq!(processes.of(1), None);
        assert_eq!(processes.ended(11, DONE), Consequence::Nothing);
        assert_eq!(processes.ended(10, DONE), Consequence::Nothing);
        assert_eq!(processes.early, BTreeMap::new());
    }

    #[test]
    fn a_helper_that_died_before_it_began_anything_has_failed() {
        let mut processes = handed_out();
        assert_eq!(processes.ended(10, KILLED), Consequence::Failed(1, KILLED));
    }

    #[test]
    fn what_a_dead_helper_began_ends_before_its_order_has_failed() {
        let mut processes = handed_out();
        processes.begun(1, 11);
        assert_eq!(processes.ended(10, KILLED), Consequence::Kill(11));
        assert_eq!(processes.of(1), None);
        assert_eq!(processes.ended(11, KILLED), Consequence::Failed(1, KILLED));
    }

    #[test]
    fn what_ended_before_its_helper_died_is_not_killed_again() {
        let mut processes = handed_out();
        processes.begun(1, 11);
        assert_eq!(processes.ended(11, DONE), Consequence::Nothing);
        assert_eq!(processes.ended(10, KILLED), Consequence::Failed(1, KILLED));
    }

    #[test]
    fn a_number_that_is_used_again_has_no_old_end() {
        let mut processes = handed_out();
        // It never heard that it is known, and left.
        assert_eq!(processes.ended(11, End::Code(127)), Consequence::Nothing);
        assert_eq!(processes.ended(10, KILLED), Consequence::Failed(1, KILLED));
        processes.hand_out(2, 12);
        processes.begun(2, 11);
        assert_eq!(processes.answered(2, Some(11)), None);
        assert_eq!(processes.of(2), Some(11));
    }
}
