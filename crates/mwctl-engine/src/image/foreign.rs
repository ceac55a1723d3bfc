//! Images that another engine builds: its program is run, and what it made is imported into this machine's store.
//!
//! From there it is an image like any other. Which command lines these are is said in [`super::engine`].

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use mwctl_core::lock::FILE;
use mwctl_core::model::{BuildFile, Engine};
use mwctl_image::build::{Context, key_of_engine};
use mwctl_image::oci::architecture;
use mwctl_image::{
    ExportError, ImportError, ImportOptions, InvalidReference, Record, Reference, Store, StoreError,
};

use super::builder::{Builder, name};
use super::built::Built;
use super::cache::Cache;
use super::engine::{Lent, Order, RESULT, Recorded, Refused};
use super::file::{FileError, Machine};
use super::key::tag;
use super::local;
use crate::command::{CommandError, CommandRunner};
use crate::progress::{Progress, Report, Step};

/// An image of a file as it will be.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its reference: `mwctl.local/<service>:<key>`.
    pub reference: String,
    /// The image, if it was built before and is still in the store.
    pub built: Option<Built>,
    /// The name of all that a developed container can't take over from the checkout.
    foundation: String,
    order: Order,
}

/// Why an engine made no image.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It isn't asked.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Its program isn't there.
    #[error("{engine} was asked to build this, and its program `{}` isn't on PATH", engine.program())]
    Missing {
        /// Who.
        engine: Engine,
    },
    /// It failed.
    #[error(transparent)]
    Failed(CommandError),
    /// The image's name is none.
    #[error(transparent)]
    Name(#[from] InvalidReference),
    /// A base can't be given to it.
    #[error("cannot give {engine} a base")]
    Base {
        /// Who.
        engine: Engine,
        /// Why.
        source: ExportError,
    },
    /// What it made can't be imported.
    #[error("cannot import what {engine} made")]
    Import {
        /// Who.
        engine: Engine,
        /// Why.
        source: ImportError,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no folder to work in.
    #[error("cannot use the cache")]
    Cache(#[source] io::Error),
}

impl EngineError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Refused(error) => error.hints(),
            Self::Missing { engine } => vec![
                install(*engine).to_owned(),
                "or leave the engine out: mwctl builds most files by itself".to_owned(),
            ],
            Self::Failed(error) if asks_for_a_daemon(error.tail()) => vec![
                "start `buildkitd`, or say where it is: `BUILDKIT_HOST=unix:///run/buildkit/buildkitd.sock`"
                    .to_owned(),
            ],
            Self::Base { source, .. } => source.hints(),
            Self::Import { source, .. } => source.hints(),
            Self::Store(error) => error.hints(),
            Self::Failed(error) if error.tail().contains("unknown flag: --build-context") => vec![
                "it is too old to be told which base is recorded: Docker 23 with its buildx, Podman 4.2, Buildah 1.28 and later can be; so can `--engine buildkit`"
                    .to_owned(),
            ],
            Self::Failed(_) | Self::Name(_) | Self::Cache(_) => Vec::new(),
        }
    }
}

/// That a lock isn't followed, for people.
pub fn unasked(engine: Engine) -> String {
    format!(
        "`{FILE}` isn't followed: what a Blubber file is built upon, {engine} learns from Blubber's own image"
    )
}

/// What brings an engine.
fn install(engine: Engine) -> &'static str {
    match engine {
        Engine::Buildkit => {
            "install BuildKit (`buildctl` and `buildkitd`), as from https://github.com/moby/buildkit/releases"
        }
        Engine::Docker => "install Docker, as with `apt install docker.io`",
        Engine::Podman => "install Podman, as with `apt install podman`",
        Engine::Buildah => "install Buildah, as with `apt install buildah`",
    }
}

/// Whether `BuildKit`'s client says that nobody listens.
fn asks_for_a_daemon(tail: &str) -> bool {
    tail.contains("buildkitd.sock") || tail.contains("failed to list workers")
}

/// Has an image built, and gives it a name in the store. A build that nobody waits for any more ends.
pub async fn build(
    order: &Order,
    name: &Reference,
    store: &Path,
    cache: &Cache,
    runner: &dyn CommandRunner,
    report: Report<'_>,
) -> Result<Record, EngineError> {
    let engine = order.engine;
    let work = cache.workspace().map_err(EngineError::Cache)?;
    let lent = match engine {
        Engine::Buildkit => lend(order, store, work.path()).await?,
        // These look for bases where they keep images themselves.
        Engine::Docker | Engine::Podman | Engine::Buildah => Vec::new(),
    };
    for command in order.commands(name, &lent, work.path()) {
        let step = Step::start(report, command.argv[..2].join(" "));
        let say = |line: crate::command::Line<'_>| {
            report(Progress::Line {
                text: line.text().to_owned(),
            });
        };
        let done = command.succeed(runner, &say).await;
        done.map_err(|error| match error {
            CommandError::Missing { .. } => EngineError::Missing { engine },
            error => EngineError::Failed(error),
        })?;
        step.finish();
    }
    let step = Step::start(report, format!("import {name}"));
    let (result, options) = (
        work.path().join(RESULT),
        ImportOptions {
            name: Some(name.clone()),
            architecture: architecture().to_owned(),
        },
    );
    let records = local::with(store, move |store| store.import(&result, &options)).await;
    let records = records.map_err(|source| EngineError::Import { engine, source })?;
    step.finish();
    let record = records.into_iter().next();
    Ok(record.ok_or_else(|| StoreError::NoImage(name.to_string()))?)
}

/// The bases that are in the store, as layouts in the folder of work: what is built here is built upon
/// the same ones, whoever builds it.
async fn lend(order: &Order, store: &Path, work: &Path) -> Result<Vec<Lent>, EngineError> {
    let mut lent = Vec::new();
    for Known {
        name,
        stored,
        digest,
    } in bases(order, store).await?
    {
        let folder = format!("base{}", lent.len());
        let into = work.join(&folder);
        let name_of_it = stored.clone();
        let written = local::with(store, move |store| store.lend(&name_of_it, &into)).await;
        written.map_err(|source| EngineError::Base {
            engine: order.engine,
            source,
        })?;
        lent.push(Lent {
            name,
            digest,
            folder,
        });
    }
    Ok(lent)
}

/// A base that is in the store.
struct Known {
    /// How the file calls it.
    name: Reference,
    /// Its name in the store.
    stored: Reference,
    /// The digest of its manifest.
    digest: String,
}

/// The images that the file names and that are in the store; of what is recorded exactly that.
async fn bases(order: &Order, store: &Path) -> Result<Vec<Known>, StoreError> {
    let names = order.images.iter().filter_map(|written| {
        // What is no reference may be one to the engine, with a variable in it.
        let name = Reference::parse(written).ok()?;
        let exact = order
            .recorded
            .get(written)
            .map(|it| Reference::parse(&it.exact));
        let stored = exact.and_then(Result::ok).unwrap_or_else(|| name.clone());
        Some((name, stored))
    });
    let names: Vec<(Reference, Reference)> = names.collect();
    local::with(store, move |store: &Store| {
        let mut bases = Vec::new();
        for (name, stored) in names {
            if let Some(record) = store.record(&stored)? {
                bases.push(Known {
                    name,
                    stored,
                    digest: record.manifest.to_string(),
                });
            }
        }
        Ok(bases)
    })
    .await
}

impl Machine {
    /// Says what the image will be that an engine is to build: reads the files, runs nothing.
    pub(crate) async fn plan_foreign(
        &self,
        builder: &Builder,
        service: &str,
        source: &Path,
        file: &BuildFile,
        engine: Engine,
    ) -> Result<Planned, FileError> {
        Self::check_architecture(builder)?;
        let (path, text) = super::file::text(source, file)?;
        // Programs run elsewhere than this one.
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| FileError::Read {
                path: path.to_path_buf(),
                source,
            })
        };
        let (context, path) = (absolute(source)?, absolute(&path)?);
        let variant = file.variant.as_deref();
        let order = Order::new(engine, &context, &path, text, variant, &file.arguments);
        let platform = format!("linux/{}", builder.architecture());
        let order = order.and_then(|order| order.within(file.network));
        let order = order.and_then(|order| order.upon(&builder.lock(), &platform));
        let order = order.map_err(EngineError::Refused)?;
        let mut known = BTreeMap::new();
        if engine == Engine::Buildkit {
            let bases = bases(&order, &self.store).await?;
            known.extend(bases.into_iter().map(|it| (it.name.to_string(), it.digest)));
        }
        // Also where it has yet to be fetched, and where the engine itself does that.
        for Recorded { base, .. } in order.recorded.values() {
            known.insert(base.reference.clone(), base.digest.clone());
        }
        let said = order.clone();
        let copied = Context {
            folder: order.context.clone(),
            file: order.file.clone(),
        };
        let key = local::with(&self.store, move |store| {
            let mut said_parts = vec![
                ("engine", said.engine.name()),
                ("file", said.text.as_str()),
                ("target", said.target.as_deref().unwrap_or_default()),
            ];
            said_parts.extend(said.network.map(|network| ("network", network.name())));
            key_of_engine(store, &said_parts, &copied, &said.arguments, &known)
        });
        let key = key.await.map_err(FileError::Build)?;
        let reference = name(service, tag(&key.whole));
        Ok(Planned {
            built: self.built(builder, &reference).await?,
            reference,
            foundation: key.foundation,
            order,
        })
    }

    /// The image that a developed container `runs`, if what was planned differs from it only in files.
    pub(crate) async fn kept_foreign(
        &self,
        builder: &Builder,
        planned: &Planned,
        runs: &str,
    ) -> Result<Option<Planned>, FileError> {
        let built = self.same(builder, &planned.foundation, runs).await?;
        Ok(built.map(|built| Planned {
            reference: runs.to_owned(),
            built: Some(built),
            ..planned.clone()
        }))
    }

    /// Has the image built, unless it is there.
    pub(crate) async fn build_foreign(
        &self,
        builder: &Builder,
        planned: &Planned,
        report: Report<'_>,
    ) -> Result<Built, FileError> {
        if let Some(built) = &planned.built {
            return Ok(built.clone());
        }
        let name = Reference::parse(&planned.reference)?;
        let order = &planned.order;
        if order.engine == Engine::Buildkit {
            let recorded = order.recorded.iter();
            let recorded = recorded.map(|(name, it)| (it.exact.as_str(), name.as_str()));
            self.fetch(builder, recorded, report).await?;
        }
        if !order.names_its_bases() && !builder.lock().is_empty() {
            let text = unasked(order.engine);
            report(Progress::Line { text });
        }
        let (cache, runner) = (builder.cache(), builder.runner());
        build(&planned.order, &name, &self.store, cache, runner, report).await?;
        self.finished(builder, &planned.reference, &planned.foundation)
            .await
    }
}

#[cfg(test)]
mod tests;
