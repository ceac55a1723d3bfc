//! The transitions.

use std::time::Duration;

use super::report::millis;
use super::{Commitment, Effect, Input, Next, Process, Stage, Supervisor, Work, backoff};
use crate::protocol::{Exit, FromAgent, Outcome, Phase, ProcessExited, Restart};

const TERM: i32 = 15;
const KILL: i32 = 9;

/// Nobody brought the tree of a one-shot command in time.
const NO_SESSION: u8 = 75;

impl Supervisor {
    /// Takes what happened at `now` (since the agent's start) and says what to do.
    pub(crate) fn handle(&mut self, input: Input, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Begin | Input::Tick => self.tick(now, &mut effects),
            Input::SessionJoined => {
                // It is about to send its tree; give it the time again.
                if let Process::Waiting { until } = &mut self.process {
                    *until = (*until).max(now + self.settings.await_session);
                }
            }
            Input::Committed(commitment) => self.committed(commitment, now, &mut effects),
            Input::Stop => self.stop(now, &mut effects),
            Input::StepStarted => {
                if let Some(Work {
                    stage: Stage::Step { running },
                    ..
                }) = &mut self.work
                {
                    *running = true;
                }
                self.phase(Phase::DependenciesStarted, now, &mut effects);
            }
            Input::StepSkipped => self.after_step(false, now, &mut effects),
            Input::StepEnded(exit) => self.step_ended(exit, now, &mut effects),
            Input::Started(pid) => {
                self.process = Process::Running {
                    pid,
                    since: now,
                    ready: false,
                };
                self.phase(Phase::Started { pid }, now, &mut effects);
            }
            Input::Exited { exit, last_lines } => self.exited(exit, last_lines, now, &mut effects),
            Input::Ready => self.ready(now, &mut effects),
            Input::NotReady(reason) => {
                if let Process::Running {
                    ready: ready @ true,
                    ..
                } = &mut self.process
                {
                    *ready = false;
                    effects.push(Effect::Tell(FromAgent::NotReady { reason }));
                }
            }
            Input::Terminate(signal) => self.terminate(signal, now, &mut effects),
            Input::Forward(signal) => {
                if matches!(self.process, Process::Running { .. }) {
                    effects.push(Effect::Signal(signal));
                }
            }
        }
        effects
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.is_stepping() && !matches!(self.process, Process::Stopping { .. }) {
            return;
        }
        match &mut self.process {
            Process::Waiting { until } if now >= *until => {
                if self.settings.once {
                    effects.push(Effect::Note(
                        "no session brought the files of this command in time".to_owned(),
                    ));
                    effects.push(Effect::Leave(NO_SESSION));
                } else {
                    self.start(effects);
                }
            }
            Process::Crashed { until, .. } if now >= *until => self.start(effects),
            Process::Stopping { kill_at, .. } if kill_at.is_some_and(|at| now >= at) => {
                *kill_at = None;
                effects.push(Effect::SignalGroup(KILL));
                self.phase(Phase::Killed, now, effects);
            }
            _ => {}
        }
    }

    fn start(&mut self, effects: &mut Vec<Effect>) {
        self.process = Process::Starting;
        effects.push(Effect::Start);
    }

    fn committed(&mut self, mut new: Commitment, now: Duration, effects: &mut Vec<Effect>) {
        if self.leaving {
            return;
        }
        if new.changed {
            self.failures = 0;
        }
        let by = new.update;
        if self.is_stepping() {
            if let Some(old) = self.queued.take() {
                finish(&old, Outcome::Superseded { by }, now, effects);
                new = merge(&old, new);
            }
            self.queued = Some(new);
            return;
        }
        if let Some(old) = self.work.take() {
            finish(&old.commitment, Outcome::Superseded { by }, now, effects);
        }
        self.begin(new, now, effects);
    }

    /// Begins with an update when no step runs.
    fn begin(&mut self, commitment: Commitment, now: Duration, effects: &mut Vec<Effect>) {
        let (update, step) = (commitment.update, commitment.step.clone());
        self.work = Some(Work {
            commitment,
            stage: Stage::Step { running: false },
        });
        match step {
            Some((step, touched)) => effects.push(Effect::RunStep {
                update,
                step,
                touched,
            }),
            None => self.after_step(false, now, effects),
        }
    }

    fn step_ended(&mut self, exit: Exit, now: Duration, effects: &mut Vec<Effect>) {
        self.phase(Phase::DependenciesDone { exit }, now, effects);
        let Some(work) = self.work.take() else { return };
        if exit == Exit::Code(0) {
            self.work = Some(work);
            return self.after_step(true, now, effects);
        }
        finish(
            &work.commitment,
            Outcome::DependenciesFailed { exit },
            now,
            effects,
        );
        if self.settings.once {
            effects.push(Effect::Note("the dependency step failed".to_owned()));
            effects.push(Effect::Leave(exit.code()));
        }
        if matches!(self.process, Process::Waiting { .. }) {
            let reason = "the dependency step failed before the process was ever started";
            self.process = Process::Resting { reason };
        }
        if let Some(mut queued) = self.queued.take() {
            // What the failed update wanted is still to be done.
            queued = merge(&work.commitment, queued);
            self.begin(queued, now, effects);
        }
    }

    /// The dependencies fit: the turn of the process.
    fn after_step(&mut self, ran: bool, now: Duration, effects: &mut Vec<Effect>) {
        let Some(mut work) = self.work.take() else {
            return;
        };
        work.commitment.changed |= ran;
        if let Some(queued) = self.queued.take() {
            finish(
                &work.commitment,
                Outcome::Superseded { by: queued.update },
                now,
                effects,
            );
            work.commitment.step = None;
            return self.begin(merge(&work.commitment, queued), now, effects);
        }
        let Commitment {
            changed, restart, ..
        } = work.commitment;
        let wanted = match restart {
            Restart::Always => true,
            Restart::IfChanged => changed,
            Restart::Never => false,
        };
        work.stage = Stage::Process;
        match &mut self.process {
            Process::Running { .. } if wanted && !self.settings.once => {
                self.work = Some(work);
                self.end_process(TERM, self.settings.stop_timeout, Next::Start, now, effects);
            }
            // It reads the new files as it starts.
            Process::Stopping {
                next: next @ Next::Rest,
                ..
            } if wanted || changed => {
                *next = Next::Start;
                self.work = Some(work);
            }
            Process::Starting
            | Process::Stopping {
                next: Next::Start, ..
            } => {
                self.work = Some(work);
            }
            Process::Running { ready: false, .. } if !self.settings.once => {
                // Nobody restarts it, but it isn't live before it is ready.
                self.work = Some(work);
            }
            Process::Waiting { .. } => {
                self.work = Some(work);
                self.start(effects);
            }
            Process::Crashed { .. } | Process::Resting { .. } if wanted || changed => {
                self.work = Some(work);
                self.start(effects);
            }
            Process::Running { .. }
            | Process::Stopping { .. }
            | Process::Crashed { .. }
            | Process::Resting { .. } => {
                finish(&work.commitment, Outcome::Synchronised, now, effects);
            }
        }
    }

    fn end_process(
        &mut self,
        signal: i32,
        patience: Duration,
        next: Next,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        if matches!(self.process, Process::Running { .. }) {
            self.process = Process::Stopping {
                kill_at: Some(now + patience),
                next,
            };
            effects.push(Effect::SignalGroup(signal));
            self.phase(Phase::Stopping, now, effects);
        }
    }

    fn ready(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let Process::Running {
            pid,
            ready: ready @ false,
            ..
        } = &mut self.process
        else {
            return;
        };
        *ready = true;
        effects.push(Effect::Tell(FromAgent::Ready { pid: *pid }));
        if !self.is_stepping() {
            self.phase(Phase::Ready, now, effects);
            if let Some(work) = self.work.take() {
                finish(&work.commitment, Outcome::Live, now, effects);
            }
        }
    }

    fn exited(&mut self, exit: Exit, lines: Vec<String>, now: Duration, effects: &mut Vec<Effect>) {
        if let Process::Stopping { next, .. } = self.process {
            self.phase(Phase::Stopped, now, effects);
            match next {
                Next::Start => self.start(effects),
                Next::Rest => self.rest(),
                Next::Leave => effects.push(Effect::Leave(exit.code())),
            }
            return;
        }
        let (uptime, was_ready) = match self.process {
            Process::Running { since, ready, .. } => (now.saturating_sub(since), ready),
            _ => (Duration::ZERO, false),
        };
        self.failures = backoff::failures(self.failures, uptime, was_ready);
        let pause = backoff::pause(self.failures);
        effects.push(Effect::Tell(FromAgent::ProcessExited(ProcessExited {
            exit,
            uptime_ms: millis(uptime),
            was_ready,
            last_lines: lines.clone(),
            restart_in_ms: (!self.settings.once).then_some(millis(pause)),
        })));
        if !self.is_stepping()
            && let Some(work) = self.work.take()
        {
            let outcome = if self.settings.once {
                Outcome::Live
            } else {
                Outcome::Crashed
            };
            finish(&work.commitment, outcome, now, effects);
        }
        if self.settings.once {
            effects.push(Effect::Leave(exit.code()));
            return;
        }
        let text = match exit {
            Exit::Code(code) => format!("the process ended with code {code}"),
            Exit::Signal(signal) => format!("the process was ended by signal {signal}"),
            Exit::NotStarted(errno) => {
                let error = std::io::Error::from_raw_os_error(errno);
                format!("the process could not be started: {error}")
            }
        };
        let pause_ms = millis(pause);
        effects.push(Effect::Note(format!(
            "{text}; next start in {pause_ms} ms or on new files"
        )));
        self.process = Process::Crashed {
            until: now + pause,
            exit,
            last_lines: lines,
        };
        self.tick(now, effects);
    }

    fn stop(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if let Some(queued) = self.queued.take() {
            finish(&queued, Outcome::Stopped, now, effects);
        }
        match &mut self.process {
            Process::Running { .. } => {
                self.end_process(TERM, self.settings.stop_timeout, Next::Rest, now, effects);
            }
            Process::Stopping {
                next: next @ Next::Start,
                ..
            } => *next = Next::Rest,
            Process::Starting | Process::Stopping { .. } => {}
            Process::Waiting { .. } | Process::Crashed { .. } | Process::Resting { .. } => {
                self.rest();
            }
        }
        if self.is_stepping() {
            effects.push(Effect::KillStep);
        }
        if let Some(work) = self.work.take() {
            finish(&work.commitment, Outcome::Stopped, now, effects);
        }
    }

    fn rest(&mut self) {
        self.process = Process::Resting {
            reason: "the process was stopped by a session",
        };
    }

    fn terminate(&mut self, signal: i32, now: Duration, effects: &mut Vec<Effect>) {
        self.leaving = true;
        if self.is_stepping() {
            effects.push(Effect::KillStep);
            self.work = None;
        }
        let grace = self.settings.grace;
        match &mut self.process {
            Process::Running { .. } => self.end_process(signal, grace, Next::Leave, now, effects),
            Process::Stopping { kill_at, next, .. } => {
                *next = Next::Leave;
                *kill_at = kill_at.map(|at| at.min(now + grace));
                effects.push(Effect::SignalGroup(signal));
            }
            Process::Starting
            | Process::Waiting { .. }
            | Process::Crashed { .. }
            | Process::Resting { .. } => {
                let code = if self.settings.once {
                    Exit::Signal(signal).code()
                } else {
                    0
                };
                effects.push(Effect::Leave(code));
            }
        }
    }

    fn phase(&self, phase: Phase, now: Duration, effects: &mut Vec<Effect>) {
        if let Some(Work { commitment, .. }) = &self.work {
            let (update, micros) = (commitment.update, micros_since(commitment, now));
            effects.push(Effect::Tell(FromAgent::Phase {
                update,
                phase,
                micros,
            }));
        }
    }
}

/// The newer of two updates, with what is left to do of the older.
fn merge(old: &Commitment, mut new: Commitment) -> Commitment {
    new.changed |= old.changed;
    new.restart = match (old.restart, new.restart) {
        (Restart::Always, _) | (_, Restart::Always) => Restart::Always,
        (Restart::IfChanged, _) | (_, Restart::IfChanged) => Restart::IfChanged,
        (Restart::Never, Restart::Never) => Restart::Never,
    };
    new.step = match (&old.step, new.step) {
        (Some((old, old_touched)), Some((mut step, touched))) => {
            step.force |= old.force;
            Some((step, touched || *old_touched))
        }
        (old, step) => step.or_else(|| old.clone()),
    };
    new
}

fn finish(commitment: &Commitment, outcome: Outcome, now: Duration, effects: &mut Vec<Effect>) {
    let (update, micros) = (commitment.update, micros_since(commitment, now));
    effects.push(Effect::Tell(FromAgent::Finished {
        update,
        outcome,
        micros,
    }));
}

fn micros_since(commitment: &Commitment, now: Duration) -> u64 {
    u64::try_from(now.saturating_sub(commitment.received).as_micros()).unwrap_or(u64::MAX)
}
