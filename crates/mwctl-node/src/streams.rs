//! What a node offers for its pods to whoever asks in the cluster's name: logs, commands, the containers' own streams, ports. Who may
//! ask is decided before.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream};
use mwctl_container::{End, Process, Size, Streams, Terminal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::io::StreamReader;

use crate::attachment::Through;
use crate::context::Context;
use crate::log::{self, Query, Stream};
use crate::pod::begin::chain;
use crate::pod::environment::TERMINAL;
use crate::pod::live::{self, Bound, Live};

/// One container of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// The container's name.
    pub container: String,
}

/// Which streams somebody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is wanted or not, whatever the others are"
)]
pub struct Wanted {
    /// To write to it.
    pub stdin: bool,
    /// To read its output.
    pub stdout: bool,
    /// To read its errors.
    pub stderr: bool,
    /// A terminal.
    pub terminal: bool,
}

/// What can't be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StreamError {
    /// It isn't there, or not any more.
    #[error("{0}")]
    NotFound(String),
    /// It can't be done so.
    #[error("{0}")]
    Refused(String),
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// A process with its streams. Dropping it ends a command, and leaves a container's own process alone.
pub struct Session {
    /// What it reads.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// What it writes.
    pub stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// What it writes as errors.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Tells its terminal the number of rows and columns.
    pub resize: Option<Box<dyn Fn(u16, u16) + Send>>,
    /// Its exit code; 128 and the signal's number for one that was killed.
    pub exit: BoxFuture<'static, i32>,
}

/// The streams of a node's pods. Copies are the same.
#[derive(Clone, Debug)]
pub struct NodeStreams {
    pub(crate) context: Arc<Context>,
}

impl NodeStreams {
    /// The log of a container, in pieces that need not end with a line.
    pub async fn log(
        &self,
        place: &Place,
        query: Query,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>, StreamError> {
        let folder = log::folder(
            &self.context.options.logs,
            &place.namespace,
            &place.pod,
            &place.uid,
            &place.container,
        );
        let live = self.context.live(&place.uid, &place.container);
        let attempts = attempts(&folder).await;
        let newest = attempts.first().copied();
        if query.previous {
            let Some(attempt) = attempts.get(1) else {
                return Err(StreamError::Refused(format!(
                    "previous terminated container {:?} in pod {:?} not found",
                    place.container, place.pod
                )));
            };
            return Ok(log::read(&log::file(&folder, *attempt), query, None));
        }
        let Some(attempt) = newest else {
            return Err(StreamError::Refused(format!(
                "container {:?} in pod {:?} is waiting to start: ContainerCreating",
                place.container, place.pod
            )));
        };
        let written = live.map(|live| live.log.follow());
        Ok(log::read(&log::file(&folder, attempt), query, written))
    }

    /// Runs a command in a container.
    pub async fn exec(
        &self,
        place: &Place,
        command: &[String],
        wanted: Wanted,
    ) -> Result<Session, StreamError> {
        let live = self.running(place)?;
        let mut process = Process {
            arguments: command.to_vec(),
            ..(*live.environment).clone()
        };
        let has_kind = |lines: &[String]| lines.iter().any(|line| line.starts_with("TERM="));
        if wanted.terminal && !has_kind(&process.environment) {
            process.environment.push(format!("TERM={TERMINAL}"));
        }
        let failed = |error: io::Error| StreamError::Failed(error.to_string());
        let mut theirs = Streams::default();
        let (mut stdin, mut stdout, mut stderr) = (None, None, None);
        if wanted.terminal {
            theirs.terminal = Some(Terminal { size: None });
        } else {
            if wanted.stdin {
                let (read, write) = io::pipe().map_err(failed)?;
                theirs.stdin = Some(read.into());
                stdin = Some(write.into());
            }
            if wanted.stdout {
                let (read, write) = io::pipe().map_err(failed)?;
                theirs.stdout = Some(write.into());
                stdout = Some(read.into());
            }
            if wanted.stderr {
                let (read, write) = io::pipe().map_err(failed)?;
                theirs.stderr = Some(write.into());
                stderr = Some(read.into());
            }
        }
        let running = live
            .running
            .enter(process, theirs)
            .await
            .map_err(|error| StreamError::Failed(chain(&error)))?;
        if let Some(terminal) = running.terminal() {
            stdin = wanted
                .stdin
                .then(|| terminal.try_clone())
                .transpose()
                .map_err(failed)?;
            stdout = wanted
                .stdout
                .then(|| terminal.try_clone())
                .transpose()
                .map_err(failed)?;
        }
        let resize: Option<Box<dyn Fn(u16, u16) + Send>> =
            running.terminal().map(|_| resizer(running.clone()));
        let bound = Bound(running);
        Ok(Session {
            stdin: stdin.map(writer).transpose().map_err(failed)?,
            stdout: stdout.map(reader).transpose().map_err(failed)?,
            stderr: stderr.map(reader).transpose().map_err(failed)?,
            resize,
            exit: async move { code(bound.0.ended().await) }.boxed(),
        })
    }

    /// Joins the streams of the container's own process.
    pub fn attach(&self, place: &Place, wanted: Wanted) -> Result<Session, StreamError> {
        let live = self.running(place)?;
        let stdin = match &live.stdin {
            Some(stdin) if wanted.stdin => slot(stdin).take(),
            _ => None,
        };
        let back = live.stdin.clone();
        let running = live.running.clone();
        let resize: Option<Box<dyn Fn(u16, u16) + Send>> =
            live.terminal.then(|| resizer(running.clone()));
        let stdin = stdin.zip(back).map(|(stdin, back)| {
            Box::new(Borrowed {
                stdin: Some(stdin),
                back,
            }) as _
        });
        let side = |wanted: bool, stream| wanted.then(|| follow(&live, stream));
        Ok(Session {
            stdin,
            stdout: side(wanted.stdout, Stream::Out),
            stderr: side(wanted.stderr && !live.terminal, Stream::Err),
            resize,
            exit: async move { code(running.ended().await) }.boxed(),
        })
    }

    /// Connects to a port of a pod, as its own loopback reaches it.
    pub async fn connect(&self, uid: &str, port: u16) -> io::Result<TcpStream> {
        self.context
            .networks
            .connect(uid, port, Through::Loopback)
            .await
    }

    fn running(&self, place: &Place) -> Result<Live, StreamError> {
        let live = self.context.live(&place.uid, &place.container);
        live.ok_or_else(|| {
            StreamError::NotFound(format!("container not found (\"{}\")", place.container))
        })
    }
}

/// The starts of a container that have a log, the newest first.
async fn attempts(folder: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    if let Ok(mut entries) = tokio::fs::read_dir(folder).await {
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name();
            found.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(".log")?.parse::<u32>().ok()),
            );
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

fn code(end: End) -> i32 {
    match end {
        End::Code(code) => i32::from(code),
        End::Signal(number) => 128 + number,
    }
}

fn resizer(running: mwctl_container::Running) -> Box<dyn Fn(u16, u16) + Send> {
    Box::new(move |rows, columns| {
        if let Err(error) = running.resize(Size { rows, columns }) {
            tracing::debug!("a terminal keeps its size: {error}");
        }
    })
}

fn writer(file: OwnedFd) -> io::Result<Box<dyn AsyncWrite + Send + Unpin>> {
    Ok(Box::new(live::sender(file)?))
}

/// A terminal whose other side is gone says so with an error, which is the end here.
fn reader(file: OwnedFd) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
    let source = live::receiver(file)?;
    let pieces = stream::unfold(source, |mut source| async move {
        let mut buffer = vec![0; 32 * 1024];
        match source.read(&mut buffer).await {
            Ok(length @ 1..) => {
                buffer.truncate(length);
                Some((Ok::<_, io::Error>(Bytes::from(buffer)), source))
            }
            _ => None,
        }
    });
    Ok(Box::new(StreamReader::new(Box::pin(pieces))))
}

/// What a container writes from now on.
fn follow(live: &Live, wanted: Stream) -> Box<dyn AsyncRead + Send + Unpin> {
    let pieces = stream::unfold(live.output.subscribe(), move |mut output| async move {
        loop {
            match output.recv().await {
                Ok((stream, piece)) if stream == wanted => {
                    return Some((Ok::<_, io::Error>(piece), output));
                }
                // Whoever is too slow misses some; the log has it.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Box::new(StreamReader::new(Box::pin(pieces)))
}

fn slot(stdin: &Mutex<Option<pipe::Sender>>) -> MutexGuard<'_, Option<pipe::Sender>> {
    stdin.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The input of a container, which is given back when the client goes: the container may be attached to again.
struct Borrowed {
    stdin: Option<pipe::Sender>,
    back: Arc<Mutex<Option<pipe::Sender>>>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        *slot(&self.back) = self.stdin.take();
    }
}

impl AsyncWrite for Borrowed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_write(task, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("terminal", &self.resize.is_some())
            .finish_non_exhaustive()
    }
}
