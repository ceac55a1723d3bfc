//! How long to wait before a crashed process is started again.

use std::time::Duration;

/// A process that was ready and lived this long is started again at once.
const HEALTHY: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// The number of crashes in a row, with the one that just happened.
pub(super) fn failures(before: u32, uptime: Duration, was_ready: bool) -> u32 {
    if was_ready && uptime >= HEALTHY {
        0
    } else {
        before.saturating_add(1)
    }
}

/// The pause after so many crashes in a row.
pub(super) fn pause(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => FIRST.saturating_mul(1 << doublings.min(8)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_five_seconds() {
        let pauses: Vec<_> = (0..9).map(|n| pause(n).as_millis()).collect();
        assert_eq!(pauses, [0, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        assert_eq!(pause(u32::MAX), LONGEST);
    }

    #[test]
    fn only_a_process_that_served_for_a_while_is_forgiven() {
        assert_eq!(failures(4, Duration::from_secs(11), true), 0);
        assert_eq!(failures(4, Duration::from_secs(11), false), 5);
        assert_eq!(failures(4, Duration::from_secs(1), true), 5);
    }
}
