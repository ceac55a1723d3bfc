//! A registry that this machine pushes to and the nodes pull from: only what it lacks is sent, and what another of
//! its repositories has is taken over from there.
//!
//! Which names an image has at both sides is [`mwctl_core::delivery::Registry`]'s; how a content is sent is the image
//! crate's. Whether the nodes can pull from it shows when they do.

mod known;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use mwctl_core::delivery::Registry as Names;
use mwctl_image::digest::Digest;
use mwctl_image::oci::Descriptor;
use mwctl_image::{Push, PushError, Reference, Registry};
use tokio::sync::Semaphore;

use self::known::Known;
use super::{Delivered, DeliveryError, How, ImageDelivery};
use crate::image::{BaseError, BaseSource, BlobDescriptor, Builder, Built};
use crate::progress::{Progress, Report, Step};

/// How many layers are sent at once.
const AT_ONCE: usize = 4;

/// The way by a registry.
#[derive(Clone, Debug)]
pub struct ByRegistry {
    names: Names,
    client: Registry,
    why: String,
    /// One image after the other: the second takes over what the first one brought.
    turn: Arc<Semaphore>,
}

impl ByRegistry {
    /// To a registry by its names at both sides, through a client that speaks to it; `why` is for people.
    pub fn new(names: Names, client: Registry, why: impl Into<String>) -> Self {
        Self {
            names,
            client,
            why: why.into(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    fn failed(&self, source: PushError) -> DeliveryError {
        DeliveryError::Push {
            registry: self.names.host().to_owned(),
            why: self.why.clone(),
            help: self.names.help().map(str::to_owned),
            source,
        }
    }

    async fn begin(&self, built: &Built) -> Result<(Reference, Push), DeliveryError> {
        let reference = Reference::parse(&self.names.pushed(built.reference()))?;
        let push = self.client.push(&reference).await;
        Ok((reference, push.map_err(|error| self.failed(error))?))
    }

    async fn is_there(&self, push: &Push, built: &Built) -> Result<bool, DeliveryError> {
        let digest = digest(built, &built.image.digest)?;
        let there = push.is_there(&digest).await;
        there.map_err(|error| self.failed(error))
    }

    /// Sends what the registry lacks and can't take over from elsewhere; how many layers and bytes.
    async fn send(
        &self,
        push: &Push,
        reference: &Reference,
        builder: &Builder,
        built: &Built,
        report: Report<'_>,
    ) -> Result<(usize, u64), DeliveryError> {
        let failed = |error| self.failed(error);
        let cache = builder.cache();
        let layers = &built.image.layers;
        let contents = layers.iter().chain([&built.config]);
        let contents: Vec<Descriptor> = contents
            .map(|blob| descriptor(built, blob))
            .collect::<Result<_, _>>()?;
        let mut known = Known::read(cache, self.names.address());
        known.assume(self.names.address(), &built.base);
        let mut lacking = Vec::new();
        for content in push.lacks(&contents).await.map_err(failed)? {
            let from = known.elsewhere(&content.digest, reference);
            match from {
                Some(from) if push.mount(content, &from).await => {}
                _ => lacking.push(content),
            }
        }
        let is_lacking =
            |layer: &&BlobDescriptor| lacking.iter().any(|it| it.digest.as_str() == layer.digest);
        let gathered = builder.gather(built, layers.iter().filter(is_lacking));
        gathered.await.map_err(|source| DeliveryError::Layers {
            reference: built.reference().to_owned(),
            source,
        })?;
        let is_layer = |content: &&&Descriptor| content.digest.as_str() != built.config.digest;
        let count = lacking.iter().filter(is_layer).count();
        let bytes = lacking.iter().map(|content| content.size).sum();
        // Made before, so that each borrows for as long as all.
        let sends: Vec<_> = lacking
            .iter()
            .map(|content| async move {
                let file = cache.blob(content.digest.as_str());
                push.send(content, &file).await.map_err(failed)?;
                report(Progress::Line {
                    text: format!("pushed {}: {} bytes", content.digest, content.size),
                });
                Ok::<_, DeliveryError>(())
            })
            .collect();
        let sent = futures::stream::iter(sends).buffer_unordered(AT_ONCE);
        sent.try_collect::<()>().await?;
        let path = cache.blob(&built.manifest.digest);
        let manifest = tokio::fs::read(&path).await;
        let manifest = manifest.map_err(|source| DeliveryError::Layers {
            reference: built.reference().to_owned(),
            source: BaseError::io(&path, source),
        })?;
        push.finish(&manifest).await.map_err(failed)?;
        known.add(&contents, reference);
        known.write(cache, self.names.address());
        Ok((count, bytes))
    }
}

/// A digest of an image that was made here, or of a base that somebody else made.
fn digest(built: &Built, text: &str) -> Result<Digest, DeliveryError> {
    text.parse().map_err(|_| DeliveryError::Layers {
        reference: built.reference().to_owned(),
        source: BaseError::Damaged {
            reference: built.reference().to_owned(),
            what: format!("`{text}` is no digest"),
        },
    })
}

fn descriptor(built: &Built, blob: &BlobDescriptor) -> Result<Descriptor, DeliveryError> {
    Ok(Descriptor {
        media_type: blob.media_type.clone(),
        digest: digest(built, &blob.digest)?,
        size: blob.size,
    })
}

#[async_trait]
impl ImageDelivery for ByRegistry {
    fn describe(&self) -> String {
        format!("registry `{}`", self.names.host())
    }

    async fn has(&self, built: &Built) -> Result<bool, DeliveryError> {
        let (_, push) = self.begin(built).await?;
        self.is_there(&push, built).await
    }

    async fn bring(
        &self,
        builder: &Builder,
        built: &Built,
        report: Report<'_>,
    ) -> Result<Delivered, DeliveryError> {
        let since = Instant::now();
        let delivered = |how, layers, bytes| Delivered {
            node: self.describe(),
            how,
            layers,
            bytes,
            milliseconds: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let (reference, push) = self.begin(built).await?;
        if self.is_there(&push, built).await? {
            return Ok(delivered(How::Present, 0, 0));
        }
        let step = Step::start(report, format!("push {reference}"));
        // It is never closed, so that it can't be refused.
        let _turn = self.turn.acquire().await;
        let (layers, bytes) = self.send(&push, &reference, builder, built, report).await?;
        step.finish();
        let whole = layers == built.image.layers.len();
        let how = if whole { How::Full } else { How::Delta };
        Ok(delivered(how, layers, bytes))
    }

    fn as_base_source(&self) -> Option<Arc<dyn BaseSource>> {
        None
    }
}
