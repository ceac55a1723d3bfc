//! What there is to know of an image in the store, for people and programs.

use std::path::PathBuf;

use serde::Serialize;

use super::{Record, Store, StoreError};
use crate::digest::Digest;
use crate::image::Config;
use crate::reference::Reference;

/// An image in the store.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Its reference and its manifest.
    #[serde(flatten)]
    pub record: Record,
    /// As in `amd64`.
    pub architecture: String,
    /// When it was made, as it says itself.
    pub created: Option<String>,
    /// The bytes of its layers as they came.
    pub size: u64,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    /// What it does by itself.
    pub config: Config,
}

/// A layer of an image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// The digest of its archive.
    pub digest: Digest,
    /// The digest of what the archive contains.
    pub diff_id: Digest,
    /// The bytes of the archive.
    pub size: u64,
    /// Where it is unpacked, if it is.
    pub folder: Option<PathBuf>,
}

impl Store {
    /// Tells of an image that is in the store.
    pub fn details(&self, reference: &Reference) -> Result<Details, StoreError> {
        let _using = self.using()?;
        let record = self.record(reference)?;
        let record = record.ok_or_else(|| StoreError::NoImage(reference.to_string()))?;
        self.details_of(record)
    }

    /// Tells of all images. One whose contents are gone is left out, and traced.
    pub fn list(&self) -> Result<Vec<Details>, StoreError> {
        let _using = self.using()?;
        let mut all = Vec::new();
        for record in self.records()? {
            let reference = record.reference.clone();
            match self.details_of(record) {
                Ok(details) => all.push(details),
                Err(error) => tracing::warn!(%error, %reference, "an unusable image"),
            }
        }
        Ok(all)
    }

    fn details_of(&self, record: Record) -> Result<Details, StoreError> {
        let documents = self.documents(&record.manifest)?;
        let configuration = documents.configuration;
        let diff_ids = &configuration.rootfs.diff_ids;
        let layers: Vec<Layer> = documents
            .manifest
            .layers
            .iter()
            .zip(diff_ids)
            .enumerate()
            .map(|(index, (blob, diff_id))| Layer {
                digest: blob.digest.clone(),
                diff_id: diff_id.clone(),
                size: blob.size,
                folder: self.folder_of(&diff_ids[..=index]),
            })
            .collect();
        Ok(Details {
            config: Config::read(&configuration),
            architecture: configuration.architecture,
            created: configuration.created,
            size: layers.iter().map(|layer| layer.size).sum(),
            layers,
            record,
        })
    }
}
