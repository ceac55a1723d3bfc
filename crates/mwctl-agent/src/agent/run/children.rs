//! Carrying out effects: the process and the dependency step as children, their ends, their output.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, WaitStatus};

use super::{Agent, Event};
use crate::agent::probe::{Probe, Verdict};
use crate::agent::process::{Program, Running, Watcher, note};
use crate::agent::supervise::{Effect, Input};
use crate::protocol::{Bytes, Entry, Exit, FromAgent, Step};

const KILL: i32 = 9;

/// How long the output of a process that is gone may still come, when something that outlived its
/// group holds the stream.
const DRAIN: Duration = Duration::from_millis(200);

/// A child whose end is known only when its output is complete too.
pub(super) struct Child {
    number: u64,
    running: Running,
    open_streams: u8,
    ended: Option<(Exit, Duration)>,
}

/// The process.
pub(super) struct ProcessChild(Child);

/// The dependency step.
pub(super) struct StepChild {
    child: Child,
    update: u64,
    step: Step,
    outputs_before: Vec<Option<Entry>>,
}

#[derive(Clone)]
struct Streams {
    events: SyncSender<Event>,
    child: u64,
    /// Of a step.
    update: Option<u64>,
}

impl Watcher for Streams {
    fn output(&self, bytes: &[u8]) {
        if let Some(update) = self.update {
            // The loop is gone when the agent leaves.
            let _gone = self.events.send(Event::StepOutput {
                update,
                bytes: bytes.to_vec(),
            });
        }
    }

    fn closed(&self) {
        let _gone = self.events.send(Event::StreamClosed { child: self.child });
    }
}

impl Child {
    fn is_complete(&self, now: Duration) -> Option<Exit> {
        let (exit, ended) = self.ended?;
        (self.open_streams == 0 || now >= ended + DRAIN).then_some(exit)
    }

    fn end(&mut self, pid: Pid, status: WaitStatus, now: Duration) {
        if self.running.pid == pid {
            let exit = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, Some(signal)) => Exit::Signal(signal),
                (None, None) => return,
            };
            self.ended = Some((exit, now));
            // Whoever is left of its group would hold its port and its files.
            self.running.signal(KILL, true);
        }
    }
}

impl Agent {
    /// Hands an input to the supervisor, and carries out what comes of it.
    pub(super) fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.now();
            for effect in self.supervisor.handle(input, now) {
                inputs.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Vec<Input> {
        match effect {
            Effect::Start => return self.start(),
            Effect::Signal(signal) | Effect::SignalGroup(signal) => {
                if let Some(ProcessChild(child)) = &self.process {
                    let group = matches!(effect, Effect::SignalGroup(_));
                    child.running.signal(signal, group);
                }
            }
            Effect::RunStep {
                update,
                step,
                touched,
            } => {
                return vec![self.run_step(update, step, touched)];
            }
            Effect::KillStep => {
                if let Some(step) = &self.step {
                    step.child.running.signal(KILL, true);
                }
            }
            Effect::Tell(message) => self.tell(&message),
            Effect::Note(text) => note(&text),
            Effect::Leave(code) => self.leave = Some(code),
        }
        Vec::new()
    }

    fn child(&mut self, program: &Program, update: Option<u64>) -> std::io::Result<Child> {
        self.children += 1;
        let number = self.children;
        let streams = Streams {
            events: self.events.clone(),
            child: number,
            update,
        };
        let running = Running::start(program, &streams)?;
        Ok(Child {
            number,
            running,
            open_streams: 2,
            ended: None,
        })
    }

    fn start(&mut self) -> Vec<Input> {
        let program = Program {
            command: self.options.command.clone(),
            environment: Vec::new(),
            directory: self.options.directory.clone(),
            logged: true,
        };
        let child = match self.child(&program, None) {
            Ok(child) => child,
            Err(error) => {
                let exit = Exit::NotStarted(error.raw_os_error().unwrap_or(0));
                return vec![Input::Exited {
                    exit,
                    last_lines: Vec::new(),
                }];
            }
        };
        let pid = child.running.pid.as_raw_nonzero().get().unsigned_abs();
        self.probed.store(child.number, Ordering::Relaxed);
        let number = child.number;
        self.process = Some(ProcessChild(child));
        if self.options.settings.once || self.options.probe == Probe::None {
            return vec![Input::Started(pid), Input::Ready];
        }
        let events = self.events.clone();
        self.options
            .probe
            .spawn(number, self.probed.clone(), move |verdict| {
                let _gone = events.send(Event::Probed(verdict));
            });
        vec![Input::Started(pid)]
    }

    pub(super) fn probed(&mut self, verdict: Verdict) {
        let current = self.process.as_ref();
        // A process that ended meanwhile isn't ready, whatever answered on its port.
        if current.is_some_and(|p| p.0.number == verdict.start && p.0.ended.is_none()) {
            self.feed(match verdict.result {
                Ok(()) => Input::Ready,
                Err(reason) => Input::NotReady(reason),
            });
        }
    }

    fn run_step(&mut self, update: u64, step: Step, touched: bool) -> Input {
        if !self.files.prepare_step(&step, touched) {
            return Input::StepSkipped;
        }
        let program = Program {
            command: step.command.iter().map(Into::into).collect(),
            environment: step.environment.clone(),
            directory: self.options.directory.clone(),
            // Who waits for it is told; in the log it would only stand once more.
            logged: self.ownership.connection().is_none(),
        };
        let outputs_before = self.files.entries(&step.outputs);
        match self.child(&program, Some(update)) {
            Ok(child) => {
                self.step = Some(StepChild {
                    child,
                    update,
                    step,
                    outputs_before,
                });
                Input::StepStarted
            }
            Err(error) => Input::StepEnded(Exit::NotStarted(error.raw_os_error().unwrap_or(0))),
        }
    }

    pub(super) fn step_output(&mut self, update: u64, bytes: Vec<u8>) {
        self.tell(&FromAgent::StepOutput {
            update,
            bytes: Bytes(bytes),
        });
    }

    /// Takes in every child that ended, also orphans that nobody else waits for.
    pub(super) fn reap(&mut self) {
        let now = self.now();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if let Some(ProcessChild(child)) = &mut self.process {
                child.end(pid, status, now);
            }
            if let Some(step) = &mut self.step {
                step.child.end(pid, status, now);
            }
        }
    }

    pub(super) fn stream_closed(&mut self, number: u64) {
        let process = self.process.as_mut().map(|process| &mut process.0);
        let step = self.step.as_mut().map(|step| &mut step.child);
        for child in process.into_iter().chain(step) {
            if child.number == number {
                child.open_streams = child.open_streams.saturating_sub(1);
            }
        }
    }

    /// When a child's output is no longer waited for.
    pub(super) fn children_deadline(&self) -> Option<Duration> {
        let process = self.process.as_ref().map(|process| &process.0);
        let step = self.step.as_ref().map(|step| &step.child);
        let ends = process
            .into_iter()
            .chain(step)
            .filter_map(|child| child.ended);
        ends.map(|(_, ended)| ended + DRAIN).min()
    }

    /// Tells the supervisor about children whose end and output are complete.
    pub(super) fn collect_children(&mut self) {
        let now = self.now();
        if let Some(exit) = self
            .step
            .as_ref()
            .and_then(|step| step.child.is_complete(now))
            && let Some(StepChild {
                update,
                step,
                outputs_before,
                ..
            }) = self.step.take()
        {
            if exit == Exit::Code(0) {
                self.files.step_succeeded(&step);
            }
            let after = self.files.entries(&step.outputs);
            let changed = after
                .into_iter()
                .zip(outputs_before)
                .filter(|(now, was)| now != was);
            let entries: Vec<Entry> = changed.filter_map(|(now, _)| now).collect();
            if !entries.is_empty() {
                self.tell(&FromAgent::FilesChanged { update, entries });
            }
            self.feed(Input::StepEnded(exit));
        }
        if let Some(exit) = self
            .process
            .as_ref()
            .and_then(|process| process.0.is_complete(now))
            && let Some(ProcessChild(child)) = self.process.take()
        {
            let last_lines = child.running.last_lines();
            self.feed(Input::Exited { exit, last_lines });
        }
    }
}
