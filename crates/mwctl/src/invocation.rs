//! One run of `mwctl`: from options and environment to the folder, the stack and the cluster.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::config::Kubeconfig;
use mwctl_core::cluster::{Choice, Context, EMBEDDED, Kind, Refusal};
use mwctl_core::conventions::Explanation;
use mwctl_core::lock::Lock;
use mwctl_core::model::{Service, Stack};
use mwctl_core::name::ServiceName;
use mwctl_engine::cluster::{Found, Places, find};
use mwctl_engine::command::{CommandRunner, ProcessRunner};
use mwctl_engine::develop::link::Identity;
use mwctl_engine::embedded::Clusters;
use mwctl_engine::image::Cache;
use mwctl_engine::image::base::bootstrap::{Bootstrap, Tell};
use mwctl_engine::image::file::Machine;
use mwctl_engine::image::gate::gate;
use mwctl_engine::images::Credentials;
use mwctl_engine::images::build::Outside;
use mwctl_engine::kube::{Cluster, Request, observe};
use mwctl_engine::workshop::{Surroundings, Workshop};
use mwctl_engine::workspace::{self, Asked, Load, Workspace};

use crate::args::Global;
use crate::env::{self, Environment};
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::ui::Ui;

/// Where most systems keep the certificates that they trust.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

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
    pub(crate) fn directory(&self) -> PathBuf {
        self.global
            .directory
            .clone()
            .unwrap_or_else(|| PathBuf::from("."))
    }

    /// Runs external programs with the user's environment.
    pub(crate) fn runner() -> Arc<dyn CommandRunner> {
        Arc::new(ProcessRunner::new())
    }

    /// What programs that build images see of this machine.
    pub(crate) fn outside(&self) -> Outside {
        let certificates = CERTIFICATES.iter().map(PathBuf::from);
        Outside {
            certificates: certificates.into_iter().find(|path| path.is_file()),
            variables: self.environment.network.clone(),
            gate: gate(self.environment.kubeconfig.clone()),
        }
    }

    /// The stack of the folder.
    pub(crate) fn workspace(&self) -> Result<Workspace, CommandError> {
        self.load().map_err(|error| match error {
            Load::Problems(problems) => CommandError::problems(problems),
            error @ Load::Read(_) => CommandError::failure(error),
        })
    }

    /// What is recorded of bases, also where the folder has no stack.
    pub(crate) fn lock(&self) -> Result<Lock, CommandError> {
        workspace::lock(&self.directory()).map_err(|error| match error {
            Load::Problems(problems) => CommandError::problems(problems),
            error @ Load::Read(_) => CommandError::failure(error),
        })
    }

    /// Where everything about the folder's services comes from, and the folder.
    pub(crate) fn explain(&self) -> Result<(PathBuf, Vec<Explanation>), CommandError> {
        workspace::explain(&self.directory(), self.asked(), &env::asked_for).map_err(|error| {
            match error {
                Load::Problems(problems) => CommandError::problems(problems),
                error @ Load::Read(_) => CommandError::failure(error),
            }
        })
    }

    /// What is asked of the folder.
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked {
            namespace: self.global.namespace.as_deref(),
            profiles: &self.global.profile,
        }
    }

    /// Reads the stack of the folder.
    pub(crate) fn load(&self) -> Result<Workspace, Load> {
        workspace::load(&self.directory(), self.asked(), &env::asked_for)
    }

    /// What clusters there are.
    pub(crate) async fn clusters(&self) -> Result<Found, CommandError> {
        find(&self.places())
            .await
            .map_err(CommandError::environment)
    }

    /// The clusters of one kubeconfig.
    pub(crate) async fn clusters_of(&self, kubeconfig: &Path) -> Result<Found, CommandError> {
        let places = Places {
            kubeconfig: vec![kubeconfig.to_owned()],
            ..Places::default()
        };
        find(&places).await.map_err(CommandError::environment)
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

    /// The disposable clusters of this user.
    pub(crate) fn disposable(&self) -> Clusters {
        Clusters::new(self.environment.clusters.clone())
    }

    /// The kubeconfig files. A disposable cluster has one of its own, and is there for whoever names it; the
    /// embedded one is there for everybody.
    fn kubeconfigs(&self) -> Vec<PathBuf> {
        let mut files = self.environment.kubeconfig.clone();
        let clusters = self.disposable();
        let named = self.global.cluster.as_deref();
        let own = named.and_then(|context| clusters.find_context(context));
        let embedded = clusters.find(EMBEDDED);
        for known in own.into_iter().chain(embedded) {
            if !files.contains(&known.kubeconfig) {
                files.push(known.kubeconfig);
            }
        }
        files
    }

    /// Connects to the cluster to deploy to: starts the embedded one where no other is found.
    pub(crate) async fn deploy_target(
        &self,
        workspace: &Workspace,
    ) -> Result<Target, CommandError> {
        crate::commands::cluster::end_other_version(self).await?;
        let mut found = self.clusters().await?;
        if let Ok(Choice::StartEmbedded {
            reason,
            passed_over,
        }) = self.choose(&found)
        {
            for hint in passed_over {
                self.ui.events().notice(None, hint);
            }
            self.ui.events().notice(
                None,
                format!("starting the embedded cluster: {}", reason.text()),
            );
            crate::commands::cluster::start_embedded(self).await?;
            found = self.clusters().await?;
        }
        let context = self.chosen(&found)?;
        self.target_in(&found, &context, workspace).await
    }

    /// Where things about clusters are.
    pub(crate) fn places(&self) -> Places {
        Places {
            kubeconfig: self.kubeconfigs(),
            minikube_home: Some(self.minikube_home()),
            path: self.environment.path.clone(),
            embedded: cfg!(target_os = "linux"),
        }
    }

    /// The cluster that this run works on, of those that were found.
    pub(crate) fn choose(&self, found: &Found) -> Result<Choice, Refusal> {
        let global = &self.global;
        found.choose(global.cluster.as_deref(), None, &global.allow_context)
    }

    /// The context that this run may work on.
    pub(crate) async fn context(&self) -> Result<(Found, Context), CommandError> {
        let found = self.clusters().await?;
        let context = self.chosen(&found)?;
        Ok((found, context))
    }

    fn chosen(&self, found: &Found) -> Result<Context, CommandError> {
        match self.choose(found) {
            Ok(Choice::Context(context, reason)) => {
                tracing::debug!("context {}: {}", context.name, reason.text());
                Ok(context)
            }
            Ok(Choice::StartMinikube { profile, .. }) => {
                Err(CommandError::environment("no local cluster runs")
                    .hint(format!("mwctl cluster start {profile}")))
            }
            Ok(Choice::StartEmbedded { passed_over, .. }) => {
                let mut error = CommandError::environment("no local cluster runs")
                    .hint("mwctl up  # starts the embedded cluster, and deploys to it");
                error.hints.extend(passed_over);
                Err(error)
            }
            Err(refusal) => Err(refused(refusal)),
        }
    }

    /// Connects to the cluster, for a stack's namespace.
    pub(crate) async fn connect(&self, namespace: &str) -> Result<Cluster, CommandError> {
        let (_, context) = self.context().await?;
        self.cluster(&context, namespace).await
    }

    /// Connects to the cluster of a context that was chosen.
    pub(crate) async fn cluster(
        &self,
        context: &Context,
        namespace: &str,
    ) -> Result<Cluster, CommandError> {
        let kubeconfig = self.kubeconfig()?;
        Cluster::connect(kubeconfig, &context.name, namespace)
            .await
            .map_err(CommandError::environment)
    }

    /// Connects to the cluster, with a workshop for images.
    pub(crate) async fn target(&self, workspace: &Workspace) -> Result<Target, CommandError> {
        let (found, context) = self.context().await?;
        self.target_in(&found, &context, workspace).await
    }

    async fn target_in(
        &self,
        found: &Found,
        context: &Context,
        workspace: &Workspace,
    ) -> Result<Target, CommandError> {
        let cluster = self.cluster(context, &workspace.stack.namespace).await?;
        let (architecture, advertised) = tokio::try_join!(
            observe::architecture(&cluster),
            self.advertised(&cluster, context)
        )
        .map_err(|error| unreachable(error, &context.name))?;
        let workshop = Workshop::new(Surroundings {
            kind: &context.kind,
            profile: found.profile(&context.kind),
            advertised: advertised.as_deref(),
            asked: self.global.registry.as_ref(),
            architecture: &architecture,
            cache: self.cache(),
            runner: Self::runner(),
            machine: self.machine(),
            lock: workspace.lock.clone(),
            tell: self.tell(),
        })
        .await;
        Ok(Target { cluster, workshop })
    }

    /// What a cluster says of a registry; it isn't asked where that changes nothing.
    async fn advertised(
        &self,
        cluster: &Cluster,
        context: &Context,
    ) -> Result<Option<String>, Request> {
        let mounted = matches!(context.kind, Kind::Embedded { images: Some(_) });
        if mounted || self.global.registry.is_some() {
            return Ok(None);
        }
        observe::local_registry(cluster).await
    }

    /// For what is said to people while an answer is being made.
    fn tell(&self) -> Tell {
        let ui = self.ui.clone();
        Tell::new(move |text| ui.say(&text))
    }

    /// Makes the bases that nobody else has.
    pub(crate) fn bootstrap(&self) -> Bootstrap {
        let store = self.environment.image_store.clone();
        Bootstrap::new(store, Cache::new(self.cache()), Self::runner(), self.tell())
    }

    /// Where and how services' own files are built.
    pub(crate) fn machine(&self) -> Machine {
        Machine {
            store: self.environment.image_store.clone(),
            outside: self.outside(),
            accounts: Credentials::new(self.environment.accounts.clone()),
        }
    }

    fn kubeconfig(&self) -> Result<Kubeconfig, CommandError> {
        let mut merged = Kubeconfig::default();
        for path in self.kubeconfigs().iter().filter(|path| path.exists()) {
            let read = Kubeconfig::read_from(path).map_err(CommandError::environment)?;
            merged = merged.merge(read).map_err(CommandError::environment)?;
        }
        Ok(merged)
    }

    /// What to type for another command about the same folder and cluster.
    pub(crate) fn typed(&self, rest: &str) -> String {
        let global = &self.global;
        let directory = global.directory.as_ref();
        let directory = directory.map(|path| path.display().to_string());
        let mut words = vec![quoted(&self.environment.program)];
        for (option, value) in [
            ("-C", &directory),
            ("--cluster", &global.cluster),
            ("--namespace", &global.namespace),
        ] {
            if let Some(value) = value {
                words.extend([option.to_owned(), quoted(value)]);
            }
        }
        words.push(rest.to_owned());
        words.join(" ")
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
        let started = mwctl_engine::clock::since_epoch().as_nanos();
        Identity {
            session: format!("{}-{process}-{started}", self.environment.user),
            owner,
            agent_digest: mwctl_engine::deploy::agent().digest.to_owned(),
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@,+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The cluster doesn't answer, or not to this account.
pub(crate) fn unreachable(
    error: impl std::error::Error + Send + Sync + 'static,
    context: &str,
) -> CommandError {
    let hint = mwctl_engine::kube::forbidden(&error);
    let hint = hint.unwrap_or_else(|| format!("kubectl --context {context} get nodes"));
    CommandError::environment(error).hint(hint)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_to_a_shell() {
        assert_eq!(quoted("target/debug/mwctl"), "target/debug/mwctl");
        assert_eq!(quoted("it's here"), "'it'\\''s here'");
        assert_eq!(quoted(""), "''");
    }
}
