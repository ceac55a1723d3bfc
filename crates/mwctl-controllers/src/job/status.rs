//! A Job's status: what is counted, what is about to be, and the conditions.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{JobCondition, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::completion::{self, End, Verdict, condition};
use super::pods_of::is_tracked;
use super::{NAME, Work, indexes};
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

/// Numbers that are being made up: counted ones, and the uids of those that aren't yet.
struct Counts {
    succeeded: i32,
    failed: i32,
    uncounted: UncountedTerminatedPods,
    completed: BTreeSet<i32>,
}

impl Counts {
    fn of(work: &Work<'_>) -> Self {
        let old = work.job.status.clone().unwrap_or_default();
        let completions = work.spec.completions.unwrap_or_default();
        let mut counts = Self {
            succeeded: old.succeeded.unwrap_or_default(),
            failed: old.failed.unwrap_or_default(),
            completed: indexes::parse(&old.completed_indexes.unwrap_or_default(), completions),
            uncounted: UncountedTerminatedPods::default(),
        };
        let noted = old.uncounted_terminated_pods.unwrap_or_default();
        let tracked: HashSet<&str> = (work.pods.iter().filter(|pod| is_tracked(pod)))
            .filter_map(|pod| pod.metadata.uid.as_deref())
            .collect();
        // Those noted whose finalizer is gone are counted now.
        let split = |uids: Option<Vec<String>>| -> (Vec<String>, Vec<String>) {
            (uids.into_iter().flatten()).partition(|uid| tracked.contains(uid.as_str()))
        };
        let (succeeded, done) = split(noted.succeeded);
        if !work.is_indexed() {
            counts.succeeded += done.len() as i32;
        }
        let (failed, done) = split(noted.failed);
        counts.failed += done.len() as i32;
        let (mut succeeded, mut failed) = (succeeded, failed);
        for pod in work.pods.iter().filter(|pod| is_tracked(pod)) {
            counts.note(work, pod, &mut succeeded, &mut failed);
        }
        if work.is_indexed() {
            counts.succeeded = counts.completed.len() as i32;
        }
        let some = |uids: Vec<String>| (!uids.is_empty()).then_some(uids);
        counts.uncounted = UncountedTerminatedPods {
            succeeded: some(succeeded),
            failed: some(failed),
        };
        counts
    }

    /// Notes a pod that has ended, or is going before it has.
    fn note(
        &mut self,
        work: &Work<'_>,
        pod: &Arc<Pod>,
        succeeded: &mut Vec<String>,
        failed: &mut Vec<String>,
    ) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        if succeeded.contains(&uid) || failed.contains(&uid) {
            return;
        }
        match pods::phase(pod) {
            "Succeeded" => {
                if work.is_indexed() {
                    let index = indexes::of(pod, work.spec.completions.unwrap_or_default());
                    self.completed.extend(index);
                }
                succeeded.push(uid);
            }
            "Failed" => failed.push(uid),
            // A pod that is deleted before its end has failed.
            _ if pod.metadata.deletion_timestamp.is_some() => failed.push(uid),
            _ => {}
        }
    }

    fn is_settled(&self) -> bool {
        self.uncounted.succeeded.is_none() && self.uncounted.failed.is_none()
    }

    /// The totals once all is counted.
    fn totals(&self, work: &Work<'_>) -> (i32, i32) {
        let waiting = |uids: &Option<Vec<String>>| uids.as_ref().map_or(0, Vec::len) as i32;
        let succeeded = if work.is_indexed() {
            self.succeeded
        } else {
            self.succeeded + waiting(&self.uncounted.succeeded)
        };
        (succeeded, self.failed + waiting(&self.uncounted.failed))
    }
}

pub(super) fn compute(work: &Work<'_>) -> Computed {
    let counts = Counts::of(work);
    let (succeeded, failed) = counts.totals(work);
    let old = work.job.status.clone().unwrap_or_default();
    let mut conditions = old.conditions.clone().unwrap_or_default();
    let mut notes = Vec::new();
    let mut start = old.start_time.clone();
    if !work.is_suspended() && start.is_none() {
        start = Some(Time(work.now));
    }
    let end = End::decided(&conditions)
        .or_else(|| completion::end(work, succeeded, failed, &counts.completed));
    if let Some(end) = end {
        conclude(work, end, &counts, &mut conditions, &mut notes);
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
        succeeded: pods::count(counts.succeeded.max(0) as usize),
        failed: pods::count(counts.failed.max(0) as usize),
        completed_indexes: (!counts.completed.is_empty())
            .then(|| indexes::format(&counts.completed)),
        completion_time: (is_over && end.is_some_and(End::is_success)).then_some(Time(work.now)),
        start_time: start,
        conditions: (!conditions.is_empty()).then_some(conditions),
        uncounted_terminated_pods: Some(counts.uncounted),
        failed_indexes: old.failed_indexes,
    };
    Computed {
        verdict: if end.is_some() || work.is_suspended() {
            Verdict::Over
        } else {
            Verdict::Goes
        },
        wake_at: earliest(completion::deadline(work), super::pods_of::retry_at(work)),
        status,
        notes,
    }
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

fn terminating(work: &Work<'_>) -> usize {
    (work.pods.iter())
        .filter(|pod| pod.metadata.deletion_timestamp.is_some() && !pods::is_finished(pod))
        .count()
}

fn finished_condition(conditions: &[JobCondition]) -> Option<&JobCondition> {
    (conditions.iter()).find(|it| ["Complete", "Failed"].contains(&it.type_.as_str()))
}

/// Says that the end is decided, and that it is there once no pod is left and all are counted.
fn conclude(
    work: &Work<'_>,
    end: End,
    counts: &Counts,
    conditions: &mut Vec<JobCondition>,
    notes: &mut Vec<Note>,
) {
    let (decided, over) = end.conditions();
    if !conditions.iter().any(|it| it.type_ == decided) {
        conditions.push(condition(decided, end.reason(), &end.message(), work.now));
    }
    let has_left = work.pods.iter().all(|pod| !pods::is_active(pod)) && terminating(work) == 0;
    if has_left && counts.is_settled() {
        conditions.push(condition(over, end.reason(), &end.message(), work.now));
        notes.push(match end {
            end if end.is_success() => note(work, Severity::Normal, "Completed", "Job completed"),
            _ => note(work, Severity::Warning, end.reason(), &end.message()),
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
