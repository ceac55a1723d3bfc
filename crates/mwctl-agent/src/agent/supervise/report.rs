//! What the supervisor says about its state: to a session that joins, and to the readiness probe.

use std::time::Duration;

use super::{Process, Stage, Supervisor};
use crate::protocol::ProcessState;

impl Supervisor {
    /// The state for a session that joins.
    pub(crate) fn state(&self, now: Duration) -> ProcessState {
        match &self.process {
            Process::Waiting { .. } => ProcessState::AwaitingSession,
            Process::Running { pid, since, ready } => ProcessState::Running {
                pid: *pid,
                ready: *ready,
                uptime_ms: millis(now.saturating_sub(*since)),
            },
            Process::Starting | Process::Stopping { .. } => ProcessState::Stopping,
            Process::Crashed {
                until,
                exit,
                last_lines,
            } => ProcessState::Crashed {
                exit: *exit,
                restart_in_ms: millis(until.saturating_sub(now)),
                last_lines: last_lines.clone(),
            },
            Process::Resting { .. } => ProcessState::Stopped,
        }
    }

    /// Whether the container is ready, or why it isn't.
    pub(crate) fn readiness(&self) -> Result<(), &'static str> {
        if matches!(
            self.work.as_ref().map(|work| work.stage),
            Some(Stage::Step { running: true })
        ) {
            return Err("the dependency step is running");
        }
        match &self.process {
            Process::Running { ready: true, .. } => Ok(()),
            Process::Running { ready: false, .. } => Err("the process isn't accepting connections"),
            Process::Waiting { .. } => Err("the process waits for the first update of a session"),
            Process::Starting | Process::Stopping { .. } => Err("the process is being restarted"),
            Process::Crashed { .. } => Err("the process ended by itself and will be restarted"),
            Process::Resting { reason } => Err(reason),
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
