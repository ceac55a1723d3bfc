//! Pulls: images from the registries that their references name.

mod credentials;

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Once};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use oci_client::Client;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciDescriptor;

pub use credentials::Credentials;

use crate::digest::{Digest, Hashing};
use crate::oci::{self, Descriptor, Index, Manifest};
use crate::reference::Reference;
use crate::store::{Expected, Record, Store, StoreError};

const ACCEPTED: [&str; 4] = [
    oci::INDEX,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    oci::MANIFEST,
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// How many layers come at once.
const AT_ONCE: usize = 4;
/// How often a layer that broke off is asked for.
const ATTEMPTS: usize = 3;

/// What a pull tells of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The image was found.
    Found {
        /// How many layers aren't in the store.
        layers: usize,
        /// How many bytes they have, as they are sent.
        bytes: u64,
    },
    /// Some bytes came.
    Received {
        /// How many.
        bytes: u64,
    },
    /// All is there, and is unpacked.
    Unpacking,
}

/// Why an image can't be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry can't be reached.
    #[error("cannot reach the registry of `{reference}`")]
    Unreachable {
        /// The image.
        reference: Reference,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// The registry doesn't let us.
    #[error("the registry refuses to give `{reference}`")]
    Denied {
        /// The image.
        reference: Reference,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// The registry doesn't have it.
    #[error("the registry has no `{reference}`")]
    NotFound {
        /// The image.
        reference: Reference,
    },
    /// Something else went wrong.
    #[error("cannot pull `{reference}`")]
    Failed {
        /// The image.
        reference: Reference,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// The registry has it for others only.
    #[error("`{reference}` isn't there for linux/{architecture}")]
    Architecture {
        /// The image.
        reference: Reference,
        /// The architecture.
        architecture: String,
    },
    /// What came isn't what it should be.
    #[error("`{reference}` is damaged: {what}")]
    Damaged {
        /// The image.
        reference: Reference,
        /// What isn't right.
        what: String,
    },
    /// This machine has nothing to know registries by.
    #[error("cannot pull `{reference}`: this machine knows no certificate authorities")]
    NoAuthorities {
        /// The image.
        reference: Reference,
        /// Why.
        source: Arc<OciDistributionError>,
    },
    /// The store refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PullError {
    fn of(reference: &Reference, error: OciDistributionError) -> Self {
        let reference = reference.clone();
        let has = |codes: &[OciErrorCode], error: &OciDistributionError| match error {
            OciDistributionError::RegistryError { envelope, .. } => envelope
                .errors
                .iter()
                .any(|error| codes.contains(&error.code)),
            _ => false,
        };
        let denied = [OciErrorCode::Unauthorized, OciErrorCode::Denied];
        let unknown = [
            OciErrorCode::ManifestUnknown,
            OciErrorCode::NameUnknown,
            OciErrorCode::NotFound,
        ];
        match &error {
            OciDistributionError::ImageManifestNotFoundError(_) => Self::NotFound { reference },
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_) => Self::Denied {
                reference,
                source: Box::new(error),
            },
            OciDistributionError::RequestError(request)
                if request.is_connect() || request.is_timeout() =>
            {
                Self::Unreachable {
                    reference,
                    source: Box::new(error),
                }
            }
            _ if has(&denied, &error) => Self::Denied {
                reference,
                source: Box::new(error),
            },
            _ if has(&unknown, &error) => Self::NotFound { reference },
            _ => Self::Failed {
                reference,
                source: Box::new(error),
            },
        }
    }

    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreachable { .. } => {
                vec!["without a network, import it: `mwctl image import FILE`".to_owned()]
            }
            Self::Denied { reference, .. } => {
                let registry = reference.repository().split('/').next().unwrap_or_default();
                let registry = Some(registry).filter(|it| *it != "docker.io");
                let command = format!("docker login {}", registry.unwrap_or_default());
                vec![format!("if it needs an account: `{}`", command.trim())]
            }
            Self::NoAuthorities { .. } => vec!["install the package `ca-certificates`".to_owned()],
            Self::Store(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

/// The registries.
#[derive(Clone)]
pub struct Registry {
    /// Who never pulls needs none, so that it's an error for who does alone.
    client: Result<Client, Arc<OciDistributionError>>,
    credentials: Credentials,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Registry")
    }
}

/// The registries' client has no cryptography of its own.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Whoever embeds this crate may have chosen another one before: that is fine.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

impl Registry {
    /// Speaks HTTPS to all registries but those in `plain`, as `localhost:5000`.
    pub fn new(plain: Vec<String>, credentials: Credentials) -> Self {
        install_provider();
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain),
            // Whoever is offline should learn it soon.
            connect_timeout: Some(Duration::from_secs(5)),
            read_timeout: Some(Duration::from_mins(1)),
            ..ClientConfig::default()
        };
        Self {
            client: Client::try_from(config).map_err(Arc::new),
            credentials,
        }
    }

    fn client(&self, reference: &Reference) -> Result<&Client, PullError> {
        self.client
            .as_ref()
            .map_err(|source| PullError::NoAuthorities {
                reference: reference.clone(),
                source: source.clone(),
            })
    }

    /// Pulls an image into a store, under its reference. Layers that are there aren't asked for.
    ///
    /// Dropping the future ends the transfer; what came whole stays until it is collected.
    pub async fn pull(
        &self,
        store: &Store,
        reference: &Reference,
        architecture: &str,
        report: &(dyn Fn(Progress) + Sync),
    ) -> Result<Record, PullError> {
        let waiting = store.clone();
        let _using = blocking(move || waiting.using()).await?;
        let (digest, manifest) = self.documents(store, reference, architecture).await?;
        let mut lacking: Vec<&Descriptor> = Vec::new();
        for layer in &manifest.layers {
            if !store.has_blob(&layer.digest) && !lacking.contains(&layer) {
                lacking.push(layer);
            }
        }
        report(Progress::Found {
            layers: lacking.len(),
            bytes: lacking.iter().map(|layer| layer.size).sum(),
        });
        // Made before, so that each borrows for as long as all: a closure in the stream would have to do for any lifetime.
        let transfers: Vec<_> = lacking
            .into_iter()
            .map(|layer| self.layer(store, reference, layer, report))
            .collect();
        futures::stream::iter(transfers)
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        report(Progress::Unpacking);
        let (store, reference) = (store.clone(), reference.clone());
        let record = blocking(move || {
            store.unpack_all(&digest)?;
            store.set_record(&reference, &digest)
        });
        Ok(record.await?)
    }

    /// The digest that a reference means at its registry now, for an architecture.
    async fn documents(
        &self,
        store: &Store,
        reference: &Reference,
        architecture: &str,
    ) -> Result<(Digest, Manifest), PullError> {
        let client = self.client(reference)?;
        let image = reference.for_registry();
        let auth = self.credentials.get(image.resolve_registry()).await;
        let damaged = |what: String| PullError::Damaged {
            reference: reference.clone(),
            what,
        };
        let mut wanted = image.clone();
        // An index may lead to another one; more than a few are a circle.
        for _ in 0..4 {
            let (bytes, _) = client
                .pull_manifest_raw(&wanted, &auth, &ACCEPTED)
                .await
                .map_err(|error| PullError::of(reference, error))?;
            let digest = Digest::of(&bytes);
            if wanted
                .digest()
                .is_some_and(|wanted| wanted != digest.as_str())
            {
                return Err(damaged(format!("its manifest is {digest}")));
            }
            if let Ok(index) = serde_json::from_slice::<Index>(&bytes) {
                let entry = index.image_for(architecture);
                let entry = entry.ok_or_else(|| PullError::Architecture {
                    reference: reference.clone(),
                    architecture: architecture.to_owned(),
                })?;
                wanted = image.clone_with_digest(entry.digest.to_string());
                continue;
            }
            let manifest: Manifest = serde_json::from_slice(&bytes)
                .map_err(|error| damaged(format!("its manifest can't be read: {error}")))?;
            store.put_bytes(&bytes)?;
            let mut config = Vec::new();
            let descriptor = descriptor(&manifest.config);
            client
                .pull_blob(&image, &descriptor, &mut config)
                .await
                .map_err(|error| PullError::of(reference, error))?;
            let expected = Expected {
                digest: manifest.config.digest.clone(),
                size: Some(manifest.config.size),
            };
            store.put(&*config, &expected)?;
            return Ok((digest, manifest));
        }
        Err(damaged("its indices are too deep".to_owned()))
    }

    async fn layer(
        &self,
        store: &Store,
        reference: &Reference,
        layer: &Descriptor,
        report: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), PullError> {
        let mut attempt = 1;
        loop {
            match self.attempt(store, reference, layer, report).await {
                Err(PullError::Failed { source, .. }) if attempt < ATTEMPTS => {
                    tracing::warn!(error = %source, digest = %layer.digest, "pulling again");
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn attempt(
        &self,
        store: &Store,
        reference: &Reference,
        layer: &Descriptor,
        report: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), PullError> {
        let failed = |error| PullError::of(reference, error);
        let image = reference.for_registry();
        let wanted = descriptor(layer);
        let stream = self
            .client(reference)?
            .pull_blob_stream(&image, &wanted)
            .await;
        let mut stream = stream.map_err(failed)?.stream;
        let work = store.work()?;
        let new = work.path().join("blob");
        let file = File::create(&new).map_err(StoreError::io(&new))?;
        let mut hashing = Hashing::new(file);
        let mut received: u64 = 0;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| failed(error.into()))?;
            received += bytes.len() as u64;
            if received > layer.size {
                return Err(PullError::Damaged {
                    reference: reference.clone(),
                    what: format!("layer {} is longer than its manifest says", layer.digest),
                });
            }
            hashing.write_all(&bytes).map_err(StoreError::io(&new))?;
            report(Progress::Received {
                bytes: bytes.len() as u64,
            });
        }
        let (_, found, size) = hashing.finish();
        let expected = Expected {
            digest: layer.digest.clone(),
            size: Some(layer.size),
        };
        Ok(store.adopt(&new, found, size, &expected)?)
    }
}

fn descriptor(content: &Descriptor) -> OciDescriptor {
    OciDescriptor {
        media_type: content.media_type.clone(),
        digest: content.digest.to_string(),
        size: i64::try_from(content.size).unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
