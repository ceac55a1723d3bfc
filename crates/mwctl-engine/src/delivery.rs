//! Brings images onto the nodes of a cluster, without a registry, and looks whether they arrived.
//!
//! A node is asked what it has; where it knows the lower layers, only the others are sent. When
//! that fails for any reason the whole image goes. Importing programs that exit with 0 though they
//! failed are known, so the node is asked again afterwards.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use mwctl_core::cluster::Kind;
use mwctl_core::minikube::Profile;
use mwctl_image::{ImportError, StoreError};

use crate::command::{CommandError, CommandRunner};
use crate::image::{BaseError, BaseSource, BuildError, Builder, Built, Request};
use crate::progress::{Report, Step};

mod containerd;
mod docker;
mod minikube;
mod nodes;
mod store;
mod tool;

pub use containerd::Containerd;
pub use docker::Docker;
pub use minikube::MinikubeLoad;
pub use store::LocalStore;

/// One place that holds images: a node, or a daemon that all nodes use.
#[async_trait]
pub trait ImageDelivery: fmt::Debug + Send + Sync {
    /// The place, for people.
    fn describe(&self) -> String;

    /// Whether it has the image, by name and content.
    async fn has(&self, built: &Built) -> Result<bool, DeliveryError>;

    /// The chains of layers that it can build upon; `None` where it takes only whole images.
    async fn known(&self) -> Result<Option<BTreeSet<String>>, DeliveryError>;

    /// Imports an archive. Whether it arrived is asked with [`Self::has`].
    async fn import(&self, archive: &Path, built: &Built) -> Result<(), DeliveryError>;

    /// Removes what a failed import left under the image's name.
    async fn forget(&self, built: &Built) -> Result<(), DeliveryError>;

    /// The same place as one where bases are found, if it can give them.
    fn as_base_source(&self) -> Option<Arc<dyn BaseSource>>;
}

/// How an image came to a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum How {
    /// It was there.
    Present,
    /// The missing layers were sent.
    Delta,
    /// All was sent.
    Full,
}

/// An image that is at a place.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// The place.
    pub node: String,
    /// How it came there.
    pub how: How,
    /// How many layers were sent.
    pub layers: usize,
    /// How many bytes were sent.
    pub bytes: u64,
    /// How long it took, with asking and checking.
    pub milliseconds: u64,
}

/// Why an image isn't where it should be.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Nothing is known of how images get there.
    #[error("no way is known to bring an image into {cluster} without a registry")]
    Unsupported {
        /// What kind of cluster it is.
        cluster: String,
    },
    /// The cluster is an API only.
    #[error("the embedded cluster has no node that runs containers, and so no place for images")]
    NoContainers,
    /// The store of images can't be used.
    #[error("cannot use this machine's image store")]
    Store(#[source] StoreError),
    /// The store of images doesn't take it.
    #[error("this machine's image store doesn't take the image")]
    Import(#[source] ImportError),
    /// The cluster's nodes can't be found.
    #[error("no nodes of {cluster} were found")]
    NoNodes {
        /// The cluster.
        cluster: String,
    },
    /// A program failed.
    #[error("{node} failed")]
    Command {
        /// The place.
        node: String,
        /// Why.
        source: CommandError,
    },
    /// A program's answer can't be understood.
    #[error("{node} gave an answer that can't be understood: {answer}")]
    Answer {
        /// The place.
        node: String,
        /// The answer's start.
        answer: String,
    },
    /// The archive can't be made.
    #[error("cannot write the archive of `{reference}`")]
    Archive {
        /// The image.
        reference: String,
        /// Why.
        source: BaseError,
    },
    /// It was imported without an error and isn't there.
    #[error("`{reference}` was imported into {node}, but it isn't there")]
    NotArrived {
        /// The place.
        node: String,
        /// The image.
        reference: String,
    },
}

impl DeliveryError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Unsupported { .. } => vec![
                "push the image to a registry that the cluster reads, and name it: `image: REGISTRY/NAME:TAG`".to_owned(),
            ],
            Self::NoContainers => {
                vec!["name a cluster that runs containers: `--cluster NAME`".to_owned()]
            }
            Self::Store(error) => error.hints(),
            Self::Import(error) => error.hints(),
            Self::NoNodes { .. } => {
                vec!["`docker ps` shows whether the cluster's containers run".to_owned()]
            }
            Self::Archive { source, .. } => source.hints(),
            Self::Command { source, .. } => source.hints(),
            _ => Vec::new(),
        }
    }
}

/// All places of one cluster.
#[derive(Clone, Debug)]
pub struct Delivery {
    targets: Vec<Arc<dyn ImageDelivery>>,
}

/// Finds out how images get into a cluster. A minikube profile needs its configuration, as
/// [`crate::cluster::Found`] has it.
pub async fn for_cluster(
    kind: &Kind,
    profile: Option<&Profile>,
    runner: Arc<dyn CommandRunner>,
) -> Result<Delivery, DeliveryError> {
    nodes::find(kind, profile, runner).await.map(Delivery::new)
}

impl Delivery {
    /// To these places.
    pub fn new(targets: Vec<Arc<dyn ImageDelivery>>) -> Self {
        Self { targets }
    }

    /// The places.
    pub fn targets(&self) -> &[Arc<dyn ImageDelivery>] {
        &self.targets
    }

    /// The places as ones where bases are found.
    pub fn base_sources(&self) -> Vec<Arc<dyn BaseSource>> {
        self.targets
            .iter()
            .filter_map(|target| target.as_base_source())
            .collect()
    }

    /// Whether all places have the image.
    pub async fn has(&self, built: &Built) -> Result<bool, DeliveryError> {
        let answers = self.targets.iter().map(|target| target.has(built));
        let answers = futures::future::try_join_all(answers).await?;
        Ok(answers.into_iter().all(|has| has))
    }

    /// Brings the image to all places that lack it.
    pub async fn deliver(
        &self,
        builder: &Builder,
        built: &Built,
        report: Report<'_>,
    ) -> Result<Vec<Delivered>, DeliveryError> {
        let deliveries = self
            .targets
            .iter()
            .map(|target| deliver_to(target.as_ref(), builder, built, report));
        futures::future::try_join_all(deliveries).await
    }
}

async fn deliver_to(
    target: &dyn ImageDelivery,
    builder: &Builder,
    built: &Built,
    report: Report<'_>,
) -> Result<Delivered, DeliveryError> {
    let since = std::time::Instant::now();
    let delivered = |how, layers, bytes| Delivered {
        node: target.describe(),
        how,
        layers,
        bytes,
        milliseconds: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    // Both questions at once: asking costs more than answering.
    let (has, known) = tokio::join!(target.has(built), target.known());
    if has? {
        return Ok(delivered(How::Present, 0, 0));
    }
    let step = Step::start(
        report,
        format!("deliver {} to {}", built.reference(), target.describe()),
    );
    let known = known?.unwrap_or_default();
    let lacking = crate::image::archive::lacking(&built.image, &known).len();
    if lacking < built.image.layers.len() {
        match send(target, builder, built, &known).await {
            Ok((layers, bytes)) => {
                step.finish();
                return Ok(delivered(How::Delta, layers, bytes));
            }
            Err(error) => {
                tracing::warn!(%error, node = target.describe(), "sending the whole image");
            }
        }
    }
    let (layers, bytes) = send(target, builder, built, &BTreeSet::new()).await?;
    step.finish();
    Ok(delivered(How::Full, layers, bytes))
}

async fn send(
    target: &dyn ImageDelivery,
    builder: &Builder,
    built: &Built,
    known: &BTreeSet<String>,
) -> Result<(usize, u64), DeliveryError> {
    let unwritten = |source| DeliveryError::Archive {
        reference: built.reference().to_owned(),
        source,
    };
    let workspace = builder
        .cache()
        .workspace()
        .map_err(|source| unwritten(BaseError::io(Path::new("archive"), source)))?;
    // minikube takes two files of one name for one: the name has the content's digest.
    let digest = built.image.digest.trim_start_matches("sha256:");
    let path = workspace.path().join(format!("mwctl-{digest}.tar"));
    let archive = builder
        .archive(built, known, &path)
        .await
        .map_err(unwritten)?;
    let imported = target.import(&path, built).await;
    let arrived = match &imported {
        Ok(()) => target.has(built).await?,
        Err(_) => false,
    };
    if arrived {
        return Ok((archive.layers, archive.bytes));
    }
    // containerd 1.6 keeps the name of an image that it couldn't unpack, and the kubelet would
    // believe it. Where nothing was kept, removing fails, and that is fine.
    if let Err(error) = target.forget(built).await {
        tracing::debug!(%error, "nothing to remove after a failed import");
    }
    imported?;
    Err(DeliveryError::NotArrived {
        node: target.describe(),
        reference: built.reference().to_owned(),
    })
}

/// An image that was made and is on all nodes.
#[derive(Clone, Debug)]
pub struct Provided {
    /// The image.
    pub built: Built,
    /// What each place needed.
    pub delivered: Vec<Delivered>,
}

/// Why an image isn't on all nodes.
#[derive(Debug, thiserror::Error)]
pub enum ProvideError {
    /// It couldn't be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It couldn't be brought there.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

impl ProvideError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Build(error) => error.hints(),
            Self::Delivery(error) => error.hints(),
        }
    }
}

/// Makes an image and brings it to all nodes; does nothing where that was done before.
pub async fn provide(
    builder: &Builder,
    delivery: &Delivery,
    request: Request<'_>,
    report: Report<'_>,
) -> Result<Provided, ProvideError> {
    let built = builder.image(request, report).await?;
    match delivery.deliver(builder, &built, report).await {
        Ok(delivered) => Ok(Provided { built, delivered }),
        // The base that was remembered is nowhere any more: it was replaced by another one of the
        // same name. Build upon that.
        Err(DeliveryError::Archive {
            source: BaseError::LayerNotFound { .. },
            ..
        }) => {
            builder.forget_base(&request.build.base);
            let built = builder.image(request, report).await?;
            let delivered = delivery.deliver(builder, &built, report).await?;
            Ok(Provided { built, delivered })
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
