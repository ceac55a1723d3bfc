//! Network namespaces: making one, working in one. A namespace belongs to a thread, so whatever is to happen inside has a thread there.
//!
//! A socket stays in the namespace of the thread that made it, so one that was made here is used from anywhere.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

/// Enough for a thread that makes system calls.
const STACK: usize = 256 << 10;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A thread that stays in a namespace of its own, with a state that only it touches. It ends with the last handle.
#[derive(Debug)]
pub(crate) struct Resident<S> {
    jobs: mpsc::Sender<Job<S>>,
}

impl<S> Clone for Resident<S> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
        }
    }
}

impl<S: 'static> Resident<S> {
    /// Makes a namespace and prepares it and the state inside.
    pub(crate) fn start(
        name: &str,
        prepare: impl FnOnce() -> io::Result<S> + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, todo) = mpsc::channel::<Job<S>>();
        let (ready_tx, ready_rx) = mpsc::channel();
        spawn(name, move || {
            let prepared = enter_new().and_then(|_| prepare());
            match prepared {
                Ok(mut state) => {
                    ready_tx.send(Ok(())).ok();
                    for job in todo {
                        job(&mut state);
                    }
                }
                Err(error) => {
                    ready_tx.send(Err(error)).ok();
                }
            }
        })?;
        ready_rx.recv().map_err(|_| gone())??;
        Ok(Self { jobs })
    }

    /// Does something inside and waits for it without blocking the runtime. It is done even if nobody waits any more.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let (done_tx, done_rx) = oneshot::channel();
        self.order(Box::new(move |state| {
            done_tx.send(work(state)).ok();
        }))?;
        done_rx.await.map_err(|_| gone())?
    }

    /// The same, for a thread that may block.
    pub(crate) fn run_blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let (done_tx, done_rx) = mpsc::channel();
        self.order(Box::new(move |state| {
            done_tx.send(work(state)).ok();
        }))?;
        done_rx.recv().map_err(|_| gone())?
    }

    fn order(&self, job: Job<S>) -> io::Result<()> {
        self.jobs.send(job).map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread of the network namespace has ended")
}

/// Does something on a thread of its own in a new namespace. The namespace lives on as long as the descriptor or a process in it.
pub(crate) async fn in_new<R: Send + 'static>(
    work: impl FnOnce(BorrowedFd<'_>) -> io::Result<R> + Send + 'static,
) -> io::Result<(OwnedFd, R)> {
    on_thread(move || {
        let namespace = enter_new()?;
        let answer = work(namespace.as_fd())?;
        Ok((namespace, answer))
    })
    .await
}

/// Does something on a thread of its own in a namespace that is there.
pub(crate) async fn within<R: Send + 'static>(
    namespace: OwnedFd,
    work: impl FnOnce(BorrowedFd<'_>) -> io::Result<R> + Send + 'static,
) -> io::Result<(OwnedFd, R)> {
    on_thread(move || {
        rustix::thread::move_into_link_name_space(
            namespace.as_fd(),
            Some(LinkNameSpaceType::Network),
        )?;
        let answer = work(namespace.as_fd())?;
        Ok((namespace, answer))
    })
    .await
}

/// Opens a connection from within a namespace.
pub(crate) async fn connect_in(
    namespace: OwnedFd,
    to: std::net::SocketAddrV4,
) -> io::Result<TcpStream> {
    let socket = on_thread(move || {
        rustix::thread::move_into_link_name_space(
            namespace.as_fd(),
            Some(LinkNameSpaceType::Network),
        )?;
        tcp_socket()
    })
    .await?;
    connect(socket, to).await
}

/// Connects a socket of [`tcp_socket`].
pub(crate) async fn connect(socket: OwnedFd, to: std::net::SocketAddrV4) -> io::Result<TcpStream> {
    let stream = TcpSocket::from_std_stream(socket.into())
        .connect(to.into())
        .await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// An unconnected socket of the calling thread's namespace.
pub(crate) fn tcp_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    Ok(socket)
}

/// Sets a value below `/proc/sys/net`, which shows the namespace of the thread that opens it.
pub(crate) fn set(key: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/net/{key}"), value)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot set net/{key}: {error}")))
}

async fn on_thread<R: Send + 'static>(
    work: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let (done_tx, done_rx) = oneshot::channel();
    spawn("netns", move || {
        done_tx.send(work()).ok();
    })?;
    done_rx.await.map_err(|_| gone())?
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    // Nobody joins it: who waits for its answer waits on a channel.
    drop(thread.stack_size(STACK).spawn(work)?);
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "the calling thread gets a network namespace of its own"
)]
fn enter_new() -> io::Result<OwnedFd> {
    // SAFETY: a network namespace is per thread and shares no memory; nothing else is unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}
