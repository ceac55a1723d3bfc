//! What is at a path: kind, contents by hash. Hashes are remembered while the file's inode, size and
//! times stay the same.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Tree, TreeError};
use crate::agent::relative::RelativePath;
use crate::protocol::{EntryKind, Hash};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A file or a link.
    Entry(EntryKind),
    /// A directory.
    Directory,
    /// A socket, pipe or device.
    Other,
}

/// A file whose times are younger than this may change again without changing them: the clock of
/// file times ticks each 1 to 10 ms.
const TICK: Duration = Duration::from_millis(20);

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    inode: u64,
    size: i64,
    modified: (i64, u32),
    changed: (i64, u32),
}

/// The remembered hashes.
#[derive(Debug, Default)]
pub(super) struct Hashes(RefCell<HashMap<String, (Identity, Hash)>>);

impl Hashes {
    pub(super) fn forget(&self, path: &str) {
        self.0.borrow_mut().remove(path);
    }
}

impl Tree {
    /// Says what is at `path`; nothing also if its directory is missing.
    pub(crate) fn found(&self, path: &RelativePath) -> Result<Option<Found>, TreeError> {
        let (parent, name) = path.split();
        let directory = match self.directory(parent) {
            Ok(directory) => directory,
            Err(TreeError::System(Errno::NOENT)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let stat = match rustix::fs::statat(&*directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::Entry(self.file(path, &stat)?),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&*directory, name, Vec::new())?;
                let target = target.to_string_lossy().into_owned();
                Found::Entry(EntryKind::Symlink { target })
            }
            FileType::Directory => Found::Directory,
            _ => Found::Other,
        }))
    }

    fn file(&self, path: &RelativePath, stat: &Stat) -> Result<EntryKind, TreeError> {
        let executable = stat.st_mode & 0o100 != 0;
        let size = stat.st_size as u64;
        if let Some((identity, hash)) = self.hashes.0.borrow().get(path.as_str())
            && *identity == Identity::of(stat)
        {
            return Ok(EntryKind::File {
                hash: *hash,
                size,
                executable,
            });
        }
        let mut file = self.open_file(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; (size as usize + 1).clamp(512, 128 << 10)];
        let mut size = 0;
        loop {
            let count = file.read(&mut buffer).map_err(|error| from_io(&error))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            size += count as u64;
        }
        let hash = Hash(*hasher.finalize().as_bytes());
        let identity = Identity::of(stat);
        if identity.is_settled(SystemTime::now()) {
            self.hashes
                .0
                .borrow_mut()
                .insert(path.as_str().to_owned(), (identity, hash));
        }
        Ok(EntryKind::File {
            hash,
            size,
            executable,
        })
    }

    /// Opens a regular file for reading.
    pub(crate) fn open_file(&self, path: &RelativePath) -> Result<File, TreeError> {
        let (parent, name) = path.split();
        let directory = self.directory(parent)?;
        // Without NONBLOCK the opening of a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&*directory, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode).is_file() {
            Ok(File::from(file))
        } else {
            Err(TreeError::NotAFile)
        }
    }
}

impl Identity {
    fn of(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec as u32),
            changed: (stat.st_ctime, stat.st_ctime_nsec as u32),
        }
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.modified.max(self.changed);
        let at = Duration::new(u64::try_from(seconds).unwrap_or(0), nanoseconds);
        now.duration_since(UNIX_EPOCH)
            .is_ok_and(|now| at + TICK < now)
    }
}

/// The system's number of an error that came through the standard library.
pub(super) fn from_io(error: &std::io::Error) -> TreeError {
    Errno::from_io_error(error).unwrap_or(Errno::IO).into()
}
