//! Waits until a service's pods have come as far as is asked, or can't; by watching, not by asking.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use mwctl_core::manifest::{Form, ObjectId};
use mwctl_core::model::{Condition, Service, Stack};
use mwctl_core::observed::{
    Cause, ContainerState, Observed, ObservedPod, Progress, SETTLING, Warning, diagnose, has_failed,
};

use tokio::time::{Instant, sleep_until};

use super::logs::last_lines;
use super::pods::follow;
use super::trouble::{self, Told, Trouble};
use super::{Cluster, Request};

/// How often a container may have been started again before a wait gives up on it: once can be a
/// dependency that wasn't there yet.
const PATIENCE: u32 = 2;

/// After how long a trouble is looked at again that may be that of earlier pods, or of which there may be more to say.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// For how long a node may say that it lacks an image which was brought: nobody tells it, and it looks now and then.
const BRINGING: Duration = Duration::from_secs(3);

/// The pods won't come as far as was asked.
#[derive(Debug, thiserror::Error)]
pub enum Wait {
    /// They can't, and this is why.
    #[error("{}", .0.summary)]
    Stuck(Box<Cause>),
    /// They haven't within the given time.
    #[error("`{service}` is not {condition} after {} s", after.as_secs())]
    TimedOut {
        /// The service.
        service: String,
        /// What was waited for.
        condition: &'static str,
        /// How long.
        after: Duration,
        /// What is known about why.
        cause: Option<Box<Cause>>,
    },
    /// The cluster doesn't answer.
    #[error(transparent)]
    Request(#[from] Request),
}

impl Wait {
    /// What is known about why.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Stuck(cause) => Some(cause),
            Self::TimedOut { cause, .. } => cause.as_deref(),
            Self::Request(_) => None,
        }
    }
}

/// What is heard while waiting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sign {
    /// How far it is, in a few words.
    Words(String),
    /// Something is in the way that may pass: this is why. Told once for each cause.
    Trouble(Trouble, Cause),
}

/// Whoever hears of [`Sign`]s.
pub type Report<'a> = &'a (dyn Fn(Sign) + Send + Sync);

/// What is waited for.
#[derive(Clone, Debug)]
pub struct Goal<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The service.
    pub service: &'a Service,
    /// What makes its pods.
    pub workload: &'a ObjectId,
    /// The selector of its pods.
    pub selector: &'a str,
    /// How far.
    pub condition: Condition,
    /// At most how long.
    pub timeout: Duration,
}

/// Waits for `goal`; `report` hears each change.
///
/// Cancel safety: it only looks, so dropping it changes nothing.
pub async fn until(cluster: &Cluster, goal: &Goal<'_>, report: Report<'_>) -> Result<(), Wait> {
    let mut last = Seen::default();
    match tokio::time::timeout(goal.timeout, watch(cluster, goal, report, &mut last)).await {
        Ok(result) => result,
        Err(_) => Err(Wait::TimedOut {
            service: goal.service.name.to_string(),
            condition: describe(goal.condition),
            after: goal.timeout,
            cause: cause(cluster, goal, &last).await.map(Box::new),
        }),
    }
}

fn describe(condition: Condition) -> &'static str {
    match condition {
        Condition::Ready => "ready",
        Condition::Started => "started",
        Condition::Completed => "completed",
        Condition::Eventually => "deployed",
    }
}

#[derive(Default)]
struct Seen {
    observed: Observed,
    restarts: Restarts,
    /// Since when a node says that it has no image which nobody is to be asked for.
    lacking: Option<Instant>,
    shown: String,
    told: Told,
}

async fn watch(
    cluster: &Cluster,
    goal: &Goal<'_>,
    report: Report<'_>,
    seen: &mut Seen,
) -> Result<(), Wait> {
    let workloads = super::apply::api(cluster, goal.workload);
    let named = watcher::Config::default().fields(&format!("metadata.name={}", goal.workload.name));
    let mut workloads = pin!(
        watcher::watcher(workloads, named)
            .default_backoff()
            .applied_objects()
    );
    let mut pods = pin!(follow(cluster, goal.selector));
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let warnings = watcher::Config::default().fields("type=Warning");
    let mut events = pin!(watcher::watcher(events, warnings).default_backoff());
    let mut settled: Option<Instant> = None;
    let mut again: Option<Instant> = None;
    loop {
        tokio::select! {
            () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
            () = sleep_until(settled.unwrap_or_else(Instant::now)), if settled.is_some() => {}
            Some(workload) = workloads.next() => if let Ok(workload) = workload {
                let value = serde_json::to_value(workload).unwrap_or_default();
                seen.observed.objects.insert(goal.workload.clone(), value);
            },
            Some(found) = pods.next() => if let Ok(found) = found {
                seen.observed.pods = current(&found);
                seen.restarts.since_first_seen(&mut seen.observed.pods);
            },
            // Only what is reported from now on: in a young namespace the first pod may have been
            // refused because its service account wasn't there yet, and that is over.
            Some(event) = events.next() => if let Ok(watcher::Event::Apply(event)) = event {
                let about_ours = event.involved_object.name.as_deref()
                    .is_some_and(|name| name.starts_with(&goal.workload.name));
                if about_ours && let Some(warning) = Warning::of(&event) {
                    seen.observed.events.push(warning);
                }
            },
        }
        let known = &mut seen.observed;
        for pod in &mut known.pods {
            pod.hear(&known.events);
        }
        if reached(goal.condition, seen.observed.progress(goal.workload)) {
            let now = Instant::now();
            let over = *settled.get_or_insert(now + SETTLING) <= now;
            if !unchecked(goal, seen) || over && go_on(&seen.observed.pods) {
                return Ok(());
            }
            if over {
                settled = None;
            }
        } else {
            settled = None;
        }
        let lacking = lacks_image(seen);
        seen.lacking = lacking.then(|| seen.lacking.unwrap_or_else(Instant::now));
        if hopeless(goal, seen)
            && let Some(cause) = Box::pin(current_cause(cluster, goal, seen)).await
        {
            return Err(Wait::Stuck(Box::new(cause)));
        }
        // Whoever waits should know at once, although starting again may help.
        again = None;
        if let Some(found) = trouble::find(&seen.observed)
            && seen.told.is_open(&found, Instant::now())
        {
            if let Some(cause) = Box::pin(current_cause(cluster, goal, seen)).await
                && seen.told.hear(&found, &cause, Instant::now())
            {
                report(Sign::Trouble(found.kind, cause));
            }
            // The controllers have yet to say that it is about the pods of now, or the node to file a log: no event may follow.
            let now = Instant::now();
            again = seen.told.is_open(&found, now).then_some(now + LOOK_AGAIN);
        }
        // Nothing needs to change for that to have lasted.
        let soon = Instant::now() + LOOK_AGAIN;
        let until = seen.lacking.map(|since| soon.max(since + BRINGING));
        again = again.into_iter().chain(until).min();
        let words = in_words(seen);
        if words != seen.shown {
            report(Sign::Words(words.clone()));
            seen.shown = words;
        }
    }
}

/// How often each container had been started again when it was first seen, by pod and name. A cluster that was stopped starts its pods
/// again, which says nothing about them; whoever waits asks about the time since.
#[derive(Debug, Default)]
struct Restarts(BTreeMap<(String, String), u32>);

impl Restarts {
    /// Leaves out of the count what was before; not where a container is held back because it fails again and again.
    fn since_first_seen(&mut self, pods: &mut [ObservedPod]) {
        for pod in pods {
            for container in &mut pod.containers {
                let key = (pod.name.clone(), container.name.clone());
                let first = *self.0.entry(key).or_insert(container.restarts);
                let held = matches!(&container.state, ContainerState::Waiting { reason, .. } if reason == "CrashLoopBackOff");
                if !held {
                    container.restarts = container.restarts.saturating_sub(first);
                }
            }
        }
    }
}

/// The pods that count: those of the newest description that aren't leaving.
fn current(pods: &BTreeMap<String, Pod>) -> Vec<ObservedPod> {
    let staying = pods
        .values()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    // Of a Deployment's pods the one, of a StatefulSet's or DaemonSet's the other.
    let hash = |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref()?;
        let hash = labels.get("pod-template-hash");
        hash.or_else(|| labels.get("controller-revision-hash"))
            .cloned()
    };
    let newest = staying
        .clone()
        .max_by_key(|pod| {
            pod.metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0.to_string())
        })
        .and_then(hash);
    staying
        .filter(|pod| hash(pod) == newest)
        .map(ObservedPod::of)
        .collect()
}

fn reached(condition: Condition, progress: Progress) -> bool {
    match condition {
        Condition::Ready | Condition::Completed => progress >= Progress::Ready,
        Condition::Started => progress >= Progress::Started,
        Condition::Eventually => true,
    }
}

/// Whether nothing checks what goes on there: Kubernetes takes it for ready as soon as it runs.
fn unchecked(goal: &Goal<'_>, seen: &Seen) -> bool {
    let main = &goal.service.main;
    let goes_on = !matches!(goal.workload.kind.as_str(), "Job" | "CronJob");
    // Those of other forms have a check that was made for them.
    let own = |pod: &ObservedPod| pod.form == Form::Planned;
    goal.condition == Condition::Ready
        && goes_on
        && main.readiness.is_none()
        && main.startup.is_none()
        && seen.observed.pods.iter().all(own)
}

/// Whether no process of the pods that count has ended. What an earlier description left behind doesn't.
fn go_on(pods: &[ObservedPod]) -> bool {
    let over = |pod: &&ObservedPod| {
        pod.terminating || matches!(pod.phase.as_str(), "Failed" | "Succeeded")
    };
    let mut count = pods.iter().filter(|pod| !over(pod));
    count.all(ObservedPod::is_running)
}

/// Whether waiting longer is unlikely to help.
fn hopeless(goal: &Goal<'_>, seen: &Seen) -> bool {
    if seen
        .observed
        .objects
        .get(goal.workload)
        .is_some_and(has_failed)
    {
        return true;
    }
    seen.observed.pods.iter().flat_map(|pod| &pod.containers).any(|container| {
        container.restarts >= PATIENCE
            || matches!(&container.state, ContainerState::Waiting { reason, .. } if matches!(
                reason.as_str(),
                "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError"
                    | "StartError"
            ))
    }) || seen.observed.pods.is_empty() && seen.observed.events.iter().any(is_refusal)
        || seen.lacking.is_some_and(|since| since.elapsed() >= BRINGING)
}

/// Whether a container waits for an image that its node lacks, and that nobody is to be asked for. What was brought a moment ago may not have
/// been looked for yet.
fn lacks_image(seen: &Seen) -> bool {
    let mut containers = seen.observed.pods.iter().flat_map(|pod| &pod.containers);
    containers.any(|container| {
        matches!(&container.state, ContainerState::Waiting { reason, .. } if reason == "ErrImageNeverPull")
    })
}

/// Whether the cluster won't have the pods, for a reason that doesn't pass by itself.
fn is_refusal(warning: &Warning) -> bool {
    // The account of a new namespace is made a moment after it.
    warning.reason == "FailedCreate"
        && !warning.message.contains("error looking up service account")
}

/// Whether the pods that were seen are of the current description: right after a change, those of the
/// one before are still there, and their troubles are no news.
async fn concerns_current(cluster: &Cluster, goal: &Goal<'_>, seen: &Seen) -> bool {
    if seen.observed.pods.is_empty() || goal.workload.kind != "Deployment" {
        return true;
    }
    let name = goal.workload.name.as_str();
    let Some(hash) = current_hash(cluster, goal).await else {
        return false;
    };
    let prefix = format!("{name}-{hash}-");
    seen.observed
        .pods
        .iter()
        .all(|pod| pod.name.starts_with(&prefix))
}

/// The hash in the names of the pods of the Deployment's current revision, once there is one.
async fn current_hash(cluster: &Cluster, goal: &Goal<'_>) -> Option<String> {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let sets: Api<ReplicaSet> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let all = ListParams::default();
    let (deployment, found) =
        futures::try_join!(deployments.get(&goal.workload.name), sets.list(&all)).ok()?;
    let seen = deployment.status.as_ref()?.observed_generation?;
    if seen < deployment.metadata.generation? {
        return None;
    }
    let revision = deployment.metadata.annotations.as_ref()?.get(REVISION)?;
    let owned = |set: &ReplicaSet| {
        let owners = set.metadata.owner_references.as_deref().unwrap_or_default();
        owners
            .iter()
            .any(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref())
    };
    let current = found.items.into_iter().filter(owned).find(|set| {
        set.metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(REVISION))
            == Some(revision)
    })?;
    current.metadata.labels?.get("pod-template-hash").cloned()
}

/// Why the pods that were seen don't come further, where they are of the current description. Everything is asked at once:
/// whoever waits should know soon.
async fn current_cause(cluster: &Cluster, goal: &Goal<'_>, seen: &Seen) -> Option<Cause> {
    let (current, cause) = futures::join!(
        concerns_current(cluster, goal, seen),
        cause(cluster, goal, seen)
    );
    cause.filter(|_| current)
}

async fn cause(cluster: &Cluster, goal: &Goal<'_>, seen: &Seen) -> Option<Cause> {
    let lines = async {
        match seen.observed.pods.first() {
            Some(pod) => last_lines(cluster, pod).await,
            None => Vec::new(),
        }
    };
    let (warnings, lines) = futures::join!(super::observe::warnings(cluster), lines);
    let warnings = warnings.unwrap_or_else(|_| seen.observed.events.clone());
    diagnose(
        goal.stack,
        goal.service,
        &seen.observed.pods,
        &warnings,
        &lines,
    )
}

fn in_words(seen: &Seen) -> String {
    let Some(pod) = seen.observed.pods.iter().find(|pod| !pod.ready) else {
        return if seen.observed.pods.is_empty() {
            "waiting for its pod".into()
        } else {
            "ready".into()
        };
    };
    if pod.unschedulable.is_some() {
        return "waiting for a node".into();
    }
    let waiting = pod
        .containers
        .iter()
        .find_map(|container| match &container.state {
            ContainerState::Waiting { reason, .. } => Some(reason.clone()),
            _ => None,
        });
    waiting.unwrap_or_else(|| "running, not ready yet".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_started_again_before_does_not_count_unless_it_is_held_back() {
        let waits = |reason: &str| serde_json::json!({"waiting": {"reason": reason}});
        let pod = |restarts: u32, state: serde_json::Value| {
            let pod = serde_json::json!({
                "metadata": {"name": "a"},
                "spec": {"containers": [{"name": "c"}]},
                "status": {"containerStatuses": [{
                    "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": restarts, "state": state,
                }]},
            });
            ObservedPod::of(&serde_json::from_value::<Pod>(pod).unwrap())
        };
        let mut restarts = Restarts::default();
        let mut counted = |pod: ObservedPod| {
            let mut pods = [pod];
            restarts.since_first_seen(&mut pods);
            pods[0].containers[0].restarts
        };
        let runs = || serde_json::json!({"running": {}});
        assert_eq!(counted(pod(2, runs())), 0);
        assert_eq!(counted(pod(4, runs())), 2);
        assert_eq!(counted(pod(4, waits("ContainerCreating"))), 2);
        assert_eq!(counted(pod(4, waits("CrashLoopBackOff"))), 4);
    }

    #[test]
    fn an_account_that_comes_a_moment_later_is_no_refusal() {
        let warning = |message: &str| Warning {
            kind: "ReplicaSet".to_owned(),
            name: "plain-local-5f".to_owned(),
            reason: "FailedCreate".to_owned(),
            message: message.to_owned(),
            count: 1,
        };
        let early = "pods \"x\" is forbidden: error looking up service account t/default: \
                     serviceaccount \"default\" not found";
        assert!(!is_refusal(&warning(early)));
        assert!(is_refusal(&warning(
            "pods \"x\" is forbidden: exceeded quota: quota"
        )));
    }
}
