//! Opening a path that must not lead out of a directory, while mounts and names change elsewhere.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, fchmod, fstat, mkdirat, openat2};
use rustix::io::{Errno, Result};

/// More often than it can be disturbed by twenty containers that begin at once.
const TRIES: usize = 10_000;

/// Opens a path below a directory with `openat2(2)`.
///
/// The kernel answers `EAGAIN` where it can't tell whether a `..` led outside, because something was mounted or renamed
/// anywhere on the machine meanwhile: then it is asked again.
pub fn open_below(
    directory: impl AsFd,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    for _ in 1..TRIES {
        match openat2(&directory, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    openat2(&directory, path, flags, Mode::empty(), resolve)
}

/// Opens a path below a directory, as a place. Folders on the way that aren't there are made, and so is the last part where
/// it is to be a folder; they may be used by whoever may use the directory. Symbolic links never lead out of it.
pub fn open_or_make_below(
    directory: impl AsFd,
    path: &Path,
    folder: bool,
) -> std::result::Result<OwnedFd, (PathBuf, Errno)> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut so_far = PathBuf::new();
    let at = |so_far: &Path| {
        let so_far = so_far.to_path_buf();
        move |error| (so_far, error)
    };
    let mut here = open_below(&directory, Path::new("."), flags, resolve).map_err(at(path))?;
    let permissions = Mode::from_raw_mode(fstat(&here).map_err(at(path))?.st_mode & 0o7777);
    let parts = path.components().count();
    for (index, part) in path.components().enumerate() {
        so_far.push(part);
        let found = open_below(&directory, &so_far, flags, resolve);
        here = if matches!(found, Err(Errno::NOENT)) && (folder || index + 1 < parts) {
            match mkdirat(&here, Path::new(part.as_os_str()), Mode::RWXU) {
                // Another container of the pod was faster.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err((so_far, error)),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let made = open_below(&directory, &so_far, flags, resolve).map_err(at(&so_far))?;
            fchmod(&made, permissions).map_err(at(&so_far))?;
            made
        } else {
            found.map_err(at(&so_far))?
        };
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_is_missing_is_made_for_the_same_users_and_nothing_outside() {
        let folder = std::env::temp_dir().join(format!("mwctl-resolve-{}", std::process::id()));
        let inner = folder.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(0o777)).unwrap();
        symlink("..", inner.join("out")).unwrap();
        let directory = std::fs::File::open(&inner).unwrap();
        let open = |path: &str, folder| open_or_make_below(&directory, Path::new(path), folder);

        open("a/b", true).unwrap();
        let mode = std::fs::metadata(inner.join("a/b")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o7777, 0o777);
        open("a/b", true).unwrap();
        assert_eq!(open("a/c/file", false).unwrap_err().1, Errno::NOENT);
        assert!(inner.join("a/c").is_dir() && !inner.join("a/c/file").exists());
        assert_eq!(open("out/x", true).unwrap_err().1, Errno::XDEV);
        assert!(!folder.join("x").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
