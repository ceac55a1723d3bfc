//! One order, carried out in a process of its own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mwctl_zygote::protocol::{Container, Failure, Message, Passed, Process, Step, Streams, Task};
use mwctl_zygote::socket;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::error::{At, Outcome, failure};
use super::seccomp::Filters;
use super::{enter, scratch, share, start, system, volume};

/// A task with the processes it names.
pub(crate) enum Work {
    Start {
        container: Box<Container>,
        processes: Option<i32>,
    },
    Enter {
        pid: i32,
        process: Box<Process>,
        streams: Streams,
        limits: Vec<Passed>,
    },
    Other(Task),
}

/// What was begun, how it went, and what goes back.
pub(crate) type Answer = (Option<i32>, Result<(), Failure>, Vec<OwnedFd>);

/// What a helper tells the zygote.
#[derive(Serialize, Deserialize)]
pub(crate) enum Told {
    /// It has made this child of the zygote for its order.
    Begun { order: u64, pid: i32 },
    /// For the owner.
    Answer(Message),
}

/// A process that carries out one order.
pub(crate) struct Helper<'a> {
    pub(crate) order: u64,
    pub(crate) filters: &'a Filters,
    pub(crate) answers: BorrowedFd<'a>,
}

impl Helper<'_> {
    pub(crate) fn tell(&self, told: &Told, files: &[BorrowedFd<'_>]) {
        // It can fail only where the zygote is gone, which this process doesn't outlive.
        drop(socket::send(self.answers, told, files));
    }
}

pub(crate) fn carry_out(work: Work, files: &[OwnedFd], helper: &Helper<'_>) -> Answer {
    match work {
        Work::Start {
            container,
            processes,
        } => start::start(&container, processes, files, helper),
        Work::Enter {
            pid,
            process,
            streams,
            limits,
        } => enter::enter(pid, &process, &streams, &limits, files, helper),
        Work::Other(task) => match other(task, files) {
            Ok(back) => (None, Ok(()), back),
            Err(failure) => (None, Err(failure), Vec::new()),
        },
    }
}

fn other(task: Task, files: &[OwnedFd]) -> Outcome<Vec<OwnedFd>> {
    match task {
        Task::Share(wanted) => share::share(&wanted),
        Task::RemoveVolume { name } => {
            volume::remove(&scratch::volume(&name)?).map(|()| Vec::new())
        }
        Task::Remove { name } => volume::remove(&scratch::container(&name)?).map(|()| Vec::new()),
        Task::Socket {
            network,
            domain,
            kind,
            protocol,
        } => {
            let network = file(files, network)?;
            move_into_link_name_space(network, Some(LinkNameSpaceType::Network))
                .at(Step::Namespace, "network")?;
            Ok(vec![
                system::socket(domain, kind, protocol).at(Step::Streams, "socket")?,
            ])
        }
        // They have become other work, or were done at once.
        Task::Start(_) | Task::Enter { .. } | Task::Signal { .. } | Task::Volume(_) => {
            Err(failure(Step::Order, "", None))
        }
    }
}

/// A file that came with the order.
pub(crate) fn file(files: &[OwnedFd], passed: Passed) -> Outcome<BorrowedFd<'_>> {
    let file = files.get(usize::from(passed.0));
    file.map(AsFd::as_fd)
        .ok_or_else(|| failure(Step::Order, "a file is missing", None))
}
