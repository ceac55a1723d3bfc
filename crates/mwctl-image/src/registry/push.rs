//! Pushes: the contents of an image that a registry lacks, and then its manifest, by which it gets its name.
//!
//! What arrived whole stays, so that the next push goes on from there. An upload that broke off is made anew,
//! in pieces the second time: what is too large for a proxy, or takes longer than it waits, may pass then. Which
//! contents an image has, and where their bytes are, is the caller's to know.

mod refused;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use oci_client::Client;
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio_util::io::ReaderStream;

pub use self::refused::PushError;
use self::refused::{By, Trouble, next};
use super::{AT_ONCE, PullError, Registry, client};
use crate::digest::Digest;
use crate::oci::{Descriptor, MANIFEST};
use crate::reference::Reference;

/// How long one answer may take, when the whole of a large layer is sent before it.
const PATIENCE: Duration = Duration::from_mins(10);
/// How much is read at once of what is sent as one.
const BUFFER: usize = 256 << 10;
/// How large pieces are: what nginx lets through as long as nobody tells it otherwise.
const PIECE: usize = 1 << 20;
/// Before another attempt, so many times the number of those before.
const PAUSE: Duration = Duration::from_millis(200);

/// What a manifest says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<String>,
}

/// A push of one image.
#[derive(Clone)]
pub struct Push {
    registry: Registry,
    reference: Reference,
    image: oci_client::Reference,
    auth: RegistryAuth,
    whole: Client,
}

impl std::fmt::Debug for Push {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Push")
            .field(&self.reference)
            .finish()
    }
}

impl Registry {
    /// Begins to push an image under a name. Looks for an account, and asks the registry nothing.
    pub async fn push(&self, reference: &Reference) -> Result<Push, PushError> {
        let no_authorities = |source: &Arc<OciDistributionError>| PushError::NoAuthorities {
            reference: reference.clone(),
            source: source.clone(),
        };
        let whole = self
            .whole
            .get_or_init(|| client(&self.plain, PATIENCE, true).map_err(Arc::new));
        let whole = whole.as_ref().map_err(no_authorities)?.clone();
        let image = reference.for_registry();
        let auth = self.credentials.get(image.resolve_registry()).await;
        Ok(Push {
            registry: self.clone(),
            reference: reference.clone(),
            image,
            auth,
            whole,
        })
    }
}

impl Push {
    /// Whether the name means the image with this manifest at the registry.
    pub async fn is_there(&self, manifest: &Digest) -> Result<bool, PushError> {
        Ok(self.meaning(&self.reference).await?.as_ref() == Some(manifest))
    }

    /// Those of an image's contents that the repository lacks, each once.
    pub async fn lacks<'a>(
        &self,
        contents: impl IntoIterator<Item = &'a Descriptor>,
    ) -> Result<Vec<&'a Descriptor>, PushError> {
        let mut asked: Vec<&Descriptor> = Vec::new();
        for content in contents {
            if !asked.iter().any(|it| it.digest == content.digest) {
                asked.push(content);
            }
        }
        // Made before, so that each borrows for as long as all.
        let questions: Vec<_> = asked
            .into_iter()
            .map(|content| async move {
                let has = self.has(content).await?;
                Ok::<_, PushError>((!has).then_some(content))
            })
            .collect();
        let answers = futures::stream::iter(questions).buffered(AT_ONCE);
        let answers: Vec<Option<&Descriptor>> = answers.try_collect().await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Takes a content over from another repository of the registry. `false` where the registry doesn't do that, for
    /// whatever reason: then it is sent.
    pub async fn mount(&self, content: &Descriptor, from: &Reference) -> bool {
        let from = from.for_registry();
        if from.resolve_registry() != self.image.resolve_registry() {
            return false;
        }
        let client = self.opened(&self.whole).await;
        let mounted = client.mount_blob(&self.image, &from, content.digest.as_str());
        match mounted.await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, digest = %content.digest, "not mounted");
                false
            }
        }
    }

    /// Sends a content, which lies in a file.
    pub async fn send(&self, content: &Descriptor, file: &Path) -> Result<(), PushError> {
        let mut attempt = 1;
        let mut by = By::Whole;
        loop {
            let Err(error) = self.attempt(content, file, by).await else {
                return Ok(());
            };
            let trouble = Trouble::of(&error);
            let Some(other) = next(attempt, by, trouble) else {
                return Err(self.refused(content, error));
            };
            tracing::warn!(%error, digest = %content.digest, "sending again");
            tokio::time::sleep(PAUSE * attempt).await;
            // It may have arrived, and only the answer got lost.
            if self.has(content).await? {
                return Ok(());
            }
            attempt += 1;
            by = other;
        }
    }

    /// Lets the name mean the image with this manifest, whose contents are there, and looks whether it does.
    pub async fn finish(&self, manifest: &[u8]) -> Result<(), PushError> {
        let digest = Digest::of(manifest);
        let kind = serde_json::from_slice::<Kind>(manifest).ok();
        let kind = kind.and_then(|kind| kind.media_type);
        let kind = kind.unwrap_or_else(|| MANIFEST.to_owned());
        let kind = HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static(MANIFEST));
        let mut attempt = 1;
        loop {
            let client = self.opened(&self.whole).await;
            let sent = client.push_manifest_raw(&self.image, manifest.to_vec(), kind.clone());
            let Err(error) = sent.await else { break };
            // It is one piece: what is too large for it stays so.
            if next(attempt, By::Pieces, Trouble::of(&error)).is_none() {
                return Err(self.failed("take the manifest", error));
            }
            tracing::warn!(%error, "sending the manifest again");
            tokio::time::sleep(PAUSE * attempt).await;
            attempt += 1;
        }
        // By its content, and by its name: some registries take one without the other.
        let exact = format!("{}@{digest}", self.reference.repository());
        let exact = Reference::parse(&exact).unwrap_or_else(|_| self.reference.clone());
        for reference in [&exact, &self.reference] {
            let found = self.meaning(reference).await?;
            if found.as_ref() != Some(&digest) {
                return Err(PushError::NotArrived {
                    reference: reference.clone(),
                    found,
                });
            }
        }
        Ok(())
    }

    /// The digest that a name has at the registry.
    async fn meaning(&self, reference: &Reference) -> Result<Option<Digest>, PushError> {
        match self.registry.head(reference).await {
            Ok(found) => Ok(Some(found)),
            Err(PullError::NotFound { .. }) => Ok(None),
            Err(PullError::Failed { source, .. }) if Trouble::of(&source) == Trouble::Absent => {
                Ok(None)
            }
            Err(PullError::NoAuthorities { reference, source }) => {
                Err(PushError::NoAuthorities { reference, source })
            }
            Err(PullError::Unreachable { source, .. }) => Err(PushError::Unreachable {
                registry: self.image.resolve_registry().to_owned(),
                source,
            }),
            Err(PullError::Denied { reference, source }) => Err(PushError::Denied {
                registry: self.image.resolve_registry().to_owned(),
                reference,
                source,
            }),
            Err(PullError::Failed { source, .. }) => Err(self.failed("say what it has", *source)),
            Err(error) => Err(PushError::Look(error)),
        }
    }

    async fn has(&self, content: &Descriptor) -> Result<bool, PushError> {
        let client = self.opened(&self.whole).await;
        let has = client.blob_exists(&self.image, content.digest.as_str());
        has.await
            .map_err(|error| self.failed("say what it has", error))
    }

    async fn attempt(
        &self,
        content: &Descriptor,
        file: &Path,
        by: By,
    ) -> Result<(), OciDistributionError> {
        let pieces = match by {
            By::Pieces => self.registry.client(&self.reference).ok(),
            By::Whole => None,
        };
        let (client, at_once) = pieces.map_or((&self.whole, BUFFER), |pieces| (pieces, PIECE));
        let client = self.opened(client).await;
        let file = tokio::fs::File::open(file).await?;
        let bytes = ReaderStream::with_capacity(file, at_once).map_err(Into::into);
        let digest = content.digest.as_str();
        let sent = client.push_blob_stream(&self.image, bytes, digest, Some(content.size));
        sent.await.map(drop)
    }

    /// A client that knows the account. Without one it knows nothing: it would look for a way to log in before each
    /// request.
    async fn opened<'a>(&self, client: &'a Client) -> &'a Client {
        if !matches!(self.auth, RegistryAuth::Anonymous) {
            let registry = self.image.resolve_registry();
            client.store_auth_if_needed(registry, &self.auth).await;
        }
        client
    }

    fn refused(&self, content: &Descriptor, error: OciDistributionError) -> PushError {
        if Trouble::of(&error) == Trouble::TooLarge {
            return PushError::TooLarge {
                registry: self.image.resolve_registry().to_owned(),
                digest: content.digest.clone(),
                size: content.size,
                source: Box::new(error),
            };
        }
        self.failed("take a layer", error)
    }

    fn failed(&self, what: &'static str, error: OciDistributionError) -> PushError {
        PushError::of(&self.reference, self.image.resolve_registry(), what, error)
    }
}
