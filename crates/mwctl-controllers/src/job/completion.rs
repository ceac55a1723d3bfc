//! Whether a Job is over, and why.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::failures::{self, Handling};
use super::tally::Tally;
use super::{Work, indexes};
use crate::pods;

/// What is done about the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There shall be as many as are wanted.
    Goes,
    /// The Job is suspended: none shall be there, and those that go haven't failed.
    Rests,
    /// It is decided; only the ends of its pods are waited for.
    Over,
}

/// Why a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Completed,
    /// A rule of `successPolicy` is met.
    SuccessPolicy,
    /// A rule of `podFailurePolicy` is met.
    FailurePolicy,
    TooManyFailures,
    TooLate,
    TooManyIndexes,
    /// All indexes are done, and some of them have failed.
    FailedIndexes,
}

impl Reason {
    const ALL: [Self; 7] = [
        Self::Completed,
        Self::SuccessPolicy,
        Self::FailurePolicy,
        Self::TooManyFailures,
        Self::TooLate,
        Self::TooManyIndexes,
        Self::FailedIndexes,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "CompletionsReached",
            Self::SuccessPolicy => "SuccessPolicy",
            Self::FailurePolicy => "PodFailurePolicy",
            Self::TooManyFailures => "BackoffLimitExceeded",
            Self::TooLate => "DeadlineExceeded",
            Self::TooManyIndexes => "MaxFailedIndexesExceeded",
            Self::FailedIndexes => "FailedIndexes",
        }
    }

    fn is_success(self) -> bool {
        matches!(self, Self::Completed | Self::SuccessPolicy)
    }
}

/// The end of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl End {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// The condition that says it is decided, and the one that says it is over.
    pub(super) fn conditions(&self) -> (&'static str, &'static str) {
        if self.is_success() {
            ("SuccessCriteriaMet", "Complete")
        } else {
            ("FailureTarget", "Failed")
        }
    }

    pub(super) fn is_success(&self) -> bool {
        self.reason.is_success()
    }

    /// The end that a Job's conditions have decided on.
    pub(super) fn decided<'a>(conditions: impl Iterator<Item = &'a JobCondition>) -> Option<Self> {
        let ends = conditions
            .filter(|it| it.status == "True")
            .filter_map(|it| {
                let reason = it.reason.as_deref()?;
                let reason = (Reason::ALL.into_iter()).find(|known| known.as_str() == reason)?;
                let end = Self::new(reason, it.message.as_deref().unwrap_or_default());
                (end.conditions().0 == it.type_).then_some(end)
            });
        ends.min_by_key(|end| !end.is_success())
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

/// The pods that have ended, with those that aren't counted yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    pub(super) succeeded: i32,
    pub(super) failed: i32,
}

/// Why the Job ends, if it does.
pub(super) fn end(work: &Work<'_>, tally: &Tally, totals: Totals) -> Option<End> {
    if let Some(message) = fatal(work) {
        return Some(End::new(Reason::FailurePolicy, message));
    }
    if totals.failed > work.spec.backoff_limit.unwrap_or(6) || restarted_too_often(work) {
        let message = "Job has reached the specified backoff limit";
        return Some(End::new(Reason::TooManyFailures, message));
    }
    if deadline(work).is_some_and(|time| time <= work.now) {
        let message = "Job was active longer than specified deadline";
        return Some(End::new(Reason::TooLate, message));
    }
    if let Some(end) = lost(work, tally) {
        return Some(end);
    }
    if let Some(rule) = matching(work, &tally.completed) {
        let message = format!("Matched rules at index {rule}");
        return Some(End::new(Reason::SuccessPolicy, message));
    }
    let is_complete = match work.spec.completions {
        Some(completions) => totals.succeeded >= completions,
        // Without a number one success is enough, once all have ended.
        None => totals.succeeded > 0 && !work.pods.iter().any(|pod| pods::is_active(pod)),
    };
    is_complete.then(|| {
        let message = "Reached expected number of succeeded pods";
        End::new(Reason::Completed, message)
    })
}

/// What the policy for failures says of a pod with which the whole Job has failed.
fn fatal(work: &Work<'_>) -> Option<String> {
    work.spec.pod_failure_policy.as_ref()?;
    let failed = work
        .pods
        .iter()
        .filter(|pod| failures::has_failed(work, pod));
    failed
        .map(|pod| failures::handling(work, pod))
        .find_map(|handling| match handling {
            Handling::FailsJob(message) => Some(message),
            _ => None,
        })
}

/// The end by failed indexes: by too many of them, or once nothing is left but them.
fn lost(work: &Work<'_>, tally: &Tally) -> Option<End> {
    let failed = tally.failed_indexes.as_ref()?.len();
    let most = (work.spec.max_failed_indexes).and_then(|most| usize::try_from(most).ok());
    if most.is_some_and(|most| failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(End::new(Reason::TooManyIndexes, message));
    }
    let all = usize::try_from(work.spec.completions.unwrap_or_default()).unwrap_or_default();
    let is_done = failed > 0 && failed + tally.completed.len() >= all;
    is_done.then(|| End::new(Reason::FailedIndexes, "Job has failed indexes"))
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

/// When a pod ended: by its containers, by its readiness, by its deletion, and at last by its beginning.
pub(super) fn ended_at(pod: &Pod) -> Timestamp {
    by_containers(pod)
        .or_else(|| {
            let ready = pods::condition(pod, "Ready").filter(|it| it.status == "False")?;
            ready.last_transition_time.as_ref().map(|time| time.0)
        })
        .or_else(|| {
            let deleted = pod.metadata.deletion_timestamp.as_ref()?.0;
            let grace = pod.metadata.deletion_grace_period_seconds;
            let grace = SignedDuration::from_secs(grace.unwrap_or_default());
            deleted.saturating_sub(grace).ok()
        })
        .or_else(|| Some(pod.metadata.creation_timestamp.as_ref()?.0))
        .unwrap_or(Timestamp::MIN)
}

/// When the last container ended, if all have.
fn by_containers(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let ends: Option<Vec<Timestamp>> = (status.container_statuses.iter().flatten())
        .map(|container| {
            let terminated = container.state.as_ref()?.terminated.as_ref()?;
            terminated.finished_at.as_ref().map(|time| time.0)
        })
        .collect();
    ends?.into_iter().max()
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
