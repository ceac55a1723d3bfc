//! What the machine uses altogether, as a kubelet tells it of its node: that is more than the cluster's containers.

use std::fs;
use std::time::Duration;

use super::rate::Counted;
use crate::machine::meminfo;

/// The whole machine, since it began.
pub(super) fn used() -> Counted {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let ticks = busy_ticks(&read("/proc/stat")).unwrap_or_default();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Counted {
        which: 0,
        processors: Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / per_second)),
        memory: working_set(&read("/proc/meminfo")).unwrap_or_default(),
    }
}

/// The time of all processors, but when they had nothing to do (`proc_stat(5)`).
fn busy_ticks(stat: &str) -> Option<u64> {
    const IDLE: [usize; 2] = [3, 4];
    // What follows is the time of guests, which is part of the first two.
    const COUNTED: usize = 8;
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks = line.split_whitespace().take(COUNTED).enumerate();
    ticks
        .filter(|(place, _)| !IDLE.contains(place))
        .map(|(_, number)| number.parse::<u64>().ok())
        .sum()
}

/// All but what is free, and files that were read and not for long.
fn working_set(text: &str) -> Option<u64> {
    let used = meminfo(text, "MemTotal")?.saturating_sub(meminfo(text, "MemFree")?);
    let files = meminfo(text, "Inactive(file)").unwrap_or_default();
    Some(used.saturating_sub(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let stat = "cpu  10 1 5 1000 200 2 3 4 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(25));
        let meminfo = "MemTotal: 1000 kB\nMemFree: 300 kB\nInactive(file): 100 kB\n";
        assert_eq!(working_set(meminfo), Some(600 * 1024));
        assert_eq!((busy_ticks(""), working_set("")), (None, None));
    }

    #[test]
    fn this_machine_uses_something() {
        let used = used();
        assert!(used.memory > 0 && !used.processors.is_zero());
    }
}
