//! What this machine is, as a node's object tells it.

use std::fs;
use std::path::Path;

use rustix::fs::statvfs;
use rustix::process::geteuid;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) processors: u64,
    /// In bytes.
    pub(crate) memory: u64,
    /// Of the disk that pods write to, in bytes.
    pub(crate) disk: u64,
    /// The lowest port of this machine that this process may listen on.
    pub(crate) first_port: u16,
    pub(crate) kernel: String,
    pub(crate) system: String,
    /// Which machine it is, among all.
    pub(crate) id: String,
    pub(crate) boot_id: String,
    pub(crate) host_name: String,
}

impl Machine {
    /// Looks at this machine, whose pods write below `folder`.
    pub(crate) fn look(folder: &Path) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let trimmed = |path| read(path).trim().to_owned();
        Self {
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            memory: meminfo(&read("/proc/meminfo"), "MemTotal").unwrap_or_default(),
            disk: disk(folder),
            first_port: first_port(
                geteuid().is_root(),
                &trimmed("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
            ),
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

/// A number of `/proc/meminfo`, in bytes.
pub(crate) fn meminfo(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, number) = lines.find(|(known, _)| *known == name)?;
    let kibibytes: u64 = number.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Everything for root; for others what the kernel's setting says, which is 1024 where it can't be read.
fn first_port(is_root: bool, setting: &str) -> u16 {
    if is_root {
        0
    } else {
        setting.parse().unwrap_or(1024)
    }
}

/// How much the disk of a folder holds, or of the nearest one above it that is there; 0 where that can't be told.
fn disk(folder: &Path) -> u64 {
    let mut found = folder.ancestors().filter_map(|it| statvfs(it).ok());
    found.next().map_or(0, |it| it.f_blocks * it.f_frsize)
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
    fn root_has_every_port() {
        assert_eq!(first_port(true, "1024"), 0);
        assert_eq!(first_port(false, "80"), 80);
        assert_eq!(first_port(false, ""), 1024);
    }

    #[test]
    fn the_kernels_and_the_systems_files_are_read() {
        assert_eq!(
            meminfo("MemTotal:       16 kB\nMemFree: 1 kB\n", "MemTotal"),
            Some(16384)
        );
        assert_eq!(meminfo("", "MemTotal"), None);
        assert_eq!(
            pretty_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
            "Debian GNU/Linux 12"
        );
    }
}
