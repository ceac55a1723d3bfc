//! A container, from its namespaces to its program.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mwctl_zygote::protocol::{Container, Failure, Join, Passed, Process, Step};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags, move_into_link_name_space,
    move_into_thread_name_spaces,
};

use super::child::{Line, spawn};
use super::error::{At, Outcome, failure};
use super::order::{Answer, Helper, file};
use super::seccomp::Filters;
use super::{mounts, privileges, root, run, streams, system};

pub(crate) fn start(
    container: &Container,
    processes: Option<i32>,
    files: &[OwnedFd],
    helper: &Helper<'_>,
) -> Answer {
    let join = &container.join;
    let mut flags = libc::CLONE_NEWNS;
    for (own, flag) in [
        (processes.is_none(), libc::CLONE_NEWPID),
        (
            join.network.is_none() && !join.host_network,
            libc::CLONE_NEWNET,
        ),
        (join.ipc.is_none(), libc::CLONE_NEWIPC),
        (join.uts.is_none(), libc::CLONE_NEWUTS),
    ] {
        if own {
            flags |= flag;
        }
    }
    let ready = || {
        let willing = container
            .process
            .as_ref()
            .map_or(0, |process| process.oom_score_adj);
        privileges::adjust_oom_score(willing)?;
        match processes {
            Some(pid) => enter_namespaces(pid, ThreadNameSpaceType::PROCESS_ID),
            None => Ok(()),
        }
    };
    if let Err(failure) = ready() {
        return (None, Err(failure), Vec::new());
    }
    spawn(flags, helper, |line| {
        let inside = Inside {
            container,
            files,
            filters: helper.filters,
            line,
        };
        inside.become_it().err().unwrap_or_else(unreachable_end)
    })
}

/// Enters namespaces of another process.
pub(crate) fn enter_namespaces(pid: i32, kinds: ThreadNameSpaceType) -> Outcome<()> {
    let gone = || failure(Step::Order, "the container has ended", Some(libc::ESRCH));
    let pid = Pid::from_raw(pid).ok_or_else(gone)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).at(Step::Namespace, "pidfd")?;
    move_into_thread_name_spaces(process.as_fd(), kinds).at(Step::Namespace, "of the container")
}

/// Brings this process under limits, whose files the owner opened: the kernel asks whether the owner may.
pub(crate) fn obey_limits(limits: &[Passed], files: &[OwnedFd]) -> Outcome<()> {
    for limit in limits {
        rustix::io::write(file(files, *limit)?, b"0").at(Step::Limits, "cgroup")?;
    }
    Ok(())
}

struct Inside<'a> {
    container: &'a Container,
    files: &'a [OwnedFd],
    filters: &'a Filters,
    line: &'a Line,
}

impl Inside<'_> {
    /// Comes back only where it fails.
    fn become_it(&self) -> Outcome<()> {
        let container = self.container;
        obey_limits(&container.limits, self.files)?;
        // Only now, so that its root is the limits' own.
        system::unshare(UnshareFlags::NEWCGROUP).at(Step::Namespace, "cgroup")?;
        self.join(&container.join)?;
        if let Some(name) = &container.hostname {
            rustix::system::sethostname(name.as_bytes()).at(Step::Namespace, name)?;
        }
        let entries = mounts::prepare(&container.mounts, self.files)?;
        root::enter(container, self.files)?;
        mounts::attach(&container.mounts, entries)?;
        if container.root.read_only {
            root::make_read_only()?;
        }
        // From here on it goes on by itself.
        self.line.known()?;
        match &container.process {
            Some(process) => self.run(process),
            None => init(),
        }
    }

    fn join(&self, join: &Join) -> Outcome<()> {
        for (passed, kind, name) in [
            (join.network, LinkNameSpaceType::Network, "network"),
            (
                join.ipc,
                LinkNameSpaceType::InterProcessCommunication,
                "ipc",
            ),
            (join.uts, LinkNameSpaceType::HostNameAndNISDomainName, "uts"),
        ] {
            if let Some(passed) = passed {
                move_into_link_name_space(file(self.files, passed)?, Some(kind))
                    .at(Step::Namespace, name)?;
            }
        }
        Ok(())
    }

    fn run(&self, process: &Process) -> Outcome<()> {
        rustix::process::setsid().at(Step::Process, "session")?;
        run::make_directory(process)?;
        streams::connect(
            &self.container.streams,
            self.files,
            self.line,
            streams::Console::Mounted,
        )?;
        privileges::limit(process, self.filters)?;
        run::run(process)
    }
}

/// Reaps what becomes nobody's, until it is told to end.
fn init() -> Outcome<()> {
    let null = super::launch::null()?;
    super::launch::set_streams(null.as_fd(), null.as_fd(), null.as_fd())?;
    let signals = system::signals(&[libc::SIGCHLD, libc::SIGTERM]).at(Step::Process, "signals")?;
    // Nothing is executed that would close the files of the zygote.
    close_all_but(&signals)?;
    loop {
        let mut told = [0_u8; size_of::<libc::signalfd_siginfo>()];
        rustix::io::read(&signals, &mut told).at(Step::Process, "signals")?;
        while system::reap().is_some() {}
        let number = told
            .first_chunk()
            .map_or(0, |first| u32::from_ne_bytes(*first));
        if number == libc::SIGTERM.cast_unsigned() {
            system::exit(0);
        }
    }
}

fn close_all_but(kept: &OwnedFd) -> Outcome<()> {
    system::close_others(kept.as_raw_fd()).at(Step::Process, "files")
}

/// For those who end here.
pub(crate) fn unreachable_end() -> Failure {
    failure(Step::Process, "", None)
}
