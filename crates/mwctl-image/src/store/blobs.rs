//! Contents under their digests.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{Store, StoreError};
use crate::digest::{Digest, Hashing};

/// Documents are small; whatever claims to be larger is refused.
pub(crate) const DOCUMENT_LIMIT: u64 = 8 << 20;

/// What is expected of a content that comes from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// Its name.
    pub digest: Digest,
    /// Its length, where it is known.
    pub size: Option<u64>,
}

impl Store {
    /// Where a content lies, if it is there.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.path("blobs/sha256").join(digest.hex())
    }

    /// Whether a content is there.
    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.blob(digest).is_file()
    }

    /// Keeps some bytes under their digest.
    pub(crate) fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if !self.has_blob(&digest) {
            self.write(Path::new("blobs/sha256").join(digest.hex()), bytes)?;
        }
        Ok(digest)
    }

    /// Keeps what is read, if it is what was expected.
    pub(crate) fn put(&self, content: impl Read, expected: &Expected) -> Result<(), StoreError> {
        if self.has_blob(&expected.digest) {
            return Ok(());
        }
        let work = self.work()?;
        let new = work.path().join("blob");
        let failed = |source| StoreError::Io {
            path: new.clone(),
            source,
        };
        let mut hashing = Hashing::new(File::create(&new).map_err(failed)?);
        // One byte more than expected shows that there is more.
        let most = expected
            .size
            .map_or(u64::MAX, |size| size.saturating_add(1));
        let mut content = content.take(most);
        io::copy(&mut content, &mut hashing).map_err(failed)?;
        hashing.flush().map_err(failed)?;
        let (_, found, size) = hashing.finish();
        self.adopt(&new, found, size, expected)
    }

    /// Keeps what is read under whatever digest it has; gives that, the length and the first bytes.
    pub(crate) fn put_unknown(
        &self,
        mut content: impl Read,
    ) -> Result<(Digest, u64, Vec<u8>), StoreError> {
        let work = self.work()?;
        let new = work.path().join("blob");
        let failed = |source| StoreError::Io {
            path: new.clone(),
            source,
        };
        let mut hashing = Hashing::new(File::create(&new).map_err(failed)?);
        let mut start = Vec::new();
        let read = (&mut content).take(4).read_to_end(&mut start);
        read.and_then(|_| hashing.write_all(&start))
            .and_then(|()| io::copy(&mut content, &mut hashing))
            .map_err(failed)?;
        let (_, digest, size) = hashing.finish();
        let place = self.blob(&digest);
        fs::rename(&new, &place).map_err(StoreError::io(&place))?;
        Ok((digest, size, start))
    }

    /// Keeps a file that lies in a place of work and whose digest is known.
    pub(crate) fn adopt(
        &self,
        new: &Path,
        found: Digest,
        size: u64,
        expected: &Expected,
    ) -> Result<(), StoreError> {
        if found != expected.digest || expected.size.is_some_and(|expected| expected != size) {
            return Err(StoreError::Damaged {
                digest: expected.digest.clone(),
                found,
            });
        }
        let place = self.blob(&found);
        fs::rename(new, &place).map_err(StoreError::io(&place))
    }

    /// Opens a content; who reads it checks the digest.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<BufReader<File>, StoreError> {
        let path = self.blob(digest);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Missing(digest.clone()))
            }
            other => Ok(BufReader::with_capacity(
                1 << 18,
                other.map_err(StoreError::io(path))?,
            )),
        }
    }

    /// A small content, checked. One that is damaged is taken away, so that it can come anew.
    pub(crate) fn bytes(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let mut file = self.open_blob(digest)?.take(DOCUMENT_LIMIT);
        file.read_to_end(&mut bytes)
            .map_err(StoreError::io(self.blob(digest)))?;
        let found = Digest::of(&bytes);
        if found == *digest {
            return Ok(bytes);
        }
        self.forget_blob(digest);
        Err(StoreError::Damaged {
            digest: digest.clone(),
            found,
        })
    }

    /// Takes a content away.
    pub(crate) fn forget_blob(&self, digest: &Digest) {
        // One that isn't there is as good as gone.
        drop(fs::remove_file(self.blob(digest)));
    }

    /// A document, checked.
    pub(crate) fn document<T: DeserializeOwned>(
        &self,
        what: &'static str,
        digest: &Digest,
    ) -> Result<T, StoreError> {
        let bytes = self.bytes(digest)?;
        serde_json::from_slice(&bytes).map_err(|source| StoreError::Document {
            what,
            digest: digest.clone(),
            source,
        })
    }
}
