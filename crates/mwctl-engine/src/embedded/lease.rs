//! Which process serves a cluster: written for people and for `delete`. Whether it still lives is told by its lock alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock;

/// What a cluster's folder says about its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The process.
    pub pid: u32,
    /// When that process began, in clock ticks since the boot: with the pid it names one process only.
    pub start_time: Option<u64>,
    /// The boot that the two belong to.
    pub boot_id: Option<String>,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Seconds since 1970, for a cluster that ends by itself.
    pub expires_at: Option<u64>,
    /// Whether pods become ready though nothing runs in them.
    pub simulate_pods: bool,
    /// The version of the program that serves it.
    #[serde(default)]
    pub version: String,
}

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Lease {
    /// The lease of this process.
    pub fn of_this_process(simulate_pods: bool, ttl: Option<Duration>) -> Self {
        let now = clock::since_epoch();
        let pid = std::process::id();
        Self {
            pid,
            start_time: start_time(pid),
            boot_id: boot_id(),
            created_at: now.as_secs(),
            expires_at: ttl.map(|ttl| now.saturating_add(ttl).as_secs()),
            simulate_pods,
            version: VERSION.to_owned(),
        }
    }

    /// Whether this very version of the program serves it.
    pub fn is_of_this_version(&self) -> bool {
        self.version == VERSION
    }

    /// Whether the process that has the pid now is the one that wrote this.
    pub fn is_of_a_living_process(&self) -> bool {
        self.boot_id == boot_id() && self.start_time == start_time(self.pid)
    }
}

fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

fn start_time(pid: u32) -> Option<u64> {
    start_time_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The 22nd field of `proc_pid_stat(5)`; the second may hold anything, and ends with the last bracket.
fn start_time_in(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        assert_eq!(start_time_in(stat), Some(4711));
    }

    #[test]
    fn a_pid_that_another_process_got_is_not_the_same_process() {
        let mine = Lease::of_this_process(false, None);
        assert!(mine.is_of_a_living_process());
        let reused = Lease {
            start_time: mine.start_time.map(|time| time + 1),
            ..mine
        };
        assert!(!reused.is_of_a_living_process());
    }
}
