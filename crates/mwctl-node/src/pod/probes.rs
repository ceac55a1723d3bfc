//! Probes as a decision: which is due, and what its answer means.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Which of a container's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Which {
    Startup,
    Liveness,
    Readiness,
}

impl Which {
    pub(crate) const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];

    pub(crate) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }

    /// As it begins sentences in events.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// What is known from the probes of a running container. A new one for each start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Probes {
    since: Option<Timestamp>,
    startup: Course,
    liveness: Course,
    readiness: Course,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Course {
    /// Asked, and not yet answered.
    asked: bool,
    last: Option<Timestamp>,
    successes: u32,
    failures: u32,
    /// What the thresholds have made of the answers.
    passes: Option<bool>,
}

/// What an answer means for the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Unchanged,
    Changed,
    /// It must be started again.
    Restart,
}

impl Probes {
    pub(crate) fn begin(now: Timestamp) -> Self {
        Self {
            since: Some(now),
            ..Self::default()
        }
    }

    fn course(&self, which: Which) -> &Course {
        match which {
            Which::Startup => &self.startup,
            Which::Liveness => &self.liveness,
            Which::Readiness => &self.readiness,
        }
    }

    fn course_mut(&mut self, which: Which) -> &mut Course {
        match which {
            Which::Startup => &mut self.startup,
            Which::Liveness => &mut self.liveness,
            Which::Readiness => &mut self.readiness,
        }
    }

    /// Whether the container has begun to work, as far as can be told.
    pub(crate) fn started(&self, container: &Container) -> bool {
        self.since.is_some()
            && (container.startup_probe.is_none() || self.startup.passes == Some(true))
    }

    /// Whether the container can be used.
    pub(crate) fn ready(&self, container: &Container) -> bool {
        self.started(container)
            && (container.readiness_probe.is_none() || self.readiness.passes == Some(true))
    }

    /// The probes that are due, which count as asked from now on, and when the next one will be.
    pub(crate) fn due(
        &mut self,
        container: &Container,
        now: Timestamp,
    ) -> (Vec<Which>, Option<Timestamp>) {
        let mut due = Vec::new();
        let mut next: Option<Timestamp> = None;
        let started = self.started(container);
        for which in Which::ALL {
            let (Some(probe), Some(since)) = (which.of(container), self.since) else {
                continue;
            };
            let applies = if which == Which::Startup {
                !started
            } else {
                started
            };
            let course = self.course_mut(which);
            if !applies || course.asked {
                continue;
            }
            let at = match course.last {
                Some(last) => after(last, seconds(probe.period_seconds, 10)),
                None => after(since, seconds(probe.initial_delay_seconds, 0)),
            };
            if at <= now {
                course.asked = true;
                course.last = Some(now);
                due.push(which);
            } else {
                next = Some(next.map_or(at, |other| other.min(at)));
            }
        }
        (due, next)
    }

    /// An answer.
    pub(crate) fn answer(&mut self, container: &Container, which: Which, well: bool) -> Verdict {
        let Some(probe) = which.of(container) else {
            return Verdict::Unchanged;
        };
        let needed =
            |count: Option<i32>, usual| u32::try_from(count.unwrap_or(usual)).unwrap_or(1).max(1);
        let course = self.course_mut(which);
        course.asked = false;
        if well {
            course.failures = 0;
            course.successes += 1;
        } else {
            course.successes = 0;
            course.failures += 1;
        }
        let before = course.passes;
        if course.successes >= needed(probe.success_threshold, 1) {
            course.passes = Some(true);
        } else if course.failures >= needed(probe.failure_threshold, 3) {
            course.passes = Some(false);
        }
        match (which, course.passes) {
            (Which::Startup | Which::Liveness, Some(false)) => Verdict::Restart,
            (_, passes) if passes != before => Verdict::Changed,
            _ => Verdict::Unchanged,
        }
    }

    /// Whether an answer is awaited.
    pub(crate) fn is_asking(&self, which: Which) -> bool {
        self.course(which).asked
    }
}

pub(crate) fn after(start: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    start.saturating_add(span).unwrap_or(start)
}

fn seconds(count: Option<i32>, usual: u64) -> Duration {
    Duration::from_secs(
        count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(usual),
    )
}

/// How long a probe may take.
pub(crate) fn timeout(probe: &Probe) -> Duration {
    seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn probe(period: i32, failures: i32) -> Probe {
        Probe {
            period_seconds: Some(period),
            failure_threshold: Some(failures),
            ..Probe::default()
        }
    }

    #[test]
    fn readiness_is_asked_at_once_and_then_each_period() {
        let container = Container {
            readiness_probe: Some(probe(5, 3)),
            ..Container::default()
        };
        let mut probes = Probes::begin(at(0));
        assert!(!probes.ready(&container));
        assert_eq!(
            probes.due(&container, at(0)),
            (vec![Which::Readiness], None)
        );
        assert_eq!(probes.due(&container, at(60)), (vec![], None));
        assert_eq!(
            probes.answer(&container, Which::Readiness, true),
            Verdict::Changed
        );
        assert!(probes.ready(&container));
        assert_eq!(probes.due(&container, at(1)), (vec![], Some(at(5))));
        for (second, verdict) in [
            (5, Verdict::Unchanged),
            (10, Verdict::Unchanged),
            (15, Verdict::Changed),
        ] {
            probes.due(&container, at(second));
            assert_eq!(probes.answer(&container, Which::Readiness, false), verdict);
        }
        assert!(!probes.ready(&container));
    }

    #[test]
    fn the_others_wait_for_the_startup_probe() {
        let container = Container {
            startup_probe: Some(probe(1, 2)),
            liveness_probe: Some(probe(1, 1)),
            ..Container::default()
        };
        let mut probes = Probes::begin(at(0));
        assert_eq!(probes.due(&container, at(0)).0, [Which::Startup]);
        assert_eq!(
            probes.answer(&container, Which::Startup, false),
            Verdict::Unchanged
        );
        assert!(!probes.started(&container));
        assert_eq!(probes.due(&container, at(1)).0, [Which::Startup]);
        assert_eq!(
            probes.answer(&container, Which::Startup, true),
            Verdict::Changed
        );
        assert_eq!(probes.due(&container, at(2)).0, [Which::Liveness]);
        assert_eq!(
            probes.answer(&container, Which::Liveness, false),
            Verdict::Restart
        );
    }

    #[test]
    fn a_container_without_probes_is_ready_when_it_runs() {
        let container = Container::default();
        assert!(!Probes::default().ready(&container));
        assert!(Probes::begin(at(0)).ready(&container));
    }
}
