//! PID 1: takes orders, has what takes long carried out by forked processes, and tells what became of it and of what was started.
//!
//! Whatever a helper started is a child of this process (`CLONE_PARENT`), and no number is used again before it was reaped
//! here: so what is known here of living processes is always true. All answers pass through here, so the end of a process
//! is told after its beginning.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use mwctl_zygote::protocol::{Container, End, Launch, Message, Order, Source, Step, Task};
use mwctl_zygote::socket;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MoveMountFlags, move_mount};

use super::error::{At, Outcome, failure};
use super::order::{self, Helper, Told, Work};
use super::processes::{Consequence, Processes};
use super::seccomp::Filters;
use super::{launch, mounts, scratch, system, volume};

struct Zygote {
    socket: OwnedFd,
    /// Where helpers put their answers.
    answers: (OwnedFd, OwnedFd),
    filters: Filters,
    processes: Processes,
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
        processes: Processes::default(),
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

    fn hand_out(&mut self, number: u64, work: Work, files: &[OwnedFd]) -> Outcome<()> {
        if let Some(pid) = system::fork().at(Step::Process, "")? {
            self.processes.hand_out(number, pid);
            return Ok(());
        }
        let helper = Helper {
            order: number,
            filters: &self.filters,
            answers: self.answers.1.as_fd(),
        };
        let (pid, result, back) = order::carry_out(work, files, &helper);
        let done = Message::Done {
            order: number,
            result,
            pid,
        };
        let back: Vec<_> = back.iter().map(AsFd::as_fd).collect();
        helper.tell(&Told::Answer(done), &back);
        system::exit(0)
    }

    fn pass_answer_on(&mut self) -> Outcome<()> {
        let received = socket::receive(&self.answers.0).at(Step::Process, "socket")?;
        let message = match received {
            None => return Ok(()),
            Some((Told::Begun { order, pid }, _)) => {
                self.processes.begun(order, pid);
                return Ok(());
            }
            Some((Told::Answer(message), files)) => {
                self.tell(&message, &files)?;
                message
            }
        };
        if let Message::Done { order, result, pid } = message
            && let Some(end) = self
                .processes
                .answered(order, pid.filter(|_| result.is_ok()))
        {
            self.tell(&Message::Ended { order, end }, &[])?;
        }
        Ok(())
    }

    /// Takes all that helpers have said so far.
    fn pass_answers_on(&mut self) -> Outcome<()> {
        loop {
            let mut answers = [PollFd::new(&self.answers.0, PollFlags::IN)];
            match poll(&mut answers, Some(&Timespec::default())) {
                Err(rustix::io::Errno::INTR) => {}
                polled if polled.at(Step::Process, "poll")? == 0 => return Ok(()),
                _ => self.pass_answer_on()?,
            }
        }
    }

    fn reap(&mut self) -> Outcome<()> {
        while let Some((pid, status)) = system::reap() {
            let end = if libc::WIFEXITED(status) {
                End::Code(libc::WEXITSTATUS(status) as u8)
            } else {
                End::Signal(libc::WTERMSIG(status))
            };
            // What it said before its end is taken before its end.
            self.pass_answers_on()?;
            match self.processes.ended(pid, end) {
                Consequence::Nothing => {}
                Consequence::Ended(order, end) => {
                    self.tell(&Message::Ended { order, end }, &[])?;
                }
                Consequence::Failed(order, end) => {
                    let why = match end {
                        End::Code(code) => format!("what carried it out ended with {code}"),
                        End::Signal(signal) => {
                            format!("what carried it out was ended by signal {signal}")
                        }
                    };
                    let done = Message::Done {
                        order,
                        result: Err(failure(Step::Process, why, None)),
                        pid: None,
                    };
                    self.tell(&done, &[])?;
                }
                // It may have ended: then its end is still to be reaped.
                Consequence::Kill(pid) => drop(system::kill(pid, libc::SIGKILL)),
            }
        }
        Ok(())
    }

    fn pid_of(&self, order: u64) -> Outcome<i32> {
        let gone = || failure(Step::Order, "the container has ended", Some(libc::ESRCH));
        self.processes.of(order).ok_or_else(gone)
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
