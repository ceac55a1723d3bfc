//! One run of `mwctl`: from options and environment to the folder, the stack and the cluster.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use kube::config::Kubeconfig;
use mwctl_core::cluster::{Choice, Context, Refusal};
use mwctl_core::model::{Service, Source, Stack};
use mwctl_core::name::ServiceName;
use mwctl_engine::cluster::{Found, Places, find};
use mwctl_engine::command::{CommandRunner, ProcessRunner};
use mwctl_engine::develop::link::Identity;
use mwctl_engine::kube::Cluster;
use mwctl_engine::workshop::{Surroundings, Workshop};
use mwctl_engine::workspace::{self, Load, Workspace};

use crate::args::Global;
use crate::env::{self, Environment};
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::ui::Ui;

/// One run.
pub(crate) struct Invocation {
    pub(crate) ui: Ui,
    pub(crate) environment: Environment,
    pub(crate) global: Global,
    pub(crate) interrupt: Interrupt,
}

/// The cluster that a run works on.
pub(crate) struct Target {
    pub(crate) cluster: Cluster,
    pub(crate) workshop: Workshop,
}

impl Invocation {
    /// The folder that the command starts from.
    fn directory(&self) -> PathBuf {
        self.global
            .directory
            .clone()
            .unwrap_or_else(|| PathBuf::from("."))
    }

    /// Runs external programs with the user's environment.
    pub(crate) fn runner() -> Arc<dyn CommandRunner> {
        Arc::new(ProcessRunner::new())
    }

    /// The stack of the folder.
    pub(crate) fn workspace(&self) -> Result<Workspace, CommandError> {
        self.load().map_err(|error| match error {
            Load::Problems(problems) => CommandError::problems(problems),
            error @ Load::Read(_) => CommandError::failure(error),
        })
    }

    /// Reads the stack of the folder.
    pub(crate) fn load(&self) -> Result<Workspace, Load> {
        let namespace = self.global.namespace.as_deref();
        workspace::load(&self.directory(), namespace, &env::asked_for)
    }

    /// Where the files of the folder's services come from.
    pub(crate) fn sources(&self) -> Result<Vec<Source>, CommandError> {
        workspace::sources(&self.directory()).map_err(CommandError::failure)
    }

    /// What clusters there are.
    pub(crate) async fn clusters(&self) -> Result<Found, CommandError> {
        find(&self.places())
            .await
            .map_err(CommandError::environment)
    }

    /// Where minikube keeps its profiles: it puts `.minikube` behind a home of another name.
    pub(crate) fn minikube_home(&self) -> PathBuf {
        let environment = &self.environment;
        let home = environment
            .minikube_home
            .clone()
            .unwrap_or_else(|| environment.home.clone());
        if home.file_name().is_some_and(|name| name == ".minikube") {
            home
        } else {
            home.join(".minikube")
        }
    }

    fn places(&self) -> Places {
        Places {
            kubeconfig: self.environment.kubeconfig.clone(),
            minikube_home: Some(self.minikube_home()),
            path: self.environment.path.clone(),
        }
    }

    /// The context that this run may work on.
    pub(crate) async fn context(&self) -> Result<(Found, Context), CommandError> {
        let found = self.clusters().await?;
        let choice = found.choose(
            self.global.cluster.as_deref(),
            None,
            &self.global.allow_context,
        );
        match choice {
            Ok(Choice::Context(context, reason)) => {
                tracing::debug!("context {}: {}", context.name, reason.text());
                Ok((found, context))
            }
            Ok(Choice::StartMinikube { profile, .. }) => {
                Err(CommandError::environment("no local cluster runs")
                    .hint(format!("mwctl cluster start {profile}")))
            }
            Err(refusal) => Err(refused(refusal)),
        }
    }

    /// Connects to the cluster, for a stack's namespace.
    pub(crate) async fn connect(&self, namespace: &str) -> Result<Cluster, CommandError> {
        let (_, context) = self.context().await?;
        self.cluster(&context, namespace).await
    }

    async fn cluster(&self, context: &Context, namespace: &str) -> Result<Cluster, CommandError> {
        let kubeconfig = self.kubeconfig()?;
        Cluster::connect(kubeconfig, &context.name, namespace)
            .await
            .map_err(CommandError::environment)
    }

    /// Connects to the cluster, with a workshop for images.
    pub(crate) async fn target(&self, namespace: &str) -> Result<Target, CommandError> {
        let (found, context) = self.context().await?;
        let cluster = self.cluster(&context, namespace).await?;
        let architecture = mwctl_engine::kube::observe::architecture(&cluster)
            .await
            .map_err(|error| unreachable(error, &context.name))?;
        let workshop = Workshop::new(Surroundings {
            kind: &context.kind,
            profile: found.profile(&context.kind),
            architecture: &architecture,
            cache: self.cache(),
            runner: Self::runner(),
        })
        .await;
        Ok(Target { cluster, workshop })
    }

    fn kubeconfig(&self) -> Result<Kubeconfig, CommandError> {
        let mut merged = Kubeconfig::default();
        for path in self
            .environment
            .kubeconfig
            .iter()
            .filter(|path| path.exists())
        {
            let read = Kubeconfig::read_from(path).map_err(CommandError::environment)?;
            merged = merged.merge(read).map_err(CommandError::environment)?;
        }
        Ok(merged)
    }

    /// Where images and downloads are kept.
    pub(crate) fn cache(&self) -> PathBuf {
        self.global
            .cache_dir
            .clone()
            .unwrap_or_else(|| self.environment.cache.clone())
    }

    /// Who this run is, for agents and other runs.
    pub(crate) fn identity(&self) -> Identity {
        let process = std::process::id();
        let owner = format!("{} (process {process})", self.environment.user);
        let started = std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Identity {
            session: format!("{}-{process}-{}", self.environment.user, started.as_nanos()),
            owner,
            agent_digest: mwctl_engine::deploy::agent().digest.to_owned(),
        }
    }
}

/// The cluster doesn't answer.
pub(crate) fn unreachable(
    error: impl std::error::Error + Send + Sync + 'static,
    context: &str,
) -> CommandError {
    CommandError::environment(error).hint(format!("kubectl --context {context} get nodes"))
}

fn refused(refusal: Refusal) -> CommandError {
    let hints = refusal.hints();
    let mut error = CommandError::environment(refusal);
    error.hints = hints;
    error
}

/// The services of a stack that were named; all where none was.
pub(crate) fn select(
    stack: &Stack,
    named: &[String],
) -> Result<BTreeSet<ServiceName>, CommandError> {
    if named.is_empty() {
        return Ok(stack.services.keys().cloned().collect());
    }
    named
        .iter()
        .map(|name| Ok(service(stack, name)?.name.clone()))
        .collect()
}

/// The service of that name.
pub(crate) fn service<'a>(stack: &'a Stack, name: &str) -> Result<&'a Service, CommandError> {
    stack.services.get(name).ok_or_else(|| {
        let names: Vec<&str> = stack.services.keys().map(ServiceName::as_str).collect();
        CommandError::usage(format!(
            "the stack `{}` has no service `{name}`",
            stack.name
        ))
        .hint(format!("its services are: {}", names.join(", ")))
    })
}
