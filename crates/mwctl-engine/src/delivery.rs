//! Brings images to where the nodes of a cluster have them, and looks whether they arrived.
//!
//! Which way that is, onto the nodes themselves or by a registry, is [`mwctl_core::delivery`]'s decision. Each way
//! sends only what is missing: [`Imports`] asks what a place has unpacked, [`ByRegistry`] what a registry has.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use mwctl_core::delivery::{Choice, NoWay, Registry};
use mwctl_image::{Credentials, ImportError, InvalidReference, PushError, StoreError};

use crate::command::{CommandError, CommandRunner};
use crate::image::{BaseError, BaseSource, BuildError, Builder, Built, Request};
use crate::progress::Report;

mod containerd;
mod docker;
mod imports;
mod machines;
mod minikube;
mod nodes;
mod registry;
mod store;
mod tool;

pub use containerd::Containerd;
pub use docker::Docker;
pub use imports::Imports;
pub use minikube::MinikubeLoad;
pub use registry::ByRegistry;
pub use store::LocalStore;

/// One place that holds images: a node, a daemon that all nodes use, or a registry that they pull from.
#[async_trait]
pub trait ImageDelivery: fmt::Debug + Send + Sync {
    /// The place, for people.
    fn describe(&self) -> String;

    /// Whether it has the image, by name and content.
    async fn has(&self, built: &Built) -> Result<bool, DeliveryError>;

    /// Brings the image there, unless it is there, and makes sure that it arrived.
    async fn bring(
        &self,
        builder: &Builder,
        built: &Built,
        report: Report<'_>,
    ) -> Result<Delivered, DeliveryError>;

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
        /// Where the cluster says how to have a registry.
        help: Option<String>,
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
    /// The registry has names for images that no pod could have.
    #[error("the image can't be named at the registry")]
    Name(#[from] InvalidReference),
    /// Its layers can't be had.
    #[error("cannot get the layers of `{reference}`")]
    Layers {
        /// The image.
        reference: String,
        /// Why.
        source: BaseError,
    },
    /// The registry between this machine and the nodes doesn't do what it is asked.
    #[error("cannot use the registry `{registry}` ({why})")]
    Push {
        /// The registry.
        registry: String,
        /// Why it is used.
        why: String,
        /// Where it is told what to do.
        help: Option<String>,
        /// What went wrong.
        source: PushError,
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
            Self::Unsupported { help, .. } => {
                let own = "push the image to a registry that the cluster reads, and name it: `image: REGISTRY/NAME:TAG`";
                let ours = "or name a registry that this machine may push to and the cluster reads: `--registry HOST:PORT`";
                let help = help
                    .iter()
                    .map(|help| format!("this cluster says how to have one: {help}"));
                help.chain([own.to_owned(), ours.to_owned()]).collect()
            }
            Self::NoContainers => {
                vec!["name a cluster that runs containers: `--cluster NAME`".to_owned()]
            }
            Self::Store(error) => error.hints(),
            Self::Import(error) => error.hints(),
            Self::NoNodes { .. } => {
                vec!["`docker ps` shows whether the cluster's containers run".to_owned()]
            }
            Self::Archive { source, .. } | Self::Layers { source, .. } => source.hints(),
            Self::Push { help, source, .. } => {
                let mut hints = source.hints();
                hints.extend(
                    help.iter()
                        .map(|help| format!("the cluster names a page about it: {help}")),
                );
                hints.push(
                    "or leave it out: `--registry none` brings images onto the nodes themselves, `--registry HOST:PORT` names another one"
                        .to_owned(),
                );
                hints
            }
            Self::Command { source, .. } => {
                let mut hints = source.hints();
                if machines::is_unreached(source) {
                    hints.push("`minikube profile list` shows whether its machine runs".to_owned());
                }
                hints
            }
            _ => Vec::new(),
        }
    }
}

impl From<NoWay> for DeliveryError {
    fn from(none: NoWay) -> Self {
        match none {
            NoWay::Unsupported { cluster, help } => Self::Unsupported { cluster, help },
            NoWay::NoContainers => Self::NoContainers,
        }
    }
}

/// All places of one cluster.
#[derive(Clone, Debug)]
pub struct Delivery {
    targets: Vec<Arc<dyn ImageDelivery>>,
    /// Where images have other names than those they are made under.
    registry: Option<Registry>,
    why: Option<String>,
    /// Why this isn't the best way there is.
    warning: Option<String>,
}

/// Finds the places of the way that was chosen; `accounts` open registries.
pub async fn by(
    choice: Result<Choice, NoWay>,
    runner: Arc<dyn CommandRunner>,
    accounts: &Credentials,
) -> Result<Delivery, DeliveryError> {
    nodes::find(choice?, runner, accounts).await
}

impl Delivery {
    /// To these places.
    pub fn new(targets: Vec<Arc<dyn ImageDelivery>>) -> Self {
        Self {
            targets,
            registry: None,
            why: None,
            warning: None,
        }
    }

    /// The name by which pods ask for an image that was made here.
    pub fn named(&self, made: &str) -> String {
        let registry = self.registry.as_ref();
        registry.map_or_else(|| made.to_owned(), |registry| registry.named(made))
    }

    /// The name under which an image was made that a pod asks for by this one.
    pub fn made(&self, named: &str) -> String {
        let registry = self.registry.as_ref();
        let made = registry.and_then(|registry| registry.made(named));
        made.unwrap_or_else(|| named.to_owned())
    }

    /// Where images go, and why there, as one sentence for people.
    pub fn in_words(&self) -> String {
        let places: Vec<String> = self.targets.iter().map(|place| place.describe()).collect();
        let places = places.join(", ");
        match &self.why {
            Some(why) => format!("images go to {places}: {why}"),
            None => format!("images go to {places}"),
        }
    }

    /// Why images take longer than they could, and what to type against that.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
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
            .map(|target| target.bring(builder, built, report));
        futures::future::try_join_all(deliveries).await
    }
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
        Err(
            DeliveryError::Archive {
                source: BaseError::LayerNotFound { .. },
                ..
            }
            | DeliveryError::Layers {
                source: BaseError::LayerNotFound { .. },
                ..
            },
        ) => {
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
