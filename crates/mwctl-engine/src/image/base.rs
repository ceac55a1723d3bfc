//! Bases: what is built upon, as its original documents, and the places they come from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use mwctl_core::lock::{LockedBase, SourceKind};
use mwctl_core::manifest::LOCAL_IMAGES;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest;
use super::document::BlobDescriptor;

pub mod bootstrap;
mod layout;
mod registry;

pub use layout::LocalLayout;

/// An image that others are built upon, or that is run as it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Base {
    /// Its name, whole: `docker.io/library/node:20`.
    pub reference: String,
    /// The digest of its manifest for one architecture.
    pub digest: String,
    /// Its layers, the lowest first.
    pub layers: Vec<BlobDescriptor>,
    /// What its layers contain, uncompressed, the lowest first.
    pub diff_ids: Vec<String>,
    /// Its architecture, as in `amd64`.
    pub architecture: String,
    /// Its configuration as it was found.
    pub config: String,
    /// Its manifest as it was found.
    pub manifest: String,
}

/// What an image does by itself.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Defaults {
    /// Its entrypoint.
    pub entrypoint: Vec<String>,
    /// The arguments of the entrypoint, or the command where there is none.
    pub command: Vec<String>,
    /// Its user as the image names it; empty for root.
    pub user: String,
    /// Its working directory; `/` where it names none.
    pub directory: String,
    /// Its variables.
    pub environment: Vec<(String, String)>,
}

impl Defaults {
    /// The whole command line; empty where the image names none.
    pub fn command_line(&self) -> Vec<String> {
        self.entrypoint
            .iter()
            .chain(&self.command)
            .cloned()
            .collect()
    }
}

#[derive(Deserialize)]
struct Manifest {
    config: BlobDescriptor,
    layers: Vec<BlobDescriptor>,
}

impl Base {
    /// Checks that the documents belong together.
    pub fn new(reference: &str, manifest: &[u8], config: &[u8]) -> Result<Self, BaseError> {
        let damaged = |what: String| BaseError::Damaged {
            reference: reference.to_owned(),
            what,
        };
        let document: Manifest = serde_json::from_slice(manifest)
            .map_err(|error| damaged(format!("its manifest can't be read: {error}")))?;
        let blobs = document.layers.iter().chain([&document.config]);
        if let Some(bad) = blobs
            .map(|blob| &blob.digest)
            .find(|d| !digest::is_legal(d))
        {
            return Err(damaged(format!("`{bad}` is no digest")));
        }
        if digest::of(config) != document.config.digest {
            return Err(damaged("its configuration has another digest".to_owned()));
        }
        let value: Value = serde_json::from_slice(config)
            .map_err(|error| damaged(format!("its configuration can't be read: {error}")))?;
        let diff_ids: Vec<String> = value["rootfs"]["diff_ids"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect();
        if diff_ids.len() != document.layers.len() {
            return Err(damaged(
                "its manifest and configuration disagree".to_owned(),
            ));
        }
        let mut layers = document.layers;
        for layer in &mut layers {
            // The same bytes have another name in docker's manifests, and ours is an OCI one.
            if layer.media_type == "application/vnd.docker.image.rootfs.diff.tar.gzip" {
                "application/vnd.oci.image.layer.v1.tar+gzip".clone_into(&mut layer.media_type);
            }
        }
        Ok(Self {
            reference: reference.to_owned(),
            digest: digest::of(manifest),
            layers,
            diff_ids,
            architecture: value["architecture"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            config: String::from_utf8_lossy(config).into_owned(),
            manifest: String::from_utf8_lossy(manifest).into_owned(),
        })
    }

    pub(super) fn config_value(&self) -> Value {
        serde_json::from_str(&self.config).unwrap_or_default()
    }

    /// What the image does by itself.
    pub fn defaults(&self) -> Defaults {
        let value = self.config_value();
        let config = &value["config"];
        let words = |key: &str| -> Vec<String> {
            let list = config[key].as_array().into_iter().flatten();
            list.filter_map(|word| word.as_str().map(str::to_owned))
                .collect()
        };
        let text = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
        let directory = text("WorkingDir");
        Defaults {
            entrypoint: words("Entrypoint"),
            command: words("Cmd"),
            user: text("User"),
            directory: if directory.is_empty() {
                "/".to_owned()
            } else {
                directory
            },
            environment: words("Env")
                .iter()
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// A place where images can be found.
#[async_trait]
pub trait BaseSource: fmt::Debug + Send + Sync {
    /// The place, for people.
    fn describe(&self) -> String;

    /// Whether it makes images, so that what it gives is nobody else's.
    fn makes(&self) -> bool {
        false
    }

    /// Finds an image for an architecture; `None` where this place doesn't have it.
    async fn resolve(&self, reference: &str, architecture: &str)
    -> Result<Option<Base>, BaseError>;

    /// Writes a layer's bytes into a file; `false` where this place doesn't have them.
    async fn layer(
        &self,
        base: &Base,
        layer: &BlobDescriptor,
        into: &Path,
    ) -> Result<bool, BaseError>;
}

/// Several places, asked one after the other.
#[derive(Clone, Debug, Default)]
pub struct Bases {
    sources: Vec<Arc<dyn BaseSource>>,
}

impl Bases {
    /// These places, the first asked first.
    pub fn new(sources: Vec<Arc<dyn BaseSource>>) -> Self {
        Self { sources }
    }

    /// The first place that has the image gives it; errors count only when none has.
    pub async fn resolve(&self, reference: &str, architecture: &str) -> Result<Base, BaseError> {
        let reference = whole(reference)?;
        let mut tried = Vec::new();
        for source in &self.sources {
            match source.resolve(&reference, architecture).await {
                Ok(Some(base)) => return Ok(base),
                Ok(None) => tried.push(format!("{}: not there", source.describe())),
                Err(error) => tried.push(format!("{}: {}", source.describe(), with_causes(&error))),
            }
        }
        Err(BaseError::NotFound {
            reference,
            architecture: architecture.to_owned(),
            tried,
        })
    }

    /// The first place that has an image as it is recorded gives it, under its digest or under its name.
    pub async fn recorded(
        &self,
        recorded: &LockedBase,
        architecture: &str,
    ) -> Result<Base, BaseError> {
        let name = recorded.reference.as_str();
        let names: Vec<String> = pinned(recorded)
            .into_iter()
            .chain([name.to_owned()])
            .collect();
        let mut tried = Vec::new();
        let made = recorded.source.kind == SourceKind::Bootstrap;
        for source in self.sources.iter().filter(|source| made || !source.makes()) {
            let place = source.describe();
            let mut told = "not there".to_owned();
            for name in &names {
                match source.resolve(name, architecture).await {
                    Ok(Some(base)) if base.digest == recorded.digest => return Ok(base),
                    Ok(Some(base)) => told = format!("has {}", base.digest),
                    Ok(None) => {}
                    Err(error) => told = with_causes(&error),
                }
            }
            tried.push(format!("{place}: {told}"));
        }
        Err(BaseError::NotRecorded {
            reference: name.to_owned(),
            digest: recorded.digest.clone(),
            place: recorded
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            tried,
        })
    }

    /// Brings a layer into a file and checks its digest.
    pub async fn layer(
        &self,
        base: &Base,
        layer: &BlobDescriptor,
        into: &Path,
    ) -> Result<(), BaseError> {
        let mut tried = Vec::new();
        for source in &self.sources {
            match source.layer(base, layer, into).await {
                Ok(true) => {
                    let found = std::fs::File::open(into)
                        .and_then(digest::of_file)
                        .map_err(|source| BaseError::io(into, source))?;
                    if found.0 == layer.digest {
                        return Ok(());
                    }
                    tried.push(format!("{}: damaged", source.describe()));
                }
                Ok(false) => tried.push(format!("{}: not there", source.describe())),
                Err(error) => tried.push(format!("{}: {}", source.describe(), with_causes(&error))),
            }
        }
        Err(BaseError::LayerNotFound {
            reference: base.reference.clone(),
            digest: layer.digest.clone(),
            tried,
        })
    }
}

/// An error with all its causes, in one line.
fn with_causes(error: &BaseError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A reference with everything that is usually left out: `node` is `docker.io/library/node:latest`.
pub fn whole(reference: &str) -> Result<String, BaseError> {
    if layout::is_local(reference) {
        return Ok(reference.to_owned());
    }
    mwctl_image::Reference::parse(reference)
        .map(String::from)
        .map_err(|error| BaseError::InvalidReference {
            reference: reference.to_owned(),
            source: Box::new(error),
        })
}

/// The name of exactly what is recorded, whatever its tag means now; `None` for what is no image of a repository.
pub fn pinned(recorded: &LockedBase) -> Option<String> {
    let reference = mwctl_image::Reference::parse(&recorded.reference).ok()?;
    let (repository, digest) = (reference.repository(), &recorded.digest);
    Some(format!("{repository}@{digest}"))
}

/// Why a base couldn't be had.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The name is no reference.
    #[error("`{reference}` is no image reference")]
    InvalidReference {
        /// The name.
        reference: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No place has it.
    #[error("no image `{reference}` for {architecture}: {}", tried.join("; "))]
    NotFound {
        /// Its name.
        reference: String,
        /// The architecture.
        architecture: String,
        /// What each place said.
        tried: Vec<String>,
    },
    /// No place has it as it is recorded.
    #[error("no image `{reference}` with {digest}, as `{place}` records it: {}", tried.join("; "))]
    NotRecorded {
        /// Its name.
        reference: String,
        /// The recorded digest.
        digest: String,
        /// The file and line.
        place: String,
        /// What each place said.
        tried: Vec<String>,
    },
    /// No place has the bytes of one of its layers.
    #[error("no place has layer {digest} of `{reference}`: {}", tried.join("; "))]
    LayerNotFound {
        /// The image's name.
        reference: String,
        /// The layer's digest.
        digest: String,
        /// What each place said.
        tried: Vec<String>,
    },
    /// Its documents don't fit together.
    #[error("image `{reference}` is damaged: {what}")]
    Damaged {
        /// Its name.
        reference: String,
        /// What doesn't fit.
        what: String,
    },
    /// A file couldn't be read or written.
    #[error("cannot access `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Where it comes from can't be reached.
    #[error("`{reference}` comes from {place}, which can't be reached")]
    Unreachable {
        /// The image's name.
        reference: String,
        /// Where from.
        place: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The place failed.
    #[error("cannot fetch `{reference}`")]
    Fetch {
        /// The image's name.
        reference: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BaseError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NotFound { reference, .. } if local_service(reference).is_some() => {
                let service = local_service(reference).unwrap_or_default();
                vec![format!(
                    "it would be made on this machine: `mwctl build {service}`; `mwctl images update` makes all that others stand upon"
                )]
            }
            Self::NotFound { reference, .. } | Self::LayerNotFound { reference, .. } => vec![
                format!("check the name: `{reference}`"),
                format!(
                    "without a registry, save it elsewhere and `mwctl image import --name {reference} FILE`"
                ),
            ],
            Self::NotRecorded { reference, .. } => vec![
                format!("record what it means now: `mwctl images update {reference}`"),
                format!(
                    "without a registry, save it elsewhere and `mwctl image import --name {reference} FILE`"
                ),
            ],
            _ => Vec::new(),
        }
    }
}

/// The service whose image has this name, for names that only images of this machine have.
fn local_service(reference: &str) -> Option<&str> {
    let rest = reference.strip_prefix(LOCAL_IMAGES)?;
    rest.split([':', '@']).next()
}

/// Which manifest of an index is for an architecture: its digest, if there is one.
pub(crate) fn manifest_for(index: &Value, architecture: &str) -> Option<String> {
    let manifests = index["manifests"].as_array()?;
    let is_attestation = |entry: &&Value| {
        entry["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"
    };
    let mut images = manifests.iter().filter(|entry| !is_attestation(entry));
    let fits = |entry: &&Value| {
        let platform = &entry["platform"];
        // An archive of a single image often names no platform.
        platform.is_null()
            || (platform["os"] == "linux" && platform["architecture"] == architecture)
    };
    images
        .find(fits)
        .and_then(|entry| entry["digest"].as_str())
        .map(str::to_owned)
}
