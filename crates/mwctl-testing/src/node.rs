//! A cluster with a node, in a process of its own: the test's program once more, which never comes to its `main` (see [`own`]).
//!
//! A node needs a process that had one thread at its begin, to be root of a user namespace; a test's process has many. What starts the
//! containers is carried in memory. So nothing has to be installed, and of a test that is killed nothing is left: the process sees the
//! end of its input.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

mod own;

/// What the process says that goes wrong.
const LOG: &str = "log";

/// A cluster with a node can't be had.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its process can't be started.
    #[error("the node's process can't be started")]
    Start(#[source] io::Error),
    /// It ended before the cluster could be used.
    #[error("the node doesn't start: {0}")]
    Ended(String),
    /// The cluster can't be spoken to.
    #[error("the node's cluster can't be spoken to")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The cluster's process, and the way to it. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    kubeconfig: PathBuf,
    config: Config,
    // In this order: nobody writes to the folder when it goes.
    _running: Running,
    _folder: TempDir,
}

#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its input is what it waits for. It gives itself a time to end in.
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

impl Process {
    pub(crate) async fn start() -> Result<Self, NodeError> {
        let folder = TempDir::with_prefix("mwctl-testing-").map_err(NodeError::Start)?;
        let path = folder.path().to_owned();
        let spawned = tokio::task::spawn_blocking(move || spawn(&path)).await;
        let spawned = spawned.map_err(io::Error::other).flatten();
        let (running, said) = spawned.map_err(NodeError::Start)?;
        let kubeconfig = PathBuf::from(said.trim());
        if kubeconfig.as_os_str().is_empty() {
            // So that all is written that it has to say.
            drop(running);
            let log = std::fs::read_to_string(folder.path().join(LOG));
            return Err(NodeError::Ended(log.unwrap_or_default().trim().to_owned()));
        }
        let config = config(&kubeconfig).await.map_err(NodeError::Client)?;
        Ok(Self {
            kubeconfig,
            config,
            _running: running,
            _folder: folder,
        })
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What makes a client, in any runtime.
    pub(crate) fn clients(&self) -> impl Fn() -> Client + Send + 'static {
        let config = self.config.clone();
        move || Client::try_from(config.clone()).expect("the first client could be made of it")
    }
}

async fn config(kubeconfig: &Path) -> Result<Config, Box<dyn std::error::Error + Send + Sync>> {
    mwctl_engine::tls::install_provider();
    let read = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    // What can't be used is told now, and not when it is.
    Client::try_from(config.clone())?;
    Ok(config)
}

/// Starts this program as the process of a cluster, and waits until it says where its kubeconfig is.
#[expect(
    clippy::disallowed_methods,
    reason = "this very program, which is no external one"
)]
fn spawn(folder: &Path) -> io::Result<(Running, String)> {
    let mut child = Command::new("/proc/self/exe")
        .arg0(own::NAME)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(folder.join(LOG))?)
        .spawn()?;
    let stdout = child.stdout.take();
    let running = Running(child);
    let mut line = String::new();
    if let Some(stdout) = stdout {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    Ok((running, line))
}
