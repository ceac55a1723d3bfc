//! Another user where the node has one id alone: that id, under the wanted number, in a user namespace of the process's own.
//!
//! Whoever starts containers without a range in `/etc/subuid` owns everything in them anyway, so the process loses and gains
//! nothing but the number that it sees. It has no further groups, and can't become anybody else.

use std::fs;

use mwctl_zygote::protocol::Step;
use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
use rustix::thread::UnshareFlags;

use super::error::{At, Outcome};
use super::system;
use super::user::Ids;

/// Whether the calling process has one id alone.
pub(crate) fn is_all_there_is() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| has_one(&map))
}

/// Whether a map (`user_namespaces(7)`) has one id alone.
fn has_one(map: &str) -> bool {
    let mut counts = map
        .lines()
        .map(|line| line.split_whitespace().nth(2).unwrap_or_default());
    counts.next() == Some("1") && counts.next().is_none()
}

/// Gives the one id the wanted numbers. The calling process must be root of its namespace.
pub(crate) fn renumber(ids: &mut Ids) -> Outcome<()> {
    ids.groups.clear();
    if (ids.user, ids.group) == (0, 0) {
        return Ok(());
    }
    system::unshare(UnshareFlags::NEWUSER).at(Step::User, "user namespace")?;
    // A process that others must not look at can't open its own maps. Those others have no rights in the new namespace.
    let before = dumpable_behavior().at(Step::User, "dumpable")?;
    set_dumpable_behavior(DumpableBehavior::Dumpable).at(Step::User, "dumpable")?;
    for (path, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/gid_map", format!("{} 0 1", ids.group)),
        ("/proc/self/uid_map", format!("{} 0 1", ids.user)),
    ] {
        fs::write(path, text).at(Step::User, path)?;
    }
    set_dumpable_behavior(before).at(Step::User, "dumpable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_is_told_from_many() {
        assert!(has_one("         0       1000          1\n"));
        assert!(!has_one("0 0 4294967295\n"));
        assert!(!has_one("0 1000 1\n1 100000 65536\n"));
        assert!(!has_one(""));
    }
}
