//! PID 1: takes orders, has what takes long carried out by forked processes, and tells what became of it and of what was started.
//!
//! Whatever a helper started is a child of this process (`CLONE_PARENT`), and no number is used again before it was reaped
//! here: so what is known here of living processes is always true. All answers pass through here, so the end of a process
//! is told after its beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use mwctl_zygote::protocol::{Container, End, Launch, Message, Order, Source, Step, Task};
use mwctl_zygote::socket;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MoveMountFlags, move_mount};

use super::error::{At, Outcome, failure};
use super::order::{self, Work};
use super::seccomp::Filters;
use super::{launch, mounts, scratch, system, volume};

struct Zygote {
    socket: OwnedFd,
    /// Where helpers put their answers.
    answers: (OwnedFd, OwnedFd),
    filters: Filters,
    helpers: BTreeSet<i32>,
    /// What orders started and still lives, by order.
    living: BTreeMap<u64, i32>,
    /// What ended before its helper said that it began.
    early: BTreeMap<i32, End>,
}

/// Serves until the owner is gone. Never comes back.
pub(crate) fn serve(socket: &OwnedFd, launch: &Launch) -> ! {
    let served = prepare(socket, launch).and_then(|mut zygote| zygote.serve());
    if let Err(failure) = served {
        launch::tell(failure);
    }
    // What is left in the PID namespace ends with its first process.
    system::exit(1)
}

fn prepare(socket: &OwnedFd, launch: &Launch) -> Outcome<Zygote> {
    scratch::enter(launch.memory)?;
    rustix::process::umask(rustix::fs::Mode::empty());
    Ok(Zygote {
        socket: socket.try_clone().at(Step::Process, "socket")?,
        answers: socket::pair().at(Step::Process, "socket")?,
        filters: Filters::new()?,
        helpers: BTreeSet::new(),
        living: BTreeMap::new(),
        early: BTreeMap::new(),
    })
}

impl Zygote {
    fn serve(&mut self) -> Outcome<()> {
        let ends = system::signals(&[libc::SIGCHLD]).at(Step::Process, "signals")?;
        let null = launch::null()?;
        // From here on the socket is only where no container inherits it.
        rustix::stdio::dup2_stdin(&null).at(Step::Process, "stdin")?;
        self.tell(&Message::Ready, &[])?;
        loop {
            let mut files = [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(&self.answers.0, PollFlags::IN),
                PollFd::new(&ends, PollFlags::IN),
            ];
            match poll(&mut files, None) {
                Err(rustix::io::Errno::INTR) => continue,
                polled => polled.at(Step::Process, "poll")?,
            };
            let [orders, answers, ended] = files.map(|file| !file.revents().is_empty());
            if answers {
                self.pass_answer_on()?;
            }
            if ended {
                // Signals of one kind are told once: the reaping finds all.
                rustix::io::read(&ends, &mut [0; 128]).at(Step::Process, "signals")?;
                self.reap()?;
            }
            if orders {
                let Some((order, files)) =
                    socket::receive(&self.socket).at(Step::Process, "socket")?
                else {
                    system::exit(0);
                };
                self.take(order, &files)?;
            }
        }
    }

    fn tell(&self, message: &Message, files: &[OwnedFd]) -> Outcome<()> {
        let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        socket::send(&self.socket, message, &files).at(Step::Process, "socket")
    }

    fn take(&mut self, order: Order, files: &[OwnedFd]) -> Outcome<()> {
        let number = order.number;
        let result = match order.task {
            Task::Signal { process, signal } => self.signal(process, signal),
            // A few small files in memory take less than a process.
            Task::Volume(wanted) => volume::write(&wanted),
            task => {
                let work = self.work_of(task, files);
                match work.and_then(|work| self.hand_out(number, work, files)) {
                    Ok(()) => return Ok(()),
                    Err(failure) => Err(failure),
                }
            }
        };
        let done = Message::Done {
            order: number,
            result,
            pid: None,
        };
        self.tell(&done, &[])
    }

    /// What a helper has to do, with what only this process knows.
    fn work_of(&mut self, task: Task, files: &[OwnedFd]) -> Outcome<Work> {
        Ok(match task {
            Task::Start(container) => {
                mount_layers(&container, files)?;
                let processes = container
                    .join
                    .processes_of
                    .map(|order| self.pid_of(order))
                    .transpose()?;
                Work::Start {
                    container,
                    processes,
                }
            }
            Task::Enter {
                container,
                process,
                streams,
                limits,
            } => {
                let pid = self.pid_of(container)?;
                Work::Enter {
                    pid,
                    process,
                    streams,
                    limits,
                }
            }
            other => Work::Other(other),
        })
    }

    fn hand_out(&mut self, order: u64, work: Work, files: &[OwnedFd]) -> Outcome<()> {
        if let Some(helper) = system::fork().at(Step::Process, "")? {
            self.helpers.insert(helper);
            return Ok(());
        }
        let (pid, result, back) = order::carry_out(work, files, &self.filters);
        let message = Message::Done { order, result, pid };
        let back: Vec<_> = back.iter().map(AsFd::as_fd).collect();
        // It can fail only where the zygote is gone, which this process doesn't outlive.
        drop(socket::send(&self.answers.1, &message, &back));
        system::exit(0)
    }

    fn pass_answer_on(&mut self) -> Outcome<()> {
        let received = socket::receive(&self.answers.0).at(Step::Process, "socket")?;
        let Some((message, files)) = received else {
            return Ok(());
        };
        self.tell(&message, &files)?;
        if let Message::Done {
            order,
            result,
            pid: Some(pid),
        } = message
        {
            let ended = self.early.remove(&pid);
            if result.is_ok() {
                match ended {
                    Some(end) => self.tell(&Message::Ended { order, end }, &[])?,
                    None => drop(self.living.insert(order, pid)),
                }
            }
        }
        Ok(())
    }

    fn reap(&mut self) -> Outcome<()> {
        while let Some((pid, status)) = system::reap() {
            if self.helpers.remove(&pid) {
                continue;
            }
            let end = if libc::WIFEXITED(status) {
                End::Code(libc::WEXITSTATUS(status) as u8)
            } else {
                End::Signal(libc::WTERMSIG(status))
            };
            let order = self
                .living
                .iter()
                .find(|(_, living)| **living == pid)
                .map(|(order, _)| *order);
            match order {
                Some(order) => {
                    self.living.remove(&order);
                    self.tell(&Message::Ended { order, end }, &[])?;
                }
                None => drop(self.early.insert(pid, end)),
            }
        }
        Ok(())
    }

    fn pid_of(&self, order: u64) -> Outcome<i32> {
        let gone = || failure(Step::Order, "the container has ended", Some(libc::ESRCH));
        self.living.get(&order).copied().ok_or_else(gone)
    }

    fn signal(&self, process: u64, signal: i32) -> Outcome<()> {
        system::kill(self.pid_of(process)?, signal).at(Step::Order, format!("signal {signal}"))
    }
}

/// Makes the mounts of layers that aren't there yet. Here, since all helpers share them.
fn mount_layers(container: &Container, files: &[OwnedFd]) -> Outcome<()> {
    for layer in &container.root.layers {
        let place = Path::new(scratch::LAYERS).join(scratch::component(&layer.name)?);
        if place.exists() {
            continue;
        }
        let tree = match &layer.source {
            Source::Tree(passed) => order::file(files, *passed)?
                .try_clone_to_owned()
                .at(Step::Root, "layer")?,
            source => mounts::tree(source, files)?,
        };
        std::fs::create_dir(&place).at(Step::Root, place.display())?;
        let moved = move_mount(
            &tree,
            "",
            rustix::fs::CWD,
            &place,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        );
        if let Err(error) = moved {
            // The next container tries again.
            drop(std::fs::remove_dir(&place));
            return Err(error).at(Step::Root, place.display());
        }
    }
    Ok(())
}
