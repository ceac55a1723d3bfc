//! What the API server asks of a node, in the words of the node. Translates, and decides nothing.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use mwctl_apiserver::backend::{
    Backend, Connection, ContainerRef, Exit, Log, LogOptions, LogSource, Meter, NodeUsage, PodRef,
    Process, Streams, TerminalSize, Usage,
};
use mwctl_apiserver::status::Status;
use mwctl_node::log::{Query, Stream};
use mwctl_node::meter::{NodeMeter, Use};
use mwctl_node::streams::{NodeStreams, Place, Session, StreamError, Wanted};
use serde::Deserialize as _;
use serde_json::Value;

/// A node's streams and its meter, for the API server of its cluster.
pub(super) struct NodeBackend {
    streams: NodeStreams,
    meter: NodeMeter,
}

impl NodeBackend {
    pub(super) fn new(streams: NodeStreams, meter: NodeMeter) -> Self {
        Self { streams, meter }
    }
}

#[async_trait]
impl Backend for NodeBackend {
    async fn log(&self, container: &ContainerRef, options: &LogOptions) -> Result<Log, Status> {
        let query = Query {
            follow: options.follow,
            previous: options.previous,
            since: options.since,
            timestamps: options.timestamps,
            tail: options.tail,
            limit: options.limit,
            stream: match options.source {
                LogSource::All => None,
                LogSource::Stdout => Some(Stream::Out),
                LogSource::Stderr => Some(Stream::Err),
            },
        };
        self.streams
            .log(&place(container), query)
            .await
            .map_err(refused)
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        argv: &[String],
        streams: Streams,
    ) -> Result<Process, Status> {
        let place = place(container);
        let session = self.streams.exec(&place, argv, wanted(streams)).await;
        session.map(process).map_err(refused)
    }

    async fn attach(&self, container: &ContainerRef, streams: Streams) -> Result<Process, Status> {
        let session = self.streams.attach(&place(container), wanted(streams));
        session.map(process).map_err(refused)
    }

    async fn connect(&self, pod: &PodRef, port: u16) -> Result<Connection, Status> {
        let connected = self.streams.connect(&pod.uid, port).await;
        let connected = connected.map_err(|error| {
            let name = &pod.name;
            Status::internal(format!(
                "pod {name:?} doesn't answer at port {port}: {error}"
            ))
        })?;
        Ok(Box::new(connected))
    }

    fn refusal(&self, pod: &Value) -> Option<String> {
        // What isn't written as a pod is refused for that.
        let pod = Pod::deserialize(pod).ok()?;
        mwctl_node::never_runs(&pod)
    }

    fn meter(&self) -> Option<&dyn Meter> {
        Some(self)
    }
}

#[async_trait]
impl Meter for NodeBackend {
    async fn usage(&self) -> Result<NodeUsage, Status> {
        let used = self.meter.usage().await;
        let used = used.ok_or_else(|| Status::internal("the node has ended"))?;
        let containers = used.containers.iter();
        Ok(NodeUsage {
            at: used.at,
            window: used.window,
            node: usage(used.node),
            containers: containers
                .map(|(place, used)| (place.clone(), usage(*used)))
                .collect(),
        })
    }
}

fn usage(used: Use) -> Usage {
    Usage {
        processors: used.processors,
        memory: used.memory,
    }
}

fn place(container: &ContainerRef) -> Place {
    let pod = &container.pod;
    Place {
        namespace: pod.namespace.clone(),
        pod: pod.name.clone(),
        uid: pod.uid.clone(),
        container: container.name.clone(),
    }
}

fn wanted(streams: Streams) -> Wanted {
    Wanted {
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
        terminal: streams.tty,
    }
}

fn process(session: Session) -> Process {
    let resize = session.resize.map(|resize| {
        let sized = move |size: TerminalSize| resize(size.height, size.width);
        Box::new(sized) as Box<dyn Fn(TerminalSize) + Send>
    });
    Process {
        stdin: session.stdin,
        stdout: session.stdout,
        stderr: session.stderr,
        resize,
        exit: Box::pin(async move { Exit::Code(session.exit.await) }),
    }
}

fn refused(error: StreamError) -> Status {
    match error {
        StreamError::NotFound(message) => Status::new(404, "NotFound", message),
        StreamError::Refused(message) => Status::bad_request(message),
        StreamError::Failed(message) => Status::internal(message),
    }
}
