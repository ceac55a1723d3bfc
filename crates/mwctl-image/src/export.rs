//! Images as OCI layouts: folders that skopeo, umoci, podman and `BuildKit` read.
//!
//! What goes to the nodes of a cluster, of which layers may be left out, is another crate's archive.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, json};

use crate::digest::Digest;
use crate::oci::{INDEX, MANIFEST, sorted};
use crate::reference::Reference;
use crate::store::{Store, StoreError};

/// Why there is no layout.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Something is there already.
    #[error("`{}` isn't empty", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// It can't be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A layer is here as a folder alone, and what it was packed as isn't known.
    #[error("the archive of layer `{digest}` isn't on this machine")]
    Incomplete {
        /// The layer.
        digest: Digest,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ExportError {
    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Write { path, source }
    }

    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Occupied { .. } => vec!["name a folder that isn't there yet".to_owned()],
            Self::Incomplete { .. } => vec!["pull the image that it came with anew".to_owned()],
            Self::Store(error) => error.hints(),
            Self::Write { .. } => Vec::new(),
        }
    }
}

/// Whose the files of a layout are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Files {
    /// The layout's own.
    Copied,
    /// The store's where they can be: for whoever only reads, and for a short time.
    Lent,
}

/// What a manifest says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<String>,
}

impl Store {
    /// Writes an image as an OCI layout into a new or empty folder; gives the digest of its manifest. Blocks.
    pub fn export(&self, reference: &Reference, into: &Path) -> Result<Digest, ExportError> {
        self.layout(reference, into, Files::Copied)
    }

    /// The same for a program that only reads: large files are the store's own. Blocks.
    pub fn lend(&self, reference: &Reference, into: &Path) -> Result<Digest, ExportError> {
        self.layout(reference, into, Files::Lent)
    }

    fn layout(
        &self,
        reference: &Reference,
        into: &Path,
        files: Files,
    ) -> Result<Digest, ExportError> {
        let _using = self.using()?;
        let record = self.record(reference)?;
        let record = record.ok_or_else(|| StoreError::NoImage(reference.to_string()))?;
        let documents = self.documents(&record.manifest)?;
        let is_empty = fs::read_dir(into).map_or(true, |mut entries| entries.next().is_none());
        if !is_empty {
            let path = into.to_path_buf();
            return Err(ExportError::Occupied { path });
        }
        let blobs = into.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(ExportError::write(&blobs))?;
        let manifest = self.bytes(&record.manifest)?;
        let config = self.bytes(&documents.manifest.config.digest)?;
        for (digest, bytes) in [
            (&record.manifest, &manifest),
            (&documents.manifest.config.digest, &config),
        ] {
            let path = blobs.join(digest.hex());
            fs::write(&path, bytes).map_err(ExportError::write(&path))?;
        }
        for layer in &documents.manifest.layers {
            self.put_layer(&layer.digest, &blobs.join(layer.digest.hex()), files)?;
        }
        let kind = serde_json::from_slice::<Kind>(&manifest).ok();
        let mut annotations = Map::new();
        annotations.insert("io.containerd.image.name".to_owned(), json!(reference));
        let rest = &reference.as_str()[reference.repository().len()..];
        if let Some(tag) = rest.strip_prefix(':') {
            annotations.insert("org.opencontainers.image.ref.name".to_owned(), json!(tag));
        }
        let index = sorted(json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{
                "mediaType": kind.and_then(|kind| kind.media_type).unwrap_or_else(|| MANIFEST.to_owned()),
                "digest": record.manifest,
                "size": manifest.len(),
                "platform": {"os": "linux", "architecture": documents.configuration.architecture},
                "annotations": annotations,
            }],
        }));
        // The index last: without it the folder is no layout.
        for (name, bytes) in [
            ("oci-layout", &br#"{"imageLayoutVersion":"1.0.0"}"#[..]),
            ("index.json", &index),
        ] {
            let path = into.join(name);
            fs::write(&path, bytes).map_err(ExportError::write(&path))?;
        }
        Ok(record.manifest)
    }

    fn put_layer(&self, digest: &Digest, into: &Path, files: Files) -> Result<(), ExportError> {
        // One layer may be there twice.
        if into.exists() {
            return Ok(());
        }
        // Another filesystem takes no second name of a file: then it is copied.
        if files == Files::Lent
            && self.has_blob(digest)
            && fs::hard_link(self.blob(digest), into).is_ok()
        {
            return Ok(());
        }
        if self.write_archive(digest, into)? {
            return Ok(());
        }
        let digest = digest.clone();
        Err(ExportError::Incomplete { digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImportOptions, Owners};

    struct Bench(tempfile::TempDir);

    impl Bench {
        fn new() -> (Self, Store, Reference) {
            let folder = tempfile::tempdir().unwrap();
            let archive = fs::File::create(folder.path().join("root.tar")).unwrap();
            let mut archive = tar::Builder::new(archive);
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(5);
            archive
                .append_data(&mut header, "etc/passwd", &b"value"[..])
                .unwrap();
            archive.finish().unwrap();
            let bench = Self(folder);
            let store = bench.store("one");
            let name = Reference::parse("example.org/a/b:1").unwrap();
            bench.import(&store, "root.tar", Some(&name));
            (bench, store, name)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn store(&self, name: &str) -> Store {
            Store::open(&self.path(name), Owners::of_process()).unwrap()
        }

        fn import(&self, store: &Store, file: &str, name: Option<&Reference>) -> Digest {
            let options = ImportOptions {
                name: name.cloned(),
                architecture: crate::oci::architecture().to_owned(),
            };
            let records = store.import(&self.path(file), &options).unwrap();
            records[0].manifest.clone()
        }
    }

    #[test]
    fn what_is_written_comes_back_under_its_name_with_its_digests() {
        let (bench, store, name) = Bench::new();
        let digest = store.export(&name, &bench.path("layout")).unwrap();
        let other = bench.store("two");
        assert_eq!(bench.import(&other, "layout", None), digest);
        let (one, two) = (store.details(&name).unwrap(), other.details(&name).unwrap());
        assert_eq!(one.layers[0].digest, two.layers[0].digest);
        assert_eq!(one.record.manifest, two.record.manifest);
    }

    #[test]
    fn what_is_lent_is_the_stores_own_and_what_is_copied_is_not() {
        use std::os::unix::fs::MetadataExt as _;
        let (bench, store, name) = Bench::new();
        store.lend(&name, &bench.path("lent")).unwrap();
        store.export(&name, &bench.path("own")).unwrap();
        let layer = store.details(&name).unwrap().layers[0].digest.clone();
        let inode = |folder: &str| {
            let path = bench.path(folder).join("blobs/sha256").join(layer.hex());
            fs::metadata(path).unwrap().ino()
        };
        assert_eq!(
            inode("lent"),
            fs::metadata(store.blob(&layer)).unwrap().ino()
        );
        assert_ne!(inode("own"), inode("lent"));
    }

    #[test]
    fn a_folder_with_something_in_it_stays_as_it_is() {
        let (bench, store, name) = Bench::new();
        fs::create_dir(bench.path("full")).unwrap();
        fs::write(bench.path("full/mine"), "1").unwrap();
        let refused = store.export(&name, &bench.path("full")).unwrap_err();
        assert!(matches!(refused, ExportError::Occupied { .. }), "{refused}");
        assert_eq!(fs::read_dir(bench.path("full")).unwrap().count(), 1);
        let nobody = Reference::parse("nobody:1").unwrap();
        let missing = store.export(&nobody, &bench.path("new")).unwrap_err();
        assert!(matches!(
            missing,
            ExportError::Store(StoreError::NoImage(_))
        ));
        assert!(!bench.path("new").exists());
    }
}
