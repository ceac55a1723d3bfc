//! A container as its caller describes it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use mwctl_zygote::protocol::{Mount, Process, Root, Terminal, Upper};

use crate::limits::Limits;
use crate::running::Running;

/// A container to be run.
#[derive(Debug)]
pub struct Container {
    /// Names it among those of the runtime: one path component.
    pub name: String,
    /// Its host name, where it joins no other's.
    pub hostname: Option<String>,
    /// Namespaces that it joins. What it doesn't join is its own.
    pub join: Join,
    /// Its root file system.
    pub root: Root,
    /// What is mounted over the root, in order.
    pub mounts: Vec<Mount>,
    /// What runs in it; where there is nothing, an init that reaps and ends at `SIGTERM`.
    pub process: Option<Process>,
    /// The streams of that.
    pub streams: Streams,
    /// What it may use.
    pub limits: Limits,
}

/// Namespaces to join.
#[derive(Clone, Debug, Default)]
pub struct Join {
    /// The network.
    pub network: Option<Arc<OwnedFd>>,
    /// The machine's own network, instead of another. For programs that fetch something and are trusted with it;
    /// the kernel's objects (`/sys`) can't be mounted there.
    pub host_network: bool,
    /// System V and POSIX messages.
    pub ipc: Option<Arc<OwnedFd>>,
    /// The host name.
    pub uts: Option<Arc<OwnedFd>>,
    /// The processes of another container.
    pub processes: Option<Running>,
}

/// Namespaces that several containers can join. They live as long as these files.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// The network: loopback is up, every port may be bound by everybody.
    pub network: Option<Arc<OwnedFd>>,
    /// System V and POSIX messages.
    pub ipc: Option<Arc<OwnedFd>>,
    /// The host name.
    pub uts: Option<Arc<OwnedFd>>,
}

/// Where a process reads and writes. What is absent is nothing (`/dev/null`).
#[derive(Debug, Default)]
pub struct Streams {
    /// What it reads.
    pub stdin: Option<OwnedFd>,
    /// Where it writes.
    pub stdout: Option<OwnedFd>,
    /// Where it writes errors.
    pub stderr: Option<OwnedFd>,
    /// A terminal in their place, whose other side is [`Running::terminal`].
    pub terminal: Option<Terminal>,
}

impl Container {
    /// An empty container: give it a root, mounts and a process.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            hostname: None,
            join: Join::default(),
            root: Root {
                layers: Vec::new(),
                upper: Upper::Memory,
                read_only: false,
            },
            mounts: Vec::new(),
            process: None,
            streams: Streams::default(),
            limits: Limits::default(),
        }
    }
}
