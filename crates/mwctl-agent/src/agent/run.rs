//! The agent's one loop: signals, streams and timers become inputs, effects are carried out here.
//!
//! Everything that blocks (reading streams, waiting for signals, probing) has a thread of its own
//! that sends an [`Event`]; the state belongs to the loop alone.

mod children;
mod session;

use std::collections::HashMap;
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::connection::{Connection, Heard};
use super::files::{Files, OpenFiles};
use super::health::Health;
use super::join;
use super::ownership::{ConnectionId, Ownership};
use super::probe::{Probe, Verdict};
use super::process::note;
use super::signals::{Signals, TERMINATING};
use super::supervise::{Input, Settings, Supervisor};
use children::{ProcessChild, StepChild};

/// Events that may wait. The senders wait beyond that, and with them the session.
const WAITING_EVENTS: usize = 64;
/// How long a new stream may take to hand over its ends.
const HAND_OVER: Duration = Duration::from_secs(1);

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) target: PathBuf,
    /// Whether the target is the checkout itself.
    pub(crate) mounted: bool,
    pub(crate) directory: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) probe: Probe,
    pub(crate) health_port: Option<u16>,
    pub(crate) digest: Option<String>,
    pub(crate) settings: Settings,
    pub(crate) command: Vec<OsString>,
}

/// The agent cannot begin.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error("cannot use `{path}`")]
    Files {
        path: PathBuf,
        #[source]
        source: OpenFiles,
    },
    #[error("cannot listen on `{path}`")]
    Listen {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another agent listens on `{path}`; give each container a run directory of its own")]
    AlreadyThere { path: PathBuf },
    #[error("cannot answer the readiness probe on port {port}")]
    Health {
        port: u16,
        #[source]
        source: io::Error,
    },
    #[error("cannot take signals")]
    Signals(#[source] io::Error),
}

/// What reaches the loop.
#[derive(Debug)]
pub(super) enum Event {
    Signal(i32),
    Joined {
        control: UnixStream,
        input: OwnedFd,
        output: OwnedFd,
    },
    Heard(ConnectionId, Heard),
    /// One of a child's two output streams ended.
    StreamClosed {
        child: u64,
    },
    StepOutput {
        update: u64,
        bytes: Vec<u8>,
    },
    Probed(Verdict),
}

/// The agent.
struct Agent {
    options: Options,
    began: Instant,
    /// Another one means another container.
    id: String,
    events: SyncSender<Event>,
    files: Files,
    supervisor: Supervisor,
    ownership: Ownership,
    connections: HashMap<ConnectionId, Connection>,
    joined: ConnectionId,
    process: Option<ProcessChild>,
    step: Option<StepChild>,
    /// Numbers processes and steps.
    children: u64,
    /// The process that the prober looks at.
    probed: Arc<AtomicU64>,
    leave: Option<u8>,
}

/// Runs until the container is told to end; the result is its code.
pub(crate) fn run(options: Options) -> Result<u8, RunError> {
    let signals = Signals::install().map_err(RunError::Signals)?;
    // Not as the first process (in tests, or in a pod with shared processes) orphans come here too.
    let _unsupported = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let files = Files::open(&options.target, &options.run, options.mounted).map_err(|source| {
        RunError::Files {
            path: options.target.clone(),
            source,
        }
    })?;
    let health = Health::new();
    if let Some(port) = options.health_port {
        health
            .serve(port)
            .map_err(|source| RunError::Health { port, source })?;
    }
    let socket = join::socket(&options.run);
    let listener = listen(&socket)?;

    let (events, arrived) = sync_channel(WAITING_EVENTS);
    forward_signals(signals, events.clone());
    accept(listener, events.clone());
    let random = || RandomState::new().hash_one(std::process::id());
    let mut agent = Agent {
        supervisor: Supervisor::new(options.settings),
        began: Instant::now(),
        id: format!("{:016x}{:016x}", random(), random()),
        events,
        files,
        ownership: Ownership::default(),
        connections: HashMap::new(),
        joined: 0,
        process: None,
        step: None,
        children: 0,
        probed: Arc::new(AtomicU64::new(0)),
        leave: None,
        options,
    };
    agent.feed(Input::Begin);
    let code = agent.turn(&arrived, &health);
    // The socket of an agent that is gone would only make `connect` wait.
    let _gone = std::fs::remove_file(&socket);
    Ok(code)
}

impl Agent {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn turn(&mut self, arrived: &Receiver<Event>, health: &Health) -> u8 {
        loop {
            health.set(self.supervisor.readiness());
            if let Some(code) = self.leave {
                return code;
            }
            let now = self.now();
            let deadline = self
                .supervisor
                .deadline()
                .into_iter()
                .chain(self.children_deadline());
            let event = match deadline.min() {
                Some(deadline) => arrived.recv_timeout(deadline.saturating_sub(now)),
                None => arrived.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(event) => self.event(event),
                Err(RecvTimeoutError::Timeout) => {}
                // The agent itself holds a sender.
                Err(RecvTimeoutError::Disconnected) => return 70,
            }
            self.collect_children();
            if self
                .supervisor
                .deadline()
                .is_some_and(|deadline| deadline <= self.now())
            {
                self.feed(Input::Tick);
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Signal(libc::SIGCHLD) => self.reap(),
            Event::Signal(signal) if TERMINATING.contains(&signal) => {
                self.feed(Input::Terminate(signal));
            }
            Event::Signal(signal) => self.feed(Input::Forward(signal)),
            Event::Joined {
                control,
                input,
                output,
            } => self.join(control, input, output),
            Event::Heard(connection, Heard::Message(message, received)) => {
                self.message(connection, message, received.duration_since(self.began));
            }
            Event::Heard(connection, Heard::Closed(reason)) => self.closed(connection, reason),
            Event::StreamClosed { child } => self.stream_closed(child),
            Event::StepOutput { update, bytes } => self.step_output(update, bytes),
            Event::Probed(verdict) => self.probed(verdict),
        }
    }
}

fn listen(socket: &Path) -> Result<UnixListener, RunError> {
    let path = || socket.to_owned();
    if UnixStream::connect(socket).is_ok() {
        return Err(RunError::AlreadyThere { path: path() });
    }
    // Left over from the container before this one, or not there.
    let _stale = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket)
        .and_then(|listener| {
            std::fs::set_permissions(socket, PermissionsExt::from_mode(0o600)).map(|()| listener)
        })
        .map_err(|source| RunError::Listen {
            path: path(),
            source,
        })?;
    Ok(listener)
}

fn forward_signals(mut signals: Signals, events: SyncSender<Event>) {
    std::thread::spawn(move || {
        while let Ok(signal) = signals.next() {
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    });
}

fn accept(listener: UnixListener, events: SyncSender<Event>) {
    std::thread::spawn(move || {
        for control in listener.incoming() {
            let joined = control.and_then(|control| {
                control.set_read_timeout(Some(HAND_OVER))?;
                let (input, output) = join::take(&control)?;
                control.set_read_timeout(None)?;
                Ok(Event::Joined {
                    control,
                    input,
                    output,
                })
            });
            match joined {
                Ok(event) => {
                    if events.send(event).is_err() {
                        return;
                    }
                }
                Err(error) => note(&format!("a stream could not be joined: {error}")),
            }
        }
    });
}
