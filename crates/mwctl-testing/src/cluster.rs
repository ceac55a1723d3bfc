//! The cluster of a test.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::PostParams;
use mwctl_apiserver::server::{Endpoint, Server};
use mwctl_apiserver::status::Status;
use mwctl_controllers::Controllers;
use tempfile::TempDir;

use crate::background::Background;
use crate::{evidence, name};

/// A Kubernetes API of one's own.
///
/// Dropping it ends all of it. When the test has failed, its objects are written to a folder first, which is printed.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct TestCluster {
    api: Api,
    test: String,
}

/// Where the API is.
#[derive(Debug)]
enum Api {
    /// In this process.
    Here(Box<Here>),
    /// In a process of its own, beside a node.
    #[cfg(feature = "node")]
    There(Box<crate::node::Process>),
}

#[derive(Debug)]
struct Here {
    server: Server,
    shared: OnceLock<Shared>,
    _controllers: Option<mwctl_controllers::Handle>,
    /// The last to go: what is above runs on it.
    background: Background,
}

/// What runs beside the API.
#[derive(Clone, Debug)]
pub struct Options {
    controllers: bool,
    simulate_pods: bool,
}

/// The API over a socket, for other programs.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    _folder: TempDir,
    _endpoint: Endpoint,
}

/// A cluster that doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There can be no thread for it.
    #[error("the cluster gets no thread of its own")]
    Thread(#[from] io::Error),
    /// There can be no certificate for it.
    #[error("the cluster gets no certificate")]
    Authority(#[source] io::Error),
    /// The API has no beginning.
    #[error("the API doesn't start")]
    Api(#[from] Status),
    /// The controllers don't run.
    #[error("the controllers don't start")]
    Controllers(#[from] mwctl_controllers::StartError),
    /// There is no node.
    #[cfg(feature = "node")]
    #[error(transparent)]
    Node(#[from] crate::node::NodeError),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            controllers: true,
            simulate_pods: false,
        }
    }
}

impl Options {
    /// Pods become `Running` and ready at once, though nothing runs in them: for those who test controllers.
    #[must_use]
    pub fn simulate_pods(mut self) -> Self {
        self.simulate_pods = true;
        self
    }

    /// Nothing happens that the test doesn't do: the API alone.
    #[must_use]
    pub fn without_controllers(mut self) -> Self {
        self.controllers = false;
        self
    }

    /// Starts a cluster so.
    pub async fn start(self) -> Result<TestCluster, StartError> {
        let background = Background::start()?;
        let server = Server::new()?;
        let mut controllers = None;
        if self.controllers
            && let Some(runtime) = background.handle()
        {
            let mut options =
                mwctl_controllers::Options::default().simulate_pods(self.simulate_pods);
            options.settings.root_certificate = Some(
                server
                    .authority()
                    .map_err(StartError::Authority)?
                    .to_owned(),
            );
            let server = server.clone();
            // Made on that runtime, whose client lives there too.
            let started = runtime
                .spawn(async move { Controllers::start(server.client(), options).await })
                .await
                .map_err(io::Error::other)?;
            controllers = Some(started?);
        }
        Ok(TestCluster {
            api: Api::Here(Box::new(Here {
                server,
                shared: OnceLock::new(),
                _controllers: controllers,
                background,
            })),
            test: name::of_this_test(),
        })
    }
}

impl TestCluster {
    /// Starts a cluster with Kubernetes' usual controllers, whose pods stay `Pending`.
    pub async fn start() -> Result<Self, StartError> {
        Options::default().start().await
    }

    /// Starts a cluster whose pods are containers of this machine: real processes with a network, services, names and logs.
    ///
    /// An image is this machine itself (`mwctl.local/host`), or one of the user's store, which pulls what it lacks.
    #[cfg(feature = "node")]
    pub async fn with_node() -> Result<Self, StartError> {
        Ok(Self {
            api: Api::There(Box::new(crate::node::Process::start().await?)),
            test: name::of_this_test(),
        })
    }

    /// A client that may do everything. It belongs to the runtime it is made in; without a node it goes through memory.
    ///
    /// # Panics
    ///
    /// With a node: outside of a runtime.
    pub fn client(&self) -> Client {
        match &self.api {
            Api::Here(here) => here.server.client(),
            #[cfg(feature = "node")]
            Api::There(there) => (there.clients())(),
        }
    }

    /// The test's namespace, named after the test and made when it is first asked for.
    pub async fn namespace(&self) -> Result<String, kube::Error> {
        let namespaces: kube::Api<Namespace> = kube::Api::all(self.client());
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(self.test.clone());
        match namespaces.create(&PostParams::default(), &namespace).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        Ok(self.test.clone())
    }

    /// The kubeconfig for other programs, which reach the API at a port of this machine that it gets when this is first asked.
    pub async fn kubeconfig(&self) -> io::Result<&Path> {
        match &self.api {
            Api::Here(here) => here.kubeconfig(&self.test).await,
            #[cfg(feature = "node")]
            Api::There(there) => Ok(there.kubeconfig()),
        }
    }
}

impl Here {
    async fn kubeconfig(&self, test: &str) -> io::Result<&Path> {
        if let Some(shared) = self.shared.get() {
            return Ok(&shared.path);
        }
        let Some(runtime) = self.background.handle() else {
            return Err(io::Error::other("the cluster is over"));
        };
        let server = self.server.clone();
        let endpoint = runtime
            .spawn(async move { server.listen(0).await })
            .await??;
        let folder = TempDir::with_prefix("mwctl-testing-")?;
        let path = folder.path().join("kubeconfig");
        endpoint.kubeconfig().write(&path, test)?;
        let shared = Shared {
            path,
            _folder: folder,
            _endpoint: endpoint,
        };
        // Whoever asked at the same time may have been faster; then that one is it.
        Ok(&self.shared.get_or_init(|| shared).path)
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        match &self.api {
            Api::Here(here) => {
                let server = here.server.clone();
                evidence::keep(&self.test, move || server.client());
            }
            #[cfg(feature = "node")]
            Api::There(there) => evidence::keep(&self.test, there.clients()),
        }
    }
}
