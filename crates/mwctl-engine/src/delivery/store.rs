//! The store of images on this machine, from which the embedded cluster's node takes its images.
//!
//! Its layers are mounted as they lie: what it knows is never sent again.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use mwctl_image::digest::Digest;
use mwctl_image::{ImportError, ImportOptions, Reference, Store, StoreError};

use super::{DeliveryError, Imports};
use crate::image::{Base, BaseError, BaseSource, BlobDescriptor, Built, chain, local};

/// The store of images of one user.
#[derive(Clone)]
pub struct LocalStore {
    folder: PathBuf,
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("LocalStore")
            .field(&self.folder)
            .finish()
    }
}

impl LocalStore {
    /// The store in this folder, which is made when it is needed.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Does something with the store that waits for the disk.
    async fn with<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        act: impl FnOnce(&Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        local::with(&self.folder, act).await
    }
}

/// Names of services and keys make references; one that is none is in no store.
fn reference(text: &str) -> Option<Reference> {
    Reference::parse(text).ok()
}

#[async_trait]
impl Imports for LocalStore {
    fn describe(&self) -> String {
        "this machine's image store".to_owned()
    }

    async fn has(&self, built: &Built) -> Result<bool, DeliveryError> {
        let Some(reference) = reference(built.reference()) else {
            return Ok(false);
        };
        let digest = built.image.digest.clone();
        let has = self.with(move |store| {
            let record = store.record(&reference)?;
            Ok(record.is_some_and(|record| record.manifest.as_str() == digest))
        });
        has.await.map_err(DeliveryError::Store)
    }

    fn as_base_source(&self) -> Option<Arc<dyn BaseSource>> {
        Some(Arc::new(self.clone()))
    }

    async fn known(&self) -> Result<Option<BTreeSet<String>>, DeliveryError> {
        let known = self.with(|store| {
            let mut known = BTreeSet::new();
            for image in store.list()? {
                let diff_ids: Vec<String> = image
                    .layers
                    .iter()
                    .map(|layer| layer.diff_id.to_string())
                    .collect();
                known.extend(chain(&diff_ids));
            }
            Ok(known)
        });
        known.await.map(Some).map_err(DeliveryError::Store)
    }

    async fn import(&self, archive: &Path, built: &Built) -> Result<(), DeliveryError> {
        let archive = archive.to_owned();
        let options = ImportOptions {
            name: None,
            architecture: built.image.architecture.clone(),
        };
        self.with(move |store| store.import(&archive, &options).map(drop))
            .await
            .map_err(|error: ImportError| DeliveryError::Import(error))
    }

    async fn forget(&self, built: &Built) -> Result<(), DeliveryError> {
        let Some(reference) = reference(built.reference()) else {
            return Ok(());
        };
        let removed = self.with(move |store| store.remove(&reference));
        removed.await.map(drop).map_err(DeliveryError::Store)
    }
}

#[async_trait]
impl BaseSource for LocalStore {
    fn describe(&self) -> String {
        Imports::describe(self)
    }

    async fn resolve(&self, name: &str, architecture: &str) -> Result<Option<Base>, BaseError> {
        let Some(reference) = reference(name) else {
            return Ok(None);
        };
        let found = self.with(move |store| store.originals(&reference)).await;
        let found = found.map_err(|error: StoreError| self.unread(error))?;
        let Some(originals) = found else {
            return Ok(None);
        };
        let base = Base::new(name, &originals.manifest, &originals.config)?;
        Ok((base.architecture == architecture).then_some(base))
    }

    async fn layer(
        &self,
        _base: &Base,
        layer: &BlobDescriptor,
        into: &Path,
    ) -> Result<bool, BaseError> {
        let Ok(digest) = layer.digest.parse::<Digest>() else {
            return Ok(false);
        };
        let target = into.to_owned();
        let written = self.with(move |store| store.write_archive(&digest, &target));
        written
            .await
            .map_err(|error: StoreError| self.unread(error))
    }
}

impl LocalStore {
    fn unread(&self, error: StoreError) -> BaseError {
        BaseError::io(&self.folder, std::io::Error::other(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Delivery, How};
    use crate::image::tests::Bench;
    use crate::image::{Bases, Builder, Cache};
    use crate::progress::silent;

    /// A checkout that is built upon this machine, and a store.
    struct Place {
        bench: Bench,
        _folder: tempfile::TempDir,
        store: LocalStore,
        builder: Builder,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = LocalStore::new(folder.path().join("images"));
            let mut bench = Bench::new();
            "mwctl.local/host:latest".clone_into(&mut bench.build.base);
            let builder = Builder::new(
                Cache::new(folder.path().join("cache")),
                bench.runner.clone(),
                Bases::new(vec![Arc::new(store.clone())]),
                mwctl_image::oci::architecture(),
            );
            Self {
                bench,
                _folder: folder,
                store,
                builder,
            }
        }

        async fn built(&self) -> Built {
            let bench = &self.bench;
            bench.built_by(&self.builder, &bench.source()).await
        }

        async fn deliver(&self, built: &Built) -> (How, usize) {
            let delivery = Delivery::new(vec![Arc::new(self.store.clone())]);
            let delivered = delivery.deliver(&self.builder, built, &silent).await;
            let delivered = delivered.unwrap();
            (delivered[0].how, delivered[0].layers)
        }
    }

    #[tokio::test]
    async fn an_image_comes_whole_once_and_then_in_differences() {
        let place = Place::new();
        let first = place.built().await;
        assert_eq!(place.deliver(&first).await, (How::Full, 2));
        assert!(place.store.has(&first).await.unwrap());
        assert_eq!(place.deliver(&first).await, (How::Present, 0));

        place.bench.write("server.js", "changed()");
        let second = place.built().await;
        assert_eq!(place.deliver(&second).await, (How::Delta, 1));
        assert!(place.store.has(&second).await.unwrap());

        place.store.forget(&second).await.unwrap();
        assert!(!place.store.has(&second).await.unwrap());
    }

    #[tokio::test]
    async fn what_is_in_the_store_can_be_built_upon() {
        let place = Place::new();
        let built = place.built().await;
        place.deliver(&built).await;
        let (name, architecture) = (built.reference(), &built.image.architecture);
        let base = place.store.resolve(name, architecture).await;
        let base = base.unwrap().unwrap();
        assert_eq!(base.diff_ids, built.image.diff_ids);
        let into = tempfile::NamedTempFile::new().unwrap();
        let layer = base.layers.last().unwrap();
        assert!(place.store.layer(&base, layer, into.path()).await.unwrap());
        assert_eq!(into.as_file().metadata().unwrap().len(), layer.size);
        for (name, architecture) in [(name, "other"), ("nobody/has:this", architecture)] {
            let found = place.store.resolve(name, architecture).await;
            assert_eq!(found.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn an_image_upon_this_machine_is_this_machine_with_layers_over_it() {
        let place = Place::new();
        let built = place.built().await;
        place.deliver(&built).await;
        let reference = Reference::parse(built.reference()).unwrap();
        let image = place.store.with(move |store| store.resolve(&reference));
        let image: Result<_, StoreError> = image.await;
        let mwctl_image::Root::Host(layers) = image.unwrap().root else {
            panic!("it isn't this machine's");
        };
        assert_eq!(layers.len(), 2);
    }
}
