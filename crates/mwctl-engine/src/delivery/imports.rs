//! Places that take archives: what they know is asked, what they lack is sent.
//!
//! A node is asked what it has; where it knows the lower layers, only the others are sent. When
//! that fails for any reason the whole image goes. Importing programs that exit with 0 though they
//! failed are known, so the node is asked again afterwards.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Delivered, DeliveryError, How, ImageDelivery};
use crate::image::{BaseError, BaseSource, Builder, Built};
use crate::progress::{Report, Step};

/// A place that imports archives of images: that is all it needs to be one that images are brought to.
#[async_trait]
pub trait Imports: fmt::Debug + Send + Sync {
    /// As [`ImageDelivery::describe`].
    fn describe(&self) -> String;

    /// As [`ImageDelivery::has`].
    async fn has(&self, built: &Built) -> Result<bool, DeliveryError>;

    /// As [`ImageDelivery::as_base_source`]: most can give none.
    fn as_base_source(&self) -> Option<Arc<dyn BaseSource>> {
        None
    }

    /// The chains of layers that it can build upon; `None` where it takes only whole images.
    async fn known(&self) -> Result<Option<BTreeSet<String>>, DeliveryError>;

    /// Imports an archive. Whether it arrived is asked with [`Imports::has`].
    async fn import(&self, archive: &Path, built: &Built) -> Result<(), DeliveryError>;

    /// Removes what a failed import left under the image's name.
    async fn forget(&self, built: &Built) -> Result<(), DeliveryError>;
}

#[async_trait]
impl<T: Imports> ImageDelivery for T {
    fn describe(&self) -> String {
        Imports::describe(self)
    }

    async fn has(&self, built: &Built) -> Result<bool, DeliveryError> {
        Imports::has(self, built).await
    }

    async fn bring(
        &self,
        builder: &Builder,
        built: &Built,
        report: Report<'_>,
    ) -> Result<Delivered, DeliveryError> {
        bring(self, builder, built, report).await
    }

    fn as_base_source(&self) -> Option<Arc<dyn BaseSource>> {
        Imports::as_base_source(self)
    }
}

async fn bring(
    target: &dyn Imports,
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
    target: &dyn Imports,
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
