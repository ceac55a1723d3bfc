//! What to do with the process: a pure state machine. Inputs and the time go in, effects come out;
//! `run.rs` carries them out. It knows no files, process handles or clocks.
//!
//! The rules: the container outlives its process, which is started again after a growing pause, or
//! at once when new files came. A dependency step runs while the old process still serves; only then
//! is the process ended (TERM to its group, KILL after a stated time) and started anew. Commits that
//! arrive meanwhile are merged: the newest is followed, the others end as superseded. When the
//! container is told to end, the process is, and its code becomes the container's.

mod backoff;
mod report;
mod transition;

use std::time::Duration;

use crate::protocol::{Exit, FromAgent, Restart, Step};

/// What the command line says about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Between TERM and KILL when the process is restarted.
    pub(crate) stop_timeout: Duration,
    /// Between TERM and KILL when the container ends.
    pub(crate) grace: Duration,
    /// How long the first start waits for a session's first update.
    pub(crate) await_session: Duration,
    /// Runs the command once, after the first update, and ends with its code.
    pub(crate) once: bool,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The agent is up.
    Begin,
    /// A session was let in.
    SessionJoined,
    /// A commit is in place, or a restart was asked for.
    Committed(Commitment),
    /// A session wants the process stopped.
    Stop,
    /// The step was started after all.
    StepStarted,
    /// The step isn't necessary.
    StepSkipped,
    /// The step ended, its output is complete.
    StepEnded(Exit),
    /// The process was started.
    Started(u32),
    /// The process is gone, its output is complete.
    Exited { exit: Exit, last_lines: Vec<String> },
    /// The process accepts connections.
    Ready,
    /// The process runs but doesn't accept connections any more.
    NotReady(String),
    /// The container is told to end by this signal.
    Terminate(i32),
    /// A signal for the process.
    Forward(i32),
    /// The deadline passed.
    Tick,
}

/// A commit whose files are in place.
#[derive(Clone, Debug)]
pub(crate) struct Commitment {
    pub(crate) update: u64,
    /// When it was received.
    pub(crate) received: Duration,
    /// Whether it wrote or deleted something.
    pub(crate) changed: bool,
    /// The dependency step, and whether this update changed one of its inputs.
    pub(crate) step: Option<(Step, bool)>,
    pub(crate) restart: Restart,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start the process. Answered by `Started` or `Exited`.
    Start,
    /// Send a signal to the process alone.
    Signal(i32),
    /// Send a signal to the process's group.
    SignalGroup(i32),
    /// Run the step if it is necessary. Answered by `StepSkipped`, or `StepStarted` or `StepEnded`.
    RunStep {
        update: u64,
        step: Step,
        touched: bool,
    },
    /// Kill the step's group.
    KillStep,
    /// Tell the session.
    Tell(FromAgent),
    /// Write a line to the container's log.
    Note(String),
    /// End the agent with this code.
    Leave(u8),
}

/// The supervisor.
#[derive(Debug)]
pub(crate) struct Supervisor {
    settings: Settings,
    process: Process,
    /// What is being done for the newest update whose turn came.
    work: Option<Work>,
    /// What is to be done after the running step.
    queued: Option<Commitment>,
    /// Crashes in a row.
    failures: u32,
    leaving: bool,
}

/// The process.
#[derive(Clone, Debug)]
enum Process {
    /// Never started.
    Waiting { until: Duration },
    /// Asked to be started.
    Starting,
    Running {
        pid: u32,
        since: Duration,
        ready: bool,
    },
    Stopping {
        kill_at: Option<Duration>,
        next: Next,
    },
    /// Ended by itself.
    Crashed {
        until: Duration,
        exit: Exit,
        last_lines: Vec<String>,
    },
    /// Ended on request, or never started because the first step failed.
    Resting { reason: &'static str },
}

/// What comes after the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Start,
    Rest,
    Leave,
}

/// An update that is followed until it is live.
#[derive(Clone, Debug)]
struct Work {
    commitment: Commitment,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The dependency step was asked for, or runs.
    Step { running: bool },
    /// The process is ended, started or waited for.
    Process,
}

impl Supervisor {
    pub(crate) fn new(settings: Settings) -> Self {
        let until = settings.await_session;
        let process = Process::Waiting { until };
        Self {
            settings,
            process,
            work: None,
            queued: None,
            failures: 0,
            leaving: false,
        }
    }

    /// When `Tick` is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self.process {
            // Nothing is started under a running step: what it installs may be half there.
            Process::Waiting { until } | Process::Crashed { until, .. } => {
                (!self.is_stepping()).then_some(until)
            }
            Process::Stopping { kill_at, .. } => kill_at,
            Process::Starting | Process::Running { .. } | Process::Resting { .. } => None,
        }
    }

    fn is_stepping(&self) -> bool {
        self.work
            .as_ref()
            .is_some_and(|work| matches!(work.stage, Stage::Step { .. }))
    }
}

#[cfg(test)]
mod tests;
