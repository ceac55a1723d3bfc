//! Pulls: images from the registries that their references name.
//!
//! How images get to a registry is [`push`]'s work.

mod credentials;
mod push;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use oci_client::Client;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciDescriptor;

pub use credentials::Credentials;
pub use push::{Push, PushError};

use crate::digest::{Digest, Hashing, NoDigest};
use crate::oci::{self, Descriptor, Index, Manifest};
use crate::reference::Reference;
use crate::store::{DOCUMENT_LIMIT, Expected, Originals, Record, Store, StoreError};

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
    /// This machine has nothing to know registries by.
    #[error("cannot pull `{reference}`: this machine knows no certificate authorities")]
    NoAuthorities {
        /// The image.
        reference: Reference,
        /// Why.
        source: Arc<OciDistributionError>,
    },
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
            Self::NoAuthorities { .. } => vec!["install the package `ca-certificates`".to_owned()],
            Self::Unreachable { .. } => {
                vec!["without a network, import it: `mwctl image import FILE`".to_owned()]
            }
            Self::Denied { reference, .. } => {
                let registry = reference.repository().split('/').next().unwrap_or_default();
                let registry = Some(registry).filter(|it| *it != "docker.io");
                let command = format!("docker login {}", registry.unwrap_or_default());
                vec![format!("if it needs an account: `{}`", command.trim())]
            }
            Self::Store(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

/// An image at its registry, for one architecture.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digest of the index that led to it, where there are several architectures.
    pub index: Option<Digest>,
    /// Its documents.
    pub originals: Originals,
    layers: Vec<Descriptor>,
}

/// A client, or why there can be none, once somebody needed it.
type Made = Arc<OnceLock<Result<Client, Arc<OciDistributionError>>>>;

/// The registries.
#[derive(Clone)]
pub struct Registry {
    /// Made when a registry is asked, as is the other: it reads all certificate authorities of the machine, which takes longer
    /// than many a build, and where there are none, who asks nothing needs none.
    client: Made,
    /// The same for sending large contents as a whole.
    whole: Made,
    plain: Vec<String>,
    credentials: Credentials,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Registry")
    }
}

/// The registries' client has no cryptography of its own.
pub(crate) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Whoever embeds this crate may have chosen another one before: that is fine.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

/// A client that waits so long for an answer, and sends contents as a whole or in pieces.
fn client(
    plain: &[String],
    patience: Duration,
    use_monolithic_push: bool,
) -> Result<Client, OciDistributionError> {
    install_provider();
    Client::try_from(ClientConfig {
        protocol: ClientProtocol::HttpsExcept(plain.to_vec()),
        // Whoever is offline should learn it soon.
        connect_timeout: Some(Duration::from_secs(5)),
        read_timeout: Some(patience),
        use_monolithic_push,
        ..ClientConfig::default()
    })
}

impl Registry {
    /// Speaks HTTPS to all registries but those in `plain`, as `localhost:5000`.
    pub fn new(plain: Vec<String>, credentials: Credentials) -> Self {
        Self {
            client: Arc::default(),
            whole: Arc::default(),
            plain,
            credentials,
        }
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
        let found = self.find(reference, architecture).await?;
        store.put_bytes(&found.originals.manifest)?;
        store.put_bytes(&found.originals.config)?;
        let mut lacking: Vec<&Descriptor> = Vec::new();
        for layer in &found.layers {
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
        let (store, reference, digest) = (store.clone(), reference.clone(), found.digest);
        let record = blocking(move || {
            store.unpack_all(&digest)?;
            store.set_record(&reference, &digest)
        });
        Ok(record.await?)
    }

    /// The client, which is made the first time.
    fn client(&self, reference: &Reference) -> Result<&Client, PullError> {
        let made = self
            .client
            .get_or_init(|| client(&self.plain, Duration::from_mins(1), false).map_err(Arc::new));
        made.as_ref().map_err(|source| PullError::NoAuthorities {
            reference: reference.clone(),
            source: source.clone(),
        })
    }

    /// The digest that a reference has at its registry now: of an index where there are several
    /// architectures. Asks for the head alone, which registries don't count as a pull.
    pub async fn head(&self, reference: &Reference) -> Result<Digest, PullError> {
        let image = reference.for_registry();
        let auth = self.credentials.get(image.resolve_registry()).await;
        let client = self.client(reference)?;
        let digest = client.fetch_manifest_digest(&image, &auth).await;
        let digest = digest.map_err(|error| PullError::of(reference, error))?;
        digest
            .parse()
            .map_err(|error: NoDigest| PullError::Damaged {
                reference: reference.clone(),
                what: error.to_string(),
            })
    }

    /// What a reference means at its registry now, for an architecture: its documents, and nothing else.
    pub async fn find(
        &self,
        reference: &Reference,
        architecture: &str,
    ) -> Result<Remote, PullError> {
        let image = reference.for_registry();
        let auth = self.credentials.get(image.resolve_registry()).await;
        let damaged = |what: String| PullError::Damaged {
            reference: reference.clone(),
            what,
        };
        let mut wanted = image.clone();
        let mut index = None;
        // An index may lead to another one; more than a few are a circle.
        for _ in 0..4 {
            let (bytes, _) = self
                .client(reference)?
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
            if let Ok(several) = serde_json::from_slice::<Index>(&bytes) {
                let entry = several.image_for(architecture);
                let entry = entry.ok_or_else(|| PullError::Architecture {
                    reference: reference.clone(),
                    architecture: architecture.to_owned(),
                })?;
                wanted = image.clone_with_digest(entry.digest.to_string());
                index.get_or_insert(digest);
                continue;
            }
            let manifest: Manifest = serde_json::from_slice(&bytes)
                .map_err(|error| damaged(format!("its manifest can't be read: {error}")))?;
            if manifest.config.size > DOCUMENT_LIMIT {
                return Err(damaged("its configuration is too large".to_owned()));
            }
            let mut config = Vec::new();
            self.receive(reference, &manifest.config, &mut config, &|_| {})
                .await?;
            if Digest::of(&config) != manifest.config.digest {
                return Err(damaged("its configuration has another digest".to_owned()));
            }
            return Ok(Remote {
                digest,
                index,
                originals: Originals {
                    manifest: bytes.to_vec(),
                    config,
                },
                layers: manifest.layers,
            });
        }
        Err(damaged("its indices are too deep".to_owned()))
    }

    /// Writes a content of an image, as its registry has it, into a file. What came isn't checked.
    pub async fn fetch(
        &self,
        reference: &Reference,
        content: &Descriptor,
        into: &Path,
    ) -> Result<(), PullError> {
        let image = reference.for_registry();
        let registry = image.resolve_registry();
        let auth = self.credentials.get(registry).await;
        let client = self.client(reference)?;
        client.store_auth_if_needed(registry, &auth).await;
        let mut file = File::create(into).map_err(StoreError::io(into))?;
        self.receive(reference, content, &mut file, &|_| {}).await
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
        let work = store.work()?;
        let new = work.path().join("blob");
        let file = File::create(&new).map_err(StoreError::io(&new))?;
        let mut hashing = Hashing::new(file);
        self.receive(reference, layer, &mut hashing, report).await?;
        let (_, found, size) = hashing.finish();
        let expected = Expected {
            digest: layer.digest.clone(),
            size: Some(layer.size),
        };
        Ok(store.adopt(&new, found, size, &expected)?)
    }

    /// Receives a content, and no byte more than it should have.
    async fn receive(
        &self,
        reference: &Reference,
        content: &Descriptor,
        into: &mut (dyn Write + Send),
        report: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), PullError> {
        let failed = |error| PullError::of(reference, error);
        let image = reference.for_registry();
        let wanted = descriptor(content);
        let client = self.client(reference)?;
        let stream = client.pull_blob_stream(&image, &wanted).await;
        let mut stream = stream.map_err(failed)?.stream;
        let mut received: u64 = 0;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| failed(error.into()))?;
            received += bytes.len() as u64;
            if received > content.size {
                return Err(PullError::Damaged {
                    reference: reference.clone(),
                    what: format!("{} is longer than its manifest says", content.digest),
                });
            }
            into.write_all(&bytes)
                .map_err(|error| failed(error.into()))?;
            report(Progress::Received {
                bytes: bytes.len() as u64,
            });
        }
        Ok(())
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
