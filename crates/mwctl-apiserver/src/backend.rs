//! What a node offers for its pods: their logs, commands in their containers, connections to their ports. The server checks who asks and
//! for which pod, speaks WebSocket and SPDY with the client, and leaves the rest to the node's [`Backend`], as kube-apiserver does with
//! kubelets. It starts no process and opens no file itself.

use crate::status::Status;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::Value;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// One node's answers to questions about its pods.
///
/// Each is asked after the server has found the pod on that node, and a container of that name in it. A refusal is sent to the client as it is.
/// Whatever is returned is dropped when the client goes away; that is all a backend hears of it.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The log of a container, in pieces that need not end with a line.
    async fn log(&self, container: &ContainerRef, options: &LogOptions) -> Result<Log, Status>;

    /// Starts a command in a running container. `argv` is not empty.
    async fn exec(
        &self,
        container: &ContainerRef,
        argv: &[String],
        streams: Streams,
    ) -> Result<Process, Status>;

    /// Joins the streams of the container's own first process.
    async fn attach(&self, container: &ContainerRef, streams: Streams) -> Result<Process, Status>;

    /// Connects to a port in the pod's network, as its own loopback reaches it.
    async fn connect(&self, pod: &PodRef, port: u16) -> Result<Connection, Status>;

    /// Why the node would never run such a pod, whatever happens; `None` where it would. Nothing waits for the answer to be found out.
    fn refusal(&self, _pod: &Value) -> Option<String> {
        None
    }

    /// Who measures what is used on the node. Without one on any node the cluster has no `metrics.k8s.io`.
    fn meter(&self) -> Option<&dyn Meter> {
        None
    }
}

/// What is used on a node.
#[async_trait]
pub trait Meter: Send + Sync {
    /// What is used now.
    async fn usage(&self) -> Result<NodeUsage, Status>;
}

/// How much is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the processors, in billionths of one.
    pub processors: u64,
    /// Of memory, in bytes.
    pub memory: u64,
}

/// What was used on a node for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeUsage {
    /// The end of it.
    pub at: jiff::Timestamp,
    /// How long it was.
    pub window: Duration,
    /// The node itself.
    pub node: Usage,
    /// Containers that run, by their pod's uid and their name.
    pub containers: HashMap<(String, String), Usage>,
}

/// A log under way.
pub type Log = BoxStream<'static, io::Result<Bytes>>;

/// Bytes from a process.
pub type Output = Box<dyn AsyncRead + Send + Unpin>;

/// Bytes to a process.
pub type Input = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection to a port.
pub type Connection = Box<dyn Duplex>;

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRef {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

/// A container of a pod, an init container or an ephemeral one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRef {
    /// The pod.
    pub pod: PodRef,
    /// The container's name.
    pub name: String,
}

/// Which part of a log is wanted (`core/v1 PodLogOptions`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on with what is written later, until the container ends.
    pub follow: bool,
    /// That of the instance before the last restart.
    pub previous: bool,
    /// Only what was written since; none for everything.
    pub since: Option<jiff::Timestamp>,
    /// Each line begins with the time it was written at.
    pub timestamps: bool,
    /// Only so many lines at the end; none for all.
    pub tail: Option<u64>,
    /// Only so many bytes; none for all.
    pub limit: Option<u64>,
    /// Which of the streams.
    pub source: LogSource,
}

/// Which of a container's streams a log shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogSource {
    /// Both, as they came.
    #[default]
    All,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Which streams a client wants. At least one of the three is.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is there or not, whatever the others are"
)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error; never together with a terminal, on which both are one.
    pub stderr: bool,
    /// A terminal.
    pub tty: bool,
}

/// A process as its client has it.
pub struct Process {
    /// Standard input, if it was wanted; closed when the client closes its own.
    pub stdin: Option<Input>,
    /// Standard output, if it was wanted.
    pub stdout: Option<Output>,
    /// Standard error, if it was wanted.
    pub stderr: Option<Output>,
    /// Tells the terminal its size, if there is one.
    pub resize: Option<Box<dyn Fn(TerminalSize) + Send>>,
    /// How it ends. It is polled while the streams are carried; what they still hold then is carried first.
    pub exit: BoxFuture<'static, Exit>,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this code; 128 and the signal's number for one that was killed.
    Code(i32),
    /// Nobody knows, because of this.
    Lost(String),
}

/// The nodes that have a backend in this process. A clone is the same set.
#[derive(Clone, Default)]
pub struct Backends(Arc<Mutex<HashMap<String, Arc<dyn Backend>>>>);

/// A backend's place among the others, which it leaves when this is dropped.
#[derive(Debug)]
#[must_use = "the node leaves when this is dropped"]
pub struct Registration {
    backends: Weak<Mutex<HashMap<String, Arc<dyn Backend>>>>,
    node: String,
    backend: Weak<dyn Backend>,
}

impl Backends {
    /// Makes a backend answer for a node, instead of one that did so before.
    pub fn register(&self, node: impl Into<String>, backend: Arc<dyn Backend>) -> Registration {
        let node = node.into();
        let registration = Registration {
            backends: Arc::downgrade(&self.0),
            node: node.clone(),
            backend: Arc::downgrade(&backend),
        };
        lock(&self.0).insert(node, backend);
        registration
    }

    /// The backends that measure, by their nodes.
    pub fn meters(&self) -> Vec<(String, Arc<dyn Backend>)> {
        (lock(&self.0).iter())
            .filter(|(_, backend)| backend.meter().is_some())
            .map(|(node, backend)| (node.clone(), backend.clone()))
            .collect()
    }

    /// Why no node would ever run such a pod, as one of them says it; `None` where one would, and where there is none here.
    pub fn refusal(&self, pod: &Value) -> Option<String> {
        let backends: Vec<Arc<dyn Backend>> = lock(&self.0).values().cloned().collect();
        let refusals: Option<Vec<String>> = backends.iter().map(|it| it.refusal(pod)).collect();
        refusals?.into_iter().next()
    }

    /// The backend of a node.
    pub fn of(&self, node: &str) -> Option<Arc<dyn Backend>> {
        lock(&self.0).get(node).cloned()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(backends) = self.backends.upgrade() else {
            return;
        };
        let mut backends = lock(&backends);
        let mine =
            |known: &Arc<dyn Backend>| std::ptr::addr_eq(Arc::as_ptr(known), self.backend.as_ptr());
        if backends.get(&self.node).is_some_and(mine) {
            backends.remove(&self.node);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // One insertion or removal is all that happens under it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for dyn Backend {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Backend")
    }
}

impl std::fmt::Debug for Backends {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(lock(&self.0).keys()).finish()
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Process")
            .field("stdin", &self.stdin.is_some())
            .field("stdout", &self.stdout.is_some())
            .field("stderr", &self.stderr.is_some())
            .field("tty", &self.resize.is_some())
            .finish_non_exhaustive()
    }
}

impl Exit {
    /// What the client is told: Kubernetes' protocols carry it as a `Status` of its own.
    pub(crate) fn to_status(&self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::Code(0) => json!({"metadata": {}, "status": "Success"}),
            Self::Code(code) => {
                let message =
                    format!("command terminated with non-zero exit code: exit status {code}");
                let cause = json!({"reason": "ExitCode", "message": code.to_string()});
                json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message,
                    "details": {"causes": [cause]}})
            }
            Self::Lost(why) => Status::internal(why.as_str()).to_value(),
        }
    }
}
