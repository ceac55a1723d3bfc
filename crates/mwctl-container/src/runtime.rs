//! The zygote's owner: gives orders, and gives each answer to whoever waits for it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mwctl_zygote::protocol::{Message, Order, Process, Share, Task, Volume};
use mwctl_zygote::socket;
use tokio::sync::{oneshot, watch};

use crate::answers::Answers;
use crate::container::{Container, Shared, Streams};
use crate::ids::{Ids, Lack};
use crate::limits::{self, Groups};
use crate::lower::{self, Files, Paths};
use crate::running::{Begun, Running};
use crate::zygote::{self, StartError, Zygote};
use crate::{End, Failure};

/// How containers are run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The most that what containers write, and volumes, may hold in memory, in bytes; half of the machine's where it isn't said.
    pub memory: Option<u64>,
}

/// Containers on this machine. When the last copy of this goes, all of them end.
#[derive(Clone, Debug)]
pub struct Runtime(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    socket: OwnedFd,
    next: AtomicU64,
    answers: Arc<Answers>,
    paths: Paths,
    groups: Arc<Groups>,
    ids: Ids,
    lacks: Vec<Lack>,
    /// The process that waits for the zygote.
    launcher: u32,
    over: watch::Receiver<bool>,
}

/// Something couldn't be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step of it failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The limits can't be set.
    #[error("the limits can't be set")]
    Limits(#[source] io::Error),
    /// What it needs can't be opened.
    #[error("the container can't be described")]
    Describe(#[source] io::Error),
    /// The first process of all containers is gone, and they with it.
    #[error("all containers have ended")]
    Gone,
}

impl Error {
    /// The failed step, where the zygote named one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl Runtime {
    /// Starts the first process. What runtimes that are no more left behind is removed.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        limits::sweep();
        let (started_tx, started_rx) = oneshot::channel();
        // The kernel ends the zygote with the thread that started it, so that this one lives as long as the zygote shall.
        let serve = move || match zygote::start(options.memory) {
            Ok(zygote) => serve(zygote, started_tx),
            Err(error) => drop(started_tx.send(Err(error))),
        };
        std::thread::Builder::new()
            .name("mwctl-container".to_owned())
            .spawn(serve)
            .map_err(StartError::Process)?;
        started_rx.await.map_err(|_| StartError::Silent)?
    }

    /// Which user ids containers have.
    pub fn ids(&self) -> Ids {
        self.0.ids
    }

    /// What this machine doesn't let its user have.
    pub fn lacks(&self) -> &[Lack] {
        &self.0.lacks
    }

    /// Makes namespaces that several containers can join.
    pub async fn share(
        &self,
        network: bool,
        ipc: bool,
        hostname: Option<&str>,
    ) -> Result<Shared, Error> {
        let hostname = hostname.map(str::to_owned);
        let uts = hostname.is_some();
        let files = self
            .ask(
                Task::Share(Share {
                    network,
                    ipc,
                    hostname,
                }),
                &Files::default(),
            )
            .await?;
        let mut files = files.into_iter().map(Arc::new);
        let mut next = |wanted: bool| if wanted { files.next() } else { None };
        Ok(Shared {
            network: next(network),
            ipc: next(ipc),
            uts: next(uts),
        })
    }

    /// Opens a socket in a network namespace, as `socket(2)` does.
    pub async fn socket(
        &self,
        network: Arc<OwnedFd>,
        domain: i32,
        kind: i32,
        protocol: i32,
    ) -> Result<OwnedFd, Error> {
        let mut files = Files::default();
        let network = files.shared(network).map_err(Error::Describe)?;
        let made = self
            .ask(
                Task::Socket {
                    network,
                    domain,
                    kind,
                    protocol,
                },
                &files,
            )
            .await?;
        made.into_iter().next().ok_or(Error::Gone)
    }

    /// Makes a volume, or brings its files to what is given.
    pub async fn volume(&self, volume: Volume) -> Result<(), Error> {
        self.ask(Task::Volume(volume), &Files::default())
            .await
            .map(drop)
    }

    /// Removes a volume. What still uses it keeps it until its end.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        self.ask(
            Task::RemoveVolume {
                name: name.to_owned(),
            },
            &Files::default(),
        )
        .await
        .map(drop)
    }

    /// Removes what a container that has ended had written into memory.
    pub async fn remove(&self, container: &str) -> Result<(), Error> {
        self.ask(
            Task::Remove {
                name: container.to_owned(),
            },
            &Files::default(),
        )
        .await
        .map(drop)
    }

    /// Runs a container, and is back when its program has begun.
    ///
    /// Cancel safety: a container whose beginning nobody waits for is ended.
    pub async fn run(&self, container: Container) -> Result<Running, Error> {
        let Container {
            name,
            hostname,
            join,
            root,
            mounts,
            process,
            streams,
            limits,
        } = container;
        let mut files = Files::default();
        let made = self.0.groups.make(&name, &limits);
        let (group, doors) = made.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::Gone,
            _ => Error::Limits(error),
        })?;
        let mounts = self.0.groups.seen_by(&group, mounts);
        let describe = || -> io::Result<Task> {
            Ok(Task::Start(Box::new(mwctl_zygote::protocol::Container {
                name,
                join: lower::join(join, &mut files)?,
                hostname,
                root: self.0.paths.root(root, &mut files)?,
                mounts: self.0.paths.mounts(mounts, &mut files)?,
                process,
                streams: lower::streams(streams, self.0.ids, &mut files)?,
                limits: doors
                    .into_iter()
                    .map(|door| files.own(door))
                    .collect::<io::Result<_>>()?,
            })))
        };
        let task = describe().map_err(Error::Describe)?;
        self.begin(task, &files, Arc::new(group)).await
    }

    pub(crate) async fn enter(
        &self,
        container: &Running,
        process: Process,
        streams: Streams,
    ) -> Result<Running, Error> {
        let mut files = Files::default();
        let group = container.group().clone();
        let limits = group.doors().map_err(Error::Limits)?;
        let describe = || -> io::Result<Task> {
            Ok(Task::Enter {
                container: container.order(),
                process: Box::new(process),
                streams: lower::streams(streams, self.0.ids, &mut files)?,
                limits: limits
                    .into_iter()
                    .map(|door| files.own(door))
                    .collect::<io::Result<_>>()?,
            })
        };
        let task = describe().map_err(Error::Describe)?;
        self.begin(task, &files, group).await
    }

    pub(crate) async fn signal(&self, process: u64, signal: i32) -> Result<(), Error> {
        self.ask(Task::Signal { process, signal }, &Files::default())
            .await
            .map(drop)
    }

    /// Ends a process without waiting for anything. Where the zygote is gone nothing is left to be ended.
    pub(crate) fn kill(&self, process: u64) {
        kill(&self.0.socket, process);
    }

    async fn begin(
        &self,
        task: Task,
        files: &Files,
        group: Arc<limits::Group>,
    ) -> Result<Running, Error> {
        let order = self.0.next.fetch_add(1, Ordering::Relaxed);
        let ended = self.0.answers.expect_end(order);
        let (pid, back) = self.order(order, task, files).await?;
        let terminal = back.into_iter().next().map(Arc::new);
        let begun = Begun { order, pid };
        Ok(Running::new(self.clone(), begun, ended, terminal, group))
    }

    async fn ask(&self, task: Task, files: &Files) -> Result<Vec<OwnedFd>, Error> {
        let order = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (_, back) = self.order(order, task, files).await?;
        Ok(back)
    }

    async fn order(
        &self,
        number: u64,
        task: Task,
        files: &Files,
    ) -> Result<(Option<i32>, Vec<OwnedFd>), Error> {
        let answer = self.0.answers.expect(number);
        let sent = socket::send(&self.0.socket, &Order { number, task }, &files.list());
        sent.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::Gone,
            _ => Error::Describe(error),
        })?;
        let (result, back) = answer.await.map_err(|_| Error::Gone)?;
        Ok((result?, back))
    }

    /// The process whose child the zygote is.
    pub(crate) fn launcher(&self) -> u32 {
        self.0.launcher
    }

    /// Ends all containers, and is back when nothing of them runs any more.
    pub async fn stop(self) {
        let mut over = self.0.over.clone();
        self.0.end();
        // An error means that it is over, too.
        drop(over.wait_for(|over| *over).await);
    }

    /// Is back when the first process, and with it everything, has ended, whoever ended it.
    pub async fn ended(&self) {
        let mut over = self.0.over.clone();
        drop(over.wait_for(|over| *over).await);
    }
}

impl Owner {
    fn end(&self) {
        // It has ended by itself where this fails.
        let _ended_already =
            rustix::net::shutdown(self.socket.as_fd(), rustix::net::Shutdown::Both);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread of a zygote: passes on what it says until it is gone.
fn serve(zygote: Zygote, started: oneshot::Sender<Result<Runtime, StartError>>) {
    let Zygote {
        socket,
        mut child,
        ids,
        lack,
        paths,
    } = zygote;
    let ours = match socket.try_clone() {
        Ok(ours) => ours,
        Err(error) => return drop(started.send(Err(StartError::Process(error)))),
    };
    let groups = Arc::new(Groups::find());
    let lacks = lack.into_iter().chain(groups.lacks()).collect();
    let answers = Arc::new(Answers::default());
    let (over_tx, over_rx) = watch::channel(false);
    let owner = Owner {
        socket,
        next: AtomicU64::new(1),
        answers: answers.clone(),
        paths,
        groups: groups.clone(),
        ids,
        lacks,
        launcher: child.id(),
        over: over_rx,
    };
    drop(started.send(Ok(Runtime(Arc::new(owner)))));
    loop {
        match socket::receive(&ours) {
            Ok(Some((message, files))) => pass_on(message, files, &answers, &ours),
            Ok(None) => break,
            Err(error) => {
                tracing::error!("the first process of containers can't be understood: {error}");
                break;
            }
        }
    }
    answers.over();
    // Its launcher ends with it; what it was told last doesn't count.
    drop(child.wait());
    // Now nothing is in them any more.
    groups.remove();
    over_tx.send_replace(true);
}

fn pass_on(message: Message, files: Vec<OwnedFd>, answers: &Answers, socket: &OwnedFd) {
    match message {
        Message::Done { order, result, pid } => {
            let wanted = answers.done(order, (result.map(|()| pid), files));
            if !wanted && pid.is_some() {
                kill(socket, order);
            }
        }
        Message::Ended { order, end } => answers.ended(order, end),
        Message::Failed(failure) => {
            tracing::error!("the first process of containers ends: {failure}");
        }
        Message::WantsIds | Message::Ready => {}
    }
}

fn kill(socket: &OwnedFd, process: u64) {
    let signal = libc::SIGKILL;
    let order = Order {
        // Nobody's, since nobody waits for the answer.
        number: 0,
        task: Task::Signal { process, signal },
    };
    drop(socket::send(socket, &order, &[]));
}

/// How a process ended that was waited for too late, or with all others.
pub(crate) const KILLED: End = End::Signal(libc::SIGKILL);
