//! A store's changes on disk: a snapshot of all objects, and a log of what has changed since. A change is in the log before anybody hears that
//! it was made, so that a process that is killed loses nothing that was acknowledged. What is written is in the kernel's hands then: a
//! machine that loses its power may lose the latest changes, though not their order.
//!
//! A folder has one snapshot, called after its revision, and the logs that lead on from there. A new snapshot gets its name when it is
//! complete; what it makes superfluous is removed afterwards, and ignored until then. Only the end of the last log can be half-written, and
//! is cut off then; any other damage is an error.

mod record;

use super::{GroupResource, Key};
use record::{Decoded, HEADER, Record};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A log that is shorter is not worth a snapshot.
const SHORT: u64 = 32 << 20;

/// The open log of a folder that nobody else has open.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    log: File,
    /// How long the log is: all of it is whole records.
    length: u64,
    /// How long it may become before a snapshot takes its place.
    most: u64,
    short: u64,
    /// What a failed write left could not be cut off: nothing can be written any more.
    broken: bool,
    lock: File,
}

/// What a folder held.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The revision of the latest change.
    pub(super) revision: u64,
    /// The changes in their order, beginning with those that make up the snapshot.
    pub(super) changes: Vec<Change>,
}

/// A change of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) resource: GroupResource,
    pub(super) key: Key,
    /// The object as JSON; none when it was removed.
    pub(super) json: Option<Vec<u8>>,
}

/// A folder that no store can be made of.
#[derive(Debug, thiserror::Error)]
pub enum OpenStore {
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The folder or a file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("{} is damaged at byte {at}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OpenStore + use<> {
    let path = path.to_owned();
    move |source| OpenStore::Io { path, source }
}

impl Journal {
    /// Opens a folder, which is made where there is none, and reads it. Nobody but its owner may enter.
    pub(super) fn open(folder: &Path, short: Option<u64>) -> Result<(Self, Kept), OpenStore> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(failed(folder))?;
        let place = folder.join("lock");
        let lock = private(&place, false).map_err(failed(&place))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(OpenStore::InUse(folder.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(failed(&place)(source)),
        }
        let files = Files::of(folder).map_err(failed(folder))?;
        let mut kept = Kept::default();
        if let Some(snapshot) = files.snapshots.last() {
            read_snapshot(&folder.join(name(SNAPSHOT, *snapshot)), &mut kept)?;
        }
        let logs = files.logs_after(files.snapshots.last().copied().unwrap_or_default());
        for log in logs {
            let path = folder.join(name(LOG, *log));
            let last = Some(log) == logs.last();
            read_log(&path, last, &mut kept)?;
        }
        let current = logs.last().copied().unwrap_or(kept.revision);
        let path = folder.join(name(LOG, current));
        let (log, length) = append_to(&path).map_err(failed(&path))?;
        let short = short.unwrap_or(SHORT);
        let journal = Self {
            folder: folder.to_owned(),
            log,
            length,
            most: short,
            short,
            broken: false,
            lock,
        };
        journal.remove_superfluous(&files);
        Ok((journal, kept))
    }

    /// Writes a change. After an error nothing of it is there.
    pub(super) fn append(
        &mut self,
        revision: u64,
        resource: &GroupResource,
        key: &Key,
        json: &[u8],
    ) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier change could not be written"));
        }
        let record = Record::Change {
            revision,
            group: &resource.group,
            plural: &resource.resource,
            namespace: &key.namespace,
            name: &key.name,
            json,
        };
        let bytes = record.encode();
        if let Err(error) = self.log.write_all(&bytes) {
            // Half a record would hide all that come after it.
            self.broken = self.log.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether a snapshot is due.
    pub(super) fn is_long(&self) -> bool {
        self.length > self.most
    }

    /// Puts a snapshot in the place of all that was written, and begins a new log.
    pub(super) fn compact<'a>(
        &mut self,
        revision: u64,
        objects: impl Iterator<Item = (&'a GroupResource, &'a Key, u64, &'a [u8])>,
    ) -> io::Result<()> {
        // Whatever goes wrong: the log goes on, and the next try is later.
        self.most = self.length + self.short;
        let new = self.folder.join("snapshot.new");
        let mut file = BufWriter::new(private(&new, true)?);
        file.write_all(HEADER)?;
        let mut length = 0;
        for (resource, key, revision, json) in objects {
            let record = Record::Change {
                revision,
                group: &resource.group,
                plural: &resource.resource,
                namespace: &key.namespace,
                name: &key.name,
                json,
            };
            let bytes = record.encode();
            length += bytes.len() as u64;
            file.write_all(&bytes)?;
        }
        file.write_all(&Record::End { revision }.encode())?;
        file.into_inner()?.sync_all()?;
        fs::rename(&new, self.folder.join(name(SNAPSHOT, revision)))?;
        let (log, empty) = append_to(&self.folder.join(name(LOG, revision)))?;
        (self.log, self.length) = (log, empty);
        self.most = self.short.max(2 * length);
        self.remove_superfluous(&Files::of(&self.folder)?);
        Ok(())
    }

    /// Removes what the latest snapshot makes superfluous. What cannot be removed does no harm.
    fn remove_superfluous(&self, files: &Files) {
        let Some((latest, older)) = files.snapshots.split_last() else {
            return;
        };
        let snapshots = older.iter().map(|revision| name(SNAPSHOT, *revision));
        let logs = files.logs.iter().filter(|log| *log < latest);
        for file in snapshots.chain(logs.map(|revision| name(LOG, *revision))) {
            if let Err(error) = fs::remove_file(self.folder.join(&file)) {
                tracing::debug!(%error, file, "what is superfluous stays");
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // A process that is just being started may hold a copy of the descriptor for a moment.
        if let Err(error) = self.lock.unlock() {
            tracing::debug!(%error, "the folder stays locked until this process ends");
        }
    }
}

const SNAPSHOT: &str = "snapshot";
const LOG: &str = "log";

/// So that names sort as their revisions do.
fn name(kind: &str, revision: u64) -> String {
    format!("{kind}-{revision:020}")
}

/// The revisions of the files of a folder, each kind in its order.
#[derive(Debug, Default)]
struct Files {
    snapshots: Vec<u64>,
    logs: Vec<u64>,
}

impl Files {
    fn of(folder: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let parts = name.to_str().and_then(|name| name.split_once('-'));
            match parts.and_then(|(kind, revision)| Some((kind, revision.parse().ok()?))) {
                Some((SNAPSHOT, revision)) => files.snapshots.push(revision),
                Some((LOG, revision)) => files.logs.push(revision),
                _ => {}
            }
        }
        files.snapshots.sort_unstable();
        files.logs.sort_unstable();
        Ok(files)
    }

    /// The logs that lead on from a snapshot.
    fn logs_after(&self, snapshot: u64) -> &[u64] {
        &self.logs[self.logs.partition_point(|log| *log < snapshot)..]
    }
}

fn private(path: &Path, truncate: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(truncate);
    options.mode(0o600).open(path)
}

/// A log to write to, and how long it is. One that ends within its header has just begun.
fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    let mut log = options.append(true).create(true).mode(0o600).open(path)?;
    let mut length = log.metadata()?.len();
    if length < HEADER.len() as u64 {
        log.set_len(0)?;
        log.write_all(HEADER)?;
        length = HEADER.len() as u64;
    }
    Ok((log, length))
}

fn read_snapshot(path: &Path, kept: &mut Kept) -> Result<(), OpenStore> {
    let bytes = fs::read(path).map_err(failed(path))?;
    let damaged = |at: usize, what| OpenStore::Damaged {
        path: path.to_owned(),
        at,
        what,
    };
    let end = read_records(&bytes, kept).map_err(|(at, what)| damaged(at, what))?;
    match end {
        End::Told(revision) => kept.revision = revision,
        End::Cut(at) | End::Open(at) => return Err(damaged(at, "it has no end")),
    }
    Ok(())
}

fn read_log(path: &Path, last: bool, kept: &mut Kept) -> Result<(), OpenStore> {
    let bytes = fs::read(path).map_err(failed(path))?;
    let damaged = |at: usize, what| OpenStore::Damaged {
        path: path.to_owned(),
        at,
        what,
    };
    if bytes.len() < HEADER.len() && HEADER.starts_with(&bytes) {
        return Ok(());
    }
    match read_records(&bytes, kept).map_err(|(at, what)| damaged(at, what))? {
        End::Open(_) => Ok(()),
        // Its writer was killed in the middle, and had told nobody.
        End::Cut(at) if last => {
            let file = OpenOptions::new().write(true).open(path);
            let cut = file.and_then(|file| file.set_len(at as u64));
            cut.map_err(failed(path))
        }
        End::Cut(at) => Err(damaged(at, "it ends within a change")),
        End::Told(_) => Err(damaged(0, "it is no log")),
    }
}

/// How a file ends.
enum End {
    /// After a whole record.
    Open(usize),
    /// Within the record that begins here.
    Cut(usize),
    /// With a mark that it is complete.
    Told(u64),
}

fn read_records(bytes: &[u8], kept: &mut Kept) -> Result<End, (usize, &'static str)> {
    let mut at = HEADER.len();
    if !bytes.starts_with(HEADER) {
        return Err((0, "it is no file of this program's, or of another version"));
    }
    loop {
        let rest = &bytes[at..];
        if rest.is_empty() {
            return Ok(End::Open(at));
        }
        match Decoded::of(rest) {
            Decoded::Whole(Record::End { revision }, _) => return Ok(End::Told(revision)),
            Decoded::Whole(
                Record::Change {
                    revision,
                    group,
                    plural,
                    namespace,
                    name,
                    json,
                },
                length,
            ) => {
                kept.revision = kept.revision.max(revision);
                kept.changes.push(Change {
                    revision,
                    resource: GroupResource::new(group, plural),
                    key: Key::new(namespace, name),
                    json: (!json.is_empty()).then(|| json.to_vec()),
                });
                at += length;
            }
            Decoded::Cut => return Ok(End::Cut(at)),
            Decoded::Damaged(what) => return Err((at, what)),
        }
    }
}
