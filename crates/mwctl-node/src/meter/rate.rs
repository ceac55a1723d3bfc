//! From two looks to what is used. Pure.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::{NodeUse, Use};

/// What something has used until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Which start of a container it is: the next one begins to count anew.
    pub(super) which: u64,
    /// The processors' time so far.
    pub(super) processors: Duration,
    /// Memory now, in bytes.
    pub(super) memory: u64,
}

/// All of it at one time.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) at: Timestamp,
    pub(super) moment: Instant,
    pub(super) node: Counted,
    /// By pod and container.
    pub(super) containers: HashMap<(String, String), Counted>,
}

impl Look {
    /// Whether the difference to an earlier look says how much is used now: that was in time, and saw all that runs.
    pub(super) fn follows(&self, before: &Self, window: RangeInclusive<Duration>) -> bool {
        let passed = self.moment.saturating_duration_since(before.moment);
        let is_known = |(name, now): (&(String, String), &Counted)| {
            (before.containers.get(name)).is_some_and(|before| before.which == now.which)
        };
        window.contains(&passed) && self.containers.iter().all(is_known)
    }
}

/// What was used between two looks, by what was there at both of them.
pub(super) fn between(before: &Look, now: &Look) -> NodeUse {
    let window = now.moment.saturating_duration_since(before.moment);
    let used = |before: &Counted, now: &Counted| {
        // Processes that nobody waits for take their time with them.
        let spent = now.processors.saturating_sub(before.processors);
        let billionths = spent.as_nanos() * 1_000_000_000 / window.as_nanos().max(1);
        Use {
            processors: u64::try_from(billionths).unwrap_or(u64::MAX),
            memory: now.memory,
        }
    };
    let containers = now.containers.iter().filter_map(|(name, now)| {
        let before = before.containers.get(name);
        let before = before.filter(|before| before.which == now.which)?;
        Some((name.clone(), used(before, now)))
    });
    NodeUse {
        at: now.at,
        window,
        node: used(&before.node, &now.node),
        containers: containers.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);

    fn look(start: Instant, seconds: u64, containers: &[(&str, u64, u64)]) -> Look {
        let counted = |which: u64, milliseconds: u64| Counted {
            which,
            processors: Duration::from_millis(milliseconds),
            memory: 4096,
        };
        Look {
            at: Timestamp::UNIX_EPOCH,
            moment: start + Duration::from_secs(seconds),
            node: counted(0, seconds * 500),
            containers: (containers.iter())
                .map(|(name, which, spent)| {
                    let place = ("uid".to_owned(), (*name).to_owned());
                    (place, counted(*which, *spent))
                })
                .collect(),
        }
    }

    #[test]
    fn a_rate_is_what_was_spent_by_the_time_that_passed() {
        let start = Instant::now();
        let before = look(start, 0, &[("a", 1, 100), ("gone", 2, 7)]);
        let now = look(start, 2, &[("a", 1, 600), ("new", 3, 7)]);
        let used = between(&before, &now);
        let processors = 250_000_000;
        let memory = 4096;
        let expected = Use { processors, memory };
        let place = ("uid".to_owned(), "a".to_owned());
        assert_eq!(used.containers, HashMap::from([(place, expected)]));
        assert_eq!(used.node.processors, 500_000_000);
        assert_eq!(used.window, Duration::from_secs(2));
    }

    #[test]
    fn a_container_that_began_anew_or_lost_processes_spent_nothing_negative() {
        let start = Instant::now();
        let before = look(start, 0, &[("again", 1, 900), ("lost", 2, 900)]);
        let used = between(
            &before,
            &look(start, 1, &[("again", 3, 10), ("lost", 2, 10)]),
        );
        let found: Vec<u64> = used.containers.values().map(|it| it.processors).collect();
        assert_eq!(found, [0]);
    }

    #[test]
    fn an_earlier_look_serves_if_it_was_in_time_and_saw_everything() {
        let start = Instant::now();
        let before = look(start, 0, &[("a", 1, 0), ("gone", 2, 0)]);
        let follows =
            |seconds, containers| look(start, seconds, containers).follows(&before, WINDOW);
        assert!(follows(1, &[("a", 1, 5)]));
        assert!(follows(30, &[]));
        assert!(!follows(0, &[("a", 1, 5)]));
        assert!(!follows(31, &[("a", 1, 5)]));
        assert!(!follows(5, &[("a", 3, 5)]));
        assert!(!follows(5, &[("a", 1, 5), ("new", 4, 0)]));
    }
}
