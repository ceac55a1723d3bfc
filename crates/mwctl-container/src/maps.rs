//! Looks at what decides the ids of containers, and writes the maps of their user namespace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ids::{Ids, Seen};
use crate::subordinate::User;

/// Where the programs are that map ids for ordinary users. They need privileges, so that the search path isn't asked.
const PLACES: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

pub(crate) fn look() -> Seen {
    let user = rustix::process::geteuid().as_raw();
    let known = User::look(user);
    Seen {
        user,
        group: rustix::process::getegid().as_raw(),
        map: fs::read_to_string("/proc/self/uid_map").unwrap_or_default(),
        users: known.users,
        groups: known.groups,
        has_helpers: program("newuidmap").is_some() && program("newgidmap").is_some(),
    }
}

fn program(name: &str) -> Option<PathBuf> {
    PLACES
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| path.is_file())
}

/// Writes the maps of the user namespace that process `pid` has made.
pub(crate) fn write(pid: u32, ids: Ids) -> io::Result<()> {
    match ids {
        Ids::Inherited => Ok(()),
        Ids::Range { first, count } => {
            let map = format!("0 {first} {count}");
            fs::write(format!("/proc/{pid}/gid_map"), &map)?;
            fs::write(format!("/proc/{pid}/uid_map"), map)
        }
        Ids::Single { user, group } => {
            // Without this the kernel lets nobody write a map of groups.
            fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
            fs::write(format!("/proc/{pid}/gid_map"), format!("0 {group} 1"))?;
            fs::write(format!("/proc/{pid}/uid_map"), format!("0 {user} 1"))
        }
        Ids::Subordinate {
            user,
            group,
            first,
            first_group,
            count,
        } => {
            helper("newgidmap", pid, group, first_group, count)?;
            helper("newuidmap", pid, user, first, count)
        }
    }
}

fn helper(name: &str, pid: u32, own: u32, first: u32, count: u32) -> io::Result<()> {
    let program = program(name).ok_or(io::ErrorKind::NotFound)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the one program that containers need, and the one place that runs it"
    )]
    let output = Command::new(program)
        .arg(pid.to_string())
        .args(["0".to_owned(), own.to_string(), "1".to_owned()])
        .args(["1".to_owned(), first.to_string(), count.to_string()])
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("`{name}` says: {}", said.trim())))
}
