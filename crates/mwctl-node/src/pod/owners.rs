//! Gives what a claim holds to the group of a pod (`fsGroup`), as the kubelet does: files and folders become the group's, and the group may do
//! with them what their owner may.
//!
//! Other pods may write there meanwhile. So no path is looked at twice: whatever is changed was opened first, and never is a symbolic
//! link followed.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, chownat, fstat, open, openat};
use rustix::io::Errno;

/// What the group may do with files, and more with folders, whose new files are the group's, too.
const FILES: u32 = 0o660;
const FOLDERS: u32 = 0o2770;

/// Whose a claim becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) number: u32,
    /// Nothing is done where the folder itself is the group's already (`fsGroupChangePolicy: OnRootMismatch`).
    pub(crate) trusts_root: bool,
}

/// Gives all of it. Whoever has one id alone can give nothing to anybody, and need not: all is everybody's.
pub(crate) fn give(folder: &Path, group: Group) -> io::Result<()> {
    let opened = open(folder, path_flags(), Mode::empty())?;
    let seen = fstat(&opened)?;
    if group.trusts_root && is_given(&seen, group.number) {
        return Ok(());
    }
    match give_opened(&opened, group.number) {
        Err(Errno::PERM | Errno::INVAL) => {
            tracing::debug!("{}: its group can't be changed", folder.display());
            Ok(())
        }
        given => Ok(given?),
    }
}

fn is_given(seen: &Stat, group: u32) -> bool {
    seen.st_gid == group && seen.st_mode & FOLDERS == FOLDERS
}

fn path_flags() -> OFlags {
    OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn give_opened(opened: &OwnedFd, group: u32) -> rustix::io::Result<()> {
    let seen = fstat(opened)?;
    let owner = Some(Gid::from_raw(group));
    chownat(opened, "", None, owner, AtFlags::EMPTY_PATH)?;
    let more = match FileType::from_raw_mode(seen.st_mode) {
        FileType::Symlink => return Ok(()),
        FileType::Directory => FOLDERS,
        _ => FILES,
    };
    let allowed = Permissions::from_mode(seen.st_mode & 0o7777 | more);
    // The one way to what was opened as a path.
    let itself = format!("/proc/self/fd/{}", opened.as_raw_fd());
    let changed = fs::set_permissions(itself, allowed);
    changed.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if more == FOLDERS {
        give_entries(opened, group)?;
    }
    Ok(())
}

fn give_entries(folder: &OwnedFd, group: u32) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = openat(folder, ".", flags, Mode::empty())?;
    for entry in Dir::new(listed)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match openat(folder, name, path_flags(), Mode::empty()) {
            // Somebody has removed it.
            Err(Errno::NOENT) => {}
            opened => give_opened(&opened?, group)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    #[test]
    fn all_of_it_is_the_groups_and_links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["claim", "claim/below", "outside"] {
            fs::create_dir(at(name)).unwrap();
        }
        for name in ["claim/below/file", "outside/file"] {
            fs::write(at(name), "").unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(0o600)).unwrap();
        }
        symlink(at("outside"), at("claim/link")).unwrap();
        symlink(at("outside/file"), at("claim/below/link")).unwrap();
        // A group that whoever runs the tests may give things to: another one than its own, where it is root.
        let own = rustix::process::getegid().as_raw();
        let number = if rustix::process::geteuid().is_root() {
            4321
        } else {
            own
        };
        let group = |trusts_root| Group {
            number,
            trusts_root,
        };
        give(&at("claim"), group(false)).unwrap();
        let seen = |name: &str| {
            let found = fs::symlink_metadata(at(name)).unwrap();
            (found.gid(), found.mode() & 0o7777)
        };
        assert_eq!(seen("claim/below/file"), (number, 0o660));
        for name in ["claim", "claim/below"] {
            let (owner, mode) = seen(name);
            assert_eq!((owner, mode & FOLDERS), (number, FOLDERS), "{name}");
        }
        assert_eq!(seen("outside/file"), (own, 0o600));
        assert_eq!(seen("outside").0, own);

        // Who trusts the root looks no further.
        fs::set_permissions(at("claim/below/file"), Permissions::from_mode(0o600)).unwrap();
        give(&at("claim"), group(true)).unwrap();
        assert_eq!(seen("claim/below/file").1, 0o600);
        fs::set_permissions(at("claim"), Permissions::from_mode(0o700)).unwrap();
        give(&at("claim"), group(true)).unwrap();
        assert_eq!(seen("claim/below/file").1, 0o660);
    }
}
