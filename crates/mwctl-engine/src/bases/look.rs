//! Looks up what the name of a base means now, and writes down all that a lock records of it.

use std::path::PathBuf;

use k8s_openapi::jiff::Timestamp;
use mwctl_core::lock::{LockedBase, Source, SourceKind};
use mwctl_core::manifest::LOCAL_IMAGES;
use mwctl_image::debian::{ArchiveError, Archives, Update};
use mwctl_image::oci::architecture;
use mwctl_image::{Packages, Progress, PullError, Reference, Registry, Store, StoreError};

use crate::image::base::bootstrap::{Bootstrap, made, suite};
use crate::image::base::{BaseError, BaseSource as _, LocalLayout};
use crate::image::local;

/// Asks registries, archives and this machine's store.
#[derive(Clone, Debug)]
pub struct Finder {
    /// The registries.
    pub registry: Registry,
    /// The folder of this machine's store.
    pub store: PathBuf,
    /// The archives of distributions.
    pub archives: Archives,
    /// Makes what nobody else has.
    pub bootstrap: Bootstrap,
    /// Whether only this machine is asked.
    pub offline: bool,
}

/// What a name means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Meaning {
    /// Where it was found.
    pub source: Source,
    /// The digest of its manifest for this machine's architecture.
    pub digest: String,
    /// The digest of the index that the name led to.
    pub index: Option<String>,
}

/// Why it isn't known what a name means, or what is newer.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// A registry doesn't give it.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// An archive or a folder doesn't give it.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An archive of packages gives no answer.
    #[error("cannot tell which packages of `{reference}` are newer")]
    Archive {
        /// The base.
        reference: String,
        /// Why.
        source: ArchiveError,
    },
    /// Nobody has it.
    #[error("no image `{reference}` on this machine")]
    Nowhere {
        /// The base.
        reference: String,
    },
}

impl LookError {
    /// Whether nothing but a network is missing.
    pub fn is_offline(&self) -> bool {
        matches!(
            self,
            Self::Pull(PullError::Unreachable { .. })
                | Self::Base(BaseError::Unreachable { .. })
                | Self::Archive {
                    source: ArchiveError::Unreachable { .. },
                    ..
                }
        )
    }

    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Pull(error) => error.hints(),
            Self::Base(error) => error.hints(),
            Self::Store(error) => error.hints(),
            Self::Archive { source, .. } => source.hints(),
            Self::Nowhere { reference } => {
                vec![format!("mwctl image import --name {reference} FILE")]
            }
        }
    }
}

/// The kind of file that a name means, where it means one.
fn file_kind(name: &str) -> Option<Source> {
    let kinds = [
        ("oci-archive:", SourceKind::Archive),
        ("oci-layout:", SourceKind::Layout),
    ];
    kinds.into_iter().find_map(|(scheme, kind)| {
        let from = name.strip_prefix(scheme)?.to_owned();
        Some(Source { kind, from })
    })
}

fn parse(name: &str) -> Result<Reference, BaseError> {
    Reference::parse(name).map_err(|error| BaseError::InvalidReference {
        reference: name.to_owned(),
        source: Box::new(error),
    })
}

impl Finder {
    /// What a whole name means now. What is recorded as made here is made anew; what is recorded as a registry's never
    /// becomes something that was made.
    pub async fn meaning(
        &self,
        name: &str,
        recorded: Option<&LockedBase>,
    ) -> Result<Meaning, LookError> {
        if let Some(source) = file_kind(name) {
            let found = LocalLayout.resolve(name, architecture()).await?;
            let nowhere = || LookError::Nowhere {
                reference: name.to_owned(),
            };
            let digest = found.ok_or_else(nowhere)?.digest;
            return Ok(Meaning {
                source,
                digest,
                index: None,
            });
        }
        let reference = parse(name)?;
        let suite = suite(name).filter(|_| !self.offline);
        if let Some(suite) = suite
            && recorded.is_some_and(|it| it.source.kind == SourceKind::Bootstrap)
        {
            return self.made(suite, name).await;
        }
        // What is made on this machine is in no registry, and nobody is to be asked for it.
        if self.offline || name.starts_with(LOCAL_IMAGES) {
            return match (self.of_store(&reference).await, suite) {
                (Err(LookError::Nowhere { .. }), Some(suite)) => self.made(suite, name).await,
                (stored, _) => stored,
            };
        }
        match self.registry.find(&reference, architecture()).await {
            Ok(found) => Ok(Meaning {
                source: Source {
                    kind: SourceKind::Registry,
                    from: name.split('/').next().unwrap_or_default().to_owned(),
                },
                digest: found.digest.to_string(),
                index: found.index.map(|index| index.to_string()),
            }),
            Err(error) => {
                let gone = matches!(error, PullError::Unreachable { .. });
                let refused =
                    matches!(error, PullError::NotFound { .. } | PullError::Denied { .. });
                match (self.of_store(&reference).await, suite) {
                    // It may have been imported under a name that no registry has, or was made before.
                    (Ok(stored), _)
                        if refused || (gone && stored.source.kind == SourceKind::Bootstrap) =>
                    {
                        Ok(stored)
                    }
                    (Err(LookError::Nowhere { .. }), Some(suite))
                        if (refused || gone) && recorded.is_none() =>
                    {
                        let made = self.made(suite, name).await;
                        made.map_err(|_| error.into())
                    }
                    _ => Err(error.into()),
                }
            }
        }
    }

    /// What an image of this machine's store is.
    pub async fn image(&self, name: &str) -> Result<Meaning, LookError> {
        self.of_store(&parse(name)?).await
    }

    /// Gives an image of this machine's store another name, too.
    pub async fn name(&self, image: &str, name: &str) -> Result<(), LookError> {
        let (image, name) = (parse(image)?, parse(name)?);
        let named = local::with(&self.store, move |store| store.also_known_as(&image, &name));
        Ok(named.await?)
    }

    /// Makes a suite anew.
    async fn made(&self, suite: &str, name: &str) -> Result<Meaning, LookError> {
        self.bootstrap.make(suite, name).await?;
        self.of_store(&parse(&made(suite))?).await
    }

    /// What a recorded name means now, if that isn't what is recorded. A registry that still has it is asked for
    /// nothing but its digest.
    pub async fn moved(&self, recorded: &LockedBase) -> Result<Option<Meaning>, LookError> {
        let name = &recorded.reference;
        let meaning = match recorded.source.kind {
            SourceKind::Registry if !self.offline => {
                let head = self.registry.head(&parse(name)?).await?;
                let known = [Some(&recorded.digest), recorded.index.as_ref()];
                if known.into_iter().flatten().any(|it| it == head.as_str()) {
                    return Ok(None);
                }
                self.meaning(name, Some(recorded)).await?
            }
            // To make it anew only in order to look would take too long: its packages tell what is newer.
            SourceKind::Bootstrap => return Ok(None),
            SourceKind::Store => self.of_store(&parse(name)?).await?,
            SourceKind::Registry | SourceKind::Archive | SourceKind::Layout => {
                self.meaning(name, Some(recorded)).await?
            }
        };
        // An index also moves when another platform's image does.
        Ok((meaning.digest != recorded.digest).then_some(meaning))
    }

    async fn of_store(&self, reference: &Reference) -> Result<Meaning, LookError> {
        let digest = self.stored(reference).await?;
        let nowhere = || LookError::Nowhere {
            reference: reference.to_string(),
        };
        let digest = digest.ok_or_else(nowhere)?;
        let mut source = Source {
            kind: SourceKind::Store,
            from: String::new(),
        };
        if let Some(suite) = suite(reference.as_str())
            && self.stored(&parse(&made(suite))?).await?.as_ref() == Some(&digest)
        {
            source.kind = SourceKind::Bootstrap;
            suite.clone_into(&mut source.from);
        }
        Ok(Meaning {
            source,
            digest,
            index: None,
        })
    }

    /// The digest that a name has in the store.
    pub(super) async fn stored(&self, reference: &Reference) -> Result<Option<String>, StoreError> {
        let reference = reference.clone();
        let record = local::with(&self.store, move |store| store.record(&reference));
        Ok(record.await?.map(|record| record.manifest.to_string()))
    }

    /// What a lock is to say of a name that means this. Brings the image into the store where it isn't there: what
    /// is recorded can be built upon.
    pub async fn record(
        &self,
        name: &str,
        meaning: Meaning,
        report: &(dyn Fn(Progress) + Sync),
    ) -> Result<LockedBase, LookError> {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut base = LockedBase {
            reference: name.to_owned(),
            source: meaning.source,
            digest: meaning.digest,
            index: meaning.index,
            platform: format!("linux/{}", architecture()),
            packages: Packages::new(),
            checked: now,
            place: None,
        };
        // Of a file, nothing comes into the store.
        if let Some(exact) = crate::image::pinned(&base) {
            let exact = parse(&exact)?;
            if base.source.kind == SourceKind::Bootstrap {
                let own = parse(&made(&base.source.from))?;
                let exact = exact.clone();
                let keep = move |store: &Store| store.also_known_as(&own, &exact);
                local::with(&self.store, keep).await?;
            }
            if self.stored(&exact).await?.is_none() {
                let store =
                    local::with(&self.store, |store| Ok::<Store, StoreError>(store.clone()));
                let store = store.await?;
                let pull = self.registry.pull(&store, &exact, architecture(), report);
                pull.await?;
            }
            let packages = local::with(&self.store, move |store| {
                // Its tag may come to mean another image, and what is recorded must stay.
                store.also_known_as(&exact, &exact)?;
                store.packages(&exact)
            });
            base.packages = packages.await?;
        }
        Ok(base)
    }

    /// Which packages of an image of the store are newer in its archives.
    pub(super) async fn updates(&self, reference: &Reference) -> Result<Vec<Update>, LookError> {
        let image = reference.clone();
        let known = local::with(&self.store, move |store| {
            Ok::<_, StoreError>((store.debian(&image)?, store.packages(&image)?))
        });
        let (Some(debian), packages) = known.await? else {
            return Ok(Vec::new());
        };
        let now = crate::clock::since_epoch().as_secs();
        let updates = self.archives.updates(&debian, &packages, now).await;
        updates.map_err(|source| LookError::Archive {
            reference: reference.to_string(),
            source,
        })
    }
}
