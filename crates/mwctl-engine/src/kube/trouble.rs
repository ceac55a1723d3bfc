//! What is in the way of pods that may pass, and what of it has been told already. It decides only; whoever waits looks and tells.

use std::collections::BTreeMap;
use std::time::Duration;

use mwctl_core::observed::{
    Cause, ContainerState, Observed, ObservedContainer, ObservedPod, Warning,
};
use tokio::time::Instant;

/// How often a check must have failed before whoever waits hears of it: while a process starts, some do.
const FAILED_CHECKS: u32 = 3;

/// How long after a process has ended a node may need to file its log, however busy it is.
const FILING: Duration = Duration::from_secs(2);

/// What may pass, but should be known at once.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Trouble {
    /// A process that should go on has ended, and is started again.
    Ended,
    /// No node has room.
    NoRoom,
    /// Something to mount isn't there.
    NoVolume,
    /// A check fails again and again.
    Unhealthy,
}

/// A trouble as the cluster shows it now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) kind: Trouble,
    /// What it is known by: with another sign it may have another cause.
    sign: String,
}

/// The trouble of what was observed, if there is one.
pub(super) fn find(observed: &Observed) -> Option<Found> {
    let pods = &observed.pods;
    let found = |kind, sign: &str| Found {
        kind,
        sign: sign.to_owned(),
    };
    let ends = pods.iter().flat_map(|pod| &pod.containers).map(ends);
    let ends: u32 = ends.sum();
    if ends > 0 {
        return Some(found(Trouble::Ended, &ends.to_string()));
    }
    if let Some(why) = pods.iter().find_map(no_room) {
        return Some(found(Trouble::NoRoom, why));
    }
    let mut events = observed.events.iter().rev();
    if let Some(lost) = events.clone().find(|warning| is_lost(warning)) {
        return Some(found(Trouble::NoVolume, &lost.message));
    }
    let failing = events.find(|warning| is_failing(warning, pods))?;
    Some(found(Trouble::Unhealthy, &failing.message))
}

/// How often the process of a container that isn't ready has ended, though it should have gone on.
fn ends(container: &ObservedContainer) -> u32 {
    let failed = match &container.state {
        ContainerState::Terminated(end) => end.exit_code != 0,
        ContainerState::Waiting { .. } => container.restarts > 0,
        ContainerState::Running => false,
    };
    if container.ready {
        return 0;
    }
    container.restarts + u32::from(failed)
}

/// Why no node takes a pod, where that is for want of room.
fn no_room(pod: &ObservedPod) -> Option<&str> {
    // A claim that has yet to be bound is a matter of a moment.
    const WORDS: [&str; 3] = ["Insufficient", "free ports", "affinity"];
    let why = pod.unschedulable.as_deref()?;
    WORDS.iter().any(|words| why.contains(words)).then_some(why)
}

fn is_lost(warning: &Warning) -> bool {
    let said = ["not found", "non-existent"];
    warning.reason == "FailedMount" && said.iter().any(|words| warning.message.contains(words))
}

fn is_failing(warning: &Warning, pods: &[ObservedPod]) -> bool {
    let unready = |pod: &ObservedPod| pod.name == warning.name && !pod.ready;
    warning.reason == "Unhealthy" && warning.count >= FAILED_CHECKS && pods.iter().any(unready)
}

/// What has been told to whoever waits.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The last sign of each trouble whose cause is known, and until when there may be more to say of it.
    known: BTreeMap<Trouble, (String, Option<Instant>)>,
    causes: Vec<(Trouble, Cause)>,
}

impl Told {
    /// Whether the cause of a trouble is to be looked for (again).
    pub(super) fn is_open(&self, found: &Found, now: Instant) -> bool {
        match self.known.get(&found.kind) {
            Some((sign, until)) => *sign != found.sign || until.is_some_and(|until| now < until),
            None => true,
        }
    }

    /// Takes note of a trouble's cause, and says whether it is news: that what was told before had another one, or nothing that
    /// supported it.
    pub(super) fn hear(&mut self, found: &Found, cause: &Cause, now: Instant) -> bool {
        let Found { kind, sign } = found.clone();
        let silent = kind == Trouble::Ended && cause.detail.is_empty();
        let before = self.known.remove(&kind).filter(|(known, _)| *known == sign);
        let until = match before {
            Some((_, until)) => until.filter(|_| silent),
            None => silent.then_some(now + FILING),
        };
        self.known.insert(kind, (sign, until));
        let told = |(of, known): &(Trouble, Cause)| {
            *of == kind
                && known.summary == cause.summary
                && known.detail.is_empty() <= cause.detail.is_empty()
        };
        let news = !self.causes.iter().any(told);
        if news {
            self.causes.push((kind, cause.clone()));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use mwctl_core::manifest::Form;
    use mwctl_core::observed::Termination;

    use super::*;

    fn pod(state: ContainerState, restarts: u32) -> ObservedPod {
        ObservedPod {
            name: "web-1".to_owned(),
            service: None,
            phase: "Running".to_owned(),
            ready: false,
            terminating: false,
            form: Form::Planned,
            node: None,
            architecture: None,
            unschedulable: None,
            containers: vec![ObservedContainer {
                name: "web".to_owned(),
                image: "web:1".to_owned(),
                init: false,
                ready: false,
                state,
                restarts,
                last_termination: None,
            }],
        }
    }

    fn crashed(restarts: u32) -> Observed {
        let end = Termination {
            exit_code: 3,
            signal: None,
            reason: "Error".to_owned(),
            message: String::new(),
        };
        Observed {
            pods: vec![pod(ContainerState::Terminated(end), restarts)],
            ..Observed::default()
        }
    }

    fn unhealthy(message: &str, count: u32) -> Warning {
        Warning {
            kind: "Pod".to_owned(),
            name: "web-1".to_owned(),
            reason: "Unhealthy".to_owned(),
            message: message.to_owned(),
            count,
        }
    }

    fn cause(summary: &str, detail: &[&str]) -> Cause {
        Cause {
            summary: summary.to_owned(),
            detail: detail.iter().map(|&line| line.to_owned()).collect(),
            hint: "mwctl logs web".to_owned(),
        }
    }

    #[test]
    fn a_check_that_fails_for_another_reason_is_told_again_and_each_reason_once() {
        let mut observed = Observed {
            pods: vec![pod(ContainerState::Running, 0)],
            events: vec![unhealthy("refused", 2)],
            ..Observed::default()
        };
        assert_eq!(find(&observed), None, "while a process starts, some do");
        let (mut told, now) = (Told::default(), Instant::now());
        let mut hear = |message: &str, count, summary: &str| {
            observed.events.push(unhealthy(message, count));
            let found = find(&observed).expect("a trouble");
            told.is_open(&found, now) && told.hear(&found, &cause(summary, &[message]), now)
        };
        assert!(hear("refused", 3, "nothing listens"));
        assert!(!hear("refused", 4, "nothing listens"));
        assert!(!hear("statuscode: 503", 1, "answers 503"), "it may pass");
        assert!(hear("statuscode: 503", 3, "answers 503"));
        assert!(!hear("refused", 5, "nothing listens"));
    }

    #[test]
    fn last_words_that_come_late_are_told_as_well() {
        let (mut told, now) = (Told::default(), Instant::now());
        let found = || find(&crashed(0)).expect("a trouble");
        assert!(told.hear(&found(), &cause("ended", &[]), now));
        assert!(told.is_open(&found(), now), "the log may be filed yet");
        assert!(!told.hear(&found(), &cause("ended", &[]), now), "no news");
        assert!(told.hear(&found(), &cause("ended", &["no database"]), now));
        assert!(!told.is_open(&found(), now));
    }

    #[test]
    fn who_says_nothing_is_not_asked_for_ever() {
        let (mut told, now) = (Told::default(), Instant::now());
        let found = || find(&crashed(0)).expect("a trouble");
        let silent = cause("ended", &[]);
        assert!(told.hear(&found(), &silent, now));
        assert!(!told.hear(&found(), &silent, now + FILING / 2));
        assert!(!told.is_open(&found(), now + FILING));
        let again = find(&crashed(1)).expect("a trouble");
        assert!(told.is_open(&again, now + FILING), "it ended once more");
    }
}
