//! Images as they came: the documents and archives that others build upon.

use std::path::PathBuf;

use super::{Store, StoreError};
use crate::digest::Digest;
use crate::host;
use crate::reference::Reference;

/// The documents of an image, byte for byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Originals {
    /// Its manifest.
    pub manifest: Vec<u8>,
    /// Its configuration.
    pub config: Vec<u8>,
}

impl Store {
    /// The documents of an image; `None` where the reference means nothing here.
    pub fn originals(&self, reference: &Reference) -> Result<Option<Originals>, StoreError> {
        if reference.as_str() == host::HOST {
            return Ok(Some(host::originals()));
        }
        let _using = self.using()?;
        let Some(record) = self.record(reference)? else {
            return Ok(None);
        };
        let documents = self.documents(&record.manifest)?;
        Ok(Some(Originals {
            manifest: self.bytes(&record.manifest)?,
            config: self.bytes(&documents.manifest.config.digest)?,
        }))
    }

    /// Where the archive of a layer lies, if it is here. Collection may remove it at any time.
    pub fn archive(&self, digest: &Digest) -> Option<PathBuf> {
        self.has_blob(digest).then(|| self.blob(digest))
    }
}
