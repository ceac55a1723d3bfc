//! A container that runs: its process, its log, and whoever is attached to it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use k8s_openapi::jiff::Timestamp;
use mwctl_container::{Running, Streams, Terminal};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::log::{Log, Stream};

/// How much an attached client may be behind, in pieces; what is older it doesn't see. The log has it.
const BEHIND: usize = 1024;

/// What is read at once.
const PIECE: usize = 32 * 1024;

/// A container that runs. Copies are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) running: Running,
    pub(crate) log: Arc<Log>,
    /// All output from now on.
    pub(crate) output: broadcast::Sender<(Stream, Bytes)>,
    /// What it reads, if it reads anything: one client at a time.
    pub(crate) stdin: Option<Arc<Mutex<Option<pipe::Sender>>>>,
    pub(crate) terminal: bool,
    /// What a further process in it has.
    pub(crate) environment: Arc<mwctl_container::Process>,
    pub(crate) stop_signal: i32,
}

/// A process that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Bound(pub(crate) Running);

impl Drop for Bound {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// Our ends of a container's streams.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    stdin: Option<OwnedFd>,
    out: Vec<(Stream, OwnedFd)>,
}

/// The streams of a container that isn't begun yet: its ends and ours.
pub(crate) fn streams(stdin: bool, terminal: bool) -> io::Result<(Streams, Ends)> {
    let mut theirs = Streams::default();
    let mut ours = Ends::default();
    if terminal {
        theirs.terminal = Some(Terminal { size: None });
        return Ok((theirs, ours));
    }
    if stdin {
        let (read, write) = io::pipe()?;
        theirs.stdin = Some(read.into());
        ours.stdin = Some(write.into());
    }
    for (stream, end) in [
        (Stream::Out, &mut theirs.stdout),
        (Stream::Err, &mut theirs.stderr),
    ] {
        let (read, write) = io::pipe()?;
        *end = Some(write.into());
        ours.out.push((stream, read.into()));
    }
    Ok((theirs, ours))
}

/// Begins to read what a container writes. The tasks end when nobody holds the other ends any more.
pub(crate) fn pump(
    ends: Ends,
    terminal: Option<&Arc<OwnedFd>>,
    log: &Arc<Log>,
    output: &broadcast::Sender<(Stream, Bytes)>,
) -> io::Result<(JoinSet<()>, Option<pipe::Sender>)> {
    let mut tasks = JoinSet::new();
    let mut stdin = ends.stdin.map(sender).transpose()?;
    let mut sources = ends.out;
    if let Some(terminal) = terminal {
        sources.push((Stream::Out, terminal.try_clone()?));
        stdin = Some(sender(terminal.try_clone()?)?);
    }
    for (stream, source) in sources {
        let mut source = receiver(source)?;
        let (log, output) = (log.clone(), output.clone());
        tasks.spawn(async move {
            let mut buffer = vec![0; PIECE];
            loop {
                // A terminal whose other side is gone says so with an error.
                let Ok(length @ 1..) = source.read(&mut buffer).await else {
                    return;
                };
                let piece = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                if let Err(error) = log.write(stream, &piece, Timestamp::now()) {
                    tracing::warn!(log = %log.path().display(), "the log can't be written: {error}");
                }
                // Nobody needs to be attached.
                drop(output.send((stream, piece)));
            }
        });
    }
    Ok((tasks, stdin))
}

/// An end that is read; a terminal's side serves, too.
pub(crate) fn receiver(file: OwnedFd) -> io::Result<pipe::Receiver> {
    nonblocking(&file)?;
    pipe::Receiver::from_owned_fd_unchecked(file)
}

/// An end that is written.
pub(crate) fn sender(file: OwnedFd) -> io::Result<pipe::Sender> {
    nonblocking(&file)?;
    pipe::Sender::from_owned_fd_unchecked(file)
}

fn nonblocking(file: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    Ok(rustix::fs::fcntl_setfl(
        file,
        flags | rustix::fs::OFlags::NONBLOCK,
    )?)
}

pub(crate) fn output() -> broadcast::Sender<(Stream, Bytes)> {
    broadcast::Sender::new(BEHIND)
}
