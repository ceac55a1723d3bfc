//! What is to be done about a pod now: a decision on its state, without effects of its own.
//!
//! ```text
//! event ──handle──→ State ──decide──→ effects (carried out by `actor`, whose results are events), and when to decide again
//! ```

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;

use super::failing::Failing;
use super::probes::{Probes, Verdict, Which, after};
use super::state::{
    Ending, Finish, Member, Role, Run, Sandbox, State, container, containers, grace,
};

/// How long to wait after what containers share couldn't be made, in seconds, and how often that is doubled.
const FIRST: u64 = 2;
const DOUBLINGS: u32 = 3;

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Make what the containers share.
    Prepare,
    /// Start a container, for the so many-th time.
    Start { container: String, attempt: u32 },
    /// End a container.
    Stop { container: String, grace: Duration },
    /// Look whether the image of a container that waits for it is there now.
    Look { container: String },
    /// Ask a container.
    Probe { container: String, which: Which },
    /// Remove what the containers shared.
    TearDown,
    /// The object may go.
    Delete,
    /// Write an event.
    Tell(Notice),
}

/// An event for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) warning: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) container: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// What the containers share is there, or why not.
    Prepared(Result<Option<std::net::Ipv4Addr>, Failure>),
    /// A container runs, or why not.
    Started {
        container: String,
        result: Result<Begun, Failure>,
    },
    /// The image that a container waits for is there.
    Found { container: String },
    /// A container has ended.
    Ended { container: String, finish: Finish },
    /// A probe has answered.
    Probed {
        container: String,
        which: Which,
        answer: Result<(), String>,
    },
    /// What the containers shared is gone.
    TornDown,
}

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) id: String,
    pub(crate) image_id: String,
}

/// Why something couldn't begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// In one word, as statuses and events have it.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Whether it was begun and ended at once, rather than never begun.
    pub(crate) ended: bool,
}

impl Notice {
    pub(crate) fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: false,
            reason,
            message: message.into(),
            container: None,
        }
    }

    pub(crate) fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::normal(reason, message)
        }
    }

    pub(crate) fn of(self, container: &str) -> Self {
        Self {
            container: Some(container.to_owned()),
            ..self
        }
    }
}

impl State {
    /// Takes in what happened, and says what people should hear of it.
    pub(crate) fn handle(&mut self, pod: &Pod, event: Event, now: Timestamp) -> Vec<Effect> {
        match event {
            Event::Prepared(Ok(address)) => {
                self.sandbox = Sandbox::Ready { address };
                self.unprepared = 0;
                Vec::new()
            }
            Event::Prepared(Err(failure)) => {
                // Often somebody makes what is missing, and waits for the pod; each try is told of.
                let wait = FIRST << self.unprepared.min(DOUBLINGS);
                self.unprepared += 1;
                self.sandbox = Sandbox::Absent {
                    not_before: Some(after(now, Duration::from_secs(wait))),
                };
                vec![Effect::Tell(Notice::warning(
                    failure.reason,
                    failure.message,
                ))]
            }
            Event::TornDown => {
                self.sandbox = Sandbox::Removed;
                Vec::new()
            }
            Event::Started { container, result } => self.started(pod, &container, result, now),
            Event::Found { container } => {
                if let Some(Run::Failing(failing)) =
                    self.containers.get_mut(&container).map(|it| &mut it.run)
                {
                    failing.not_before = now;
                }
                Vec::new()
            }
            Event::Ended { container, finish } => {
                if let Some(member) = self.containers.get_mut(&container) {
                    member.backoff.count(finish.started, finish.finished);
                    member.probes = Probes::default();
                    member.run = Run::Ended(finish);
                }
                Vec::new()
            }
            Event::Probed {
                container,
                which,
                answer,
            } => self.probed(pod, &container, which, answer),
        }
    }

    fn started(
        &mut self,
        pod: &Pod,
        name: &str,
        result: Result<Begun, Failure>,
        now: Timestamp,
    ) -> Vec<Effect> {
        let Some(member) = self.containers.get_mut(name) else {
            return Vec::new();
        };
        match result {
            Ok(begun) => {
                member.image_id = begun.image_id;
                member.probes = Probes::begin(now);
                member.run = Run::Running {
                    since: now,
                    id: begun.id,
                    stopping: false,
                };
                Vec::new()
            }
            Err(failure) if failure.ended => {
                member.backoff.count(now, now);
                let finish = Finish {
                    id: format!("{}-{name}", pod.metadata.uid.as_deref().unwrap_or_default()),
                    code: 128,
                    signal: None,
                    reason: "StartError".to_owned(),
                    message: Some(failure.message.clone()),
                    started: Timestamp::UNIX_EPOCH,
                    finished: now,
                };
                member.run = Run::Ended(finish);
                vec![Effect::Tell(
                    Notice::warning("Failed", format!("Error: {}", failure.message)).of(name),
                )]
            }
            Err(failure) => {
                member.backoff.count(now, now);
                let not_before = after(now, member.backoff.wait_after_failure());
                let (failing, told) = Failing::new(failure, now, not_before);
                member.run = Run::Failing(failing);
                let told = told.into_iter();
                told.map(|notice| Effect::Tell(notice.of(name))).collect()
            }
        }
    }

    fn probed(
        &mut self,
        pod: &Pod,
        name: &str,
        which: Which,
        answer: Result<(), String>,
    ) -> Vec<Effect> {
        let (Some(member), Some(container)) = (self.containers.get_mut(name), container(pod, name))
        else {
            return Vec::new();
        };
        // An answer from before the last restart is nobody's.
        if !member.is_running() || !member.probes.is_asking(which) {
            return Vec::new();
        }
        let verdict = member.probes.answer(container, which, answer.is_ok());
        let mut effects = Vec::new();
        let is_stopping = matches!(member.run, Run::Running { stopping: true, .. });
        if let (Err(message), false) = (answer, is_stopping || verdict == Verdict::Early) {
            let message = format!("{} probe failed: {message}", which.title());
            effects.push(Effect::Tell(Notice::warning("Unhealthy", message).of(name)));
        }
        if verdict == Verdict::Restart
            && let Run::Running {
                stopping: stopping @ false,
                ..
            } = &mut member.run
        {
            *stopping = true;
            let kind = which.title().to_lowercase();
            let message = format!("Container {name} failed {kind} probe, will be restarted");
            let own = which
                .of(container)
                .and_then(|probe| probe.termination_grace_period_seconds);
            let grace = own.map_or(grace(pod), |seconds| {
                Duration::from_secs(seconds.max(0).unsigned_abs())
            });
            effects.push(Effect::Tell(Notice::normal("Killing", message).of(name)));
            effects.push(Effect::Stop {
                container: name.to_owned(),
                grace,
            });
        }
        effects
    }

    /// What is to be done now, which counts as begun, and when to ask again if nothing happens.
    pub(crate) fn decide(&mut self, pod: &Pod, now: Timestamp) -> (Vec<Effect>, Option<Timestamp>) {
        let mut turn = Turn {
            pod,
            now,
            effects: Vec::new(),
            wake: None,
        };
        self.notice_end(&mut turn);
        if self.refusal.is_some() {
            self.finish(&mut turn);
        } else if self.ending.is_some() || self.is_done(pod) {
            self.end(&mut turn);
        } else {
            self.go_on(&mut turn);
        }
        (turn.effects, turn.wake)
    }

    fn notice_end(&mut self, turn: &mut Turn<'_>) {
        let metadata = &turn.pod.metadata;
        if let Some(deleted) = &metadata.deletion_timestamp {
            self.ending = Some(Ending::Deleted {
                deadline: deleted.0,
            });
            return;
        }
        let spec = turn.pod.spec.as_ref();
        let Some(seconds) = spec.and_then(|spec| spec.active_deadline_seconds) else {
            return;
        };
        if self.ending.is_some() || self.is_done(turn.pod) {
            return;
        }
        let until = after(
            self.begun,
            Duration::from_secs(seconds.max(0).unsigned_abs()),
        );
        if until <= turn.now {
            self.ending = Some(Ending::Overdue {
                deadline: after(turn.now, grace(turn.pod)),
            });
        } else {
            turn.wake_at(until);
        }
    }

    /// Ends what runs: the main containers first, then those that serve them, the last begun first.
    fn end(&mut self, turn: &mut Turn<'_>) {
        let deadline = match self.ending {
            Some(Ending::Deleted { deadline } | Ending::Overdue { deadline }) => deadline,
            None => after(turn.now, grace(turn.pod)),
        };
        let left = Duration::try_from(deadline.duration_since(turn.now)).unwrap_or_default();
        let main_runs = containers(turn.pod)
            .filter(|(role, _)| *role != Role::Sidecar)
            .any(|(_, container)| self.member(&container.name).is_some_and(Member::is_busy));
        let order: Vec<_> = containers(turn.pod).collect();
        for (role, container) in order.into_iter().rev() {
            if role == Role::Sidecar && main_runs {
                continue;
            }
            let Some(member) = self.containers.get_mut(&container.name) else {
                continue;
            };
            if let Run::Running { stopping, .. } = &mut member.run {
                if !*stopping {
                    *stopping = true;
                    let message = format!("Stopping container {}", container.name);
                    turn.effects.push(Effect::Tell(
                        Notice::normal("Killing", message).of(&container.name),
                    ));
                    turn.effects.push(Effect::Stop {
                        container: container.name.clone(),
                        grace: left,
                    });
                }
                if role == Role::Sidecar {
                    return;
                }
            }
        }
        if !self.is_busy() {
            self.finish(turn);
        }
    }

    /// Nothing runs any more.
    fn finish(&mut self, turn: &mut Turn<'_>) {
        match self.sandbox {
            Sandbox::Ready { .. } => {
                self.sandbox = Sandbox::Removing;
                turn.effects.push(Effect::TearDown);
            }
            Sandbox::Absent { .. } | Sandbox::Removed => {
                if matches!(self.ending, Some(Ending::Deleted { .. })) {
                    turn.effects.push(Effect::Delete);
                }
            }
            Sandbox::Preparing | Sandbox::Removing => {}
        }
    }

    fn go_on(&mut self, turn: &mut Turn<'_>) {
        match self.sandbox {
            Sandbox::Absent { not_before } => {
                if let Some(at) = not_before.filter(|at| *at > turn.now) {
                    turn.wake_at(at);
                } else {
                    self.sandbox = Sandbox::Preparing;
                    turn.effects.push(Effect::Prepare);
                }
            }
            Sandbox::Ready { .. } => {
                // Also where init containers don't get on: that is what one looks into.
                for (role, container) in
                    containers(turn.pod).filter(|(role, _)| *role == Role::Ephemeral)
                {
                    self.advance(turn, role, container);
                }
                self.initialize(turn);
                if self.initialized {
                    for (role, container) in
                        containers(turn.pod).filter(|(role, _)| *role == Role::Main)
                    {
                        self.advance(turn, role, container);
                    }
                }
                self.probe(turn);
            }
            Sandbox::Preparing | Sandbox::Removing | Sandbox::Removed => {}
        }
    }

    fn initialize(&mut self, turn: &mut Turn<'_>) {
        let init: Vec<_> = containers(turn.pod)
            .filter(|(role, _)| matches!(role, Role::Init | Role::Sidecar))
            .collect();
        for (role, container) in init {
            if role == Role::Init && self.initialized {
                continue;
            }
            if role == Role::Init
                && matches!(self.member(&container.name).map(|member| &member.run), Some(Run::Ended(finish)) if finish.code == 0)
            {
                continue;
            }
            self.advance(turn, role, container);
            let started = self
                .member(&container.name)
                .is_some_and(|member| member.probes.started(container));
            let goes_on = self.initialized || role == Role::Sidecar && started;
            if !goes_on {
                return;
            }
        }
        self.initialized = true;
    }

    /// Starts a container, or starts it again when its time has come.
    fn advance(&mut self, turn: &mut Turn<'_>, role: Role, container: &Container) {
        let again = self.starts_again(turn.pod, role, container);
        let Some(member) = self.containers.get_mut(&container.name) else {
            return;
        };
        match &mut member.run {
            Run::Failing(failing) => {
                if failing.waits(turn, container) {
                    return;
                }
            }
            Run::Waiting => {}
            Run::Ended(finish) if again => {
                let at = after(finish.finished, member.backoff.wait());
                if at > turn.now {
                    let uid = turn.pod.metadata.uid.as_deref().unwrap_or_default();
                    let message = format!(
                        "Back-off restarting failed container {} in pod {}_{}({uid})",
                        container.name,
                        turn.pod.metadata.name.as_deref().unwrap_or_default(),
                        turn.pod.metadata.namespace.as_deref().unwrap_or_default(),
                    );
                    // Told once for each wait.
                    if member.last.as_ref() != Some(finish) {
                        member.last = Some(finish.clone());
                        turn.effects.push(Effect::Tell(
                            Notice::warning("BackOff", message).of(&container.name),
                        ));
                    }
                    return turn.wake_at(at);
                }
                member.last = Some(finish.clone());
                member.restarts += 1;
            }
            Run::Ended(_) | Run::Starting | Run::Running { .. } => return,
        }
        member.run = Run::Starting;
        let attempt = member.restarts;
        turn.effects.push(Effect::Start {
            container: container.name.clone(),
            attempt,
        });
    }

    fn probe(&mut self, turn: &mut Turn<'_>) {
        for (_, container) in containers(turn.pod) {
            let Some(member) = self.containers.get_mut(&container.name) else {
                continue;
            };
            if !matches!(
                member.run,
                Run::Running {
                    stopping: false,
                    ..
                }
            ) {
                continue;
            }
            let (due, next) = member.probes.due(container, turn.now);
            for which in due {
                turn.effects.push(Effect::Probe {
                    container: container.name.clone(),
                    which,
                });
            }
            if let Some(next) = next {
                turn.wake_at(next);
            }
        }
    }
}

pub(crate) struct Turn<'a> {
    pod: &'a Pod,
    pub(crate) now: Timestamp,
    pub(crate) effects: Vec<Effect>,
    wake: Option<Timestamp>,
}

impl Turn<'_> {
    pub(crate) fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |other| other.min(at)));
    }
}

#[cfg(test)]
mod tests;
