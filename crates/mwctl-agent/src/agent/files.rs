//! The files of an update: compared, received, and put in place together.
//!
//! What belongs to an update is collected first (contents in temporary files), then everything is
//! renamed in a row, so that nobody sees half an update for longer than that takes. One update is
//! collected at a time: a message with another number forgets what came before.

mod commit;
mod mounted;
mod staging;

use std::path::Path;
use std::rc::Rc;

use rustix::io::Errno;
use thiserror::Error;

use super::manifest::{KeepManifest, Manifest, Record};
use super::relative::{RelativePath, parent};
use super::steps::{Necessity, StepRecord, necessity};
use super::tree::{Found, Tree, TreeError};
use crate::protocol::{Entry, EntryKind, Hash, Step};
use staging::Staging;

/// The largest file that is offered back; lock files are far below it.
const LARGEST_FETCH: u64 = 32 << 20;

/// The target with its manifest.
#[derive(Debug)]
pub(crate) struct Files {
    tree: Rc<Tree>,
    manifest: Manifest,
    staging: Option<Staging>,
    /// Whether the target is the checkout itself: then nothing is compared with it or written to it, and the manifest says what the
    /// process was started with.
    mounted: bool,
}

/// The target cannot be used.
#[derive(Debug, Error)]
pub(crate) enum OpenFiles {
    #[error("cannot open the target directory")]
    Target(#[source] std::io::Error),
    #[error("cannot remember what belongs to the session")]
    Manifest(#[source] KeepManifest),
}

impl Files {
    /// Opens the target and the manifest in `run`, and removes what a killed agent left.
    pub(crate) fn open(target: &Path, run: &Path, mounted: bool) -> Result<Self, OpenFiles> {
        let tree = Tree::open(target).map_err(OpenFiles::Target)?;
        let manifest = Manifest::open(run).map_err(OpenFiles::Manifest)?;
        if mounted {
            return Ok(Self {
                tree,
                manifest,
                staging: None,
                mounted,
            });
        }
        let mut directories: Vec<&str> = manifest
            .state
            .entries
            .keys()
            .map(|path| parent(path).unwrap_or(""))
            .collect();
        directories.push("");
        directories.dedup();
        for directory in directories {
            tree.remove_leftovers(directory);
        }
        tree.forget_directories();
        Ok(Self {
            tree,
            manifest,
            staging: None,
            mounted,
        })
    }

    /// The session and number of the last commit.
    pub(crate) fn last_update(&self) -> Option<(String, u64)> {
        self.manifest.state.applied.clone()
    }

    /// Forgets what was collected for `update`, or for any.
    pub(crate) fn abandon(&mut self, update: Option<u64>) {
        if self
            .staging
            .as_ref()
            .is_some_and(|s| update.is_none_or(|update| s.update == update))
        {
            self.staging = None;
        }
    }

    fn staging(&mut self, update: u64) -> &mut Staging {
        self.staging.take_if(|staging| staging.update != update);
        self.staging.get_or_insert_with(|| Staging::new(update))
    }

    /// Reads a file to offer it back.
    pub(crate) fn fetch(&self, path: &str) -> Option<(Entry, Vec<u8>)> {
        let parsed = RelativePath::parse(path).ok()?;
        match self.tree.found(&parsed).ok()?? {
            Found::Entry(EntryKind::File {
                size, executable, ..
            }) if size <= LARGEST_FETCH => {
                let mut contents = Vec::new();
                let file = self.tree.open_file(&parsed).ok()?;
                let mut file = std::io::Read::take(file, LARGEST_FETCH);
                std::io::Read::read_to_end(&mut file, &mut contents).ok()?;
                Some((Entry::file(path, &contents, executable), contents))
            }
            Found::Entry(kind @ EntryKind::Symlink { .. }) => Some((
                Entry {
                    path: path.to_owned(),
                    kind,
                },
                Vec::new(),
            )),
            _ => None,
        }
    }

    /// What is at each of these paths, of files and links.
    pub(crate) fn entries(&self, paths: &[String]) -> Vec<Option<Entry>> {
        let found = |path: &String| match self.tree.found(&RelativePath::parse(path).ok()?) {
            Ok(Some(Found::Entry(kind))) => Some(Entry {
                path: path.clone(),
                kind,
            }),
            _ => None,
        };
        let entries = paths.iter().map(found).collect();
        self.tree.forget_directories();
        entries
    }

    /// Decides whether `step` is necessary, and remembers that it will run, or that it needn't.
    pub(crate) fn prepare_step(&mut self, step: &Step, touched: bool) -> bool {
        if step.inputs.is_empty() {
            // It says nothing about the state of the dependencies, so nothing is remembered.
            return step.force;
        }
        let inputs = self.hash_inputs(step);
        let records = match necessity(step.force, self.manifest.state.step, touched, inputs) {
            Necessity::Skip => return false,
            Necessity::SkipAndRemember => vec![Record::Step(StepRecord::Clean(inputs))],
            Necessity::Run => vec![Record::Step(StepRecord::Dirty)],
        };
        let run = records == [Record::Step(StepRecord::Dirty)];
        // Without the record the step runs once more than needed, later.
        let _unrecorded = self.manifest.append(records);
        run
    }

    /// Remembers that `step` succeeded. It may have changed its own inputs, as a lock file is.
    pub(crate) fn step_succeeded(&mut self, step: &Step) {
        if step.inputs.is_empty() {
            return;
        }
        let inputs = self.hash_inputs(step);
        let _unrecorded = self
            .manifest
            .append(vec![Record::Step(StepRecord::Clean(inputs))]);
    }

    fn hash_inputs(&self, step: &Step) -> Hash {
        let mut hasher = blake3::Hasher::new();
        for (path, entry) in step.inputs.iter().zip(self.entries(&step.inputs)) {
            hasher.update(path.as_bytes()).update(&[0]);
            match entry.map(|entry| entry.kind) {
                Some(EntryKind::File { hash, .. }) => hasher.update(&[1]).update(&hash.0),
                Some(EntryKind::Symlink { target }) => {
                    hasher.update(&[2]).update(target.as_bytes()).update(&[0])
                }
                None => hasher.update(&[0]),
            };
        }
        Hash(*hasher.finalize().as_bytes())
    }
}

/// The reason of a path that could not be written, as it is told to the session.
fn reason_of(error: &std::io::Error) -> String {
    TreeError::from(Errno::from_io_error(error).unwrap_or(Errno::IO)).to_string()
}
