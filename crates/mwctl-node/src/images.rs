//! Where root file systems come from.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use mwctl_container::{Mount, Root};

/// What a node knows of images.
#[async_trait]
pub trait Images: fmt::Debug + Send + Sync {
    /// An image that this machine has already.
    async fn find(&self, reference: &str) -> Result<Option<Image>, ImageError>;

    /// Brings an image to this machine, or makes sure that it has the newest.
    async fn pull(&self, reference: &str) -> Result<Image, ImageError>;
}

/// An image that containers can be made of.
#[derive(Clone, Debug)]
pub struct Image {
    /// Names its content.
    pub id: String,
    /// Its files.
    pub root: Root,
    /// What is mounted over them in every container, in order.
    pub mounts: Vec<Mount>,
    /// What it does by itself.
    pub config: ImageConfig,
    /// Keeps it on this machine for as long as a container of it lives.
    pub kept: Kept,
}

/// Something that is only held.
#[derive(Clone, Default)]
pub struct Kept(pub Option<Arc<dyn Any + Send + Sync>>);

impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Kept")
            .field(&self.0.is_some())
            .finish()
    }
}

/// What an image does by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Its entrypoint.
    pub entrypoint: Vec<String>,
    /// The arguments of the entrypoint, or the command where there is none.
    pub command: Vec<String>,
    /// `NAME=value`, in order.
    pub environment: Vec<String>,
    /// A user, optionally with a group, by names or numbers; empty for root.
    pub user: String,
    /// Where it starts; empty for the root directory.
    pub directory: String,
    /// The signal that asks it to end, as `SIGTERM` or a number, where it names one.
    pub stop_signal: Option<String>,
}

/// An image can't be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ImageError {
    /// In one word, as container statuses have it: `ErrImagePull`, `InvalidImageName` …
    pub reason: &'static str,
    /// Why.
    pub message: String,
}
