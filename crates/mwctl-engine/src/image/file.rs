//! Images that a service's own Dockerfile or Blubber file describes, built in this machine's store.
//!
//! What the file means and how its steps are made is `mwctl-image`'s work. Here it gets a name
//! before it is built, its bases, and the form in which images are delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use mwctl_core::model::{BuildFile, BuildNetwork};
use mwctl_image::build::{Build, BuildError, Containers, Context, Outside, Told, key};
use mwctl_image::oci::architecture;
use mwctl_image::plan::{Network, Plan, Problem};
use mwctl_image::{
    Credentials, HOST, ImportError, ImportOptions, InvalidReference, Originals, Reference, Store,
    StoreError, recipe,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::base::{Base, BaseError, pinned};
use super::builder::{Builder, name};
use super::built::Built;
use super::foreign::EngineError;
use super::key::tag;
use super::local;
use crate::progress::{Progress, Report, Step};

/// What builds of files need of this machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The folder of the store that images are built in.
    pub store: PathBuf,
    /// What the programs that a file runs see of this machine.
    pub outside: Outside,
    /// Where registries' accounts are looked up.
    pub accounts: Credentials,
}

/// An image of a file as it will be.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its reference: `mwctl.local/<service>:<key>`.
    pub reference: String,
    /// The image, if it was built before and is still in the store.
    pub built: Option<Built>,
    /// The name of all that a developed container can't take over from the checkout.
    pub(crate) foundation: String,
    /// How the file calls the bases that are recorded, by the names of exactly those.
    bases: BTreeMap<String, String>,
    plan: Plan,
    context: Context,
    arguments: BTreeMap<String, String>,
}

/// Why there is no image of a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file can't be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is wrong.
    #[error("`{}` can't be built:\n{}", path.display(), listed(path, problems))]
    Problems {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        problems: Vec<Problem>,
    },
    /// What the file runs would run on this machine, for nodes of another kind.
    #[error(
        "the cluster's nodes are {nodes}, and files are built as on this machine, which is {machine}"
    )]
    Architecture {
        /// The nodes'.
        nodes: String,
        /// This machine's.
        machine: &'static str,
    },
    /// A base's name is none.
    #[error(transparent)]
    Name(#[from] InvalidReference),
    /// A base can't be found.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A base can't be brought into the store.
    #[error("this machine's image store doesn't take the base")]
    Import(#[source] ImportError),
    /// It can't be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Another engine made nothing of it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cache can't be used.
    #[error("cannot use the cache")]
    Cache(#[source] io::Error),
}

fn listed(path: &Path, problems: &[Problem]) -> String {
    let lines = problems.iter().map(|problem| {
        let place = match problem.line {
            0 => String::new(),
            line => format!("{}:{line}: ", path.display()),
        };
        let hint = problem.hint.as_ref();
        let hint = hint.map_or_else(String::new, |hint| format!(" ({hint})"));
        format!("  {place}{}{hint}", problem.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

impl FileError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Base(error) => error.hints(),
            Self::Import(error) => error.hints(),
            Self::Build(error) => error.hints(),
            Self::Engine(error) => error.hints(),
            Self::Store(error) => error.hints(),
            Self::Architecture { nodes, .. } => vec![format!(
                "build it for {nodes} elsewhere and name the finished image: `container: {{image: …}}`"
            )],
            _ => Vec::new(),
        }
    }
}

/// Reads a service's own file: what building it means.
pub(crate) fn read(source: &Path, file: &BuildFile) -> Result<Plan, FileError> {
    let (path, text) = text(source, file)?;
    let variant = file.variant.as_deref();
    let read = recipe::read(&path, &text, variant, &file.arguments);
    let recipe = read.map_err(|problems| FileError::Problems { path, problems })?;
    Ok(recipe.plan.within(file.network.map(network)))
}

/// What a network of a description is to the builder.
pub fn network(network: BuildNetwork) -> Network {
    match network {
        BuildNetwork::Host => Network::Host,
        BuildNetwork::None => Network::None,
        BuildNetwork::Relay => Network::Relay,
    }
}

/// The images that a service's own file names, as far as they can be seen without understanding all of it.
pub(crate) fn images(source: &Path, file: &BuildFile) -> Result<Vec<String>, FileError> {
    let (path, text) = text(source, file)?;
    let variant = file.variant.as_deref();
    let outline = recipe::outline(&path, &text, variant, &file.arguments);
    Ok(outline.images.into_iter().collect())
}

/// A service's own file, and what it says.
pub(super) fn text(source: &Path, file: &BuildFile) -> Result<(PathBuf, String), FileError> {
    let path = source.join(&file.path);
    let text = std::fs::read_to_string(&path).map_err(|source| FileError::Read {
        path: path.clone(),
        source,
    })?;
    Ok((path, text))
}

impl Machine {
    /// Says what the image will be: reads the files, builds and fetches nothing.
    pub(crate) async fn plan(
        &self,
        builder: &Builder,
        service: &str,
        source: &Path,
        file: &BuildFile,
    ) -> Result<Planned, FileError> {
        Self::check_architecture(builder)?;
        let plan = read(source, file)?;
        let mut bases = BTreeMap::new();
        let mut exact = BTreeMap::new();
        for name in plan.images() {
            let reference = Reference::parse(name)?;
            if reference.as_str() == HOST {
                return Err(FileError::Build(BuildError::Host));
            }
            if let Some(recorded) = builder.recorded(name)? {
                exact.extend(pinned(&recorded).map(|exact| (name.to_owned(), exact)));
                bases.insert(name.to_owned(), recorded.digest);
                continue;
            }
            let digest =
                match local::with(&self.store, move |store| store.record(&reference)).await? {
                    Some(record) => record.manifest.to_string(),
                    None => builder.base(name).await?.digest,
                };
            bases.insert(name.to_owned(), digest);
        }
        let context = Context {
            folder: source.to_path_buf(),
            file: source.join(&file.path),
        };
        let (steps, copied) = (plan.clone(), context.clone());
        let arguments = file.arguments.clone();
        let key = local::with(&self.store, move |store| {
            key(store, &steps, &copied, &arguments, &bases)
        });
        let key = key.await.map_err(FileError::Build)?;
        let reference = name(service, tag(&key.whole));
        let built = self.built(builder, &reference).await?;
        Ok(Planned {
            reference,
            built,
            foundation: key.foundation,
            bases: exact
                .iter()
                .map(|(name, exact)| (exact.clone(), name.clone()))
                .collect(),
            plan: plan.upon(&exact),
            context,
            arguments: file.arguments.clone(),
        })
    }

    /// Refuses what would run on this machine for nodes of another kind.
    pub(super) fn check_architecture(builder: &Builder) -> Result<(), FileError> {
        let (nodes, machine) = (builder.architecture(), architecture());
        if nodes == machine {
            return Ok(());
        }
        let nodes = nodes.to_owned();
        Err(FileError::Architecture { nodes, machine })
    }

    /// The image that a developed container `runs`, if what was planned differs from it only in what
    /// such a container takes over from the checkout by itself.
    pub(crate) async fn kept(
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

    /// Builds the image, unless it is there. A build that nobody waits for any more ends.
    pub(crate) async fn build(
        &self,
        builder: &Builder,
        planned: &Planned,
        report: Report<'_>,
    ) -> Result<Built, FileError> {
        if let Some(built) = &planned.built {
            return Ok(built.clone());
        }
        let names = planned.plan.images().into_iter().map(|exact| {
            let name = planned.bases.get(exact).map_or(exact, String::as_str);
            (exact, name)
        });
        self.fetch(builder, names, report).await?;
        let name = Reference::parse(&planned.reference)?;
        let cancel = CancellationToken::new();
        let _ends_with_us = cancel.clone().drop_guard();
        let containers = Containers::new(self.outside.clone());
        // the build's threads --what happens--> report
        let (told_tx, mut told_rx) = mpsc::unbounded_channel();
        let work = planned.clone();
        let make = local::with(&self.store, move |store| {
            let build = Build {
                store,
                plan: &work.plan,
                context: &work.context,
                arguments: &work.arguments,
                containers: Some(&containers),
                cancel: &cancel,
                report: &|told| {
                    // Nobody listens to a build that is being ended.
                    let _nobody_listens = told_tx.send(told);
                },
            };
            build.make(&name).map(drop)
        });
        let listen = async {
            while let Some(told) = told_rx.recv().await {
                if let Some(sign) = sign(told) {
                    report(sign);
                }
            }
        };
        let (done, ()) = tokio::join!(make, listen);
        done.map_err(FileError::Build)?;
        self.finished(builder, &planned.reference, &planned.foundation)
            .await
    }

    /// The image that a container `runs`, if it stands on the same foundation.
    pub(super) async fn same(
        &self,
        builder: &Builder,
        foundation: &str,
        runs: &str,
    ) -> Result<Option<Built>, FileError> {
        if builder.foundation(runs).as_deref() != Some(foundation) {
            return Ok(None);
        }
        self.built(builder, runs).await
    }

    /// An image that was built just now, whose foundation is written down.
    pub(super) async fn finished(
        &self,
        builder: &Builder,
        reference: &str,
        foundation: &str,
    ) -> Result<Built, FileError> {
        builder
            .set_foundation(reference, foundation)
            .map_err(FileError::Cache)?;
        let built = self.built(builder, reference).await?;
        built.ok_or_else(|| StoreError::NoImage(reference.to_owned()).into())
    }

    /// Brings bases that aren't in the store into it, from wherever they were found: by the names that they are to have
    /// there, and those by which they are known.
    pub(super) async fn fetch<'a>(
        &self,
        builder: &Builder,
        bases: impl IntoIterator<Item = (&'a str, &'a str)> + Send,
        report: Report<'_>,
    ) -> Result<(), FileError> {
        let bases: Vec<(&str, &str)> = bases.into_iter().collect();
        for (exact, name) in bases {
            let reference = Reference::parse(exact)?;
            let wanted = reference.clone();
            let there = local::with(&self.store, move |store| store.record(&wanted));
            if there.await?.is_some() {
                continue;
            }
            let step = Step::start(report, format!("fetch {reference}"));
            let base = builder.base(name).await?;
            let cache = builder.cache();
            let base = Built::whole(base);
            base.keep(cache).map_err(FileError::Cache)?;
            let place = cache.workspace().map_err(FileError::Cache)?;
            let archive = place.path().join("base.tar");
            builder.archive(&base, &BTreeSet::new(), &archive).await?;
            let options = ImportOptions {
                name: Some(reference),
                architecture: base.image.architecture,
            };
            let import = move |store: &Store| store.import(&archive, &options).map(drop);
            local::with(&self.store, import)
                .await
                .map_err(FileError::Import)?;
            step.finish();
        }
        Ok(())
    }

    /// An image of the store in the form in which images are delivered.
    pub(super) async fn built(
        &self,
        builder: &Builder,
        reference: &str,
    ) -> Result<Option<Built>, FileError> {
        let name = Reference::parse(reference)?;
        let found = local::with(&self.store, move |store| store.originals(&name)).await;
        let Some(Originals { manifest, config }) = found? else {
            return Ok(None);
        };
        let image = Base::new(reference, &manifest, &config)?;
        let built = Built::whole(image);
        built.keep(builder.cache()).map_err(FileError::Cache)?;
        Ok(Some(built))
    }
}

/// What is said of a step, if anything: steps that were known need no words.
fn sign(told: Told) -> Option<Progress> {
    Some(match told {
        Told::Begins { stage, step, .. } => Progress::Started {
            what: format!("{stage}: {step}"),
        },
        Told::Output { line, .. } => Progress::Line { text: line },
        Told::Warns { what } => Progress::Line {
            text: format!("warning: {what}"),
        },
        // What was known needs no words, and builds of services open no shell.
        Told::Failed { .. } | Told::Done { cached: true, .. } => return None,
        Told::Done {
            stage,
            step,
            milliseconds,
            ..
        } => Progress::Finished {
            what: format!("{stage}: {step}"),
            milliseconds,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::command::fake::ScriptedRunner;
    use crate::image::{Bases, Cache};

    #[tokio::test]
    async fn what_would_run_on_other_nodes_is_not_built_on_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
        let machine = Machine {
            store: folder.path().join("store"),
            outside: Outside::default(),
            accounts: Credentials::default(),
        };
        let planned = async |nodes: &str| {
            let cache = Cache::new(folder.path().join("cache"));
            let runner = Arc::new(ScriptedRunner::new());
            let builder = Builder::new(cache, runner, Bases::new(Vec::new()), nodes);
            let file = BuildFile {
                path: "Dockerfile".to_owned(),
                variant: None,
                arguments: BTreeMap::new(),
                engine: None,
                network: None,
            };
            machine.plan(&builder, "s", folder.path(), &file).await
        };
        assert!(planned(architecture()).await.is_ok());
        let refused = planned("sparc").await.unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("the cluster's nodes are sparc"),
            "{refused}"
        );
        assert!(refused.hints()[0].contains("for sparc elsewhere"));
    }
}
