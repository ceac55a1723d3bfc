//! Gives memory back to the machine that a serving process needed for a moment.
//!
//! An hour of work leaves holes among what stays, which the allocator keeps for the next one. A process that serves for days would hold what
//! it had at its height, though it needs the half of it.
#![expect(
    unsafe_code,
    reason = "glibc has no other way to be asked for its free pages"
)]

use std::convert::Infallible;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long after work the free pages are given back.
const REST: Duration = Duration::from_secs(5);
/// How much processor time counts as work: who rests must not be woken by its own tidying.
const WORK: Duration = Duration::from_millis(200);

/// Gives memory back after each time of work, for as long as it is polled.
///
/// Cancel safety: dropping it ends that, and nothing else.
pub async fn keep_small() -> Infallible {
    let mut tidied = Duration::ZERO;
    loop {
        tokio::time::sleep(REST).await;
        if processor_time().saturating_sub(tidied) < WORK {
            continue;
        }
        // It takes milliseconds, in which nobody else may allocate from the same pool.
        if let Err(error) = tokio::task::spawn_blocking(give_back).await {
            tracing::debug!("memory isn't given back: {error}");
        }
        tidied = processor_time();
    }
}

/// How long this process has worked.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

#[cfg(target_env = "gnu")]
fn give_back() {
    // SAFETY: it looks at nothing of ours but what is free (`malloc_trim(3)`, which is safe for threads).
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}
