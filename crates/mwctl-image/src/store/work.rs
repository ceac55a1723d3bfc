//! Places where things are made. They are taken away by whoever made them, or, if that was
//! killed, by whoever comes next.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::lock::Lock;
use super::{Store, StoreError};
use mwctl_container::tree;

/// A folder of one's own.
#[derive(Debug)]
pub(crate) struct Work {
    folder: PathBuf,
    lock: Option<Lock>,
}

impl Work {
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let removed = tree::remove(&self.folder);
        if let Err(error) = &removed {
            tracing::warn!(%error, folder = %self.folder.display(), "cannot tidy up");
        }
        if let Some(lock) = self.lock.take()
            && removed.is_ok()
        {
            lock.remove();
        }
    }
}

/// A name that no other process and no other thread uses.
pub(super) fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{next}", std::process::id())
}

impl Store {
    /// Makes a place to work in.
    pub(crate) fn work(&self) -> Result<Work, StoreError> {
        let lock = self.file()?;
        let folder = lock.path().with_extension("");
        // A place of the same name may be left from a process that was killed.
        tree::remove(&folder).map_err(StoreError::io(&folder))?;
        fs::create_dir(&folder).map_err(StoreError::io(&folder))?;
        let lock = Some(lock);
        Ok(Work { folder, lock })
    }

    /// Makes a file that is its own lock. It is that of a place, or what is written at once and then gets another name.
    pub(super) fn file(&self) -> Result<Lock, StoreError> {
        loop {
            let name = format!("{}.lock", unique());
            // Processes of several namespaces may have the same number: the lock decides.
            if let Some(lock) = Lock::attempt(&self.path("work").join(name))? {
                return Ok(lock);
            }
        }
    }

    /// Takes away what killed processes left. What can't be removed stays for another time.
    pub(super) fn sweep(&self) -> Result<(), StoreError> {
        let folder = self.path("work");
        for entry in fs::read_dir(&folder).map_err(StoreError::io(&folder))? {
            let path = entry.map_err(StoreError::io(&folder))?.path();
            if path.extension().is_none_or(|extension| extension != "lock") {
                continue;
            }
            let Some(lock) = Lock::attempt(&path)? else {
                continue;
            };
            let left = path.with_extension("");
            match tree::remove(&left) {
                Ok(()) => lock.remove(),
                Err(error) => {
                    tracing::warn!(%error, folder = %left.display(), "cannot tidy up");
                }
            }
        }
        Ok(())
    }
}
