//! Which file of a control group says what.

use super::Limits;
use super::hierarchy::{Controller, Hierarchy};

/// A file and what is written to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) file: &'static str,
    pub(super) value: String,
}

/// Else what exceeds the limit of memory goes there, and nothing ends. Where the kernel counts no swap the file isn't there.
pub(super) const SWAP: &str = "memory.swap.max";

/// The kernel's usual span over which processor time is counted, in microseconds.
const PERIOD: u64 = 100_000;
/// The kernel refuses a smaller quota.
const SMALLEST_QUOTA: u64 = 1000;

/// What is to be written in this hierarchy.
pub(super) fn settings(hierarchy: &Hierarchy, limits: &Limits) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut set =
        |file, value: Option<String>| settings.extend(value.map(|value| Setting { file, value }));
    let memory = limits
        .memory
        .filter(|_| hierarchy.controls(Controller::Memory));
    let processes = limits
        .processes
        .filter(|_| hierarchy.controls(Controller::Processes));
    let processor = limits
        .processor
        .filter(|_| hierarchy.controls(Controller::Processor));
    let share = limits
        .processor_share
        .filter(|_| hierarchy.controls(Controller::Processor));
    let quota = processor.map(|thousandths| (thousandths * PERIOD / 1000).max(SMALLEST_QUOTA));
    set("pids.max", processes.map(|count| count.to_string()));
    if hierarchy.unified {
        set("memory.max", memory.map(|bytes| bytes.to_string()));
        set(SWAP, memory.map(|_| "0".to_owned()));
        // A container that has lost one of its processes is of no use: all end, as with the kubelet.
        set("memory.oom.group", memory.map(|_| "1".to_owned()));
        set("cpu.max", quota.map(|quota| format!("{quota} {PERIOD}")));
        set("cpu.weight", share.map(|share| weight(share).to_string()));
    } else {
        set(
            "memory.limit_in_bytes",
            memory.map(|bytes| bytes.to_string()),
        );
        set("cpu.cfs_quota_us", quota.map(|quota| quota.to_string()));
        set("cpu.shares", share.map(|share| shares(share).to_string()));
    }
    settings
}

/// A processor is 1024 shares, of which the kernel takes 2 to 262144.
fn shares(thousandths: u64) -> u64 {
    (thousandths * 1024 / 1000).clamp(2, 262_144)
}

/// The same as a weight of 1 to 10000, on the line that Kubernetes draws (KEP-2254).
fn weight(thousandths: u64) -> u64 {
    1 + (shares(thousandths) - 2) * 9999 / 262_142
}

/// The number after a word at the start of a line.
pub(crate) fn count(text: &str, word: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(word)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        memory: Some(64 << 20),
        processes: Some(5),
        processor: Some(500),
        processor_share: Some(250),
    };

    fn written(hierarchy: &Hierarchy) -> Vec<(&'static str, String)> {
        settings(hierarchy, &LIMITS)
            .into_iter()
            .map(|setting| (setting.file, setting.value))
            .collect()
    }

    fn expect(settings: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        settings
            .iter()
            .map(|(file, value)| (*file, (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_first_version_has_a_hierarchy_for_each_controller() {
        let memory = Hierarchy::new("/m".into(), false, &[Controller::Memory]);
        assert_eq!(
            written(&memory),
            expect(&[("memory.limit_in_bytes", "67108864")])
        );
        let processor = Hierarchy::new("/c".into(), false, &[Controller::Processor]);
        assert_eq!(
            written(&processor),
            expect(&[("cpu.cfs_quota_us", "50000"), ("cpu.shares", "256")])
        );
    }

    #[test]
    fn the_second_version_has_one() {
        let all = [
            Controller::Memory,
            Controller::Processes,
            Controller::Processor,
        ];
        let hierarchy = Hierarchy::new("/".into(), true, &all);
        let settings = [
            ("pids.max", "5"),
            ("memory.max", "67108864"),
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
            ("cpu.max", "50000 100000"),
            ("cpu.weight", "10"),
        ];
        assert_eq!(written(&hierarchy), expect(&settings));
    }

    #[test]
    fn what_is_tiny_is_what_the_kernel_takes_at_least() {
        assert_eq!((shares(0), weight(0)), (2, 1));
        let tiny = Limits {
            processor: Some(1),
            ..Limits::default()
        };
        let hierarchy = Hierarchy::new("/".into(), true, &[Controller::Processor]);
        assert_eq!(
            settings(&hierarchy, &tiny),
            [Setting {
                file: "cpu.max",
                value: "1000 100000".into()
            }]
        );
    }

    #[test]
    fn counts_are_found_by_their_whole_word() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(count(text, "oom_kill"), Some(3));
        assert_eq!(count("", "oom_kill"), None);
    }
}
