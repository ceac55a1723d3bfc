//! The store: every image, layer and archive of one user, in one folder, used by several processes
//! at once, each of which may be killed at any moment.
//!
//! ```text
//! lock                    shared by whoever uses the store, exclusive for whoever collects
//! blobs/sha256/HEX        contents as they came: manifests, configurations, archives of layers
//! layers/WAY/NAME/        unpacked layers in overlay form; WAY is how they are owned
//! layers/WAY/NAME.json    what is known of one
//! images/REFERENCE.json   which manifest a reference means
//! pins/NAME               layers that a living process uses; its lock is the life
//! locks/NAME              one writer for each thing that is made
//! work/NAME/              what is being made; its lock is the life
//! steps/KEY               which layer a step of a build made
//! slots/NAME, files/NAME  what a build remembers of the time before
//! caches/NAME/            folders that builds keep for programs they run
//! logs/KEY.log            what those programs wrote
//! ```
//!
//! **Nothing is ever changed under its name.** A thing is made in `work` and gets its name by a
//! rename when it is whole. So a torn thing has no name, and whatever has one is whole.
//!
//! **A power cut** may lose what a rename made visible. A layer is therefore marked once the disk
//! has it; one without the mark, of an earlier boot, is made again from its archive. A blob's
//! digest is checked whenever it is read.

mod blobs;
mod chain;
mod collect;
mod details;
mod images;
mod layers;
mod lock;
mod logs;
mod originals;
mod pin;
mod steps;
mod work;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use collect::Collected;
pub use details::{Details, Layer};
pub use images::Record;
pub use originals::Originals;
pub use pin::Pin;

pub(crate) use blobs::{DOCUMENT_LIMIT, Expected};
pub(crate) use layers::Name;
pub(crate) use lock::Lock;
pub(crate) use logs::Log;
pub(crate) use steps::Made;
pub(crate) use work::Work;

use crate::digest::Digest;
use crate::layer::{Limits, PackError, UnpackError};
use crate::owners::Owners;

/// The folder in which images are kept.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    owners: Owners,
    limits: Limits,
}

/// Why the store can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder of it can't be used.
    #[error("cannot use `{}` of the image store", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was made by a later `mwctl`.
    #[error("the image store `{}` has format {found}, and this program knows {FORMAT}", path.display())]
    Format {
        /// Where it is.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// A content isn't what its name says.
    #[error("{digest} is damaged: its content is {found}")]
    Damaged {
        /// Its name.
        digest: Digest,
        /// What it is.
        found: Digest,
    },
    /// A content is missing.
    #[error("{0} isn't in the image store")]
    Missing(Digest),
    /// A document can't be understood.
    #[error("the {what} {digest} can't be understood")]
    Document {
        /// What it should be.
        what: &'static str,
        /// Its name.
        digest: Digest,
        /// Why.
        source: serde_json::Error,
    },
    /// Manifest and configuration don't fit together.
    #[error("image {digest} is damaged: {what}")]
    Image {
        /// Its manifest.
        digest: Digest,
        /// What doesn't fit.
        what: String,
    },
    /// A layer can't be unpacked.
    #[error("cannot unpack layer {digest}")]
    Unpack {
        /// Its archive.
        digest: Digest,
        /// Why.
        source: UnpackError,
    },
    /// A layer can't be packed.
    #[error("cannot pack a layer")]
    Pack(#[source] PackError),
    /// A layer is packed in a way that isn't known.
    #[error("layer {digest} has the unknown form `{media_type}`")]
    MediaType {
        /// Its archive.
        digest: Digest,
        /// Its form.
        media_type: String,
    },
    /// No image has that reference.
    #[error("no image `{0}` in the store")]
    NoImage(String),
}

impl StoreError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoImage(reference) => vec![
                "`mwctl image list` shows those that are there".to_owned(),
                format!("mwctl image pull {reference}"),
            ],
            Self::Unpack {
                source: UnpackError::Owner { .. },
                ..
            } => vec![
                "give yourself more ids, as in `sudo usermod --add-subuids 100000-231071 --add-subgids 100000-231071 $USER`"
                    .to_owned(),
            ],
            Self::Damaged { .. } | Self::Missing(_) => {
                vec!["import or pull the image again".to_owned()]
            }
            Self::Format { .. } => vec!["use the newer `mwctl` that made it".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// Raised when a store of before can't be read any more.
const FORMAT: &str = "1";

impl Store {
    /// Opens the store in a folder, and makes it where there is none.
    pub fn open(root: &Path, owners: Owners) -> Result<Self, StoreError> {
        let folders = [
            "blobs/sha256",
            "images",
            "pins",
            "locks",
            "work",
            "steps",
            "slots",
            "files",
            "caches",
            "logs",
        ];
        let layers = format!("layers/{}", owners.folder());
        for folder in folders.into_iter().chain([layers.as_str()]) {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(StoreError::io(&path))?;
        }
        // Setuid programs of images lie in there.
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(root, closed).map_err(StoreError::io(root))?;
        let root = root.canonicalize().map_err(StoreError::io(root))?;
        let store = Self {
            root,
            owners,
            limits: Limits::default(),
        };
        store.check_format()?;
        Ok(store)
    }

    /// The same, with other limits for layers.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What a layer may be at most.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let path = self.path("format");
        match fs::read_to_string(&path) {
            Ok(found) if found.trim() == FORMAT => Ok(()),
            Ok(found) => Err(StoreError::Format {
                path: self.root.clone(),
                found: found.trim().to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.write("format", format!("{FORMAT}\n").as_bytes())
            }
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How the files of its layers are owned.
    pub fn owners(&self) -> Owners {
        self.owners
    }

    fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// Writes a small file, whole or not at all.
    fn write(&self, below: impl AsRef<Path>, bytes: &[u8]) -> Result<(), StoreError> {
        let new = self.file()?;
        new.fill(bytes)?;
        let path = self.path(below);
        fs::rename(new.path(), &path).map_err(StoreError::io(&path))
    }

    /// Holds off the collection of what nothing refers to, as long as it lives.
    pub(crate) fn using(&self) -> Result<Lock, StoreError> {
        Lock::shared(&self.path("lock"))
    }
}

#[cfg(test)]
mod tests;
