//! The layers of an image upon each other.
//!
//! A layer is unpacked once, for all images that have it. Its archive may have entries without the folders
//! that lead to them: what these are, the layers below it say, and they may be others in another image. Where
//! they aren't what was supposed, the layer is unpacked once more for the layers that it stands upon.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::images::Documents;
use super::{Name, Store, StoreError};
use crate::digest::Digest;
use crate::owners::Owners;
use crate::view::{Found, View};

/// What a layer is made from that is unpacked for those below it.
fn source(diff_ids: &[Digest]) -> String {
    let diff_ids: Vec<&str> = diff_ids.iter().map(Digest::as_str).collect();
    diff_ids.join(" below ")
}

/// The name of the topmost of these layers where it is unpacked for those below it.
pub(super) fn name(diff_ids: &[Digest]) -> Name {
    Name::of(&source(diff_ids))
}

impl Documents {
    /// All names that its layers may have, of which some are never used.
    pub(crate) fn names(&self) -> Vec<Name> {
        let diff_ids = &self.configuration.rootfs.diff_ids;
        let mut names: Vec<Name> = diff_ids.iter().map(Name::of_content).collect();
        names.extend((2..=diff_ids.len()).map(|length| name(&diff_ids[..length])));
        names
    }
}

impl Store {
    /// The folders of all layers of an image, the lowest first, unpacked where they aren't yet.
    pub(crate) fn laid(&self, documents: &Documents) -> Result<Vec<PathBuf>, StoreError> {
        let diff_ids = &documents.configuration.rootfs.diff_ids;
        let blobs: Vec<_> = documents.manifest.layers.iter().zip(diff_ids).collect();
        let plain = crate::parallel::each(&blobs, |(blob, diff_id)| self.unpacked(blob, diff_id))?;
        let mut laid: Vec<PathBuf> = Vec::new();
        for (index, folder) in plain.into_iter().enumerate() {
            let (blob, diff_id) = blobs[index];
            // Nothing is below the first one, and what has no archive stays as it is.
            if index == 0 || !self.has_blob(&blob.digest) {
                laid.push(folder);
                continue;
            }
            let implied = self.implied(&Name::of_content(diff_id))?;
            let upon = || View::new(laid.iter().rev().cloned().collect());
            let below = (!implied.is_empty()).then(upon);
            let Some(below) = below.filter(|below| differs(below, &implied, self.owners)) else {
                laid.push(folder);
                continue;
            };
            let own = &diff_ids[..=index];
            let made = self.make(&name(own), &source(own), |new| {
                self.unpack_into(new, blob, diff_id, &below)
            });
            laid.push(made?);
        }
        Ok(laid)
    }

    /// The folder of the topmost of these layers, if it is unpacked.
    pub(super) fn folder_of(&self, diff_ids: &[Digest]) -> Option<PathBuf> {
        let plain = diff_ids.last().map(Name::of_content);
        let names = [Some(name(diff_ids)), plain].into_iter().flatten();
        let mut folders = names.map(|name| self.layer_folder(&name));
        folders.find(|folder| folder.is_dir())
    }
}

/// The folders of an unpacked layer that look as those do of which its archive says nothing. If it speaks of them
/// after all, unpacking it once more does no harm.
pub(super) fn perhaps_implied(layer: &Path) -> Vec<String> {
    let mut implied = BTreeSet::new();
    let mut open = vec![layer.to_path_buf()];
    while let Some(folder) = open.pop() {
        // What can't be read was said to be so.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Some(data) = entry.metadata().ok().filter(fs::Metadata::is_dir) else {
                continue;
            };
            let path = entry.path();
            if data.mode() & 0o7777 == 0o755
                && data.mtime() == 0
                && let Ok(inner) = path.strip_prefix(layer)
            {
                implied.insert(inner.to_path_buf());
            }
            open.push(path);
        }
    }
    let implied = implied.iter().map(|path| path.to_string_lossy());
    implied.map(std::borrow::Cow::into_owned).collect()
}

/// Whether folders that were supposed to be new and root's are there and something else.
fn differs(below: &View, implied: &[String], owners: Owners) -> bool {
    let mut absent: Option<&Path> = None;
    for path in implied.iter().map(Path::new) {
        // Those above come before those in them.
        if absent.is_some_and(|absent| path.starts_with(absent)) {
            continue;
        }
        match below.at(path) {
            Found::Folder(folders) if is_usual(&folders[0], owners) => {}
            Found::Folder(_) => return true,
            Found::File(file) if file.is_symlink() => return true,
            Found::File(_) | Found::Missing => absent = Some(path),
        }
    }
    false
}

/// Whether a folder is as one that nobody said anything of.
fn is_usual(folder: &Path, owners: Owners) -> bool {
    folder.symlink_metadata().is_ok_and(|data| {
        let has_owner = owners == Owners::Single || (data.uid(), data.gid()) == (0, 0);
        data.mode() & 0o7777 == 0o755 && has_owner
    })
}
