//! The manifest: which paths are the session's to delete, because the agent wrote them, found them
//! equal to what was wanted, or the image said that they come from the service's source.
//!
//! It outlives the agent as a log of records beside the socket: one short append for each update,
//! rewritten at each start. What is about to be written is recorded *before* it is written, and what
//! was deleted *after*: a killed agent then claims at worst a path whose contents differ from the
//! record, and such a path is never deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::steps::StepRecord;
use crate::frame::{Decoder, encode};
use crate::protocol::EntryKind;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// The path is the session's and was last written so.
    Has { path: String, kind: EntryKind },
    /// The path is no longer the session's.
    Lost { path: String },
    /// The agent made this directory.
    Made { directory: String },
    /// The directory is gone.
    Unmade { directory: String },
    /// How the dependency step stands.
    Step(StepRecord),
    /// The last commit that was applied.
    Applied { session: String, update: u64 },
    /// The volume was filled from the image by a copy described so.
    Copied { copy: String },
}

/// The manifest of one target.
#[derive(Debug)]
pub(crate) struct Manifest {
    log: File,
    path: PathBuf,
    pub(crate) state: State,
}

/// What the records come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) entries: BTreeMap<String, EntryKind>,
    pub(crate) directories: BTreeSet<String>,
    pub(crate) step: Option<StepRecord>,
    pub(crate) applied: Option<(String, u64)>,
    pub(crate) copied: Option<String>,
}

/// The manifest cannot be kept.
#[derive(Debug, Error)]
#[error("cannot keep the manifest `{path}`")]
pub(crate) struct KeepManifest {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl State {
    fn add(&mut self, record: Record) {
        match record {
            Record::Has { path, kind } => drop(self.entries.insert(path, kind)),
            Record::Lost { path } => drop(self.entries.remove(&path)),
            Record::Made { directory } => drop(self.directories.insert(directory)),
            Record::Unmade { directory } => drop(self.directories.remove(&directory)),
            Record::Step(step) => self.step = Some(step),
            Record::Applied { session, update } => self.applied = Some((session, update)),
            Record::Copied { copy } => self.copied = Some(copy),
        }
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        let has = |(path, kind): (&String, &EntryKind)| Record::Has {
            path: path.clone(),
            kind: kind.clone(),
        };
        let made = |directory: &String| Record::Made {
            directory: directory.clone(),
        };
        let applied = |(session, update): &(String, u64)| Record::Applied {
            session: session.clone(),
            update: *update,
        };
        (self.entries.iter().map(has))
            .chain(self.directories.iter().map(made))
            .chain(self.step.map(Record::Step))
            .chain(self.applied.as_ref().map(applied))
            .chain(self.copied.clone().map(|copy| Record::Copied { copy }))
    }
}

impl Manifest {
    /// Reads the manifest in `directory` and writes it anew without what is superseded. A broken
    /// tail, as a killed agent may leave, is dropped.
    pub(crate) fn open(directory: &Path) -> Result<Self, KeepManifest> {
        let path = directory.join("manifest");
        let keep = |source| KeepManifest {
            path: path.clone(),
            source,
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(keep(error)),
        };
        let state = read(&bytes);
        let mut compact = Vec::new();
        for record in state.records() {
            compact.extend(encode(&record).map_err(|error| keep(io::Error::other(error)))?);
        }
        let new = directory.join("manifest.new");
        let mut log = File::create(&new).map_err(keep)?;
        log.write_all(&compact).map_err(keep)?;
        fs::rename(&new, &path).map_err(keep)?;
        Ok(Self { log, path, state })
    }

    /// Appends records in one write.
    pub(crate) fn append(&mut self, records: Vec<Record>) -> Result<(), KeepManifest> {
        let keep = |source| KeepManifest {
            path: self.path.clone(),
            source,
        };
        let mut bytes = Vec::new();
        for record in &records {
            bytes.extend(encode(record).map_err(|error| keep(io::Error::other(error)))?);
        }
        self.log.write_all(&bytes).map_err(keep)?;
        for record in records {
            self.state.add(record);
        }
        Ok(())
    }
}

fn read(bytes: &[u8]) -> State {
    let mut state = State::default();
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    while let Ok(Some(record)) = decoder.next_frame() {
        state.add(record);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Entry;

    fn has(path: &str) -> Record {
        Record::Has {
            path: path.into(),
            kind: Entry::file(path, path.as_bytes(), false).kind,
        }
    }

    #[test]
    fn what_was_recorded_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::open(directory.path()).unwrap();
        manifest
            .append(vec![
                has("a"),
                has("b"),
                Record::Made {
                    directory: "d".into(),
                },
            ])
            .unwrap();
        manifest
            .append(vec![Record::Lost { path: "a".into() }])
            .unwrap();
        manifest
            .append(vec![Record::Applied {
                session: "s".into(),
                update: 4,
            }])
            .unwrap();
        let again = Manifest::open(directory.path()).unwrap();
        assert_eq!(again.state, manifest.state);
        assert_eq!(again.state.entries.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(again.state.applied, Some(("s".into(), 4)));
    }

    #[test]
    fn a_torn_record_loses_only_itself() {
        let directory = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::open(directory.path()).unwrap();
        manifest.append(vec![has("a"), has("b")]).unwrap();
        let path = directory.path().join("manifest");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let mut again = Manifest::open(directory.path()).unwrap();
        assert_eq!(again.state.entries.keys().collect::<Vec<_>>(), ["a"]);
        again.append(vec![has("c")]).unwrap();
        let third = Manifest::open(directory.path()).unwrap();
        assert_eq!(third.state.entries.keys().collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn garbage_is_an_empty_manifest() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("manifest"), b"not a manifest at all").unwrap();
        assert_eq!(
            Manifest::open(directory.path()).unwrap().state,
            State::default()
        );
    }
}
