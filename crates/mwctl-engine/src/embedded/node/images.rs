//! The images of a node: those of this machine's store, which pulls what it lacks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use mwctl_container::{Entry, Layer, Mount, Root as ContainerRoot, Source, Upper, host};
use mwctl_core::manifest::LOCAL_IMAGES;
use mwctl_image::{Credentials, Image, PullError, Reference, Registry, Root, Store, StoreError};
use mwctl_node::images::{Image as NodeImage, ImageConfig, ImageError, Images, Kept};

use crate::embedded::serve::with_causes;

/// The store, for a node.
pub(super) struct StoreImages {
    store: Store,
    registry: Registry,
}

impl fmt::Debug for StoreImages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("StoreImages")
            .field(&self.store.root())
            .finish()
    }
}

impl StoreImages {
    pub(super) fn new(store: Store, accounts: Credentials) -> Self {
        Self {
            store,
            registry: Registry::new(Vec::new(), accounts),
        }
    }

    /// The image, if it is in the store.
    async fn resolved(&self, reference: &Reference) -> Result<Option<NodeImage>, ImageError> {
        let (store, wanted) = (self.store.clone(), reference.clone());
        let resolve = move || match store.resolve(&wanted) {
            Ok(image) => Ok(Some(image)),
            Err(StoreError::NoImage(_)) => Ok(None),
            Err(error) => Err(error),
        };
        match tokio::task::spawn_blocking(resolve).await {
            Ok(Ok(image)) => Ok(image.map(for_node)),
            Ok(Err(error)) => Err(ImageError {
                reason: "ImageInspectError",
                message: with_causes(&error),
            }),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

#[async_trait]
impl Images for StoreImages {
    async fn find(&self, reference: &str) -> Result<Option<NodeImage>, ImageError> {
        self.resolved(&parse(reference)?).await
    }

    async fn pull(&self, reference: &str) -> Result<NodeImage, ImageError> {
        let parsed = parse(reference)?;
        // What is made here is in no registry, and nobody is to be asked for it.
        if is_made_here(&parsed) {
            let found = self.resolved(&parsed).await?;
            let why = "it is made on this machine, and isn't in its store: `mwctl up` makes it";
            return found.ok_or_else(|| missing(why));
        }
        let architecture = mwctl_image::oci::architecture();
        let pulled = self
            .registry
            .pull(&self.store, &parsed, architecture, &|_| {})
            .await;
        pulled.map_err(|error: PullError| ImageError {
            reason: "ErrImagePull",
            message: with_causes(&error),
        })?;
        let found = self.resolved(&parsed).await?;
        found.ok_or_else(|| missing("it was removed from this machine's store meanwhile"))
    }
}

fn parse(reference: &str) -> Result<Reference, ImageError> {
    Reference::parse(reference).map_err(|error| ImageError {
        reason: "InvalidImageName",
        message: format!("failed to apply default image tag {reference:?}: {error}"),
    })
}

fn is_made_here(reference: &Reference) -> bool {
    reference.as_str().starts_with(LOCAL_IMAGES)
}

fn missing(why: &str) -> ImageError {
    ImageError {
        reason: "ErrImagePull",
        message: why.to_owned(),
    }
}

/// An image of the store as the node runs it.
fn for_node(image: Image) -> NodeImage {
    let (folders, mut mounts) = match &image.root {
        Root::Layers(folders) => (folders, host::usual_mounts()),
        Root::Host(folders) => (folders, host::root().1),
    };
    // What the image has isn't hidden behind an empty folder of the machine's skeleton.
    mounts.retain(|mount| !is_empty_folder(mount) || !has(folders, mount));
    let config = &image.config;
    NodeImage {
        id: image.digest.to_string(),
        root: ContainerRoot {
            layers: folders
                .iter()
                .rev()
                .filter_map(|folder| layer(folder))
                .collect(),
            upper: Upper::Memory,
            read_only: false,
        },
        mounts,
        config: ImageConfig {
            entrypoint: config.entrypoint.clone(),
            command: config.command.clone(),
            environment: config
                .environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            user: config.user.clone(),
            directory: config.directory.clone(),
            stop_signal: config.stop_signal.clone(),
        },
        kept: Kept(Some(Arc::new(image))),
    }
}

fn is_empty_folder(mount: &Mount) -> bool {
    matches!(mount.entry, Entry::Memory { .. })
}

fn has(folders: &[PathBuf], mount: &Mount) -> bool {
    let below = mount.target.strip_prefix("/").unwrap_or(&mount.target);
    folders.iter().any(|folder| folder.join(below).is_dir())
}

/// A layer's folder has the layer's name: one that has none can't be mounted, and is no layer of a store.
fn layer(folder: &Path) -> Option<Layer> {
    Some(Layer {
        name: folder.file_name()?.to_str()?.to_owned(),
        source: Source::Path(folder.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_is_found_and_what_is_made_here_is_never_asked_for_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), mwctl_image::Owners::of_process()).unwrap();
        let images = StoreImages::new(store, Credentials::new(Vec::new()));
        let host = images.find("mwctl.local/host").await.unwrap().unwrap();
        assert_eq!(host.config.command, ["/bin/sh"]);
        assert!(host.root.layers.is_empty() && !host.mounts.is_empty());
        assert!(
            images
                .find("mwctl.local/service:1")
                .await
                .unwrap()
                .is_none()
        );
        let missing = images.pull("mwctl.local/service:1").await.unwrap_err();
        assert!(missing.message.contains("mwctl up"), "{missing}");
        let wrong = images.find("No:Such:Name").await.unwrap_err();
        assert_eq!(wrong.reason, "InvalidImageName");
    }

    #[test]
    fn a_folder_of_the_image_is_not_hidden_by_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("srv")).unwrap();
        let folders = [folder.path().to_owned()];
        let hidden: Vec<_> = host::root().1.into_iter().filter(is_empty_folder).collect();
        let of_image: Vec<_> = hidden.iter().filter(|mount| has(&folders, mount)).collect();
        assert_eq!(of_image.len(), 1);
        assert!(of_image[0].target.ends_with("srv"));
    }
}
