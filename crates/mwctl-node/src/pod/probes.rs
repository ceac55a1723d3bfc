//! Probes as a decision: which is due, and what its answer means.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// A container that has never been ready is asked again when it has had an eighth more of time, and never sooner than after this. The
/// kubelet asks a whole period later; whoever waits for a service that starts in a tenth of a second would wait for that.
const EARLY: Duration = Duration::from_millis(10);
/// The same where a process has to be started for it, which is asked when it has had a quarter more.
const EARLY_PROCESS: Duration = Duration::from_millis(50);

/// How long after it was asked a probe that hasn't passed yet is asked early, in its container's time so far.
fn early(probe: &Probe, so_far: Duration) -> Duration {
    match probe.exec {
        Some(_) => EARLY_PROCESS.max(so_far / 4),
        None => EARLY.max(so_far / 8),
    }
}

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

    /// Whether it may be asked more often than it says. Who is alive has no need to be told sooner.
    fn may_be_early(self) -> bool {
        self != Self::Liveness
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
    /// When it was asked as the probe says.
    last: Option<Timestamp>,
    /// When it was asked at all.
    tried: Option<Timestamp>,
    /// Whether what is open was asked in between.
    is_early: bool,
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
    /// It was asked early, and isn't there yet, which counts for nothing.
    Early,
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
            let first = after(since, seconds(probe.initial_delay_seconds, 0));
            let usual = match course.last {
                Some(last) => after(last, seconds(probe.period_seconds, 10)),
                None => first,
            };
            let tried = course
                .tried
                .filter(|_| which.may_be_early() && course.passes.is_none());
            let early = tried.map(|tried| after(tried, early(probe, until(tried, first))));
            let at = early.map_or(usual, |early| early.min(usual));
            if at <= now {
                course.asked = true;
                course.tried = Some(now);
                course.is_early = usual > now;
                if !course.is_early {
                    course.last = Some(now);
                }
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
        if course.is_early && !well {
            return Verdict::Early;
        }
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

/// How long until then.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
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
    use k8s_openapi::api::core::v1::ExecAction;

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
    fn who_has_never_been_ready_is_asked_early_at_first_which_counts_only_if_it_is() {
        let process = Probe {
            exec: Some(ExecAction::default()),
            ..probe(1, 2)
        };
        let expected = [0, 50, 100, 150, 200, 250, 313, 392, 490, 613, 767, 959];
        assert_eq!(asked_early(process), expected);
        let expected = [
            0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 102, 115, 130, 147, 166, 187, 211, 238, 268,
            302, 340, 383, 431, 485, 546, 615, 692, 779, 877, 987,
        ];
        assert_eq!(asked_early(probe(1, 2)), expected);
    }

    /// When a probe with a period of a second is asked within the first one.
    fn asked_early(probe: Probe) -> Vec<i64> {
        let container = Container {
            readiness_probe: Some(probe),
            ..Container::default()
        };
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        let mut probes = Probes::begin(at(0));
        let mut asked = |millis, well| {
            let due = probes.due(&container, at(millis));
            assert_eq!(due.0, [Which::Readiness], "{millis} {due:?}");
            let verdict = probes.answer(&container, Which::Readiness, well);
            let (_, next) = probes.due(&container, at(millis));
            // The node wakes when it is time, to the millisecond.
            let next = next.unwrap().as_microsecond();
            (verdict, (next + 999) / 1000)
        };
        let mut now = 0;
        let mut times = Vec::new();
        while now < 1000 {
            let (verdict, next) = asked(now, false);
            let first = times.is_empty();
            assert_eq!(verdict == Verdict::Early, !first, "{now}");
            times.push(now);
            now = next;
        }
        // What the probe says goes on beside it, and two failures are enough.
        assert_eq!(asked(1000, false), (Verdict::Changed, 2000));
        assert_eq!(asked(2000, true), (Verdict::Changed, 3000));
        // Who was ready once is asked as often as it says.
        assert_eq!(asked(3000, false), (Verdict::Unchanged, 4000));
        times
    }

    #[test]
    fn early_is_early_enough() {
        let container = Container {
            startup_probe: Some(probe(10, 3)),
            ..Container::default()
        };
        let mut probes = Probes::begin(at(0));
        probes.due(&container, at(0));
        probes.answer(&container, Which::Startup, false);
        assert_eq!(probes.due(&container, at(1)).0, [Which::Startup]);
        let verdict = probes.answer(&container, Which::Startup, true);
        assert_eq!(verdict, Verdict::Changed);
        assert!(probes.started(&container));
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
