//! Images in a registry, as places for bases: the client is the image crate's.

use std::path::Path;

use async_trait::async_trait;
use mwctl_core::manifest::LOCAL_IMAGES;
use mwctl_image::oci::Descriptor;
use mwctl_image::{PullError, Reference, Registry};

use super::{Base, BaseError, BaseSource, layout};
use crate::image::document::BlobDescriptor;

fn parse(reference: &str) -> Result<Reference, BaseError> {
    Reference::parse(reference).map_err(|error| BaseError::InvalidReference {
        reference: reference.to_owned(),
        source: Box::new(error),
    })
}

fn failed(reference: &str, error: PullError) -> BaseError {
    BaseError::Fetch {
        reference: reference.to_owned(),
        source: Box::new(error),
    }
}

#[async_trait]
impl BaseSource for Registry {
    fn describe(&self) -> String {
        "registry".to_owned()
    }

    async fn resolve(
        &self,
        reference: &str,
        architecture: &str,
    ) -> Result<Option<Base>, BaseError> {
        // What is made on this machine is in no registry.
        if layout::is_local(reference) || reference.starts_with(LOCAL_IMAGES) {
            return Ok(None);
        }
        match self.find(&parse(reference)?, architecture).await {
            Ok(found) => {
                let originals = found.originals;
                Base::new(reference, &originals.manifest, &originals.config).map(Some)
            }
            Err(PullError::NotFound { .. } | PullError::Architecture { .. }) => Ok(None),
            Err(error) => Err(failed(reference, error)),
        }
    }

    async fn layer(
        &self,
        base: &Base,
        layer: &BlobDescriptor,
        into: &Path,
    ) -> Result<bool, BaseError> {
        if layout::is_local(&base.reference) {
            return Ok(false);
        }
        let content = Descriptor {
            media_type: layer.media_type.clone(),
            digest: layer.digest.parse().map_err(|_| BaseError::Damaged {
                reference: base.reference.clone(),
                what: format!("`{}` is no digest", layer.digest),
            })?,
            size: layer.size,
        };
        let fetched = self.fetch(&parse(&base.reference)?, &content, into).await;
        fetched
            .map(|()| true)
            .map_err(|error| failed(&base.reference, error))
    }
}
