//! Putting an update in place: deletions, then every rename in a row, then empty directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek, Write};

use super::Files;
use super::staging::{Contents, Staged, Staging};
use crate::agent::manifest::Record;
use crate::agent::relative::{RelativePath, parent};
use crate::agent::tree::{Found, TreeError, mode};
use crate::protocol::{Applied, EntryKind, RefusedPath};

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    /// As it is told to the session, but for the time.
    pub(crate) applied: Applied,
    /// The paths that were written or deleted.
    pub(crate) changed: BTreeSet<String>,
}

/// What became of a path that should be gone.
enum Deletion {
    Deleted,
    AlreadyGone,
    Kept(&'static str),
    Failed(TreeError),
}

impl Files {
    /// Puts everything collected for `update` in place.
    pub(crate) fn commit(&mut self, session: &str, update: u64, in_place: bool) -> Committed {
        if self.mounted {
            return self.commit_mounted(session, update);
        }
        self.staging(update).end_receiving();
        let mut staging = self.staging.take().unwrap_or_else(|| Staging::new(update));
        let mut done = Committed::default();
        done.applied.update = update;
        if staging.wanted.is_some() && !staging.listed {
            staging.refuse(
                ".",
                "the list of wanted paths was not completed, so nothing is deleted",
            );
        }
        for path in std::mem::take(&mut staging.missing) {
            staging.refuse(&path, "was needed but not sent");
        }
        let deletes = self.deletes_of(&staging);
        let before = self.known_puts(&staging);
        if let Err(error) = self.manifest.append(self.claims_of(&staging)) {
            for staged in &staging.puts {
                let reason = format!("is not written, because of this: {error}");
                staging.refused.push(RefusedPath {
                    path: staged.path.to_string(),
                    reason,
                });
            }
            staging.puts.clear();
        }

        let mut records = Vec::new();
        for path in deletes {
            self.delete_one(&path, &mut done, &mut records);
        }
        let removed = done.changed.clone();
        let refused = self.put_all(staging.puts, in_place, &mut done, &mut records);
        records.extend(refused.into_iter().map(|path| match before.get(&path) {
            Some(kind) => Record::Has {
                path,
                kind: kind.clone(),
            },
            None => Record::Lost { path },
        }));
        self.remove_empty_parents(&removed, &mut records);
        done.applied.failed.append(&mut staging.refused);
        self.remember(session, records, &mut done);
        self.tree.forget_directories();
        done
    }

    /// Writes down what an update has changed, and that it is over.
    pub(super) fn remember(
        &mut self,
        session: &str,
        mut records: Vec<Record>,
        done: &mut Committed,
    ) {
        records.push(Record::Applied {
            session: session.to_owned(),
            update: done.applied.update,
        });
        if let Err(error) = self.manifest.append(records) {
            done.applied.failed.push(RefusedPath {
                path: ".".into(),
                reason: format!("cannot be remembered: {error}"),
            });
        }
    }

    /// What should be gone: as asked, and what the manifest has but a complete list lacks.
    pub(super) fn deletes_of(&self, staging: &Staging) -> BTreeSet<RelativePath> {
        let mut deletes = staging.deletes.clone();
        if let (Some(wanted), true) = (&staging.wanted, staging.listed) {
            let unwanted = self
                .manifest
                .state
                .entries
                .keys()
                .filter(|p| !wanted.contains_key(*p));
            deletes.extend(unwanted.filter_map(|path| RelativePath::parse(path).ok()));
        }
        for staged in &staging.puts {
            deletes.remove(&staged.path);
        }
        deletes
    }

    /// What is the session's from now on: what is about to be written, and what was found equal.
    pub(super) fn claims_of(&self, staging: &Staging) -> Vec<Record> {
        let known = &self.manifest.state.entries;
        let refused: BTreeSet<&str> = staging.refused.iter().map(|r| r.path.as_str()).collect();
        let equal = staging.wanted.iter().flatten();
        let equal = equal.filter(|(path, _)| !refused.contains(path.as_str()));
        let puts = staging
            .puts
            .iter()
            .map(|staged| (staged.path.as_str(), &staged.kind));
        equal
            .map(|(path, kind)| (path.as_str(), kind))
            .chain(puts)
            .filter(|(path, kind)| known.get(*path) != Some(*kind))
            .map(|(path, kind)| Record::Has {
                path: path.to_owned(),
                kind: kind.clone(),
            })
            .collect()
    }

    /// What the manifest says so far about the paths that are about to be written.
    fn known_puts(&self, staging: &Staging) -> BTreeMap<String, EntryKind> {
        let known = &self.manifest.state.entries;
        let known = staging
            .puts
            .iter()
            .map(|staged| known.get_key_value(staged.path.as_str()));
        known
            .flatten()
            .map(|(path, kind)| (path.clone(), kind.clone()))
            .collect()
    }

    fn delete_one(&self, path: &RelativePath, done: &mut Committed, records: &mut Vec<Record>) {
        let text = path.to_string();
        match self.deletion(path) {
            Deletion::Deleted => {
                done.applied.deleted += 1;
                done.changed.insert(text.clone());
            }
            Deletion::AlreadyGone => {}
            Deletion::Kept(reason) => {
                let reason = reason.to_owned();
                done.applied.kept.push(RefusedPath {
                    path: text.clone(),
                    reason,
                });
            }
            Deletion::Failed(error) => {
                let reason = error.to_string();
                done.applied.failed.push(RefusedPath { path: text, reason });
                return;
            }
        }
        if self.manifest.state.entries.contains_key(&text) {
            records.push(Record::Lost { path: text });
        }
    }

    fn deletion(&self, path: &RelativePath) -> Deletion {
        let found = match self.tree.found(path) {
            Ok(None) | Err(TreeError::InTheWay) => return Deletion::AlreadyGone,
            Ok(Some(found)) => found,
            Err(error) => return Deletion::Failed(error),
        };
        let Some(known) = self.manifest.state.entries.get(path.as_str()) else {
            return Deletion::Kept("is not deleted, because it doesn't come from the checkout");
        };
        match found {
            Found::Entry(kind) if same_contents(&kind, known) => match self.tree.remove(path) {
                Ok(()) => Deletion::Deleted,
                Err(error) => Deletion::Failed(error),
            },
            _ => Deletion::Kept("is not deleted, because it was changed in the container"),
        }
    }

    /// Writes what was collected; returns the paths with which that failed.
    fn put_all(
        &self,
        puts: Vec<Staged>,
        in_place: bool,
        done: &mut Committed,
        records: &mut Vec<Record>,
    ) -> Vec<String> {
        let (mut ready, mut written, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for Staged {
            path,
            kind,
            contents,
        } in puts
        {
            if in_place && self.write_in_place(&path, &kind, &contents) {
                written.push(path);
                continue;
            }
            let executable = matches!(
                kind,
                EntryKind::File {
                    executable: true,
                    ..
                }
            );
            match contents.into_temporary(&self.tree, &path, executable) {
                Ok(temporary) => ready.push((path, temporary)),
                Err(reason) => refused.push(RefusedPath {
                    path: path.to_string(),
                    reason,
                }),
            }
        }
        let mut made = Vec::new();
        for (path, temporary) in ready {
            match self.tree.place(&temporary, &path, &mut made) {
                Ok(()) => written.push(path),
                Err(error) => {
                    let (path, reason) = (path.to_string(), error.to_string());
                    refused.push(RefusedPath { path, reason });
                }
            }
        }
        records.extend(made.into_iter().map(|directory| Record::Made { directory }));
        done.applied.written += written.len() as u32;
        done.changed
            .extend(written.into_iter().map(|path| path.to_string()));
        let paths = refused.iter().map(|refused| refused.path.clone()).collect();
        done.applied.failed.append(&mut refused);
        paths
    }

    /// Writes into the existing file, if there is one that can be written.
    fn write_in_place(&self, path: &RelativePath, kind: &EntryKind, contents: &Contents) -> bool {
        let EntryKind::File { executable, .. } = kind else {
            return false;
        };
        let Some(mut file) = self.tree.open_in_place(path) else {
            return false;
        };
        let mut write = || -> io::Result<()> {
            match contents {
                Contents::Memory(bytes) => file.write_all(bytes)?,
                Contents::Temporary(temporary) => {
                    let mut from = temporary.open().map_err(io::Error::other)?;
                    io::copy(&mut from, &mut file)?;
                }
            }
            let length = file.stream_position()?;
            file.set_len(length)?;
            set_executable(&file, *executable)
        };
        write().is_ok()
    }

    /// Removes the directories that the agent made and that became empty.
    fn remove_empty_parents(&self, deleted: &BTreeSet<String>, records: &mut Vec<Record>) {
        let made = |directory: &str| self.manifest.state.directories.contains(directory);
        // The deepest first.
        for path in deleted.iter().rev() {
            let mut directory = parent(path);
            while let Some(at) = directory.filter(|at| made(at)) {
                let Ok(parsed) = RelativePath::parse(at) else {
                    break;
                };
                if !self.tree.remove_if_empty(&parsed) {
                    break;
                }
                records.push(Record::Unmade {
                    directory: at.to_owned(),
                });
                directory = parent(at);
            }
        }
    }
}

/// Whether a path still is what was written, apart from its mode.
fn same_contents(found: &EntryKind, known: &EntryKind) -> bool {
    match (found, known) {
        (EntryKind::File { hash: a, .. }, EntryKind::File { hash: b, .. }) => a == b,
        _ => found == known,
    }
}

fn set_executable(file: &File, executable: bool) -> io::Result<()> {
    let stat = rustix::fs::fstat(file)?;
    if (stat.st_mode & 0o100 != 0) != executable {
        rustix::fs::fchmod(file, mode(executable))?;
    }
    Ok(())
}
