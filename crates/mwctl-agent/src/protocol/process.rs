//! How the supervised process is, and how an update gets on.

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It could not be started: the number of the system's error.
    NotStarted(i32),
}

impl Exit {
    /// The code that a shell would report: 128 + signal, 127 or 126 for what could not be started.
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => (code & 0xff) as u8,
            Self::Signal(signal) => 128_u8.wrapping_add((signal & 0x7f) as u8),
            Self::NotStarted(2) => 127,
            Self::NotStarted(_) => 126,
        }
    }
}

/// What the process does, as told to a session that joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessState {
    /// Not started yet: the agent waits for a session's first update.
    AwaitingSession,
    /// It runs.
    Running {
        /// Its process id in the container.
        pid: u32,
        /// Whether it accepts connections.
        ready: bool,
        /// Since when.
        uptime_ms: u64,
    },
    /// It was told to end and hasn't yet.
    Stopping,
    /// It ended by itself and will be started again.
    Crashed {
        /// How it ended.
        exit: Exit,
        /// When it is started again, if not at once because of new files.
        restart_in_ms: u64,
        /// The last of its output.
        last_lines: Vec<String>,
    },
    /// It does not run: a session stopped it, or the first dependency step failed.
    Stopped,
}

/// A moment in the life of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The dependency step started.
    DependenciesStarted,
    /// The dependency step ended.
    DependenciesDone {
        /// How.
        exit: Exit,
    },
    /// The process was told to end.
    Stopping,
    /// The process didn't end in time and was killed.
    Killed,
    /// The process is gone.
    Stopped,
    /// The process was started.
    Started {
        /// Its process id in the container.
        pid: u32,
    },
    /// The process accepts connections.
    Ready,
}

/// How an update ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Its files are in place and a restart was not needed.
    Synchronised,
    /// The process runs with it and is ready.
    Live,
    /// A later update took over what was left to do.
    Superseded {
        /// That update.
        by: u64,
    },
    /// The dependency step failed; the process was left as it was.
    DependenciesFailed {
        /// How the step ended.
        exit: Exit,
    },
    /// The process ended before it was ready; `ProcessExited` says how.
    Crashed,
    /// The process was stopped on request before it was ready.
    Stopped,
}
