//! What a process may: its user, capabilities, system calls, limits. In this order, since each step needs what a later one takes.

use std::fs;
use std::os::fd::AsFd as _;

use mwctl_zygote::protocol::{Process, Seccomp, Step};
use rustix::fs::{FileType, fchown, fstat};
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use super::error::{At, Outcome};
use super::seccomp::Filters;
use super::single_id;
use super::system;
use super::user::{self, Ids};

/// More capabilities than any kernel has.
const CAPABILITIES: u32 = 64;

pub(crate) fn limit(process: &Process, filters: &Filters) -> Outcome<()> {
    // The zygote's own is empty, so that what it makes has exactly the modes that it names.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    for resource in &process.resources {
        system::limit(resource.number, resource.limit).at(Step::Privileges, "resource limits")?;
    }
    let mut ids = user::resolve(&process.identity)?;
    if single_id::is_all_there_is() {
        single_id::renumber(&mut ids)?;
    }
    let kept = CapabilitySet::from_bits_retain(process.capabilities);
    if process.no_new_privileges {
        set_no_new_privs(true).at(Step::Privileges, "no new privileges")?;
    }
    // Before the capability goes that it needs where privileges may be gained. It forbids nothing that follows.
    if process.seccomp == Seccomp::RuntimeDefault {
        filters.apply(process.capabilities)?;
    }
    drop_from_bounding_set(kept)?;
    give_streams(&ids);
    become_user(&ids)?;
    keep_capabilities(kept, ids.user)
}

/// How willingly the kernel ends what this process makes. Never below what it lets us have: that of the zygote.
pub(crate) fn adjust_oom_score(wanted: i32) -> Outcome<()> {
    let path = "/proc/self/oom_score_adj";
    let now = fs::read_to_string(path).at(Step::Privileges, path)?;
    let least = now.trim().parse().unwrap_or(0);
    fs::write(path, wanted.clamp(least, 1000).to_string()).at(Step::Privileges, path)
}

/// The user may open its streams again (`/dev/stdout`), as in any container runtime. What isn't a pipe or a terminal, or belongs to
/// somebody outside, stays as it is.
fn give_streams(ids: &Ids) {
    let streams = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for stream in [streams.0.as_fd(), streams.1.as_fd(), streams.2.as_fd()] {
        let pipe = fstat(stream)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Fifo);
        if pipe || rustix::termios::isatty(stream) {
            let _kept = fchown(stream, Some(Uid::from_raw(ids.user)), None);
        }
    }
}

fn drop_from_bounding_set(kept: CapabilitySet) -> Outcome<()> {
    for number in 0..CAPABILITIES {
        let one = CapabilitySet::from_bits_retain(1 << number);
        // What the kernel doesn't know ends the list.
        let Ok(there) = capability_is_in_bounding_set(one) else {
            break;
        };
        if there && !kept.contains(one) {
            remove_capability_from_bounding_set(one).at(Step::Privileges, "capabilities")?;
        }
    }
    Ok(())
}

fn become_user(ids: &Ids) -> Outcome<()> {
    let who = format!("{}:{}", ids.user, ids.group);
    let groups: Vec<Gid> = ids
        .groups
        .iter()
        .map(|group| Gid::from_raw(*group))
        .collect();
    let denied = fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny");
    // With one id alone there are no groups to be had, and none but the user's own to lose.
    if !(denied && groups.is_empty()) {
        set_thread_groups(&groups).at(Step::User, &who)?;
    }
    let group = Gid::from_raw(ids.group);
    set_thread_res_gid(group, group, group).at(Step::User, &who)?;
    set_keep_capabilities(false).at(Step::Privileges, "capabilities")?;
    let user = Uid::from_raw(ids.user);
    set_thread_res_uid(user, user, user).at(Step::User, &who)
}

/// Root keeps what it may have; another user has nothing, as in any container runtime.
fn keep_capabilities(kept: CapabilitySet, user: u32) -> Outcome<()> {
    clear_ambient_capability_set().at(Step::Privileges, "capabilities")?;
    let now = capabilities(None).at(Step::Privileges, "capabilities")?;
    let kept = if user == 0 {
        now.permitted & kept
    } else {
        CapabilitySet::empty()
    };
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).at(Step::Privileges, "capabilities")
}
