//! An image that was made: its documents, its layers, and what it was made upon.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::base::{Base, Defaults};
use super::cache::Cache;
use super::dependencies;
use super::digest;
use super::document::{BlobDescriptor, CONFIG, MANIFEST};

/// An image in the cache.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Built {
    /// The image: its reference, digest, layers and configuration.
    pub image: Base,
    /// What it is built upon; its lowest layers are this one's.
    pub base: Base,
    /// The manifest's blob.
    pub manifest: BlobDescriptor,
    /// The configuration's blob.
    pub config: BlobDescriptor,
    /// The key of its dependencies.
    pub(super) dependencies: Option<String>,
    /// The key of all that a developed container can't take over from a checkout.
    #[serde(default)]
    pub(super) foundation: Option<String>,
}

impl Built {
    /// An image that was made elsewhere, as a whole.
    pub(super) fn whole(image: Base) -> Self {
        let blob = |media_type: &str, text: &str| BlobDescriptor {
            media_type: media_type.to_owned(),
            digest: digest::of(text.as_bytes()),
            size: text.len() as u64,
        };
        Self {
            base: Base {
                layers: Vec::new(),
                diff_ids: Vec::new(),
                ..image.clone()
            },
            manifest: blob(MANIFEST, &image.manifest),
            config: blob(CONFIG, &image.config),
            image,
            dependencies: None,
            foundation: None,
        }
    }

    /// Puts its documents into the cache.
    pub(super) fn keep(&self, cache: &Cache) -> io::Result<()> {
        cache.put(self.image.manifest.as_bytes())?;
        cache.put(self.image.config.as_bytes()).map(drop)
    }

    /// Its reference, as pods name it.
    pub fn reference(&self) -> &str {
        &self.image.reference
    }

    /// The layers that this build put on its base.
    pub fn own_layers(&self) -> &[BlobDescriptor] {
        &self.image.layers[self.base.layers.len()..]
    }

    /// The files and folders of the cache that it needs.
    pub(super) fn parts(&self, cache: &Cache) -> Vec<PathBuf> {
        let blobs = self.own_layers().iter();
        let blobs = blobs.chain([&self.manifest, &self.config]);
        let kept = self.dependencies.iter();
        blobs
            .map(|blob| cache.blob(&blob.digest))
            .chain(kept.map(|key| dependencies::folder(cache, key)))
            .collect()
    }

    /// The command, user and directory that it runs with by itself.
    pub fn defaults(&self) -> Defaults {
        self.image.defaults()
    }
}
