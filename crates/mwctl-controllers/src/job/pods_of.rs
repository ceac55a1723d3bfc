//! The pods of a Job: how many there should be now, which go, and letting go of those whose end is noted.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::UncountedTerminatedPods;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use kube::ResourceExt;
use serde_json::json;

use super::failures::{self, Failures};
use super::tally::{Tally, is_going};
use super::{NAME, TRACKING, Work, indexes};
use crate::action::{Action, Announcement, Target};
use crate::observed::reference_to;
use crate::pods;

/// Whether a pod is kept until it is counted.
pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.finalizers()
        .iter()
        .any(|finalizer| finalizer == TRACKING)
}

/// Lets go of a pod.
pub(super) fn untrack(pod: &Pod) -> Action {
    let left: Vec<&String> = pod
        .finalizers()
        .iter()
        .filter(|it| *it != TRACKING)
        .collect();
    Action::Patch {
        target: Target::of(pod),
        subresource: None,
        patch: json!({"metadata": {
            "finalizers": left,
            "resourceVersion": pod.metadata.resource_version,
        }}),
        announcement: None,
    }
}

/// Lets go of the pods whose end the server has in the status, or nobody counts; but for those whose failures are still to be carried on.
pub(super) fn release(work: &Work<'_>, tally: &Tally) -> Vec<Action> {
    let status = work.job.status.as_ref();
    let noted: UncountedTerminatedPods =
        (status.and_then(|status| status.uncounted_terminated_pods.clone())).unwrap_or_default();
    let noted: BTreeSet<String> = (noted.succeeded.into_iter().chain(noted.failed))
        .flatten()
        .collect();
    let is_kept = |pod: &Pod| {
        let kept = work.index(pod).and_then(|index| tally.kept.get(&index));
        kept.is_some_and(|kept| kept.metadata.uid == pod.metadata.uid)
    };
    (work.pods.iter())
        .filter(|pod| is_tracked(pod) && !is_kept(pod))
        .filter(|pod| {
            let uid = pod.uid().unwrap_or_default();
            noted.contains(&uid) || tally.dismissed.contains(&uid)
        })
        .map(|pod| untrack(pod))
        .collect()
}

fn active<'a>(work: &'a Work<'_>) -> Vec<&'a Arc<Pod>> {
    work.pods
        .iter()
        .filter(|pod| pods::is_active(pod))
        .collect()
}

/// Deletes every pod that runs.
pub(super) fn delete_active(work: &Work<'_>) -> Vec<Action> {
    active(work)
        .into_iter()
        .map(|pod| delete(work, pod))
        .collect()
}

/// Deletes every pod that runs, as something that isn't wanted any more: none of them has failed.
pub(super) fn dismiss_active(work: &Work<'_>) -> Vec<Action> {
    active(work)
        .into_iter()
        .flat_map(|pod| dismiss(work, pod))
        .collect()
}

/// Makes or deletes pods until as many run as should.
pub(super) fn resize(work: &Work<'_>, tally: &Tally) -> Vec<Action> {
    let running = active(work);
    let wanted = usize::try_from(wanted(work, running.len())).unwrap_or_default();
    let surplus = surplus(work, &running, running.len().saturating_sub(wanted));
    if !surplus.is_empty() {
        return surplus
            .into_iter()
            .flat_map(|pod| dismiss(work, pod))
            .collect();
    }
    let mut missing = wanted - running.len();
    if work.replaces_only_failed() {
        // A pod that ends still has its place.
        let going = work.pods.iter().filter(|pod| is_going(pod)).count();
        missing = missing.saturating_sub(going);
    }
    let is_early = |time| time > work.now;
    if tally.failed_indexes.is_none() && failures::retry_at(work).is_some_and(is_early) {
        return Vec::new();
    }
    if !work.is_indexed() {
        return (0..missing).map(|_| create(work, None)).collect();
    }
    free_indexes(work, tally)
        .take(missing)
        .map(|index| (index, tally.kept.get(&index)))
        .filter(|(_, kept)| !kept.is_some_and(|pod| is_early(failures::index_retry_at(pod))))
        .map(|(index, kept)| create(work, Some((index, kept))))
        .collect()
}

/// The pods that are too many: at least so many, those that have got least far, and all whose index is another's or none.
fn surplus<'a>(work: &Work<'_>, running: &[&'a Arc<Pod>], least: usize) -> Vec<&'a Arc<Pod>> {
    let mut order = running.to_vec();
    order.sort_by_key(|pod| {
        let age = pod.creation_timestamp();
        (
            pods::node(pod).is_some(),
            pods::is_ready(pod),
            std::cmp::Reverse(age),
        )
    });
    if !work.is_indexed() {
        return order.into_iter().take(least).collect();
    }
    let mut known = BTreeSet::new();
    let (mut left, mut surplus): (Vec<_>, Vec<_>) = (order.into_iter().rev())
        .partition(|pod| work.index(pod).is_some_and(|index| known.insert(index)));
    let more = least.saturating_sub(surplus.len());
    surplus.extend(left.split_off(left.len().saturating_sub(more)));
    surplus
}

fn wanted(work: &Work<'_>, running: usize) -> i32 {
    let succeeded = (work.job.status.as_ref())
        .and_then(|status| status.succeeded)
        .unwrap_or_default();
    match work.spec.completions {
        Some(completions) => work.parallelism().min(completions - succeeded).max(0),
        // Once one has succeeded, the others end and no new ones come.
        None if succeeded > 0 => running as i32,
        None => work.parallelism(),
    }
}

/// The indexes that need a pod, the lowest first.
fn free_indexes(work: &Work<'_>, tally: &Tally) -> impl Iterator<Item = i32> {
    let mut taken = tally.completed.clone();
    taken.extend(tally.failed_indexes.iter().flatten());
    let keeps_its_index =
        |pod: &Pod| pods::is_active(pod) || work.replaces_only_failed() && is_going(pod);
    let busy = work.pods.iter().filter(|pod| keeps_its_index(pod));
    taken.extend(busy.filter_map(|pod| work.index(pod)));
    let completions = work.spec.completions.unwrap_or_default();
    (0..completions).filter(move |index| !taken.contains(index))
}

/// Deletes a pod after letting go of it, so that nobody counts its end.
fn dismiss(work: &Work<'_>, pod: &Pod) -> impl Iterator<Item = Action> {
    let untracked = is_tracked(pod).then(|| untrack(pod));
    untracked.into_iter().chain([delete(work, pod)])
}

fn delete(work: &Work<'_>, pod: &Pod) -> Action {
    Action::Delete {
        target: Target::of(pod),
        propagation: None,
        grace: None,
        announcement: Some(announcement(
            work,
            ("SuccessfulDelete", "Deleted pod: {name}"),
            ("FailedDelete", "Error deleting: {error}"),
        )),
    }
}

/// A new pod; one for an index says how often that has failed before.
fn create(work: &Work<'_>, index: Option<(i32, Option<&Arc<Pod>>)>) -> Action {
    let job = work.job;
    let mut pod = pods::from_template(&work.spec.template, job);
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    finalizers.push(TRACKING.to_owned());
    let name = job.name_any();
    pod.metadata.generate_name = Some(format!("{name}-"));
    if let Some((index, failed)) = index {
        pod.metadata.generate_name = Some(indexes::generate_name(&name, index));
        let number = index.to_string();
        let annotations = pod.metadata.annotations.get_or_insert_default();
        annotations.insert(indexes::INDEX.to_owned(), number.clone());
        if work.limit_per_index().is_some() {
            let failures = failed.map(|pod| Failures::with(work, pod));
            annotations.extend(failures.unwrap_or_default().annotations());
        }
        let labels = pod.metadata.labels.get_or_insert_default();
        labels.insert(indexes::INDEX.to_owned(), number);
        let spec = pod.spec.get_or_insert_default();
        spec.hostname = Some(format!("{name}-{index}"));
        let containers = spec.containers.iter_mut();
        for container in containers.chain(spec.init_containers.iter_mut().flatten()) {
            tell_index(container.env.get_or_insert_default());
        }
    }
    let announcement = announcement(
        work,
        ("SuccessfulCreate", "Created pod: {name}"),
        ("FailedCreate", "Error creating: {error}"),
    );
    Action::Create(pod.into(), Some(announcement))
}

/// The variable by which a program knows its index.
fn tell_index(env: &mut Vec<EnvVar>) {
    const NAME: &str = "JOB_COMPLETION_INDEX";
    if env.iter().any(|variable| variable.name == NAME) {
        return;
    }
    env.push(EnvVar {
        name: NAME.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: None,
                field_path: format!("metadata.labels['{}']", indexes::INDEX),
            }),
            ..EnvVarSource::default()
        }),
    });
}

fn announcement(
    work: &Work<'_>,
    done: (&'static str, &str),
    refused: (&'static str, &str),
) -> Announcement {
    Announcement {
        about: reference_to(work.job),
        component: NAME,
        done: Some((done.0, done.1.to_owned())),
        refused: Some((refused.0, refused.1.to_owned())),
    }
}
