//! Images in a registry.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mwctl_image::Credentials;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OciDescriptor;
use oci_client::{Client, Reference};
use serde_json::Value;

use super::{Base, BaseError, BaseSource, layout, manifest_for};
use crate::image::document::BlobDescriptor;

const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// The registries that references name.
#[derive(Clone)]
pub struct Registry {
    /// Who never fetches needs none, so that it is an error for who does alone.
    client: Result<Client, Arc<OciDistributionError>>,
    accounts: Credentials,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Registry")
    }
}

impl Registry {
    /// Speaks HTTPS to all registries but those in `plain`, as `localhost:5000`.
    pub fn new(plain: Vec<String>, accounts: Credentials) -> Self {
        crate::tls::install_provider();
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain),
            // Whoever is offline should learn it soon: the node may have the image.
            connect_timeout: Some(Duration::from_secs(5)),
            read_timeout: Some(Duration::from_mins(1)),
            ..ClientConfig::default()
        };
        Self {
            client: Client::try_from(config).map_err(Arc::new),
            accounts,
        }
    }

    fn client(&self, reference: &str) -> Result<&Client, BaseError> {
        self.client.as_ref().map_err(|source| BaseError::Fetch {
            reference: reference.to_owned(),
            source: Box::new(source.clone()),
        })
    }
}

fn parse(reference: &str) -> Result<Reference, BaseError> {
    reference
        .parse()
        .map_err(|error| BaseError::InvalidReference {
            reference: reference.to_owned(),
            source: Box::new(error),
        })
}

fn failed(reference: &str) -> impl FnOnce(oci_client::errors::OciDistributionError) -> BaseError {
    let reference = reference.to_owned();
    move |error| BaseError::Fetch {
        reference,
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
        if layout::is_local(reference) {
            return Ok(None);
        }
        let image = parse(reference)?;
        let account = self.accounts.get(image.resolve_registry()).await;
        let client = self.client(reference)?;
        let fetch = async |image: &Reference| {
            client
                .pull_manifest_raw(image, &account, &ACCEPTED)
                .await
                .map_err(failed(reference))
        };
        let damaged = |what: &str| BaseError::Damaged {
            reference: reference.to_owned(),
            what: what.to_owned(),
        };
        let read = |bytes: &[u8]| {
            serde_json::from_slice::<Value>(bytes).map_err(|_| damaged("its manifest is no JSON"))
        };
        let (mut bytes, _) = fetch(&image).await?;
        let mut value = read(&bytes)?;
        if value["manifests"].is_array() {
            let Some(digest) = manifest_for(&value, architecture) else {
                return Ok(None);
            };
            (bytes, _) = fetch(&image.clone_with_digest(digest)).await?;
            value = read(&bytes)?;
        }
        let descriptor: OciDescriptor = serde_json::from_value(value["config"].clone())
            .map_err(|_| damaged("its manifest names no configuration"))?;
        let mut config = Vec::new();
        client
            .pull_blob(&image, &descriptor, &mut config)
            .await
            .map_err(failed(reference))?;
        Base::new(reference, &bytes, &config).map(Some)
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
        let image = parse(&base.reference)?;
        let registry = image.resolve_registry();
        let account = self.accounts.get(registry).await;
        let client = self.client(&base.reference)?;
        client.store_auth_if_needed(registry, &account).await;
        let file = tokio::fs::File::create(into)
            .await
            .map_err(|source| BaseError::io(into, source))?;
        client
            .pull_blob(&image, layer.digest.as_str(), file)
            .await
            .map_err(failed(&base.reference))?;
        Ok(true)
    }
}
