//! A process that becomes a container's: what it says until its program runs, and what is made of that.

use std::os::fd::{AsFd, OwnedFd};

use mwctl_zygote::protocol::{Failure, Step};
use mwctl_zygote::socket;
use serde::{Deserialize, Serialize};

use super::error::{At, Outcome};
use super::order::Answer;
use super::system;

/// What it says. Silence, since its socket closes with the start of its program, means success.
#[derive(Serialize, Deserialize)]
enum Report {
    /// The other side of its terminal comes along.
    Terminal,
    Failed(Failure),
}

/// The socket of such a process. No program inherits it.
pub(crate) struct Line(OwnedFd);

impl Line {
    pub(crate) fn send_terminal(&self, other_side: &OwnedFd) -> Outcome<()> {
        socket::send(&self.0, &Report::Terminal, &[other_side.as_fd()]).at(Step::Terminal, "")
    }
}

/// Has a new child of the zygote do this, which comes back only where it fails, and waits until its program runs.
pub(crate) fn spawn(flags: i32, become_it: impl FnOnce(&Line) -> Failure) -> Answer {
    let begun = || -> Outcome<(OwnedFd, OwnedFd)> { socket::pair().at(Step::Process, "socket") };
    let (ours, theirs) = match begun() {
        Ok(pair) => pair,
        Err(failure) => return (None, Err(failure), Vec::new()),
    };
    let pid = match system::clone3(libc::CLONE_PARENT | flags).at(Step::Namespace, "clone3") {
        Ok(Some(pid)) => pid,
        Ok(None) => {
            drop(ours);
            let line = Line(theirs);
            let failure = become_it(&line);
            // Where the zygote is gone nobody is left to be told.
            drop(socket::send(&line.0, &Report::Failed(failure), &[]));
            system::exit(127)
        }
        Err(failure) => return (None, Err(failure), Vec::new()),
    };
    drop(theirs);
    let mut back = Vec::new();
    loop {
        match socket::receive(&ours).at(Step::Process, "socket") {
            Ok(None) => return (Some(pid), Ok(()), back),
            Ok(Some((Report::Terminal, files))) => back = files,
            Ok(Some((Report::Failed(failure), _))) | Err(failure) => {
                return (Some(pid), Err(failure), Vec::new());
            }
        }
    }
}
