//! Clusters that outlive the command that made them: this program runs once more, on its own, and serves one.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::claim::{ClaimError, Clusters, Known};

/// The line by which the serving process says that it can be used.
pub const READY: &str = "ready";

/// Into how many pools glibc parts a process's memory: eight for each processor unless it is told, and what one of them has had at its height
/// it keeps. A process that serves for days would have that of all; none was seen to wait for another's pool.
const POOLS: (&str, &str) = ("MALLOC_ARENA_MAX", "2");

/// How long a process may take to end before it is killed.
const TO_END: Duration = Duration::from_secs(10);

/// A cluster doesn't come up.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Its name or its folder can't be had.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The process can't be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// This program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended before it could be used.
    #[error("the cluster's process ended at once{}", told(log))]
    Ended {
        /// What it said.
        log: String,
    },
}

fn told(log: &str) -> String {
    match log.trim() {
        "" => String::new(),
        log => format!(":\n{log}"),
    }
}

/// A cluster doesn't go.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// Its process can't be told to end.
    #[error("cannot end process {pid}")]
    Signal {
        /// The process.
        pid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The lock of its folder can't be waited for.
    #[error("cannot wait for the end of the cluster")]
    Wait(#[source] io::Error),
}

/// Starts `program` with `arguments`, which is to serve the cluster `name` and to say [`READY`] once it does.
#[expect(
    clippy::disallowed_methods,
    reason = "it outlives this process, which no other program of ours does"
)]
pub async fn create(
    clusters: &Clusters,
    name: &str,
    program: &Path,
    arguments: &[String],
) -> Result<Known, CreateError> {
    clusters.sweep()?;
    let log = clusters.log(name);
    let failed = |source| CreateError::Start {
        program: program.to_owned(),
        source,
    };
    let (pools, count) = POOLS;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env(pools, count)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut line).await.map_err(failed)?;
    }
    match clusters.find(name) {
        Some(known) if line.trim() == READY => Ok(known),
        _ => {
            // It has said all it will say: its output is closed.
            drop(child.kill().await);
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            Err(CreateError::Ended { log })
        }
    }
}

/// Makes this process independent of the terminal and the session that it was started from.
pub fn leave_session() {
    // Refused only to the leader of a group: then it was started by itself, and has nothing to leave.
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!("stays in its session: {error}");
    }
}

/// Ends a cluster, and waits until it is gone and its process has ended: what that one has open is nobody else's before.
pub async fn delete(clusters: &Clusters, known: &Known) -> Result<(), DeleteError> {
    let process = living(known);
    signal(known, Signal::TERM)?;
    if !gone(clusters, known, &process).await? {
        signal(known, Signal::KILL)?;
        gone(clusters, known, &process).await?;
    }
    clusters.forget_log(&known.name);
    // Whoever was killed left its folder, which the next command sweeps as well.
    clusters.sweep().ok();
    Ok(())
}

/// The process that serves a cluster, while it lives.
fn process(known: &Known) -> Option<Pid> {
    let lives = known.lease.is_of_a_living_process();
    Pid::from_raw(known.lease.pid as i32).filter(|_| lives)
}

/// The same as something that can be waited for; `None` where there is none but this one.
fn living(known: &Known) -> Arc<Option<OwnedFd>> {
    let other = process(known).filter(|_| known.lease.pid != std::process::id());
    Arc::new(other.and_then(|process| pidfd_open(process, PidfdFlags::empty()).ok()))
}

fn signal(known: &Known, signal: Signal) -> Result<(), DeleteError> {
    let pid = known.lease.pid;
    match process(known).map(|process| kill_process(process, signal)) {
        None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
        Some(Err(error)) => Err(DeleteError::Signal {
            pid,
            source: error.into(),
        }),
    }
}

/// Whether the cluster was gone, and its process, before the time was up.
async fn gone(
    clusters: &Clusters,
    known: &Known,
    process: &Arc<Option<OwnedFd>>,
) -> Result<bool, DeleteError> {
    let (clusters, name, process) = (clusters.clone(), known.name.clone(), process.clone());
    let wait = tokio::task::spawn_blocking(move || {
        clusters.wait_until_gone(&name)?;
        if let Some(process) = process.as_ref() {
            // A process that has ended can be read from.
            poll(&mut [PollFd::new(process, PollFlags::IN)], None)?;
        }
        Ok(())
    });
    match tokio::time::timeout(TO_END, wait).await {
        Ok(waited) => {
            let waited = waited.unwrap_or_else(|error| Err(io::Error::other(error)));
            waited.map(|()| true).map_err(DeleteError::Wait)
        }
        Err(_elapsed) => Ok(false),
    }
}
