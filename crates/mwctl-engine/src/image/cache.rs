//! The folder that keeps what was made: blobs by digest, installed dependencies, notes.
//!
//! Everything is written beside its place and renamed into it, so that a killed run leaves
//! nothing half and two runs at once do no harm: both write the same bytes.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::digest;

/// The folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// How long what a killed run left is kept, in case that the run isn't killed but slow.
const ABANDONED: Duration = Duration::from_hours(24);

impl Cache {
    /// A cache below the user's cache directory; made when something is put into it.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            root: directory.into().join("images"),
        }
    }

    /// Where the blob of that digest is or would be.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.root.join("blobs").join(digest.replace(':', "/"))
    }

    /// The folder of one kind of thing.
    pub(super) fn folder(&self, kind: &str) -> PathBuf {
        self.root.join(kind)
    }

    /// A folder for work in progress, on the same filesystem; gone when dropped.
    pub(crate) fn workspace(&self) -> io::Result<tempfile::TempDir> {
        let folder = self.root.join("tmp");
        std::fs::create_dir_all(&folder)?;
        tempfile::Builder::new().prefix("work-").tempdir_in(folder)
    }

    /// Keeps some bytes.
    pub(crate) fn put(&self, bytes: &[u8]) -> io::Result<(String, u64)> {
        let digest = digest::of(bytes);
        let path = self.blob(&digest);
        if !path.exists() {
            self.write(&path, bytes)?;
        }
        Ok((digest, bytes.len() as u64))
    }

    /// Moves a finished file to its digest's place.
    pub(crate) fn adopt(&self, file: &Path, digest: &str) -> io::Result<()> {
        let path = self.blob(digest);
        create_parent(&path)?;
        std::fs::rename(file, path)
    }

    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let workspace = self.workspace()?;
        let new = workspace.path().join("new");
        std::fs::File::create(&new)?.write_all(bytes)?;
        create_parent(path)?;
        std::fs::rename(new, path)
    }

    /// A note; `None` where it is missing or damaged, which is the same to us.
    pub(crate) fn note<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Option<T> {
        let bytes = std::fs::read(self.folder(kind).join(name)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn set_note<T: Serialize>(
        &self,
        kind: &str,
        name: &str,
        note: &T,
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(note)?;
        self.write(&self.folder(kind).join(name), &bytes)
    }

    /// Removes work that a killed run left behind.
    pub(super) fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(self.root.join("tmp")) else {
            return;
        };
        let now = SystemTime::now();
        for entry in entries.flatten() {
            let age = entry
                .metadata()
                .and_then(|data| data.modified())
                .ok()
                .and_then(|time| now.duration_since(time).ok());
            if age.is_some_and(|age| age > ABANDONED) {
                // What can't be removed now is tried again next time.
                drop(std::fs::remove_dir_all(entry.path()));
            }
        }
    }
}

pub(super) fn create_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}
