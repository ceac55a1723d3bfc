//! From a service's description to an image in the cache: first what it will be (cheap, and all
//! that a plan needs), then its making.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use mwctl_core::develop::Rules;
use mwctl_core::lock::{Lock, LockedBase};
use mwctl_core::model::Build;
use mwctl_image::HOST;

use super::archive::{self, Archive};
use super::assemble::{assemble, made};
use super::base::{Base, BaseError, Bases, whole};
use super::built::Built;
use super::cache::Cache;
use super::dependencies::{self, InstallError};
use super::document::BlobDescriptor;
use super::exclude::{Exclude, InvalidPattern};
use super::file::FileError;
use super::files::{self, ReadSource, SourceFile};
use super::key;
use super::layer::PackError;
use crate::command::CommandRunner;
use crate::progress::{Report, Step};

/// What is to be built.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The service's name; part of the image's.
    pub service: &'a str,
    /// The folder with its files.
    pub source: &'a Path,
    /// How.
    pub build: &'a Build,
    /// How the service is developed, where it can be.
    pub rules: Option<&'a Rules>,
}

/// An image as it will be.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its reference: `mwctl.local/<service>:<key>`.
    pub reference: String,
    /// The hash of everything that goes into it.
    pub key: String,
    /// What it is built upon.
    pub base: Base,
    /// The image, if it was made before and is still in the cache.
    pub built: Option<Built>,
    pub(super) service: String,
    pub(super) source: PathBuf,
    pub(super) build: Build,
    pub(super) files: Vec<SourceFile>,
    pub(super) dependencies: Option<(String, Vec<(String, blake3::Hash)>)>,
    pub(super) foundation: Option<String>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Its base can't be had.
    #[error("no base for the image of `{service}`")]
    Base {
        /// The service.
        service: String,
        /// Why.
        source: BaseError,
    },
    /// The service's files can't be read.
    #[error("cannot look at the files of `{service}`")]
    Source {
        /// The service.
        service: String,
        /// Why.
        source: ReadSource,
    },
    /// A pattern of files to leave out is none.
    #[error("cannot tell which files of `{service}` to leave out")]
    Pattern {
        /// The service.
        service: String,
        /// Why.
        source: InvalidPattern,
    },
    /// Its dependencies can't be installed.
    #[error("cannot build the image of `{service}`")]
    Dependencies {
        /// The service.
        service: String,
        /// Why.
        source: InstallError,
    },
    /// A layer can't be packed.
    #[error("cannot build the image of `{service}`")]
    Pack {
        /// The service.
        service: String,
        /// Why.
        source: PackError,
    },
    /// Its file can't be built.
    #[error("cannot build the image of `{service}`")]
    File {
        /// The service.
        service: String,
        /// Why.
        source: Box<FileError>,
    },
    /// The cache can't be used.
    #[error("cannot use the cache for the image of `{service}`")]
    Cache {
        /// The service.
        service: String,
        /// Why.
        source: io::Error,
    },
}

impl BuildError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Base { source, .. } => {
                let mut hints = source.hints();
                if matches!(source, BaseError::NotFound { .. }) {
                    hints.push(format!(
                        "on the embedded cluster, this machine's own programs do, too: `container: {{build: {{base: {HOST}}}}}` in `mwctl.yaml`"
                    ));
                }
                hints
            }
            Self::Dependencies { source, .. } => source.hints(),
            Self::File { source, .. } => source.hints(),
            _ => Vec::new(),
        }
    }
}

/// Builds images.
#[derive(Clone, Debug)]
pub struct Builder {
    cache: Cache,
    runner: Arc<dyn CommandRunner>,
    bases: Bases,
    architecture: String,
    lock: Arc<RwLock<Arc<Lock>>>,
}

impl Builder {
    /// Builds for nodes of an architecture (`amd64`), in a folder of the user's cache.
    pub fn new(
        cache: Cache,
        runner: Arc<dyn CommandRunner>,
        bases: Bases,
        architecture: impl Into<String>,
    ) -> Self {
        Self {
            cache,
            runner,
            bases,
            architecture: architecture.into(),
            lock: Arc::default(),
        }
    }

    /// Takes what is recorded for what the names of bases mean, from now on.
    pub fn set_lock(&self, lock: Arc<Lock>) {
        *self.lock.write().unwrap_or_else(PoisonError::into_inner) = lock;
    }

    /// What is recorded of bases.
    pub(super) fn lock(&self) -> Arc<Lock> {
        let lock = self.lock.read().unwrap_or_else(PoisonError::into_inner);
        lock.clone()
    }

    /// What is recorded of a base.
    pub(super) fn recorded(&self, reference: &str) -> Result<Option<LockedBase>, BaseError> {
        let lock = self.lock();
        let platform = format!("linux/{}", self.architecture);
        Ok(lock.get(&whole(reference)?, &platform).cloned())
    }

    /// The nodes' architecture, as in `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The cache it works in.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Runs the programs that builds need.
    pub(super) fn runner(&self) -> &dyn CommandRunner {
        self.runner.as_ref()
    }

    /// Finds an image by name, as it is recorded where it is; remembered until [`Self::forget_base`].
    pub async fn base(&self, reference: &str) -> Result<Base, BaseError> {
        let recorded = self.recorded(reference)?;
        let note = match &recorded {
            Some(recorded) => self.base_note(&format!("{reference}\n{}", recorded.digest)),
            None => self.base_note(reference),
        };
        if let Some(base) = self.cache.note::<Base>("bases", &note) {
            return Ok(base);
        }
        let architecture = &self.architecture;
        let base = match &recorded {
            Some(recorded) => self.bases.recorded(recorded, architecture).await?,
            None => self.bases.resolve(reference, architecture).await?,
        };
        self.cache
            .set_note("bases", &note, &base)
            .map_err(|source| BaseError::io(&self.cache.folder("bases"), source))?;
        Ok(base)
    }

    /// Looks a base up anew the next time, because the one remembered can't be had any more.
    pub fn forget_base(&self, reference: &str) {
        let note = self.cache.folder("bases").join(self.base_note(reference));
        // Nothing to forget is as good.
        drop(std::fs::remove_file(note));
    }

    /// What an image that was built from a file is built upon, as it was noted.
    pub(super) fn foundation(&self, reference: &str) -> Option<String> {
        self.cache.note("foundations", &note_of(reference))
    }

    pub(super) fn set_foundation(&self, reference: &str, foundation: &str) -> io::Result<()> {
        let note = note_of(reference);
        self.cache.set_note("foundations", &note, &foundation)
    }

    fn base_note(&self, reference: &str) -> String {
        note_of(&format!("{}\n{reference}", self.architecture))
    }

    /// Says what the image will be: looks at the files, runs and packs nothing.
    pub async fn plan(&self, request: Request<'_>) -> Result<Planned, BuildError> {
        let service = request.service.to_owned();
        let base = self
            .base(&request.build.base)
            .await
            .map_err(|source| BuildError::Base {
                service: service.clone(),
                source,
            })?;
        let (cache, source) = (self.cache.clone(), request.source.to_path_buf());
        let (build, rules) = (request.build.clone(), request.rules.cloned());
        let looked = blocking(move || look(&cache, service, source, build, rules.as_ref(), base));
        looked.await
    }

    /// The image that a developed container `runs`, if what was planned differs from it only in what
    /// such a container takes over from the checkout by itself: files, and dependencies.
    pub fn kept(&self, planned: &Planned, runs: &str) -> Option<Planned> {
        let tag = runs.strip_prefix(&name(&planned.service, ""))?;
        let built = made(&self.cache, &planned.service, tag)?;
        (built.foundation.is_some() && built.foundation == planned.foundation).then(|| Planned {
            reference: runs.to_owned(),
            built: Some(built),
            ..planned.clone()
        })
    }

    /// Makes the image, unless it is there.
    pub async fn build(&self, planned: Planned, report: Report<'_>) -> Result<Built, BuildError> {
        if let Some(built) = planned.built {
            return Ok(built);
        }
        let service = planned.service.clone();
        let mut installed = None;
        if let (Some(step), Some((key, inputs))) =
            (&planned.build.dependencies, &planned.dependencies)
        {
            let inputs = (key.as_str(), inputs.as_slice());
            let source = &planned.source;
            let runner = self.runner.as_ref();
            let tree = dependencies::install(&self.cache, source, step, inputs, runner, report)
                .await
                .map_err(|source| BuildError::Dependencies { service, source })?;
            installed = Some(tree);
        }
        let step = Step::start(report, format!("pack {}", planned.reference));
        let cache = self.cache.clone();
        let built = blocking(move || assemble(&cache, &planned, installed.as_deref())).await?;
        step.finish();
        Ok(built)
    }

    /// Plans and makes the image; starts over when files change meanwhile.
    pub async fn image(
        &self,
        request: Request<'_>,
        report: Report<'_>,
    ) -> Result<Built, BuildError> {
        let mut attempts = 3;
        loop {
            attempts -= 1;
            let planned = self.plan(request).await?;
            match self.build(planned, report).await {
                Err(BuildError::Pack {
                    source: PackError::Changed { .. },
                    ..
                }) if attempts > 0 => {}
                result => return result,
            }
        }
    }

    /// Makes sure that the cache has these layers of an image.
    pub(crate) async fn gather(
        &self,
        built: &Built,
        layers: impl IntoIterator<Item = &BlobDescriptor>,
    ) -> Result<(), BaseError> {
        for layer in layers {
            let blob = self.cache.blob(&layer.digest);
            if blob.exists() {
                continue;
            }
            let failed = |source| BaseError::io(&blob, source);
            let workspace = self.cache.workspace().map_err(failed)?;
            let new = workspace.path().join("layer");
            self.bases.layer(&built.base, layer, &new).await?;
            self.cache.adopt(&new, &layer.digest).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes an image as an OCI archive, without the layers that the other side knows: `known`
    /// holds the IDs of the chains there. Empty for a full archive.
    pub async fn archive(
        &self,
        built: &Built,
        known: &BTreeSet<String>,
        into: &Path,
    ) -> Result<Archive, BaseError> {
        self.gather(built, archive::lacking(&built.image, known))
            .await?;
        let (cache, built, known) = (self.cache.clone(), built.clone(), known.clone());
        let path = into.to_path_buf();
        blocking(move || {
            archive::write(&cache, &built, &known, &path)
                .map_err(|source| BaseError::io(&path, source))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn look(
    cache: &Cache,
    service: String,
    source: PathBuf,
    recipe: Build,
    rules: Option<&Rules>,
    base: Base,
) -> Result<Planned, BuildError> {
    let step = recipe.dependencies.as_ref();
    let directories = step.map_or(&[][..], |step| &step.directories);
    let dockerignore = std::fs::read_to_string(source.join(".dockerignore")).unwrap_or_default();
    let exclude =
        Exclude::new(&source, &recipe.exclude, &dockerignore, directories).map_err(|source| {
            BuildError::Pattern {
                service: service.clone(),
                source,
            }
        })?;
    let unreadable = |source| BuildError::Source {
        service: service.clone(),
        source,
    };
    let files = files::select(&source, exclude, cache).map_err(unreadable)?;
    let dependencies = match step {
        None => None,
        Some(step) => {
            let inputs = dependencies::inputs(&source, step, &files).map_err(unreadable)?;
            Some((key::dependencies(step, &inputs, &base), inputs))
        }
    };
    let installed = dependencies.as_ref().map(|(key, _)| key.as_str());
    let key = key::image(&recipe, &base, installed, &files);
    let tag = key::tag(&key);
    Ok(Planned {
        reference: name(&service, tag),
        built: made(cache, &service, tag),
        foundation: rules.map(|rules| key::foundation(&recipe, &base, rules, &files)),
        key,
        base,
        service,
        source,
        build: recipe,
        files,
        dependencies,
    })
}

/// The name of a note about something whose own name is no file's.
fn note_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..24].to_owned()
}

/// The reference of a service's image.
pub(super) fn name(service: &str, tag: &str) -> String {
    format!("mwctl.local/{service}:{tag}")
}
