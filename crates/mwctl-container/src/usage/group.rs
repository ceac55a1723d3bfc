//! What the files of a control group say, of either version.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::limits::{Group, count};

/// The processors' time and the memory of a group, as far as it counts them.
pub(super) fn usage(group: &Group) -> (Option<Duration>, Option<u64>) {
    let first = |read: fn(&Path) -> Option<u64>| group.folders().iter().find_map(|it| read(it));
    (first(nanoseconds).map(Duration::from_nanos), first(memory))
}

fn nanoseconds(folder: &Path) -> Option<u64> {
    if let Some(number) = number(folder, "cpuacct.usage") {
        return Some(number);
    }
    let stat = fs::read_to_string(folder.join("cpu.stat")).ok()?;
    count(&stat, "usage_usec")?.checked_mul(1000)
}

/// All that is charged to the group, without files that were read and not for long: the kernel gives those up first. Kubernetes calls it
/// the working set.
fn memory(folder: &Path) -> Option<u64> {
    let (all, word) = match number(folder, "memory.usage_in_bytes") {
        Some(all) => (all, "total_inactive_file"),
        None => (number(folder, "memory.current")?, "inactive_file"),
    };
    let stat = fs::read_to_string(folder.join("memory.stat")).ok()?;
    Some(all.saturating_sub(count(&stat, word).unwrap_or_default()))
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn both_versions_are_read() {
        let one = folder(&[
            ("cpuacct.usage", "1500000\n"),
            ("memory.usage_in_bytes", "5000\n"),
            ("memory.stat", "inactive_file 1\ntotal_inactive_file 1000\n"),
        ]);
        let two = folder(&[
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\n"),
            ("memory.current", "5000\n"),
            ("memory.stat", "anon 3000\ninactive_file 1000\n"),
        ]);
        for folder in [one, two] {
            assert_eq!(nanoseconds(folder.path()), Some(1_500_000));
            assert_eq!(memory(folder.path()), Some(4000));
        }
    }

    #[test]
    fn what_a_group_does_not_count_is_not_told() {
        let pids = folder(&[("pids.current", "1\n")]);
        assert_eq!(
            (nanoseconds(pids.path()), memory(pids.path())),
            (None, None)
        );
    }
}
