//! Collecting an update: the wanted list, contents as they arrive, deletions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;

use super::{Files, reason_of};
use crate::agent::relative::RelativePath;
use crate::agent::tree::{Found, Temporary, Tree};
use crate::protocol::{Data, Entry, EntryKind, Hash, Put, RefusedPath};

/// What was collected for one update.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) update: u64,
    /// The wanted list so far, if one was begun.
    pub(super) wanted: Option<BTreeMap<String, EntryKind>>,
    /// Whether that list is complete.
    pub(super) listed: bool,
    /// Wanted, not there, and not received yet.
    pub(super) missing: BTreeSet<String>,
    pub(super) puts: Vec<Staged>,
    pub(super) receiving: Option<Receiving>,
    pub(super) deletes: BTreeSet<RelativePath>,
    pub(super) refused: Vec<RefusedPath>,
}

/// Contents that are complete and have the stated hash.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) path: RelativePath,
    pub(super) kind: EntryKind,
    pub(super) contents: Contents,
}

/// Where contents wait.
#[derive(Debug)]
pub(super) enum Contents {
    /// Of a small edit, written when it is known how.
    Memory(Vec<u8>),
    /// Beside their place.
    Temporary(Temporary),
}

/// A file on its way in.
#[derive(Debug)]
pub(super) struct Receiving {
    path: RelativePath,
    kind: EntryKind,
    remaining: u64,
    hasher: Box<blake3::Hasher>,
    /// Nothing once a write failed; the rest of its pieces is dropped.
    target: Option<(File, Temporary)>,
}

impl Staging {
    pub(super) fn new(update: u64) -> Self {
        Self {
            update,
            wanted: None,
            listed: false,
            missing: BTreeSet::new(),
            puts: Vec::new(),
            receiving: None,
            deletes: BTreeSet::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn refuse(&mut self, path: &str, reason: &(impl ToString + ?Sized)) {
        self.missing.remove(path);
        self.refused.push(RefusedPath {
            path: path.to_owned(),
            reason: reason.to_string(),
        });
    }

    pub(super) fn parse(&mut self, path: &str) -> Option<RelativePath> {
        RelativePath::parse(path)
            .map_err(|problem| self.refuse(path, &problem))
            .ok()
    }

    pub(super) fn staged(&mut self, path: RelativePath, kind: EntryKind, contents: Contents) {
        self.missing.remove(path.as_str());
        self.puts.push(Staged {
            path,
            kind,
            contents,
        });
    }

    /// Ends a file whose pieces did not all come.
    pub(super) fn end_receiving(&mut self) {
        if let Some(cut) = self.receiving.take() {
            self.refuse(cut.path.as_str(), "was not sent completely");
        }
    }
}

impl Files {
    /// Takes a part of the wanted list; with the last part, answers which paths are not there.
    pub(crate) fn want(
        &mut self,
        update: u64,
        entries: Vec<Entry>,
        last: bool,
    ) -> Option<Vec<String>> {
        // A list after a complete one, or on top of contents, is a new beginning.
        self.staging.take_if(|staging| staging.listed);
        let tree = self.tree.clone();
        let known = self.mounted.then(|| self.known(&entries));
        let staging = self.staging(update);
        for (place, entry) in entries.into_iter().enumerate() {
            let Some(path) = staging.parse(&entry.path) else {
                continue;
            };
            // What cannot be read is asked for, and the commit says what is the matter.
            let there = match &known {
                Some(known) => known[place],
                None => {
                    matches!(tree.found(&path), Ok(Some(Found::Entry(kind))) if kind == entry.kind)
                }
            };
            if !there {
                staging.missing.insert(entry.path.clone());
            }
            staging
                .wanted
                .get_or_insert_default()
                .insert(entry.path, entry.kind);
        }
        staging.listed = last;
        if last {
            staging.wanted.get_or_insert_default();
        }
        tree.forget_directories();
        last.then(|| staging.missing.iter().cloned().collect())
    }

    /// Announces contents.
    pub(crate) fn put(&mut self, update: u64, entry: Entry) {
        if self.mounted {
            return self.note(update, entry);
        }
        let tree = self.tree.clone();
        let staging = self.staging(update);
        staging.end_receiving();
        let Some(path) = staging.parse(&entry.path) else {
            return;
        };
        match entry.kind {
            EntryKind::Symlink { ref target } => match tree.create_temporary_link(&path, target) {
                Ok(link) => staging.staged(path, entry.kind, Contents::Temporary(link)),
                Err(error) => staging.refuse(&entry.path, &error),
            },
            EntryKind::File {
                size, executable, ..
            } => {
                let target = tree
                    .create_temporary(&path, executable)
                    .map_err(|error| staging.refuse(&entry.path, &error))
                    .ok();
                let hasher = Box::default();
                let kind = entry.kind;
                staging.receiving = Some(Receiving {
                    path,
                    kind,
                    remaining: size,
                    hasher,
                    target,
                });
                staging.receive(&[]);
            }
        }
    }

    /// Takes the next piece of the announced file.
    pub(crate) fn chunk(&mut self, data: Data) {
        let Some(staging) = &mut self.staging else {
            return;
        };
        match data.unpack() {
            Ok(piece) => staging.receive(&piece),
            Err(error) => {
                if let Some(receiving) = staging.receiving.take() {
                    staging.refuse(receiving.path.as_str(), &error);
                }
            }
        }
    }

    /// Announces deletions.
    pub(crate) fn delete(&mut self, update: u64, paths: &[String]) {
        let staging = self.staging(update);
        for path in paths {
            if let Some(path) = staging.parse(path) {
                staging.deletes.insert(path);
            }
        }
    }

    /// Takes the complete contents of a small edit.
    pub(crate) fn put_complete(&mut self, update: u64, puts: Vec<Put>) {
        for Put { entry, data } in puts {
            if self.mounted {
                self.note(update, entry);
                continue;
            }
            let EntryKind::File { hash, .. } = entry.kind else {
                self.put(update, entry);
                continue;
            };
            let staging = self.staging(update);
            let Some(path) = staging.parse(&entry.path) else {
                continue;
            };
            match data.unpack() {
                Ok(contents) if Hash::of(&contents) == hash => {
                    staging.staged(path, entry.kind, Contents::Memory(contents));
                }
                Ok(_) => staging.refuse(&entry.path, MISMATCH),
                Err(error) => staging.refuse(&entry.path, &error),
            }
        }
    }
}

/// The checkout changed between hashing and reading, or the stream is broken.
const MISMATCH: &str = "arrived with other contents than its hash says";

impl Staging {
    fn receive(&mut self, piece: &[u8]) {
        let Some(mut receiving) = self.receiving.take() else {
            return;
        };
        receiving.hasher.update(piece);
        let path = receiving.path.as_str().to_owned();
        if let Some((file, _)) = &mut receiving.target
            && let Err(error) = file.write_all(piece)
        {
            receiving.target = None;
            self.refuse(&path, &reason_of(&error));
        }
        let Some(remaining) = receiving.remaining.checked_sub(piece.len() as u64) else {
            return self.refuse(&path, "arrived longer than its size says");
        };
        receiving.remaining = remaining;
        if remaining > 0 {
            self.receiving = Some(receiving);
            return;
        }
        let Some((_, temporary)) = receiving.target else {
            return;
        };
        let found = Hash(*receiving.hasher.finalize().as_bytes());
        if matches!(receiving.kind, EntryKind::File { hash, .. } if hash == found) {
            self.staged(
                receiving.path,
                receiving.kind,
                Contents::Temporary(temporary),
            );
        } else {
            self.refuse(&path, MISMATCH);
        }
    }
}

impl Contents {
    /// Makes sure that the contents wait beside their place.
    pub(super) fn into_temporary(
        self,
        tree: &std::rc::Rc<Tree>,
        path: &RelativePath,
        executable: bool,
    ) -> Result<Temporary, String> {
        match self {
            Self::Temporary(temporary) => Ok(temporary),
            Self::Memory(bytes) => {
                let (mut file, temporary) = tree
                    .create_temporary(path, executable)
                    .map_err(|error| error.to_string())?;
                file.write_all(&bytes).map_err(|error| reason_of(&error))?;
                Ok(temporary)
            }
        }
    }
}
