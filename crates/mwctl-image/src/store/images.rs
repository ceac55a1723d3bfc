//! Which image a reference means.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::digest::Digest;
use crate::oci::{Configuration, Manifest};
use crate::reference::Reference;

/// A reference and what it means.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The reference, whole.
    pub reference: Reference,
    /// The manifest, for one platform.
    pub manifest: Digest,
    /// When it came to mean that, in seconds since 1970.
    pub added: u64,
}

/// The documents of an image, checked against each other.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    pub manifest: Manifest,
    pub configuration: Configuration,
}

impl Documents {
    /// Its layers, the lowest first, each once: an overlay refuses a folder twice, and the upper one of two equal
    /// layers says all that the lower one does.
    pub(crate) fn layers(&self) -> Vec<usize> {
        let diff_ids = &self.configuration.rootfs.diff_ids;
        let is_last = |index: &usize| !diff_ids[index + 1..].contains(&diff_ids[*index]);
        (0..diff_ids.len()).filter(is_last).collect()
    }
}

/// A file's name for a reference, which has slashes.
fn file_name(reference: &Reference) -> String {
    let mut name = String::new();
    for byte in reference.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b".-_:@".contains(&byte) {
            name.push(char::from(byte));
        } else {
            let written = write!(name, "%{byte:02X}");
            written.expect("a string takes everything");
        }
    }
    name + ".json"
}

impl Store {
    fn record_path(&self, reference: &Reference) -> PathBuf {
        self.path("images").join(file_name(reference))
    }

    /// All references, sorted.
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for path in self.entries("images")? {
            let bytes = match fs::read(&path) {
                // Removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(StoreError::io(&path))?,
            };
            match serde_json::from_slice::<Record>(&bytes) {
                Ok(record) => records.push(record),
                // Torn by a power cut: the reference means nothing any more.
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "an unreadable image record");
                }
            }
        }
        records.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(records)
    }

    /// What a reference means. One with a digest means the image with that digest, under whatever
    /// tag of its repository it came.
    pub fn record(&self, reference: &Reference) -> Result<Option<Record>, StoreError> {
        let path = self.record_path(reference);
        match fs::read(&path) {
            Ok(bytes) => {
                if let Ok(record) = serde_json::from_slice(&bytes) {
                    return Ok(Some(record));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::Io { path, source }),
        }
        let Some(digest) = reference.digest() else {
            return Ok(None);
        };
        let same = |record: &Record| {
            record.manifest.as_str() == digest
                && record.reference.repository() == reference.repository()
        };
        Ok(self.records()?.into_iter().find(same))
    }

    /// Lets a reference mean an image, whose contents are there.
    pub(crate) fn set_record(
        &self,
        reference: &Reference,
        manifest: &Digest,
    ) -> Result<Record, StoreError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let record = Record {
            reference: reference.clone(),
            manifest: manifest.clone(),
            added: now.map(|time| time.as_secs()).unwrap_or_default(),
        };
        let bytes = serde_json::to_vec(&record).unwrap_or_default();
        self.write(self.record_path(reference), &bytes)?;
        Ok(record)
    }

    /// Lets another reference mean the same image, also when the first one comes to mean something else.
    pub fn also_known_as(&self, image: &Reference, name: &Reference) -> Result<(), StoreError> {
        let _using = self.using()?;
        let record = self.record(image)?;
        let record = record.ok_or_else(|| StoreError::NoImage(image.to_string()))?;
        if record.reference != *name {
            self.set_record(name, &record.manifest)?;
        }
        Ok(())
    }

    /// Lets a reference mean nothing; its contents stay until they are collected. `false` where it
    /// meant nothing before.
    pub fn remove(&self, reference: &Reference) -> Result<bool, StoreError> {
        let path = self.record_path(reference);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// The documents of an image.
    pub(crate) fn documents(&self, digest: &Digest) -> Result<Documents, StoreError> {
        let manifest: Manifest = self.document("manifest", digest)?;
        let configuration: Configuration =
            self.document("configuration", &manifest.config.digest)?;
        let layers = manifest.layers.len();
        let contents = configuration.rootfs.diff_ids.len();
        if layers != contents {
            return Err(StoreError::Image {
                digest: digest.clone(),
                what: format!("its manifest has {layers} layers and its configuration {contents}"),
            });
        }
        Ok(Documents {
            manifest,
            configuration,
        })
    }
}
