//! Opening a path that must not lead out of a directory, while mounts and names change elsewhere.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
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
