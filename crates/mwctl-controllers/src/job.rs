//! Jobs: pods until enough have succeeded or too many have failed, each counted exactly once.
//!
//! A pod carries a finalizer until its end is in the Job's status: first it is noted as uncounted, then its finalizer goes, then it is
//! counted. Whatever is interrupted between is taken up again.

mod completion;
mod failures;
mod indexes;
mod pods_of;
mod status;
mod tally;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

use self::completion::{Verdict, finished};
use self::tally::Tally;
use crate::action::{Action, Propagation, Target};
use crate::claim::{claim, selector};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed, controller_of};

/// The controller's name.
pub(crate) const NAME: &str = "job-controller";

/// What keeps a pod until it is counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// How a Job's `managedBy` calls this controller.
const OURS: &str = "kubernetes.io/job-controller";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::Job, Kind::Pod],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, _: &Observed) -> Vec<Key> {
    match change.object() {
        Object::Job(job) => vec![Key::of(job.as_ref())],
        Object::Pod(_) => {
            let mut keys = change.controllers("Job");
            keys.dedup();
            keys
        }
        _ => Vec::new(),
    }
}

/// A Job with its pods.
struct Work<'a> {
    job: &'a Job,
    spec: &'a JobSpec,
    pods: Vec<Arc<Pod>>,
    now: Timestamp,
}

impl Work<'_> {
    fn parallelism(&self) -> i32 {
        self.spec.parallelism.unwrap_or(1)
    }

    fn is_indexed(&self) -> bool {
        self.spec.completion_mode.as_deref() == Some("Indexed")
    }

    fn is_suspended(&self) -> bool {
        self.spec.suspend == Some(true)
    }

    /// How often each index may fail, where that is limited.
    fn limit_per_index(&self) -> Option<i32> {
        (self.spec.backoff_limit_per_index).filter(|_| self.is_indexed())
    }

    /// Whether a pod that goes is replaced only when it has ended.
    fn replaces_only_failed(&self) -> bool {
        self.spec.pod_replacement_policy.as_deref() == Some("Failed")
            || self.spec.pod_failure_policy.is_some()
    }

    /// The index of a pod.
    fn index(&self, pod: &Pod) -> Option<i32> {
        indexes::of(pod, self.spec.completions.unwrap_or_default())
    }

    /// A set of indexes of a status.
    fn indexes(&self, text: Option<&str>) -> BTreeSet<i32> {
        let completions = self.spec.completions.unwrap_or_default();
        indexes::parse(text.unwrap_or_default(), completions)
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let Some(job) = context.observed.jobs.get(key).map(AsRef::as_ref) else {
        return release_leftovers(context, key);
    };
    let Some(spec) = &job.spec else {
        return Vec::new();
    };
    if let Some(end) = finished(job) {
        return after_the_end(context, job, spec, end);
    }
    if (spec.managed_by.as_ref()).is_some_and(|controller| controller != OURS) {
        return Vec::new();
    }
    let Some(selector) = spec.selector.as_ref().and_then(selector) else {
        return Vec::new();
    };
    if job.metadata.deletion_timestamp.is_some() {
        return release_leftovers(context, key);
    }
    let claim = claim(
        job,
        &selector,
        context.observed.pods.in_namespace(&key.namespace),
    );
    if !claim.actions.is_empty() {
        return claim.actions;
    }
    let work = Work {
        job,
        spec,
        pods: claim.ours,
        now: context.now,
    };
    let tally = Tally::of(&work);
    let status = status::compute(&work, &tally);
    let mut actions = release_strays(context, key);
    if job.status.as_ref() != Some(&status.status) {
        let mut job = job.clone();
        job.status = Some(status.status.clone());
        actions.push(Action::UpdateStatus(job.into()));
        actions.extend(status.notes.into_iter().map(Action::Record));
    }
    actions.extend(pods_of::release(&work, &tally));
    match status.verdict {
        Verdict::Over => actions.extend(pods_of::delete_active(&work)),
        Verdict::Rests => actions.extend(pods_of::dismiss_active(&work)),
        Verdict::Goes => {
            // What is done about pods is decided on counts that the server has confirmed.
            if actions.is_empty() {
                actions.extend(pods_of::resize(&work, &tally));
            }
        }
    }
    actions.extend(status.wake_at.map(Action::WakeAt));
    actions
}

/// Lets go of the pods of a Job that is gone, or going.
fn release_leftovers(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let mut actions = release_strays(context, key);
    actions.extend(
        tracked(context, key)
            .filter(|pod| {
                let owner = controller_of(&pod.metadata);
                owner.is_some_and(|it| it.kind == "Job" && it.name == key.name)
            })
            .map(|pod| pods_of::untrack(pod)),
    );
    actions
}

/// Lets go of pods that were some Job's and are nobody's any more: nobody would count their end.
fn release_strays(context: &Context<'_>, key: &Key) -> Vec<Action> {
    tracked(context, key)
        .filter(|pod| controller_of(&pod.metadata).is_none())
        .map(|pod| pods_of::untrack(pod))
        .collect()
}

fn tracked<'a>(context: &'a Context<'_>, key: &'a Key) -> impl Iterator<Item = &'a Arc<Pod>> {
    let pods = context.observed.pods.in_namespace(&key.namespace);
    pods.filter(|pod| pods_of::is_tracked(pod))
}

/// Tidies after the end, and deletes the Job when its time is over.
fn after_the_end(context: &Context<'_>, job: &Job, spec: &JobSpec, end: Timestamp) -> Vec<Action> {
    let uid = job.metadata.uid.as_deref().unwrap_or_default();
    let mut actions: Vec<Action> = (context.observed.pods.owned_by(uid))
        .filter(|pod| pods_of::is_tracked(pod))
        .map(|pod| pods_of::untrack(pod))
        .collect();
    if let Some(seconds) = spec.ttl_seconds_after_finished
        && job.metadata.deletion_timestamp.is_none()
    {
        let time = end.saturating_add(SignedDuration::from_secs(seconds.into()));
        match time {
            Ok(time) if time > context.now => actions.push(Action::WakeAt(time)),
            _ => actions.push(Action::Delete {
                target: Target::of(job),
                propagation: Some(Propagation::Foreground),
                grace: None,
                announcement: None,
            }),
        }
    }
    actions
}

#[cfg(test)]
mod tests;
