//! Where the images of a stack's services are made, and the way they take to the nodes.
//!
//! It joins the builder, the delivery and the services' folders; what an image consists of and how
//! nodes are spoken to is theirs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use mwctl_core::cluster::Kind;
use mwctl_core::delivery::{Asked, Decision, Facts, choose};
use mwctl_core::develop::Rules;
use mwctl_core::lock::Lock;
use mwctl_core::minikube::Profile;
use mwctl_core::model::{Build, BuildFile, Image, Service};
use mwctl_core::plan::ImageBuild;
use mwctl_image::Registry;

use crate::command::CommandRunner;
use crate::delivery::{self, Delivery, DeliveryError, How, LocalStore};
use crate::execute::{Failure, Images};
use crate::image::base::LocalLayout;
use crate::image::base::bootstrap::{Bootstrap, Tell};
use crate::image::file::{self, FileError};
use crate::image::foreign;
use crate::image::{BaseSource, Bases, BuildError, Builder, Built, Cache, Request};
use crate::progress::Progress;

/// Makes and delivers images for one cluster.
#[derive(Debug)]
pub struct Workshop {
    /// The nodes' architecture, as in `amd64`.
    pub architecture: String,
    builder: Builder,
    machine: file::Machine,
    /// `None` where no way into the cluster is known: then only images of a registry run there.
    delivery: Result<Delivery, DeliveryError>,
    /// What was planned, by reference, so that looking at the files again is not needed.
    planned: Mutex<BTreeMap<String, Planned>>,
}

/// An image as it will be.
#[derive(Clone, Debug)]
enum Planned {
    /// A base, with layers of the service's files and dependencies.
    Layers(Box<crate::image::Planned>),
    /// What the service's own file says.
    File(Box<file::Planned>),
    /// The same, made by another engine.
    Foreign(Box<foreign::Planned>),
}

impl Planned {
    fn reference(&self) -> &String {
        match self {
            Self::Layers(planned) => &planned.reference,
            Self::File(planned) => &planned.reference,
            Self::Foreign(planned) => &planned.reference,
        }
    }

    fn built(&self) -> Option<&Built> {
        match self {
            Self::Layers(planned) => planned.built.as_ref(),
            Self::File(planned) => planned.built.as_ref(),
            Self::Foreign(planned) => planned.built.as_ref(),
        }
    }

    fn set_built(&mut self, built: Built) {
        match self {
            Self::Layers(planned) => planned.built = Some(built),
            Self::File(planned) => planned.built = Some(built),
            Self::Foreign(planned) => planned.built = Some(built),
        }
    }
}

/// What a workshop needs to know of its cluster and this machine.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// What kind of cluster it is.
    pub kind: &'a Kind,
    /// The minikube profile, where it is one.
    pub profile: Option<&'a Profile>,
    /// What the cluster says of a registry, as it is written there.
    pub advertised: Option<&'a str>,
    /// What the user said of registries.
    pub asked: Option<&'a Asked>,
    /// The nodes' architecture, as in `amd64`.
    pub architecture: &'a str,
    /// Where images are kept.
    pub cache: PathBuf,
    /// Runs programs.
    pub runner: Arc<dyn CommandRunner>,
    /// Where and how the services' own files are built.
    pub machine: file::Machine,
    /// What is recorded of bases.
    pub lock: Arc<Lock>,
    /// Hears of work that nobody asked for.
    pub tell: Tell,
}

impl Workshop {
    /// Finds out how images get into the cluster.
    pub async fn new(surroundings: Surroundings<'_>) -> Self {
        let Surroundings {
            kind,
            profile,
            advertised,
            asked,
            architecture,
            cache,
            runner,
            machine,
            lock,
            tell,
        } = surroundings;
        let Decision { choice, warning } = choose(Facts {
            kind,
            profile,
            advertised,
            asked,
        });
        if let Some(warning) = warning {
            tell.say(warning);
        }
        let delivery = delivery::by(choice, runner.clone(), &machine.accounts).await;
        if let Ok(delivery) = &delivery {
            tracing::info!("{}", delivery.in_words());
            if let Some(warning) = delivery.warning() {
                tell.say(warning.to_owned());
            }
        }
        let mut sources: Vec<Arc<dyn BaseSource>> = vec![Arc::new(LocalLayout)];
        // The embedded cluster's images are those of this store already.
        if !matches!(kind, Kind::Embedded { images: Some(_) }) {
            sources.push(Arc::new(LocalStore::new(machine.store.clone())));
        }
        if let Ok(delivery) = &delivery {
            sources.extend(delivery.base_sources());
        }
        let accounts = machine.accounts.clone();
        sources.push(Arc::new(Registry::new(Vec::new(), accounts)));
        let cache = Cache::new(cache);
        let store = machine.store.clone();
        sources.push(Arc::new(Bootstrap::new(
            store,
            cache.clone(),
            runner.clone(),
            tell,
        )));
        let builder = Builder::new(cache, runner, Bases::new(sources), architecture);
        builder.set_lock(lock);
        Self {
            architecture: architecture.to_owned(),
            builder,
            machine,
            delivery,
            planned: Mutex::default(),
        }
    }

    /// For no cluster: images are made on this machine, for nodes like it, and stay here.
    pub fn here(
        cache: PathBuf,
        runner: Arc<dyn CommandRunner>,
        machine: file::Machine,
        lock: Arc<Lock>,
    ) -> Self {
        let sources: Vec<Arc<dyn BaseSource>> = vec![
            Arc::new(LocalLayout),
            Arc::new(LocalStore::new(machine.store.clone())),
            Arc::new(Registry::new(Vec::new(), machine.accounts.clone())),
        ];
        let architecture = mwctl_image::oci::architecture();
        let builder = Builder::new(Cache::new(cache), runner, Bases::new(sources), architecture);
        builder.set_lock(lock);
        Self {
            architecture: architecture.to_owned(),
            builder,
            machine,
            delivery: Err(DeliveryError::NoContainers),
            planned: Mutex::default(),
        }
    }

    /// Takes what is recorded for what the names of bases mean, from now on.
    pub fn set_lock(&self, lock: Arc<Lock>) {
        self.builder.set_lock(lock);
    }

    /// What the image of a service will be called, and whether it has been made.
    ///
    /// `developed` is the image under a container that is being developed: it stays where another one
    /// would only bring files that are there already.
    pub async fn plan(
        &self,
        service: &Service,
        developed: Option<&str>,
    ) -> Result<Option<ImageBuild>, BuildError> {
        let Some((build, source)) = recipe(service) else {
            return Ok(None);
        };
        let developed = developed.map(|named| match &self.delivery {
            Ok(delivery) => delivery.made(named),
            Err(_) => named.to_owned(),
        });
        let developed = developed.as_deref();
        let planned = match &build.file {
            Some(file) => self.plan_file(service, &source, file, developed).await?,
            None => self.plan_layers(service, &source, build, developed).await?,
        };
        let build = ImageBuild {
            reference: self.named(planned.reference()),
            built: planned.built().is_some(),
        };
        self.lock().insert(build.reference.clone(), planned);
        Ok(Some(build))
    }

    async fn plan_layers(
        &self,
        service: &Service,
        source: &Path,
        build: &Build,
        developed: Option<&str>,
    ) -> Result<Planned, BuildError> {
        let rules = rules(service);
        let request = Request {
            service: service.name.as_str(),
            source,
            build,
            rules: rules.as_ref(),
        };
        let planned = self.builder.plan(request).await?;
        let kept = developed.and_then(|runs| self.builder.kept(&planned, runs));
        Ok(Planned::Layers(Box::new(kept.unwrap_or(planned))))
    }

    async fn plan_file(
        &self,
        service: &Service,
        source: &Path,
        file: &BuildFile,
        developed: Option<&str>,
    ) -> Result<Planned, BuildError> {
        let (name, builder) = (service.name.as_str(), &self.builder);
        let failed = |source| of_file(service, source);
        if let Some(engine) = file.engine {
            let machine = &self.machine;
            let planned = machine.plan_foreign(builder, name, source, file, engine);
            let planned = planned.await.map_err(failed)?;
            let kept = match developed {
                Some(runs) => machine.kept_foreign(builder, &planned, runs).await,
                None => Ok(None),
            };
            let kept = kept.map_err(failed)?;
            return Ok(Planned::Foreign(Box::new(kept.unwrap_or(planned))));
        }
        let planned = self.machine.plan(builder, name, source, file).await;
        let planned = planned.map_err(failed)?;
        let kept = match developed {
            Some(runs) => self.machine.kept(builder, &planned, runs).await,
            None => Ok(None),
        };
        let kept = kept.map_err(failed)?;
        Ok(Planned::File(Box::new(kept.unwrap_or(planned))))
    }

    /// Whether all nodes have an image that was planned.
    pub async fn has(&self, reference: &str) -> Result<bool, DeliveryError> {
        let built = self
            .lock()
            .get(reference)
            .and_then(|planned| planned.built().cloned());
        match (&self.delivery, built) {
            (Ok(delivery), Some(built)) => delivery.has(&built).await,
            // Without a way to the nodes there is nobody to ask; delivering says why.
            _ => Ok(false),
        }
    }

    /// The command that somebody else's image runs by itself.
    pub async fn command_line(&self, reference: &str) -> Result<Vec<String>, BuildError> {
        let base = self.builder.base(reference).await;
        let base = base.map_err(|source| BuildError::Base {
            service: reference.to_owned(),
            source,
        })?;
        Ok(base.defaults().command_line())
    }

    async fn make(
        &self,
        service: &Service,
        reference: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Built, Failure> {
        let report = |sign: Progress| progress(in_words(sign));
        if !self.lock().contains_key(reference) {
            let planned = self.plan(service, None).await.map_err(failure)?;
            let planned = planned.ok_or(NoRecipe)?;
            if planned.reference != reference {
                return Err(Failure::from(ChangedMeanwhile));
            }
        }
        let planned = self.lock().get(reference).cloned().ok_or(NoRecipe)?;
        let built = match planned {
            Planned::Layers(planned) => self.builder.build(*planned, &report).await,
            Planned::File(planned) => {
                let built = self.machine.build(&self.builder, &planned, &report).await;
                built.map_err(|source| of_file(service, source))
            }
            Planned::Foreign(planned) => {
                let built = self.machine.build_foreign(&self.builder, &planned, &report);
                built.await.map_err(|source| of_file(service, source))
            }
        };
        let built = built.map_err(failure)?;
        if self.named(built.reference()) != reference {
            return Err(Failure::from(ChangedMeanwhile));
        }
        if let Some(planned) = self.lock().get_mut(reference) {
            planned.set_built(built.clone());
        }
        Ok(built)
    }

    /// The name by which pods ask for an image that was made here.
    fn named(&self, made: &str) -> String {
        match &self.delivery {
            Ok(delivery) => delivery.named(made),
            // Nothing leaves this machine.
            Err(_) => made.to_owned(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Images for Workshop {
    async fn build(
        &self,
        service: &Service,
        reference: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Failure> {
        self.make(service, reference, progress).await.map(drop)
    }

    async fn deliver(
        &self,
        service: &Service,
        reference: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Failure> {
        let built = self.make(service, reference, progress).await?;
        let failed = |hints: Vec<String>, error| Failure {
            hint: joined(&hints),
            error,
        };
        let delivery = match &self.delivery {
            Ok(delivery) => delivery,
            Err(error) => return Err(failed(error.hints(), error.to_string().into())),
        };
        progress(delivery.in_words());
        let report = |sign: Progress| progress(in_words(sign));
        let delivered = delivery
            .deliver(&self.builder, &built, &report)
            .await
            .map_err(|error| failed(error.hints(), error.into()))?;
        for place in delivered {
            let how = match place.how {
                How::Present => "was there",
                How::Delta => "missing layers only",
                How::Full => "whole",
            };
            progress(format!("{}: {how}, {} bytes", place.node, place.bytes));
        }
        Ok(())
    }
}

/// A service's own file can't be built.
pub(crate) fn of_file(service: &Service, source: FileError) -> BuildError {
    BuildError::File {
        service: service.name.to_string(),
        source: Box::new(source),
    }
}

fn failure(error: BuildError) -> Failure {
    Failure {
        hint: joined(&error.hints()),
        error: error.into(),
    }
}

/// How the service is developed; a pattern that is none is told when it is.
fn rules(service: &Service) -> Option<Rules> {
    Rules::new(service.develop.as_ref()?, &[]).ok()
}

/// How a service's image is made, and from which folder.
fn recipe(service: &Service) -> Option<(&Build, PathBuf)> {
    match (&service.image, service.source.directory()) {
        (Image::Build(build), Some(source)) => Some((build, source.clone())),
        _ => None,
    }
}

/// A service has no image of its own to make.
#[derive(Debug, thiserror::Error)]
#[error("there is nothing to build it from")]
struct NoRecipe;

/// The files were edited while the image was made.
#[derive(Debug, thiserror::Error)]
#[error("its files changed while its image was made; try again")]
struct ChangedMeanwhile;

fn joined(hints: &[String]) -> Option<String> {
    (!hints.is_empty()).then(|| hints.join("\n"))
}

fn in_words(sign: Progress) -> String {
    match sign {
        Progress::Started { what } | Progress::Finished { what, .. } => what,
        Progress::Line { text } => text,
    }
}
