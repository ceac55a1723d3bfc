//! Gathers what the agent says about each update until it is over: one line for the user.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mwctl_agent::protocol::{Exit, Outcome, Phase as AgentPhase};
use mwctl_core::name::ServiceName;

use super::Applied;
use crate::event::{Phase, Update};

/// The updates that are under way.
#[derive(Debug)]
pub(super) struct Reports {
    service: ServiceName,
    /// By the state's number.
    open: BTreeMap<u64, Report>,
    /// The wire's number → the state's.
    wires: BTreeMap<u64, u64>,
    /// How a requested dependency step ended.
    pub(super) applied: Option<Applied>,
}

#[derive(Debug, Default)]
struct Report {
    since: Option<Duration>,
    paths: BTreeSet<String>,
    phases: Vec<(String, Duration)>,
    waiting: BTreeSet<u64>,
    outcome: Option<String>,
    last: Duration,
}

impl Reports {
    pub(super) fn new(service: ServiceName) -> Self {
        Self {
            service,
            open: BTreeMap::new(),
            wires: BTreeMap::new(),
            applied: None,
        }
    }

    /// Part of `update` is on its way under the number `wire`.
    pub(super) fn copying(&mut self, update: u64, wire: u64) {
        self.wires.insert(wire, update);
        self.open.entry(update).or_default().waiting.insert(wire);
    }

    /// Nothing more will be sent for `update`; `wire` is its commit, where one was needed.
    pub(super) fn commit(
        &mut self,
        update: u64,
        since: Duration,
        paths: BTreeSet<String>,
        wire: Option<u64>,
    ) {
        if let Some(wire) = wire {
            self.copying(update, wire);
        }
        let report = self.open.entry(update).or_default();
        report.since = Some(since);
        report.paths = paths;
    }

    /// Its files are in place, `changed` of them anew. A commit that only restarts is answered too,
    /// and says nothing about when the files arrived.
    pub(super) fn written(&mut self, wire: u64, changed: u32, now: Duration) {
        let report = self
            .wires
            .get(&wire)
            .and_then(|update| self.open.get(update));
        let known = |report: &Report| report.phases.iter().any(|(name, _)| name == "written");
        if changed > 0 || !report.is_some_and(known) {
            self.note(wire, "written", now);
        }
    }

    /// A phase was reached.
    pub(super) fn phase(&mut self, wire: u64, phase: &AgentPhase, now: Duration) {
        let name = match phase {
            AgentPhase::DependenciesDone { .. } => "dependencies",
            AgentPhase::DependenciesStarted | AgentPhase::Stopping => return,
            AgentPhase::Killed => "killed",
            AgentPhase::Stopped => "stopped",
            AgentPhase::Started { .. } => "started",
            AgentPhase::Ready => "ready",
        };
        self.note(wire, name, now);
    }

    fn note(&mut self, wire: u64, name: &str, now: Duration) {
        let report = self
            .wires
            .get(&wire)
            .and_then(|update| self.open.get_mut(update));
        if let Some(report) = report {
            // Several copies belong to one update: the last one counts.
            report.phases.retain(|(known, _)| known != name);
            report.phases.push((name.to_owned(), now));
        }
    }

    /// The agent is done with `wire`.
    pub(super) fn finished(&mut self, wire: u64, outcome: &Outcome, now: Duration) {
        let update = self.wires.remove(&wire);
        let Some(report) = update.and_then(|update| self.open.get_mut(&update)) else {
            return;
        };
        report.waiting.remove(&wire);
        report.outcome = Some(in_words(outcome));
        report.last = now;
    }

    /// The connection is gone: nothing more will be heard of these.
    pub(super) fn abandon(&mut self) {
        self.open.clear();
        self.wires.clear();
    }

    /// Takes the updates that are over, without those that had nothing to do.
    pub(super) fn take_finished(&mut self) -> Vec<Update> {
        let over: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, report)| report.since.is_some() && report.waiting.is_empty())
            .map(|(update, _)| *update)
            .collect();
        over.into_iter()
            .filter_map(|update| self.open.remove(&update).map(|report| (update, report)))
            .filter_map(|(update, report)| report.told(update, &self.service))
            .collect()
    }
}

impl Report {
    fn told(self, update: u64, service: &ServiceName) -> Option<Update> {
        let since = self.since?;
        let outcome = self.outcome?;
        let idle = self.paths.is_empty() && self.phases.iter().all(|(name, _)| name == "written");
        if idle {
            return None;
        }
        let millis = |at: Duration| at.saturating_sub(since).as_secs_f64() * 1000.0;
        let phases = self
            .phases
            .into_iter()
            .map(|(name, at)| Phase {
                name,
                at: millis(at),
            })
            .collect();
        let millis = millis(self.last);
        let service = service.clone();
        Some(Update {
            service,
            update,
            paths: self.paths,
            phases,
            outcome,
            millis,
        })
    }
}

/// How a process ended, for people.
pub(crate) fn exit_in_words(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::NotStarted(2) => "its program is not in the container".to_owned(),
        Exit::NotStarted(13) => "its program may not be executed".to_owned(),
        Exit::NotStarted(error) => {
            format!(
                "it can't be started: {}",
                std::io::Error::from_raw_os_error(error)
            )
        }
    }
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Synchronised => "synchronised".to_owned(),
        Outcome::Live => "live".to_owned(),
        Outcome::Superseded { .. } => "superseded".to_owned(),
        Outcome::DependenciesFailed { exit } => {
            format!("dependencies failed: {}", exit_in_words(*exit))
        }
        Outcome::Crashed => "crashed".to_owned(),
        Outcome::Stopped => "stopped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> Reports {
        Reports::new(ServiceName::new("mathoid").expect("a name"))
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn an_update_is_told_once_when_all_its_parts_are_over() {
        let mut reports = reports();
        reports.copying(1, 10);
        reports.written(10, 1, ms(104));
        reports.finished(10, &Outcome::Synchronised, ms(104));
        assert!(
            reports.take_finished().is_empty(),
            "the commit has yet to come"
        );
        reports.commit(1, ms(100), BTreeSet::from(["app.js".to_owned()]), Some(11));
        assert!(reports.take_finished().is_empty());
        reports.written(11, 0, ms(112));
        reports.phase(11, &AgentPhase::Ready, ms(190));
        reports.finished(11, &Outcome::Live, ms(190));
        let told = reports.take_finished();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].outcome, "live");
        let phases: Vec<_> = told[0]
            .phases
            .iter()
            .map(|phase| phase.name.as_str())
            .collect();
        assert_eq!(phases, ["written", "ready"]);
        assert!(
            (told[0].phases[0].at - 4.0).abs() < 0.01,
            "the restart's answer doesn't count"
        );
        assert!((told[0].millis - 90.0).abs() < 0.01);
        assert!(reports.take_finished().is_empty());
    }

    #[test]
    fn a_copy_without_a_restart_is_told_when_the_batch_closes() {
        let mut reports = reports();
        reports.copying(1, 10);
        reports.written(10, 1, ms(3));
        reports.finished(10, &Outcome::Synchronised, ms(3));
        reports.commit(1, ms(0), BTreeSet::from(["logo.svg".to_owned()]), None);
        assert_eq!(reports.take_finished()[0].outcome, "synchronised");
    }

    #[test]
    fn a_comparison_that_found_nothing_is_not_worth_a_line() {
        let mut reports = reports();
        reports.commit(1, ms(0), BTreeSet::new(), Some(5));
        reports.written(5, 0, ms(1));
        reports.finished(5, &Outcome::Synchronised, ms(1));
        assert!(reports.take_finished().is_empty());
    }
}
