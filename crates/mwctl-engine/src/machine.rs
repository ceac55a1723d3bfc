//! Reads what `mwctl doctor` is told of this machine: limits, switches, ranges of ids.
//!
//! What follows from it is decided in [`mwctl_core::doctor`]. Nothing is changed, and nothing is tried out.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use mwctl_container::subordinate::User;
use mwctl_core::doctor::{Cgroup, Machine};

use crate::command::find_program;

/// Reads what is known of this machine. What can't be read is left unknown.
pub fn read(path: &OsStr, images: &Path) -> Machine {
    let id = rustix::process::geteuid();
    let user = User::look(id.as_raw());
    Machine {
        root: id.is_root(),
        kernel: text("/proc/sys/kernel/osrelease").unwrap_or_default(),
        max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
        unprivileged_userns_clone: switch("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restricts: switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        subordinate_ids: user.count().into(),
        id_map_programs: ["newuidmap", "newgidmap"]
            .iter()
            .all(|name| find_program(path, name).is_some()),
        overlay: overlay(),
        cgroup: cgroup(Path::new("/sys/fs/cgroup")),
        inotify_watches: number("/proc/sys/fs/inotify/max_user_watches"),
        inotify_instances: number("/proc/sys/fs/inotify/max_user_instances"),
        first_free_port: number("/proc/sys/net/ipv4/ip_unprivileged_port_start")
            .and_then(|port| u16::try_from(port).ok()),
        free_bytes: free(images),
        user: user.name.unwrap_or_else(|| id.as_raw().to_string()),
    }
}

fn text(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

fn number(path: &str) -> Option<u64> {
    text(path)?.parse().ok()
}

fn switch(path: &str) -> Option<bool> {
    number(path).map(|value| value != 0)
}

/// Whether overlays are there: known to the kernel, or a module that it can load.
fn overlay() -> Option<bool> {
    let known = text("/proc/filesystems")?;
    if known
        .lines()
        .any(|line| line.trim_start_matches("nodev").trim() == "overlay")
    {
        return Some(true);
    }
    let release = text("/proc/sys/kernel/osrelease")?;
    let modules = text(format!("/lib/modules/{release}/modules.dep"))?;
    Some(modules.lines().any(|line| line.contains("/overlay.ko")))
}

/// What this process may do below its own control group.
fn cgroup(mount: &Path) -> Cgroup {
    let writable = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    if mount.join("cgroup.controllers").exists() {
        let controllers = mwctl_container::limits::possible();
        return Cgroup::V2 {
            writable: !controllers.is_empty(),
            controllers: controllers.into_iter().map(str::to_owned).collect(),
        };
    }
    if mount.join("memory").is_dir() {
        return Cgroup::V1 {
            writable: ["memory", "pids", "cpu"]
                .iter()
                .all(|name| writable(&mount.join(name))),
        };
    }
    Cgroup::None
}

/// What is free in the nearest folder that is there, in bytes.
fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_are_told_apart_by_what_their_mount_shows() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(cgroup(folder.path()), Cgroup::None);
        for name in ["memory", "pids", "cpu"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert_eq!(cgroup(folder.path()), Cgroup::V1 { writable: true });
        fs::write(folder.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
        assert!(matches!(cgroup(folder.path()), Cgroup::V2 { .. }));
    }

    #[test]
    fn this_machine_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let machine = read(OsStr::new(""), &folder.path().join("not/there/yet"));
        assert!(!machine.kernel.is_empty() && !machine.user.is_empty());
        assert!(machine.free_bytes.is_some());
        assert!(!machine.id_map_programs);
    }
}
