//! Images as they came: the documents and archives that others build upon.

use std::fs;
use std::path::Path;

use super::{Name, Store, StoreError};
use crate::digest::Digest;
use crate::host;
use crate::layer::pack;
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

    /// Writes the archive of a layer into a file: the one it came in, or, of a layer that was made
    /// here, a new one of the same digest. `false` where the layer isn't here. Blocks.
    pub fn write_archive(&self, digest: &Digest, into: &Path) -> Result<bool, StoreError> {
        let _using = self.using()?;
        if self.has_blob(digest) {
            let blob = self.blob(digest);
            fs::copy(&blob, into).map_err(StoreError::io(&blob))?;
            return Ok(true);
        }
        // What was made here has no archive yet, and is called as its plain one.
        let Some(folder) = self.layer(&Name::of_content(digest), digest.as_str())? else {
            return Ok(false);
        };
        let file = fs::File::create(into).map_err(StoreError::io(into))?;
        let file = std::io::BufWriter::with_capacity(1 << 18, file);
        let packed = pack(&folder, self.owners, 0, file).map_err(StoreError::Pack)?;
        if packed.diff_id != *digest {
            return Err(StoreError::Damaged {
                digest: digest.clone(),
                found: packed.diff_id,
            });
        }
        Ok(true)
    }
}
