//! Whether a Job is over, and why.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Work, indexes};
use crate::pods;

/// The reason of a Job that its policy for success has ended.
const POLICY: &str = "SuccessPolicy";
/// What its message says before the place of the rule.
const MATCHED: &str = "Matched rules at index ";

/// Whether more pods are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The Job goes on.
    Goes,
    /// It is decided; only the ends of its pods are waited for.
    Over,
}

/// Why a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    /// By the rule of `successPolicy` at this place.
    Policy(usize),
    TooManyFailures,
    TooLate,
}

impl End {
    /// The condition that says it is decided, and the one that says it is over.
    pub(super) fn conditions(self) -> (&'static str, &'static str) {
        match self {
            Self::Completed | Self::Policy(_) => ("SuccessCriteriaMet", "Complete"),
            Self::TooManyFailures | Self::TooLate => ("FailureTarget", "Failed"),
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Completed => "CompletionsReached",
            Self::Policy(_) => POLICY,
            Self::TooManyFailures => "BackoffLimitExceeded",
            Self::TooLate => "DeadlineExceeded",
        }
    }

    pub(super) fn message(self) -> String {
        let text = match self {
            Self::Completed => "Reached expected number of succeeded pods",
            Self::Policy(rule) => return format!("{MATCHED}{rule}"),
            Self::TooManyFailures => "Job has reached the specified backoff limit",
            Self::TooLate => "Job was active longer than specified deadline",
        };
        text.to_owned()
    }

    pub(super) fn is_success(self) -> bool {
        matches!(self, Self::Completed | Self::Policy(_))
    }

    /// The end that a Job's conditions have decided on.
    pub(super) fn decided(conditions: &[JobCondition]) -> Option<Self> {
        let matched = |it: &JobCondition| it.message.as_ref()?.strip_prefix(MATCHED)?.parse().ok();
        let rule = conditions.iter().find_map(matched).unwrap_or_default();
        [
            Self::Completed,
            Self::Policy(rule),
            Self::TooManyFailures,
            Self::TooLate,
        ]
        .into_iter()
        .find(|end| {
            let (decided, _) = end.conditions();
            (conditions.iter()).any(|it| {
                it.type_ == decided
                    && it.status == "True"
                    && it.reason.as_deref() == Some(end.reason())
            })
        })
    }
}

/// When a Job was over, if it is.
pub(super) fn finished(job: &Job) -> Option<Timestamp> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let last = (conditions.iter())
        .find(|it| ["Complete", "Failed"].contains(&it.type_.as_str()) && it.status == "True")?;
    Some(
        last.last_transition_time
            .as_ref()
            .map_or(Timestamp::MIN, |time| time.0),
    )
}

/// Why the Job ends, if it does: from the numbers with the uncounted ones in, and the indexes that have succeeded.
pub(super) fn end(
    work: &Work<'_>,
    succeeded: i32,
    failed: i32,
    completed: &BTreeSet<i32>,
) -> Option<End> {
    if failed > work.spec.backoff_limit.unwrap_or(6) || restarted_too_often(work) {
        return Some(End::TooManyFailures);
    }
    if deadline(work).is_some_and(|time| time <= work.now) {
        return Some(End::TooLate);
    }
    if let Some(rule) = matching(work, completed) {
        return Some(End::Policy(rule));
    }
    let is_complete = match work.spec.completions {
        Some(completions) => succeeded >= completions,
        // Without a number one success is enough, once all have ended.
        None => succeeded > 0 && !work.pods.iter().any(|pod| pods::is_active(pod)),
    };
    is_complete.then_some(End::Completed)
}

/// The first rule of the Job's policy for success (KEP-3998) that is met.
fn matching(work: &Work<'_>, completed: &BTreeSet<i32>) -> Option<usize> {
    let policy = work.spec.success_policy.as_ref()?;
    let completions = work.spec.completions.unwrap_or_default();
    policy.rules.iter().position(|rule| {
        let wanted = rule.succeeded_indexes.as_deref();
        let wanted = wanted.map(|text| indexes::parse(text, completions));
        let number = match &wanted {
            Some(wanted) => wanted.intersection(completed).count(),
            None => completed.len(),
        };
        let enough = rule
            .succeeded_count
            .and_then(|count| usize::try_from(count).ok());
        let enough = enough.or_else(|| wanted.as_ref().map(BTreeSet::len));
        enough.is_some_and(|enough| number >= enough)
    })
}

fn restarted_too_often(work: &Work<'_>) -> bool {
    let template = work.spec.template.spec.as_ref();
    let restarts_in_place =
        template.is_some_and(|spec| spec.restart_policy.as_deref() == Some("OnFailure"));
    let limit = work.spec.backoff_limit.unwrap_or(6);
    let restarts: i32 = (work.pods.iter())
        .filter(|pod| pods::is_active(pod))
        .map(|pod| pods::restarts(pod))
        .sum();
    restarts_in_place
        && if limit == 0 {
            restarts > 0
        } else {
            restarts >= limit
        }
}

/// When the Job's time is over.
pub(super) fn deadline(work: &Work<'_>) -> Option<Timestamp> {
    if work.is_suspended() {
        return None;
    }
    let start = work.job.status.as_ref()?.start_time.as_ref()?.0;
    let seconds = work.spec.active_deadline_seconds?;
    start
        .saturating_add(SignedDuration::from_secs(seconds))
        .ok()
}

/// When a pod ended.
pub(super) fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let ends = (status.container_statuses.iter().flatten())
        .filter_map(|container| container.state.as_ref()?.terminated.as_ref())
        .filter_map(|terminated| terminated.finished_at.as_ref().map(|time| time.0));
    ends.max().or_else(|| {
        let ready = pods::condition(pod, "Ready")?;
        ready.last_transition_time.as_ref().map(|time| time.0)
    })
}

pub(super) fn condition(kind: &str, reason: &str, message: &str, now: Timestamp) -> JobCondition {
    JobCondition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}
