//! The wall clock. What measures durations takes an `Instant` instead.

use std::time::{Duration, SystemTime};

/// The time since 1970; zero on a machine whose clock stands before it.
pub fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
