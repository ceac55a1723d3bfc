//! Images from files: OCI layouts (a folder, or an archive of one), what `docker save` and
//! `podman save` write, and archives of a root filesystem.
//!
//! What comes keeps its digests. An image gets its name last, when all of it is there, was
//! unpacked and is on the disk; so what is killed in between leaves nothing that has a name.

mod docker;
mod layout;
mod members;
mod rootfs;

use std::io;
use std::path::{Path, PathBuf};

use self::members::Members;
use crate::digest::{Digest, NoDigest};
use crate::reference::{InvalidReference, Reference};
use crate::store::{Record, Store, StoreError};

/// What is wanted of an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The name of the image; needed where the file tells none.
    pub name: Option<Reference>,
    /// The architecture that is taken from several: `amd64`.
    pub architecture: String,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It can't be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is nothing that can be imported.
    #[error("`{}` is neither an OCI layout nor an archive of an image or a root filesystem", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// It is packed in a way that isn't read here.
    #[error("`{}` is packed with {packing}, which isn't read here", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// With what.
        packing: &'static str,
        /// What unpacks it.
        program: &'static str,
    },
    /// Something of it is missing.
    #[error("`{}` is incomplete: `{member}` is missing", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing.
        member: String,
    },
    /// A document of it can't be understood.
    #[error("`{member}` of `{}` can't be understood", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// The document.
        member: String,
        /// Why.
        source: serde_json::Error,
    },
    /// It contains no image for this architecture.
    #[error("`{}` has no image for linux/{architecture}", path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// The architecture.
        architecture: String,
    },
    /// It doesn't say how its image is called.
    #[error("`{}` doesn't say how its image is called", path.display())]
    NoName {
        /// The file.
        path: PathBuf,
    },
    /// One name was given for several images.
    #[error("`{}` has {count} images: one name can't mean them all", path.display())]
    Several {
        /// The file.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// A name in it is none.
    #[error("`{}` has an image whose name can't be used", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidReference,
    },
    /// A digest in it is none.
    #[error("`{}` is damaged", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NoDigest,
    },
    /// The store refused something of it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoName { .. } => {
                vec!["name it: `mwctl image import --name NAME:TAG FILE`".to_owned()]
            }
            Self::Several { .. } => vec!["leave `--name` out".to_owned()],
            Self::Unknown { .. } => vec![
                "`docker save`, `podman save` and `skopeo copy` write files that can be imported"
                    .to_owned(),
            ],
            Self::Packed { path, program, .. } => {
                vec![format!("unpack it first: `{program} {}`", path.display())]
            }
            Self::Store(error) => match error.hints() {
                // The file is what they have: pulling isn't what they asked for.
                hints if matches!(error, StoreError::Damaged { .. }) => {
                    drop(hints);
                    vec!["make the file again: it isn't what it was".to_owned()]
                }
                hints => hints,
            },
            _ => Vec::new(),
        }
    }
}

/// An image whose contents are in the store, and the names that it is to have.
struct Found {
    manifest: Digest,
    names: Vec<Reference>,
}

impl Store {
    /// Imports all images of a file or folder. Nothing gets a name where one of them fails.
    ///
    /// Blocks until all of it is unpacked and on the disk.
    pub fn import(&self, path: &Path, options: &ImportOptions) -> Result<Vec<Record>, ImportError> {
        let _using = self.using()?;
        let members = Members::open(self, path)?;
        self.import_members(&members, options)
    }

    /// The same, from a stream.
    pub fn import_stream(
        &self,
        stream: impl io::Read,
        options: &ImportOptions,
    ) -> Result<Vec<Record>, ImportError> {
        let _using = self.using()?;
        let members = Members::spool(self, stream)?;
        self.import_members(&members, options)
    }

    fn import_members(
        &self,
        members: &Members,
        options: &ImportOptions,
    ) -> Result<Vec<Record>, ImportError> {
        let found = if members.has("index.json") {
            layout::read(self, members, options)?
        } else if members.has("manifest.json") {
            docker::read(self, members)?
        } else {
            vec![rootfs::read(self, members, options)?]
        };
        let named = names(members.path(), found, options)?;
        for (manifest, _) in &named {
            self.unpack_all(manifest)?;
        }
        let mut records = Vec::new();
        for (manifest, names) in named {
            for name in names {
                records.push(self.set_record(&name, &manifest)?);
            }
        }
        Ok(records)
    }

    /// Unpacks the layers of an image, and waits until the disk has them.
    pub(crate) fn unpack_all(&self, manifest: &Digest) -> Result<(), StoreError> {
        let documents = self.documents(manifest)?;
        self.laid(&documents)?;
        self.settle(&documents.names())
    }
}

/// Which image gets which names: those of the file, or the one that was given.
fn names(
    path: &Path,
    found: Vec<Found>,
    options: &ImportOptions,
) -> Result<Vec<(Digest, Vec<Reference>)>, ImportError> {
    let count = found.len();
    let mut all = Vec::new();
    for image in found {
        let names = match &options.name {
            Some(_) if count > 1 => {
                let path = path.to_path_buf();
                return Err(ImportError::Several { path, count });
            }
            Some(name) => vec![name.clone()],
            None => image.names,
        };
        if names.is_empty() {
            return Err(ImportError::NoName {
                path: path.to_path_buf(),
            });
        }
        all.push((image.manifest, names));
    }
    Ok(all)
}
