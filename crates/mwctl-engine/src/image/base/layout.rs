//! Images in files: `oci-archive:FILE` (a tar) and `oci-layout:FOLDER`.

use std::io::{self, Read as _};
use std::path::{Component, Path};

use async_trait::async_trait;
use serde_json::Value;

use super::{Base, BaseError, BaseSource, manifest_for};
use crate::image::digest;
use crate::image::document::BlobDescriptor;

/// Documents are small; whatever claims to be larger is refused.
const DOCUMENT_LIMIT: u64 = 8 << 20;

/// Images in files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalLayout;

enum Place<'a> {
    Archive(&'a Path),
    Folder(&'a Path),
}

fn place(reference: &str) -> Option<Place<'_>> {
    let path = |text| Path::new(text);
    if let Some(file) = reference.strip_prefix("oci-archive:") {
        return Some(Place::Archive(path(file)));
    }
    reference
        .strip_prefix("oci-layout:")
        .map(|folder| Place::Folder(path(folder)))
}

pub(super) fn is_local(reference: &str) -> bool {
    place(reference).is_some()
}

impl Place<'_> {
    fn path(&self) -> &Path {
        match self {
            Self::Archive(path) | Self::Folder(path) => path,
        }
    }

    /// Hands the file of that name within the layout to `take`.
    fn open<T>(
        &self,
        name: &str,
        take: impl FnOnce(&mut dyn io::Read) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        match self {
            Self::Folder(folder) => match std::fs::File::open(folder.join(name)) {
                Ok(mut file) => take(&mut file).map(Some),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
            Self::Archive(file) => {
                let mut archive = tar::Archive::new(std::fs::File::open(file)?);
                for entry in archive.entries_with_seek()? {
                    let mut entry = entry?;
                    let path = entry.path()?;
                    let plain = path.components().filter(|c| *c != Component::CurDir);
                    if plain.eq(Path::new(name).components()) {
                        return take(&mut entry).map(Some);
                    }
                }
                Ok(None)
            }
        }
    }

    fn document(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.open(name, |reader| {
            let mut bytes = Vec::new();
            reader.take(DOCUMENT_LIMIT).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }
}

/// The name of a blob, refusing digests that would lead out of the layout.
fn blob(digest: &str) -> io::Result<String> {
    if digest::is_legal(digest) {
        Ok(format!("blobs/{}", digest.replace(':', "/")))
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{digest}` is no digest"),
        ))
    }
}

fn read(reference: &str, place: &Place<'_>, architecture: &str) -> Result<Option<Base>, BaseError> {
    let path = place.path();
    let failed = |source| BaseError::io(path, source);
    let damaged = |what: &str| BaseError::Damaged {
        reference: reference.to_owned(),
        what: what.to_owned(),
    };
    let fetch = |digest: &str| {
        let name = blob(digest).map_err(failed)?;
        let bytes = place.document(&name).map_err(failed)?;
        bytes.ok_or_else(|| damaged(&format!("{digest} is missing")))
    };
    let mut bytes = place
        .document("index.json")
        .map_err(failed)?
        .ok_or_else(|| damaged("it has no index.json"))?;
    // An index may hold another index; more than a few levels is an attack or a mistake.
    for _ in 0..4 {
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|_| damaged("its index can't be read"))?;
        if value["manifests"].is_array() {
            let Some(digest) = manifest_for(&value, architecture) else {
                return Ok(None);
            };
            bytes = fetch(&digest)?;
        } else {
            let digest = value["config"]["digest"]
                .as_str()
                .ok_or_else(|| damaged("its manifest names no configuration"))?;
            let config = fetch(digest)?;
            return Base::new(reference, &bytes, &config).map(Some);
        }
    }
    Err(damaged("its indices are too deep"))
}

#[async_trait]
impl BaseSource for LocalLayout {
    fn describe(&self) -> String {
        "local files".to_owned()
    }

    async fn resolve(
        &self,
        reference: &str,
        architecture: &str,
    ) -> Result<Option<Base>, BaseError> {
        match place(reference) {
            None => Ok(None),
            Some(place) => read(reference, &place, architecture),
        }
    }

    async fn layer(
        &self,
        base: &Base,
        layer: &BlobDescriptor,
        into: &Path,
    ) -> Result<bool, BaseError> {
        let Some(place) = place(&base.reference) else {
            return Ok(false);
        };
        let copy = || -> io::Result<bool> {
            let found = place.open(&blob(&layer.digest)?, |reader| {
                let mut file = std::fs::File::create(into)?;
                io::copy(&mut reader.take(layer.size), &mut file)
            })?;
            Ok(found.is_some())
        };
        copy().map_err(|source| BaseError::io(place.path(), source))
    }
}
