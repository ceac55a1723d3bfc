//! What this machine is, as a node's object tells it.

use std::fs;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) processors: u64,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) kernel: String,
    pub(crate) system: String,
    /// Which machine it is, among all.
    pub(crate) id: String,
    pub(crate) boot_id: String,
    pub(crate) host_name: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let trimmed = |path| read(path).trim().to_owned();
        Self {
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            memory: total_memory(&read("/proc/meminfo")),
            kernel: trimmed("/proc/sys/kernel/osrelease"),
            system: pretty_name(&read("/etc/os-release")),
            id: trimmed("/etc/machine-id"),
            boot_id: trimmed("/proc/sys/kernel/random/boot_id"),
            host_name: trimmed("/proc/sys/kernel/hostname"),
        }
    }
}

/// As Kubernetes names architectures.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn total_memory(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

fn pretty_name(os_release: &str) -> String {
    let name = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_and_the_systems_files_are_read() {
        assert_eq!(
            total_memory("MemTotal:       16 kB\nMemFree: 1 kB\n"),
            16384
        );
        assert_eq!(total_memory(""), 0);
        assert_eq!(
            pretty_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
            "Debian GNU/Linux 12"
        );
    }
}
