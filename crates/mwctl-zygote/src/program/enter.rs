//! A further process in a container that runs.

use std::os::fd::OwnedFd;

use mwctl_zygote::protocol::{Passed, Process, Step, Streams};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::ThreadNameSpaceType;

use super::child::{Line, spawn};
use super::error::{At, Outcome};
use super::order::{Answer, Helper};
use super::start::{enter_namespaces, obey_limits, unreachable_end};
use super::{privileges, run, streams};

pub(crate) fn enter(
    pid: i32,
    process: &Process,
    streams: &Streams,
    limits: &[Passed],
    files: &[OwnedFd],
    helper: &Helper<'_>,
) -> Answer {
    let kinds = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::CONTROL_GROUP;
    let entered = privileges::adjust_oom_score(process.oom_score_adj)
        // What is in the container already must not look at this process, which has files of the node.
        .and_then(|()| {
            set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Step::Process, "dumpable")
        })
        .and_then(|()| enter_namespaces(pid, kinds));
    if let Err(failure) = entered {
        return (None, Err(failure), Vec::new());
    }
    let inside = |line: &Line| -> Outcome<()> {
        obey_limits(limits, files)?;
        rustix::process::setsid().at(Step::Process, "session")?;
        streams::connect(streams, files, line, streams::Console::None)?;
        line.known()?;
        privileges::limit(process, helper.filters)?;
        run::run(process)
    };
    spawn(0, helper, |line| {
        inside(line).err().unwrap_or_else(unreachable_end)
    })
}
