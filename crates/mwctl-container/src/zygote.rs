//! Starts the zygote from memory.
//!
//! It is a program of its own that this library carries, so that whoever uses the library, a test binary for example, needs not be
//! able to run itself again.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use mwctl_zygote::protocol::{Failure, Launch, Message};
use mwctl_zygote::socket;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::ids::{self, Ids, Lack};
use crate::lower::Paths;
use crate::maps;

const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zygote"));

/// Containers can't be had on this machine.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Programs can't be run from memory.
    #[error("a program can't be run from memory")]
    Memory(#[source] io::Error),
    /// No process.
    #[error("the first process of containers doesn't start")]
    Process(#[source] io::Error),
    /// It said why it can't go on.
    #[error("the first process of containers can't be")]
    Refused(#[source] Failure),
    /// It ended without a word.
    #[error("the first process of containers ended at once")]
    Silent,
    /// The ids of its users can't be mapped.
    #[error("the user ids of containers can't be mapped")]
    Maps(#[source] io::Error),
}

impl StartError {
    /// What to do about it, where that is known.
    pub fn cure(&self) -> Option<&'static str> {
        match self {
            Self::Memory(_) => Some("sudo sysctl vm.memfd_noexec=0"),
            Self::Refused(failure) if failure.step == mwctl_zygote::protocol::Step::Namespace => {
                Some(
                    "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 kernel.unprivileged_userns_clone=1, or run as root",
                )
            }
            _ => None,
        }
    }
}

/// A zygote that takes orders.
#[derive(Debug)]
pub(crate) struct Zygote {
    pub(crate) socket: OwnedFd,
    pub(crate) child: Child,
    pub(crate) ids: Ids,
    pub(crate) lack: Option<Lack>,
    pub(crate) paths: Paths,
}

/// Starts it. It ends with the calling thread.
pub(crate) fn start(memory: Option<u64>) -> Result<Zygote, StartError> {
    let (ids, lack) = ids::choose(&maps::look());
    let (ours, theirs) = socket::pair().map_err(StartError::Process)?;
    let launch = Launch {
        user_namespace: ids != Ids::Inherited,
        memory,
    };
    let launch = postcard::to_stdvec(&launch)
        .map_err(|error| StartError::Process(io::Error::other(error)))?;
    let program = program().map_err(StartError::Memory)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that starts it"
    )]
    let child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .arg0("mwctl-zygote")
        .arg(hex::encode(launch))
        .env_clear()
        .stdin(theirs)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => StartError::Memory(error),
            _ => StartError::Process(error),
        })?;
    let starting = Starting {
        socket: ours,
        child: Some(child),
    };
    let pid = starting.child.as_ref().map_or(0, Child::id);
    if ids != Ids::Inherited {
        starting.until(&Message::WantsIds)?;
        maps::write(pid, ids).map_err(StartError::Maps)?;
        socket::send(&starting.socket, &(), &[]).map_err(StartError::Process)?;
    }
    starting.until(&Message::Ready)?;
    let paths = match ids {
        Ids::Range { .. } => {
            let path = format!("/proc/{pid}/ns/user");
            Paths::Opened {
                user_namespace: File::open(path).map_err(StartError::Process)?,
            }
        }
        Ids::Inherited | Ids::Subordinate { .. } | Ids::Single { .. } => Paths::Known,
    };
    let (socket, child) = starting.finish()?;
    Ok(Zygote {
        socket,
        child,
        ids,
        lack,
        paths,
    })
}

/// The program as a file that nobody can change any more and that has no name.
fn program() -> io::Result<OwnedFd> {
    // Where it isn't said that the file is a program a machine may refuse to run it (`vm.memfd_noexec`); before Linux 6.3 that
    // couldn't be said.
    let executable = MemfdFlags::from_bits_retain(libc::MFD_EXEC);
    let file = memfd_create(c"mwctl-zygote", MemfdFlags::CLOEXEC | executable)
        .or_else(|_| memfd_create(c"mwctl-zygote", MemfdFlags::CLOEXEC))?;
    let mut file = File::from(file);
    file.write_all(PROGRAM)?;
    // A file that is open for writing can't be run.
    let again = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok(again.into())
}

/// A zygote that isn't ready. Dropping it ends it.
struct Starting {
    socket: OwnedFd,
    child: Option<Child>,
}

impl Starting {
    fn until(&self, wanted: &Message) -> Result<(), StartError> {
        let received = socket::receive(&self.socket).map_err(StartError::Process)?;
        match received {
            Some((message, _)) if message == *wanted => Ok(()),
            Some((Message::Failed(failure), _)) => Err(StartError::Refused(failure)),
            _ => Err(StartError::Silent),
        }
    }

    fn finish(mut self) -> Result<(OwnedFd, Child), StartError> {
        let socket = self.socket.try_clone().map_err(StartError::Process)?;
        let child = self.child.take().ok_or(StartError::Silent)?;
        Ok((socket, child))
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
