//! Locks of the kernel: they end with the process that holds them, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;

/// A lock that is held.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(StoreError::io(path))
}

/// Whether the file still has its name: whoever removed it may have held the lock before.
fn is_current(file: &File, path: &Path) -> io::Result<bool> {
    let mine = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (mine.dev(), mine.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Lock {
    /// Waits until nobody holds it alone.
    pub(super) fn shared(path: &Path) -> Result<Self, StoreError> {
        Self::wait(path, File::lock_shared)
    }

    /// Waits until nobody else holds it.
    pub(super) fn exclusive(path: &Path) -> Result<Self, StoreError> {
        Self::wait(path, File::lock)
    }

    fn wait(path: &Path, lock: impl Fn(&File) -> io::Result<()>) -> Result<Self, StoreError> {
        loop {
            let file = open(path)?;
            lock(&file).map_err(StoreError::io(path))?;
            if is_current(&file, path).map_err(StoreError::io(path))? {
                let path = path.to_path_buf();
                return Ok(Self { file, path });
            }
        }
    }

    /// Takes it alone if nobody holds it; `None` where somebody does.
    pub(super) fn attempt(path: &Path) -> Result<Option<Self>, StoreError> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => {
                let path = path.to_path_buf();
                return Err(StoreError::Io { path, source });
            }
        }
        let current = is_current(&file, path).map_err(StoreError::io(path))?;
        let path = path.to_path_buf();
        Ok(current.then_some(Self { file, path }))
    }

    /// Replaces what is in the locked file.
    pub(super) fn fill(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = &self.file;
        let filled = file.set_len(0).and_then(|()| file.write_all(bytes));
        filled.map_err(StoreError::io(&self.path))
    }

    /// Where it was locked.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the file away with its lock.
    pub(super) fn remove(self) {
        // Whoever finds it there finds it free: nothing depends on its going.
        drop(fs::remove_file(&self.path));
    }
}
