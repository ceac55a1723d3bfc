//! A user namespace for an ordinary user: in it the files of images may have owners.
//!
//! With `newuidmap` and a range in `/etc/subuid` and `/etc/subgid` (package `uidmap`) all owners
//! are kept. Without, there is one id, and everything belongs to it; see [`crate::Owners`].

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::process::{Child, Stdio};

use mwctl_container::subordinate::{Range, User};
use rustix::process::{Gid, Uid, getgid, getuid};
use rustix::thread::{UnshareFlags, set_thread_res_gid, set_thread_res_uid, unshare_unsafe};

/// What became of [`enter`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entered {
    /// This process is root already, of the machine or of a namespace.
    Root,
    /// All owners are kept.
    Range,
    /// There is no range for this user: owners are lost.
    Single,
}

/// Why there is no namespace.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The machine doesn't allow user namespaces.
    #[error("this machine doesn't let ordinary users have namespaces")]
    Forbidden(#[source] io::Error),
    /// The one id couldn't be mapped.
    #[error("cannot become root of an own user namespace")]
    Map(#[source] io::Error),
}

impl EnterError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Forbidden(_) => vec![
                "sudo sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 user.max_user_namespaces=15000"
                    .to_owned(),
                "or run it as root".to_owned(),
            ],
            Self::Map(_) => Vec::new(),
        }
    }
}

/// A program that maps ids, which waits until its input is closed: it must run outside of the
/// namespace, and start before there is one.
fn mapper(program: &str, own: u32, range: Range) -> io::Result<Child> {
    let words = [
        std::process::id().to_string(),
        "0".to_owned(),
        own.to_string(),
        "1".to_owned(),
        "1".to_owned(),
        range.first.to_string(),
        range.count.to_string(),
    ];
    let words = words.into_iter().map(OsString::from);
    #[expect(
        clippy::disallowed_methods,
        reason = "only these two programs may map ids for a user, and no runtime exists yet"
    )]
    std::process::Command::new("/bin/sh")
        .args(["-c", "read -r _; exec \"$@\"", "sh", program])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// Lets a mapper go on, and says whether it mapped.
fn mapped(mut child: Child) -> bool {
    drop(child.stdin.take());
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        // What it says is for the trace only.
        drop(stderr.read_to_string(&mut text));
    }
    let done = child.wait().is_ok_and(|status| status.success());
    if !done {
        tracing::warn!(message = text.trim(), "ids can't be mapped");
    }
    done
}

/// Moves this process into a user namespace in which it is root, unless it is root.
///
/// Call it while the process has one thread: the kernel refuses it otherwise.
pub fn enter() -> Result<Entered, EnterError> {
    let (uid, gid) = (getuid(), getgid());
    if uid.is_root() {
        return Ok(Entered::Root);
    }
    let (uid, gid) = (uid.as_raw(), gid.as_raw());
    let known = User::look(uid);
    let mappers = match (known.users, known.groups) {
        (Some(users), Some(groups)) => mapper("newuidmap", uid, users)
            .and_then(|first| Ok((first, mapper("newgidmap", gid, groups)?)))
            .ok(),
        _ => None,
    };
    unshare()?;
    let ranged = match mappers {
        // Both are let go, whatever becomes of the first.
        Some((first, second)) => mapped(first) & mapped(second),
        None => false,
    };
    if !ranged {
        // Half a mapping can't be added to: then there is no way on.
        fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| fs::write("/proc/self/gid_map", format!("0 {gid} 1")))
            .and_then(|()| fs::write("/proc/self/uid_map", format!("0 {uid} 1")))
            .map_err(EnterError::Map)?;
    }
    let (group, user) = (Gid::ROOT, Uid::ROOT);
    set_thread_res_gid(group, group, group)
        .and_then(|()| set_thread_res_uid(user, user, user))
        .map_err(|error| EnterError::Map(error.into()))?;
    Ok(if ranged {
        Entered::Range
    } else {
        Entered::Single
    })
}

#[expect(
    unsafe_code,
    reason = "the kernel's call; no descriptor table is unshared"
)]
fn unshare() -> Result<(), EnterError> {
    // SAFETY: only the user namespace is left; descriptors stay shared by all threads.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }
        .map_err(|error| EnterError::Forbidden(error.into()))
}
