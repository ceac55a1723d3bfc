//! A process that becomes a container's: what it says until its program runs, and what is made of that.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};

use mwctl_zygote::protocol::{Failure, Step};
use mwctl_zygote::socket;
use serde::{Deserialize, Serialize};

use super::error::{At, Outcome};
use super::order::{Answer, Helper, Told};
use super::system;

/// What it says. Silence, since its socket closes with the start of its program, means success.
#[derive(Serialize, Deserialize)]
enum Report {
    /// The other side of its terminal comes along.
    Terminal,
    Failed(Failure),
}

/// The socket of such a process. No program inherits it.
pub(crate) struct Line {
    socket: OwnedFd,
    /// Whether the zygote knows of this process.
    known: Cell<bool>,
}

impl Line {
    pub(crate) fn send_terminal(&self, other_side: &OwnedFd) -> Outcome<()> {
        let files = [other_side.as_fd()];
        socket::send(&self.socket, &Report::Terminal, &files).at(Step::Terminal, "")
    }

    /// Waits until the zygote knows of this process. It ends where that never comes, because its helper died: nobody else could
    /// end it.
    pub(crate) fn known(&self) -> Outcome<()> {
        if !self.known.replace(true) {
            let told: Option<((), _)> =
                socket::receive(&self.socket).at(Step::Process, "socket")?;
            if told.is_none() {
                system::exit(127);
            }
        }
        Ok(())
    }
}

/// Has a new child of the zygote do this, which comes back only where it fails, and waits until its program runs.
pub(crate) fn spawn(
    flags: i32,
    helper: &Helper<'_>,
    become_it: impl FnOnce(&Line) -> Failure,
) -> Answer {
    let begun = || -> Outcome<(OwnedFd, OwnedFd)> { socket::pair().at(Step::Process, "socket") };
    let (ours, theirs) = match begun() {
        Ok(pair) => pair,
        Err(failure) => return (None, Err(failure), Vec::new()),
    };
    let pid = match system::clone3(libc::CLONE_PARENT | flags).at(Step::Namespace, "clone3") {
        Ok(Some(pid)) => pid,
        Ok(None) => {
            drop(ours);
            let line = Line {
                socket: theirs,
                known: Cell::new(false),
            };
            let failure = become_it(&line);
            // An end with something unread would be told before the failure.
            drop(line.known());
            // Where the helper is gone nobody is left to be told.
            drop(socket::send(&line.socket, &Report::Failed(failure), &[]));
            system::exit(127)
        }
        Err(failure) => return (None, Err(failure), Vec::new()),
    };
    drop(theirs);
    let order = helper.order;
    helper.tell(&Told::Begun { order, pid }, &[]);
    // It may have been killed.
    drop(socket::send(&ours, &(), &[]));
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
