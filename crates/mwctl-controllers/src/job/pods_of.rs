//! The pods of a Job: how many there should be now, which go, and letting go of those whose end is noted.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::UncountedTerminatedPods;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde_json::json;

use super::completion::ended_at;
use super::{NAME, TRACKING, Work, indexes};
use crate::action::{Action, Announcement, Target};
use crate::observed::reference_to;
use crate::pods;

/// The wait after a first failure; each further one doubles it.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// The longest wait.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(600);

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

/// Lets go of the pods whose end the server has in the status.
pub(super) fn release(work: &Work<'_>) -> Vec<Action> {
    let status = work.job.status.as_ref();
    let noted: UncountedTerminatedPods =
        (status.and_then(|status| status.uncounted_terminated_pods.clone())).unwrap_or_default();
    let noted: BTreeSet<String> = (noted.succeeded.into_iter().chain(noted.failed))
        .flatten()
        .collect();
    (work.pods.iter())
        .filter(|pod| is_tracked(pod) && noted.contains(&pod.uid().unwrap_or_default()))
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

/// Makes or deletes pods until as many run as should.
pub(super) fn resize(work: &Work<'_>) -> Vec<Action> {
    let mut running = active(work);
    let wanted = usize::try_from(wanted(work, running.len())).unwrap_or_default();
    if running.len() > wanted {
        // Those that have got least far go.
        running.sort_by_key(|pod| {
            let age = pod.creation_timestamp();
            (
                pods::node(pod).is_some(),
                pods::is_ready(pod),
                std::cmp::Reverse(age),
            )
        });
        let surplus = running.len() - wanted;
        return running
            .into_iter()
            .take(surplus)
            .map(|pod| delete(work, pod))
            .collect();
    }
    if retry_at(work).is_some_and(|time| time > work.now) {
        return Vec::new();
    }
    // A pod that ends still has its place, so that two of one index never run at a time.
    let missing = wanted - running.len();
    if work.is_indexed() {
        free_indexes(work)
            .take(missing)
            .map(|index| create(work, Some(index)))
            .collect()
    } else {
        (0..missing).map(|_| create(work, None)).collect()
    }
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

fn free_indexes(work: &Work<'_>) -> impl Iterator<Item = i32> {
    let completions = work.spec.completions.unwrap_or_default();
    let done = (work.job.status.as_ref()).and_then(|status| status.completed_indexes.clone());
    let mut taken = indexes::parse(&done.unwrap_or_default(), completions);
    taken.extend(
        (work.pods.iter().filter(|pod| !pods::is_finished(pod)))
            .filter_map(|pod| indexes::of(pod, completions)),
    );
    (0..completions).filter(move |index| !taken.contains(index))
}

/// When pods may be made again after failures; nothing when none has failed since the last success.
pub(super) fn retry_at(work: &Work<'_>) -> Option<Timestamp> {
    let last = |phase: &str| {
        (work.pods.iter().filter(|pod| pods::phase(pod) == phase))
            .filter_map(|pod| ended_at(pod))
            .max()
    };
    let failed = last("Failed")?;
    let success = last("Succeeded").unwrap_or(Timestamp::MIN);
    let failures = (work.pods.iter().filter(|pod| pods::phase(pod) == "Failed"))
        .filter(|pod| ended_at(pod).is_some_and(|time| time > success))
        .count();
    let doublings = u32::try_from(failures).unwrap_or(u32::MAX).checked_sub(1)?;
    let wait = (FIRST_WAIT * 2_i32.pow(doublings.min(10))).min(LONGEST_WAIT);
    failed.saturating_add(wait).ok()
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

fn create(work: &Work<'_>, index: Option<i32>) -> Action {
    let job = work.job;
    let mut pod = pods::from_template(&work.spec.template, job);
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    finalizers.push(TRACKING.to_owned());
    let name = job.name_any();
    pod.metadata.generate_name = Some(format!("{name}-"));
    if let Some(index) = index {
        pod.metadata.generate_name = Some(format!("{name}-{index}-"));
        let number = index.to_string();
        let annotations = pod.metadata.annotations.get_or_insert_default();
        annotations.insert(indexes::INDEX.to_owned(), number.clone());
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
