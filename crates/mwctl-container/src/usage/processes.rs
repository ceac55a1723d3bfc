//! Whose processes those below `/proc` are, and what they use.
//!
//! A container's processes are those below its first one, and what was started in it later: that is a child of the zygote like the first
//! one, and has its mounts.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Usage;

/// Where the kernel shows them.
const PROC: &str = "/proc";

/// A process as this machine numbers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// Ticks of itself and of those children that it has waited for.
    ticks: u64,
}

/// A child of the zygote: the first process of a container, or one that was started in it later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Child {
    pid: u32,
    /// How the zygote numbers it.
    inside: Option<i32>,
    /// The name of its mounts.
    mounts: Option<PathBuf>,
}

/// The processes of a runtime. Each file is read once, however many containers there are.
pub(super) struct Seen {
    processes: HashMap<u32, Process>,
    by_parent: HashMap<u32, Vec<u32>>,
    children: Vec<Child>,
}

impl Seen {
    /// Looks at all processes of the machine.
    pub(super) fn look(launcher: u32) -> Self {
        let entries = fs::read_dir(PROC).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let processes = numbers.filter_map(|pid: u32| Some((pid, parse(&read(pid, "stat")?)?)));
        let mut seen = Self::of(processes.collect());
        // The zygote is the launcher's only child.
        let zygotes = seen.by_parent.get(&launcher).cloned().unwrap_or_default();
        let children = zygotes
            .iter()
            .filter_map(|zygote| seen.by_parent.get(zygote));
        seen.children = children
            .flatten()
            .map(|pid| Child {
                pid: *pid,
                inside: inside(*pid),
                mounts: mounts(*pid),
            })
            .collect();
        seen
    }

    fn of(processes: HashMap<u32, Process>) -> Self {
        let mut by_parent: HashMap<u32, Vec<u32>> = HashMap::new();
        for (pid, process) in &processes {
            by_parent.entry(process.parent).or_default().push(*pid);
        }
        Self {
            processes,
            by_parent,
            children: Vec::new(),
        }
    }

    /// What the container uses whose first process the zygote calls `pid`.
    pub(super) fn usage(&self, pid: i32) -> Option<Usage> {
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let mut usage = Usage::default();
        for pid in self.processes_of(pid)? {
            let ticks = self.processes.get(&pid).map_or(0, |process| process.ticks);
            usage.processors += Duration::from_nanos(ticks * (1_000_000_000 / per_second));
            usage.memory += memory(pid).unwrap_or_default();
        }
        Some(usage)
    }

    /// All processes of that container.
    fn processes_of(&self, pid: i32) -> Option<Vec<u32>> {
        let first = (self.children.iter()).find(|child| child.inside == Some(pid))?;
        let is_in = |child: &&Child| {
            child.pid == first.pid || first.mounts.is_some() && child.mounts == first.mounts
        };
        let mut found: Vec<u32> = (self.children.iter().filter(is_in))
            .map(|child| child.pid)
            .collect();
        let mut next = 0;
        while let Some(pid) = found.get(next) {
            next += 1;
            found.extend(self.by_parent.get(pid).into_iter().flatten());
        }
        Some(found)
    }
}

/// `proc_pid_stat(5)`; the second field may hold anything, and ends with the last bracket.
fn parse(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Process {
        parent: u32::try_from(number(4)?).ok()?,
        // The last two may be negative on some kernels, and are none then.
        ticks: number(14)? + number(15)? + number(16).unwrap_or(0) + number(17).unwrap_or(0),
    })
}

fn read(pid: u32, file: &str) -> Option<String> {
    fs::read_to_string(Path::new(PROC).join(pid.to_string()).join(file)).ok()
}

/// What the zygote calls a process.
fn inside(pid: u32) -> Option<i32> {
    second(&field(&read(pid, "status")?, "NSpid:")?)
}

/// The number one namespace further in.
fn second(numbers: &str) -> Option<i32> {
    numbers.split_whitespace().nth(1)?.parse().ok()
}

/// The name of a process's mounts.
fn mounts(pid: u32) -> Option<PathBuf> {
    fs::read_link(Path::new(PROC).join(pid.to_string()).join("ns/mnt")).ok()
}

/// Its memory in bytes: what it shares with others in equal parts, so that nothing is told twice. Where that may not be seen, all of it.
fn memory(pid: u32) -> Option<u64> {
    let kibibytes = |text: &str, name: &str| {
        let text = field(text, name)?;
        text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let shared = read(pid, "smaps_rollup").and_then(|text| kibibytes(&text, "Pss:"));
    let all = || kibibytes(&read(pid, "status")?, "VmRSS:");
    shared.or_else(all)?.checked_mul(1024)
}

/// What follows a name at the start of a line.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_all_below_its_first_process_and_what_shares_its_mounts() {
        // 20 and 30 are containers, 21 was started in the first one later; 99 is somebody else's.
        let parents = [(22, 20), (23, 22), (24, 21), (31, 30), (99, 1)];
        let process = |parent| Process { parent, ticks: 1 };
        let mut seen = Seen::of(
            (parents.iter())
                .map(|(pid, parent)| (*pid, process(*parent)))
                .collect(),
        );
        let child = |pid, inside, mounts: Option<&str>| Child {
            pid,
            inside: Some(inside),
            mounts: mounts.map(PathBuf::from),
        };
        seen.children = vec![
            child(20, 2, Some("mnt:[1]")),
            child(21, 5, Some("mnt:[1]")),
            child(30, 3, None),
            child(40, 4, None),
        ];
        let found = |pid| {
            let mut found = seen.processes_of(pid)?;
            found.sort_unstable();
            Some(found)
        };
        assert_eq!(found(2), Some(vec![20, 21, 22, 23, 24]));
        // What may not be seen is nobody else's.
        assert_eq!(found(3), Some(vec![30, 31]));
        assert_eq!(found(7), None);
    }

    #[test]
    fn the_kernels_files_are_read_whatever_a_program_calls_itself() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 0 0 5 6 7 8 20 0 1 0 9 1 1";
        let process = Process {
            parent: 3,
            ticks: 26,
        };
        assert_eq!(parse(stat), Some(process));
        assert_eq!(parse("7 (a) S 3"), None);
        assert_eq!(second("\t4711\t12\t1"), Some(12));
        assert_eq!(second("\t4711"), None);
    }

    #[test]
    fn this_process_has_a_size() {
        assert!(memory(std::process::id()) > Some(100_000));
        assert_eq!(
            mounts(std::process::id()),
            fs::read_link("/proc/self/ns/mnt").ok()
        );
    }
}
