//! A Job's status: what is counted, what is about to be, and the conditions.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::completion::{self, End, Verdict, condition};
use super::tally::{Tally, is_going};
use super::{NAME, Work, failures, indexes};
use crate::action::{Note, Severity};
use crate::observed::reference_to;
use crate::pods;

/// The status, and what follows from it.
pub(super) struct Computed {
    pub(super) status: JobStatus,
    pub(super) verdict: Verdict,
    pub(super) notes: Vec<Note>,
    pub(super) wake_at: Option<Timestamp>,
}

pub(super) fn compute(work: &Work<'_>, tally: &Tally) -> Computed {
    let old = work.job.status.clone().unwrap_or_default();
    let mut conditions = old.conditions.clone().unwrap_or_default();
    let mut notes = Vec::new();
    let mut start = old.start_time.clone();
    if !work.is_suspended() && start.is_none() {
        start = Some(Time(work.now));
    }
    let end = tally.end.as_ref();
    if let Some(end) = end {
        conclude(work, end, tally, &mut conditions, &mut notes);
    } else {
        suspend(work, &mut conditions, &mut notes, &mut start);
    }
    let active = |pod: &&Arc<Pod>| pods::is_active(pod);
    let is_over = finished_condition(&conditions).is_some();
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let status = JobStatus {
        active: pods::count(work.pods.iter().filter(active).count()),
        ready: Some(number(
            work.pods
                .iter()
                .filter(active)
                .filter(|it| pods::is_ready(it))
                .count(),
        )),
        terminating: Some(number(terminating(work))),
        succeeded: pods::count(tally.succeeded.max(0) as usize),
        failed: pods::count(tally.failed.max(0) as usize),
        completed_indexes: (!tally.completed.is_empty()).then(|| indexes::format(&tally.completed)),
        completion_time: (is_over && end.is_some_and(End::is_success)).then_some(Time(work.now)),
        start_time: start,
        conditions: (!conditions.is_empty()).then_some(conditions),
        uncounted_terminated_pods: Some(tally.uncounted.clone()),
        failed_indexes: tally.failed_indexes.as_ref().map(indexes::format),
    };
    Computed {
        verdict: match end {
            Some(_) => Verdict::Over,
            None if work.is_suspended() => Verdict::Rests,
            None => Verdict::Goes,
        },
        wake_at: wake_at(work, tally),
        status,
        notes,
    }
}

/// When there may be something to do though nothing has changed.
fn wake_at(work: &Work<'_>, tally: &Tally) -> Option<Timestamp> {
    let retry = if tally.failed_indexes.is_some() {
        None
    } else {
        failures::retry_at(work)
    };
    let indexes = tally.kept.values().map(|pod| failures::index_retry_at(pod));
    (indexes.chain(retry).chain(completion::deadline(work)))
        .filter(|time| *time > work.now)
        .min()
}

fn terminating(work: &Work<'_>) -> usize {
    work.pods.iter().filter(|pod| is_going(pod)).count()
}

fn finished_condition(conditions: &[JobCondition]) -> Option<&JobCondition> {
    (conditions.iter()).find(|it| ["Complete", "Failed"].contains(&it.type_.as_str()))
}

/// Says that the end is decided, and that it is there once no pod is left and all are counted.
fn conclude(
    work: &Work<'_>,
    end: &End,
    tally: &Tally,
    conditions: &mut Vec<JobCondition>,
    notes: &mut Vec<Note>,
) {
    let (decided, over) = end.conditions();
    if !conditions.iter().any(|it| it.type_ == decided) {
        conditions.push(condition(
            decided,
            end.reason.as_str(),
            &end.message,
            work.now,
        ));
    }
    let has_left = work.pods.iter().all(|pod| !pods::is_active(pod)) && terminating(work) == 0;
    if has_left && tally.is_settled() {
        conditions.push(condition(over, end.reason.as_str(), &end.message, work.now));
        notes.push(if end.is_success() {
            note(work, Severity::Normal, "Completed", "Job completed")
        } else {
            note(work, Severity::Warning, end.reason.as_str(), &end.message)
        });
    }
}

/// Says that the Job is suspended, or goes on.
fn suspend(
    work: &Work<'_>,
    conditions: &mut Vec<JobCondition>,
    notes: &mut Vec<Note>,
    start: &mut Option<Time>,
) {
    let place = conditions.iter().position(|it| it.type_ == "Suspended");
    let was = place.is_some_and(|place| conditions[place].status == "True");
    if was == work.is_suspended() {
        return;
    }
    let (status, reason, message, event) = if was {
        ("False", "JobResumed", "Job resumed", "Resumed")
    } else {
        ("True", "JobSuspended", "Job suspended", "Suspended")
    };
    let mut new = condition("Suspended", reason, message, work.now);
    status.clone_into(&mut new.status);
    match place {
        Some(place) => conditions[place] = new,
        None => conditions.push(new),
    }
    *start = was.then_some(Time(work.now));
    notes.push(note(work, Severity::Normal, event, message));
}

fn note(work: &Work<'_>, severity: Severity, reason: &'static str, message: &str) -> Note {
    Note {
        about: reference_to(work.job),
        severity,
        reason,
        message: message.to_owned(),
        component: NAME,
    }
}
