//! Unpacked layers, each under a name made of what it was made from.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lock::Lock;
use super::{Store, StoreError, chain};
use crate::digest::{Digest, Hashing};
use crate::layer::unpack_upon;
use crate::oci::{Descriptor, Packing};
use crate::view::View;

/// The name of a layer's folder. Short, because the names of all layers of a mount have to fit
/// into one page of memory.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(crate) struct Name(String);

impl Name {
    pub(super) fn of(source: &str) -> Self {
        Self(Digest::of(source.as_bytes()).hex()[..24].to_owned())
    }

    /// Of the layer with this content.
    pub(crate) fn of_content(diff_id: &Digest) -> Self {
        Self::of(diff_id.as_str())
    }

    /// Of the layer without any entry, which stands below images that have no layer.
    pub(crate) fn of_nothing() -> Self {
        Self::of("nothing")
    }

    /// From the name of a folder.
    pub(super) fn from_folder(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// What is known of a layer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    /// What it was made from, in full: names are short.
    source: String,
    /// When it was made; see [`boot`].
    boot: String,
    /// Whether the disk has all of it.
    settled: bool,
    /// Folders that its archive says nothing of, those above before those in them; see [`super::chain`]. `None` where
    /// that wasn't written down yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    implied: Option<Vec<String>>,
}

/// The time between two starts of the machine. What was written in an earlier one, and isn't
/// known to be on the disk, may be torn.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

impl Store {
    /// The folder of all layers that are owned in this store's way.
    pub(super) fn layers_folder(&self) -> PathBuf {
        self.path("layers").join(self.owners.folder())
    }

    pub(super) fn layer_folder(&self, name: &Name) -> PathBuf {
        self.layers_folder().join(&name.0)
    }

    fn layer_note(&self, name: &Name) -> PathBuf {
        self.layers_folder().join(format!("{}.json", name.0))
    }

    fn known(&self, name: &Name) -> Option<Known> {
        let bytes = fs::read(self.layer_note(name)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The folder of a layer that is there and whole.
    pub(super) fn layer(&self, name: &Name, source: &str) -> Result<Option<PathBuf>, StoreError> {
        let Some(known) = self.known(name) else {
            return Ok(None);
        };
        let folder = self.layer_folder(name);
        if known.source != source || (!known.settled && known.boot != boot()) {
            self.discard(name)?;
            return Ok(None);
        }
        Ok(folder.is_dir().then_some(folder))
    }

    /// Takes a layer away: its name at once, the rest as soon as possible.
    pub(super) fn discard(&self, name: &Name) -> Result<(), StoreError> {
        let work = self.work()?;
        drop(fs::remove_file(self.layer_note(name)));
        let folder = self.layer_folder(name);
        match fs::rename(&folder, work.path().join("gone")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(StoreError::io(folder)),
        }
    }

    /// The folders that a layer's archive says nothing of. Of a layer for which that wasn't written down, those that may
    /// be such.
    pub(super) fn implied(&self, name: &Name) -> Result<Vec<String>, StoreError> {
        let Some(known) = self.known(name) else {
            return Ok(Vec::new());
        };
        if let Some(implied) = known.implied {
            return Ok(implied);
        }
        let implied = chain::perhaps_implied(&self.layer_folder(name));
        let known = Known {
            implied: Some(implied.clone()),
            ..known
        };
        self.note(name, &known)?;
        Ok(implied)
    }

    /// Makes a layer in an empty folder, unless it is there; one process at a time. `fill` says which of its folders
    /// nobody says anything of.
    pub(super) fn make<E: From<StoreError>>(
        &self,
        name: &Name,
        source: &str,
        fill: impl FnOnce(&Path) -> Result<Vec<PathBuf>, E>,
    ) -> Result<PathBuf, E> {
        if let Some(folder) = self.layer(name, source)? {
            return Ok(folder);
        }
        let _writer = Lock::exclusive(&self.path("locks").join(&name.0))?;
        if let Some(folder) = self.layer(name, source)? {
            return Ok(folder);
        }
        // Whoever took it away was killed after its note went.
        if self.layer_folder(name).exists() {
            self.discard(name)?;
        }
        let work = self.work()?;
        let new = work.path().join("layer");
        fs::create_dir(&new).map_err(StoreError::io(&new))?;
        let implied = fill(&new)?;
        let implied = implied.iter().map(|path| path.to_string_lossy());
        let known = Known {
            source: source.to_owned(),
            boot: boot(),
            settled: false,
            implied: Some(implied.map(std::borrow::Cow::into_owned).collect()),
        };
        self.note(name, &known)?;
        let folder = self.layer_folder(name);
        fs::rename(&new, &folder).map_err(StoreError::io(&folder))?;
        Ok(folder)
    }

    fn note(&self, name: &Name, known: &Known) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(known).unwrap_or_default();
        self.write(self.layer_note(name), &bytes)
    }

    /// Whether a layer with this content is there, unpacked.
    pub(crate) fn has_layer(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        let name = Name::of_content(diff_id);
        Ok(self.layer(&name, diff_id.as_str())?.is_some())
    }

    /// The folder of a layer of an image, unpacked where it isn't there yet, as if nothing lay below it.
    pub(super) fn unpacked(
        &self,
        blob: &Descriptor,
        diff_id: &Digest,
    ) -> Result<PathBuf, StoreError> {
        let name = Name::of_content(diff_id);
        self.make(&name, diff_id.as_str(), |folder| {
            let nothing = View::new(Vec::new());
            self.unpack_into(folder, blob, diff_id, &nothing)
        })
    }

    /// The folder of the layer without any entry.
    pub(crate) fn nothing(&self) -> Result<PathBuf, StoreError> {
        self.make(&Name::of_nothing(), "nothing", |_| Ok(Vec::new()))
    }

    pub(super) fn unpack_into(
        &self,
        folder: &Path,
        blob: &Descriptor,
        diff_id: &Digest,
        below: &View,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let packing = Packing::of(&blob.media_type).ok_or_else(|| StoreError::MediaType {
            digest: blob.digest.clone(),
            media_type: blob.media_type.clone(),
        })?;
        let path = self.blob(&blob.digest);
        let packed = self.open_blob(&blob.digest)?;
        let plain = packing.open(packed).map_err(StoreError::io(&path))?;
        // Headers and padding take at most about a kilobyte each; what follows the end counts too.
        let most = self.limits.bytes.saturating_add(self.limits.entries * 2048);
        let mut plain = Hashing::new(plain.take(most));
        let unpacked = unpack_upon(&mut plain, folder, self.owners, self.limits, below);
        let rest = io::copy(&mut plain, &mut io::sink());
        let (_, found, _) = plain.finish();
        if found != *diff_id && rest.is_ok() {
            // Also where unpacking failed: then this is why.
            if unpacked.is_ok() || packing == Packing::Plain {
                self.forget_blob(&blob.digest);
                return Err(StoreError::Damaged {
                    digest: diff_id.clone(),
                    found,
                });
            }
        }
        let implied = unpacked.map_err(|source| StoreError::Unpack {
            digest: blob.digest.clone(),
            source,
        })?;
        rest.map_err(StoreError::io(path))?;
        Ok(implied)
    }

    /// Waits until the disk has these layers, and remembers it.
    pub(crate) fn settle(&self, names: &[Name]) -> Result<(), StoreError> {
        let open: Vec<(&Name, Known)> = names
            .iter()
            .filter_map(|name| Some((name, self.known(name)?)))
            .filter(|(_, known)| !known.settled)
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let root = fs::File::open(&self.root).map_err(StoreError::io(&self.root))?;
        rustix::fs::syncfs(&root).map_err(|error| StoreError::io(&self.root)(error.into()))?;
        for (name, known) in open {
            let known = Known {
                settled: true,
                boot: boot(),
                ..known
            };
            self.note(name, &known)?;
        }
        Ok(())
    }
}
