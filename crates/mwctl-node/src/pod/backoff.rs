//! When something that failed is tried again: the kubelet's times.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(5);
/// Whoever has run for so long begins anew.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// How often something failed, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after what has just ended; at once after the first time.
    pub(crate) fn wait(&self) -> Duration {
        match self.failures {
            0 | 1 => Duration::ZERO,
            failures => later(failures - 2),
        }
    }

    /// How long to wait after a failure to begin at all.
    pub(crate) fn wait_after_failure(&self) -> Duration {
        later(self.failures.saturating_sub(1))
    }

    /// It ended or failed once more, after it had run for so long.
    pub(crate) fn count(&mut self, started: Timestamp, finished: Timestamp) {
        let ran = finished.duration_since(started).unsigned_abs();
        self.failures = if ran >= FORGOTTEN {
            1
        } else {
            self.failures.saturating_add(1)
        };
    }
}

fn later(doublings: u32) -> Duration {
    FIRST
        .saturating_mul(1_u32.checked_shl(doublings.min(16)).unwrap_or(u32::MAX))
        .min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_first_time_is_free_and_the_next_ones_double() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            backoff.count(at(0), at(1));
            waits.push(backoff.wait().as_secs());
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn ten_minutes_are_forgiven() {
        let mut backoff = Backoff { failures: 9 };
        backoff.count(at(0), at(601));
        assert_eq!(backoff.wait(), Duration::ZERO);
    }

    #[test]
    fn what_cannot_begin_waits_from_the_first_time_on() {
        let mut backoff = Backoff::default();
        backoff.count(at(0), at(0));
        assert_eq!(backoff.wait_after_failure(), FIRST);
        backoff.count(at(0), at(0));
        assert_eq!(backoff.wait_after_failure(), FIRST * 2);
    }
}
