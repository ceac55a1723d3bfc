//! The files of the folder that is built, and their contents' hashes, remembered by what the
//! filesystem says of them.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::ignore::Ignore;
use super::{BuildError, Context, StepError};
use crate::digest::Digest;
use crate::store::Store;

/// A file that was changed less than this before it was read may change again without a new time.
const SETTLED: i64 = 2_000_000_000;

/// What the filesystem said of a file when its content was read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Known(u64, i64, i64, u64, String);

/// Something of the folder that is built can't be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    path: PathBuf,
    source: io::Error,
}

impl From<Unreadable> for StepError {
    fn from(Unreadable { path, source }: Unreadable) -> Self {
        Self::Io { path, source }
    }
}

impl From<Unreadable> for BuildError {
    fn from(Unreadable { path, source }: Unreadable) -> Self {
        Self::Context { path, source }
    }
}

/// The folder that is built.
pub(super) struct Local<'a> {
    store: &'a Store,
    root: PathBuf,
    ignore: Ignore,
    note: String,
    known: HashMap<String, Known>,
    seen: Mutex<BTreeMap<String, Known>>,
    now: i64,
}

impl<'a> Local<'a> {
    pub(super) fn open(store: &'a Store, context: &Context) -> io::Result<Self> {
        let root = context.folder.canonicalize()?;
        let note = Digest::of(root.as_os_str().as_encoded_bytes()).hex()[..24].to_owned();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            known: store.note_of("files", &note).unwrap_or_default(),
            ignore: Ignore::of(&root, &context.file),
            store,
            root,
            note,
            seen: Mutex::default(),
            now: now.map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// All files that patterns or paths mean, with their paths from the root; sorted.
    pub(super) fn all(&self) -> Result<Vec<(PathBuf, Metadata)>, Unreadable> {
        let mut found = Vec::new();
        self.below(Path::new(""), &mut found)?;
        Ok(found)
    }

    /// What a folder contains, all the way down.
    pub(super) fn below(
        &self,
        path: &Path,
        found: &mut Vec<(PathBuf, Metadata)>,
    ) -> Result<(), Unreadable> {
        let full = self.root.join(path);
        let entries = fs::read_dir(&full).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(|source| Unreadable { path: full, source })?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = path.join(entry.file_name());
            let data = match entry.metadata() {
                // An editor's file that was there for a moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(|source| Unreadable {
                    path: self.root.join(&path),
                    source,
                })?,
            };
            let excluded = self.ignore.excludes(&path);
            if data.is_dir() {
                if excluded && !self.ignore.brings_back() {
                    continue;
                }
                let before = found.len();
                found.push((path.clone(), data));
                self.below(&path, found)?;
                if excluded && found.len() == before + 1 {
                    found.pop();
                }
            } else if !excluded {
                found.push((path, data));
            }
        }
        Ok(())
    }

    /// Whether a path by itself is left out.
    pub(super) fn excludes(&self, path: &Path) -> bool {
        self.ignore.excludes(path)
    }

    /// Whether a path is no part of what is built, and nothing below it either.
    pub(super) fn leaves_out(&self, path: &Path) -> Result<bool, Unreadable> {
        if path.as_os_str().is_empty() || !self.ignore.excludes(path) {
            return Ok(false);
        }
        let mut found = Vec::new();
        if self.ignore.brings_back() && self.root.join(path).is_dir() {
            self.below(path, &mut found)?;
        }
        Ok(found.is_empty())
    }

    /// The hash of a file's content, read only where needed; of a link, of what it leads to.
    pub(super) fn hash(&self, path: &Path, data: &Metadata) -> io::Result<String> {
        let full = self.root.join(path);
        if data.is_symlink() {
            let target = fs::read_link(&full)?;
            return Ok(format!("-> {}", target.display()));
        }
        let nanoseconds = |seconds: i64, rest: i64| seconds * 1_000_000_000 + rest;
        let modified = nanoseconds(data.mtime(), data.mtime_nsec());
        let changed = nanoseconds(data.ctime(), data.ctime_nsec());
        let name = path.to_string_lossy().into_owned();
        let known = self.known.get(&name).filter(|known| {
            (known.0, known.1, known.2, known.3) == (data.size(), modified, changed, data.ino())
        });
        let hash = if let Some(known) = known {
            known.4.clone()
        } else {
            let mut state = Sha256::new();
            io::copy(&mut fs::File::open(&full)?, &mut HashInto(&mut state))?;
            hex::encode(state.finalize())
        };
        if self.now - modified.max(changed) > SETTLED {
            let known = Known(data.size(), modified, changed, data.ino(), hash.clone());
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(name, known);
        }
        Ok(hash)
    }

    /// Remembers what was read, where something is new.
    pub(super) fn close(self) {
        let seen = self
            .seen
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let same = seen.len() == self.known.len()
            && seen
                .iter()
                .all(|(name, known)| self.known.get(name) == Some(known));
        if !same && let Err(error) = self.store.write_note("files", &self.note, &seen) {
            // Then files are read once more next time.
            tracing::warn!(%error, "cannot remember files");
        }
    }
}

struct HashInto<'a>(&'a mut Sha256);

impl io::Write for HashInto<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
