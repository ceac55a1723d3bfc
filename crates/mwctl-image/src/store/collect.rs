//! Collection: what no image, and no living process, refers to goes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::lock::Lock;
use super::{Name, Store, StoreError};
use crate::digest::Digest;
use mwctl_container::tree;

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// How many layers.
    pub layers: usize,
    /// How many documents and archives.
    pub blobs: usize,
    /// How many bytes of the disk.
    pub bytes: u64,
}

/// What is referred to.
#[derive(Default)]
struct Live {
    blobs: BTreeSet<Digest>,
    layers: BTreeSet<Name>,
}

impl Store {
    /// Takes away what nothing refers to, and what builds remember but didn't use for a week; with
    /// `all`, all that builds remember. Waits until nobody makes anything.
    pub fn collect(&self, all: bool) -> Result<Collected, StoreError> {
        let _alone = Lock::exclusive(&self.path("lock"))?;
        self.sweep()?;
        self.collect_logs(all)?;
        let live = self.live(all)?;
        let mut collected = Collected::default();
        for path in self.entries("blobs/sha256")? {
            let name = name_of(&path);
            let digest = format!("sha256:{name}").parse::<Digest>();
            if digest.is_ok_and(|digest| live.blobs.contains(&digest)) {
                continue;
            }
            collected.bytes += size(&path);
            collected.blobs += 1;
            tree::remove(&path).map_err(StoreError::io(&path))?;
        }
        for way in self.entries("layers")? {
            self.collect_layers(&way, &live, &mut collected)?;
        }
        // Nobody makes anything: nobody waits for a turn.
        for path in self.entries("locks")? {
            drop(fs::remove_file(path));
        }
        Ok(collected)
    }

    fn live(&self, all: bool) -> Result<Live, StoreError> {
        let mut live = Live::default();
        live.layers.extend(self.pinned()?);
        live.layers.extend(self.collect_steps(all)?);
        live.layers.insert(Name::of_nothing());
        for record in self.records()? {
            live.blobs.insert(record.manifest.clone());
            let documents = match self.documents(&record.manifest) {
                Ok(documents) => documents,
                // It can't be used, so it keeps nothing.
                Err(error) => {
                    tracing::warn!(%error, reference = %record.reference, "an unusable image");
                    continue;
                }
            };
            live.layers.extend(documents.names());
            let manifest = documents.manifest;
            live.blobs.insert(manifest.config.digest);
            live.blobs
                .extend(manifest.layers.into_iter().map(|layer| layer.digest));
        }
        Ok(live)
    }

    fn collect_layers(
        &self,
        way: &Path,
        live: &Live,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        let entries = fs::read_dir(way).map_err(StoreError::io(way))?;
        for entry in entries {
            let path = entry.map_err(StoreError::io(way))?.path();
            let name = name_of(&path);
            let name = name.strip_suffix(".json").unwrap_or(&name);
            if live.layers.contains(&Name::from_folder(name)) {
                continue;
            }
            if path.is_dir() {
                let freed = size(&path);
                // The name goes first: a layer that is half removed must not have it.
                let work = self.work()?;
                let gone = work.path().join("gone");
                if let Err(error) = fs::rename(&path, &gone) {
                    // Another way's layers may belong to ids that this process hasn't got.
                    tracing::warn!(%error, layer = %path.display(), "cannot remove a layer");
                    continue;
                }
                collected.layers += 1;
                collected.bytes += freed;
            } else {
                drop(fs::remove_file(&path));
            }
        }
        Ok(())
    }

    /// How many bytes of the disk the store takes.
    pub fn size(&self) -> u64 {
        size(&self.root)
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The bytes of the disk that a tree takes; a file with several names counts once.
fn size(path: &Path) -> u64 {
    let mut seen = BTreeSet::new();
    let mut open: Vec<PathBuf> = vec![path.to_path_buf()];
    let mut total = 0;
    while let Some(path) = open.pop() {
        let Ok(data) = fs::symlink_metadata(&path) else {
            continue;
        };
        if data.nlink() > 1 && data.is_file() && !seen.insert((data.dev(), data.ino())) {
            continue;
        }
        total += data.blocks() * 512;
        if data.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        }
    }
    total
}
