//! Whether a pod of a Job has failed, and what follows: by the Job's policy for failures (KEP-3329), and for the pod's index (KEP-3850).
//!
//! What the failures of all pods together mean for the Job is [`super::completion`]'s.

use k8s_openapi::api::batch::v1::{
    PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::{Work, completion};
use crate::pods;

/// The annotation with the failures of an index before this pod.
const COUNTED: &str = "batch.kubernetes.io/job-index-failure-count";

/// The annotation with those that the policy says not to count.
const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// The wait after a first failure; each further one doubles it.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// The longest wait.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(600);

/// What follows from a failed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Handling {
    /// It is one more failure.
    Counts,
    /// It is none.
    Ignored,
    /// Its index has failed for good.
    FailsIndex,
    /// The Job has failed, for this reason.
    FailsJob(String),
}

/// Whether a pod has failed.
pub(super) fn has_failed(work: &Work<'_>, pod: &Pod) -> bool {
    match pods::phase(pod) {
        "Failed" => true,
        "Succeeded" => false,
        // One that is deleted before its end has failed as soon as it is asked to go; or, where only failed pods are replaced, as soon as
        // nothing but our finalizer keeps it. One that no node has, or that its node has let go of, never says itself how it ended.
        _ if pod.metadata.deletion_timestamp.is_none() => false,
        _ => !work.replaces_only_failed() || pod.metadata.deletion_grace_period_seconds == Some(0),
    }
}

/// What follows from a failed pod: what the first rule says that it matches.
pub(super) fn handling(work: &Work<'_>, pod: &Pod) -> Handling {
    let policy = work.spec.pod_failure_policy.iter();
    (policy.flat_map(|policy| policy.rules.iter().enumerate()))
        .find_map(|(place, rule)| verdict(rule, place, pod))
        .unwrap_or(Handling::Counts)
}

fn verdict(rule: &PodFailurePolicyRule, place: usize, pod: &Pod) -> Option<Handling> {
    let cause = match (&rule.on_exit_codes, &rule.on_pod_conditions) {
        (Some(wanted), _) => {
            let container = ended_so(pod, wanted)?;
            let code = exit_code(container)?;
            let name = &container.name;
            format!("Container {name} for pod {{pod}} failed with exit code {code}")
        }
        (None, Some(patterns)) => {
            let condition = stands_so(pod, patterns)?;
            format!("Pod {{pod}} has condition {}", condition.type_)
        }
        (None, None) => return None,
    };
    match rule.action.as_str() {
        "Count" => Some(Handling::Counts),
        "Ignore" => Some(Handling::Ignored),
        "FailIndex" => Some(Handling::FailsIndex),
        "FailJob" => {
            let name = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
            let cause = cause.replace("{pod}", &name);
            let message = format!("{cause} matching FailJob rule at index {place}");
            Some(Handling::FailsJob(message))
        }
        _ => None,
    }
}

/// The first container that ended with a code that the rule is about.
fn ended_so<'a>(
    pod: &'a Pod,
    wanted: &PodFailurePolicyOnExitCodesRequirement,
) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let statuses = (status.container_statuses.iter()).chain(&status.init_container_statuses);
    statuses.flatten().find(|container| {
        let is_named = (wanted.container_name.as_ref()).is_none_or(|name| *name == container.name);
        let Some(code) = exit_code(container).filter(|code| is_named && *code != 0) else {
            return false;
        };
        match wanted.operator.as_str() {
            "In" => wanted.values.contains(&code),
            "NotIn" => !wanted.values.contains(&code),
            _ => false,
        }
    })
}

fn exit_code(container: &ContainerStatus) -> Option<i32> {
    let state = container.state.as_ref()?;
    state.terminated.as_ref().map(|it| it.exit_code)
}

/// The first condition that is one of those that the rule is about.
fn stands_so<'a>(
    pod: &'a Pod,
    patterns: &[PodFailurePolicyOnPodConditionsPattern],
) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| {
        (patterns.iter()).any(|it| it.type_ == condition.type_ && it.status == condition.status)
    })
}

/// The failures of an index, as the annotations of its pods carry them on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    /// Those that count.
    pub(super) counted: i32,
    /// Those that the policy says not to count.
    ignored: i32,
}

impl Failures {
    /// Those before a pod. What isn't a number is none: anybody may have written it.
    pub(super) fn before(pod: &Pod) -> Self {
        let number = |name: &str| {
            let number: Option<i32> = pod.annotations().get(name)?.parse().ok();
            number.filter(|number| *number >= 0)
        };
        Self {
            counted: number(COUNTED).unwrap_or_default(),
            ignored: number(IGNORED).unwrap_or_default(),
        }
    }

    /// Those before the one that replaces a failed pod.
    pub(super) fn with(work: &Work<'_>, pod: &Pod) -> Self {
        let mut failures = Self::before(pod);
        let number = match handling(work, pod) {
            Handling::Ignored => &mut failures.ignored,
            _ => &mut failures.counted,
        };
        *number = number.saturating_add(1);
        failures
    }

    /// All of them.
    pub(super) fn all(self) -> i32 {
        self.counted.saturating_add(self.ignored)
    }

    /// The annotations of a new pod.
    pub(super) fn annotations(self) -> impl Iterator<Item = (String, String)> {
        let ignored = (self.ignored > 0).then_some((IGNORED, self.ignored));
        (std::iter::once((COUNTED, self.counted)).chain(ignored))
            .map(|(name, number)| (name.to_owned(), number.to_string()))
    }
}

/// Whether an index has failed for good with this failed pod of it, where each may fail so often.
pub(super) fn fails_index(work: &Work<'_>, pod: &Pod, limit: i32) -> bool {
    match handling(work, pod) {
        Handling::FailsIndex => true,
        Handling::Ignored => false,
        Handling::Counts | Handling::FailsJob(_) => Failures::before(pod).counted >= limit,
    }
}

/// When the index of a failed pod may have another one.
pub(super) fn index_retry_at(pod: &Pod) -> Timestamp {
    after(
        Failures::before(pod).all().saturating_add(1),
        completion::ended_at(pod),
    )
}

/// When pods may be made again after failures; nothing when none has failed since the last success.
pub(super) fn retry_at(work: &Work<'_>) -> Option<Timestamp> {
    let success = (work
        .pods
        .iter()
        .filter(|pod| pods::phase(pod) == "Succeeded"))
    .map(|pod| completion::ended_at(pod))
    .max();
    let failures: Vec<Timestamp> = (work.pods.iter().filter(|pod| has_failed(work, pod)))
        .map(|pod| completion::ended_at(pod))
        .filter(|time| success.is_none_or(|success| *time > success))
        .collect();
    let last = failures.iter().max()?;
    let number = i32::try_from(failures.len()).unwrap_or(i32::MAX);
    Some(after(number, *last))
}

/// When so many failures, the last of them then, have been waited for.
fn after(failures: i32, last: Timestamp) -> Timestamp {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or_default();
    let wait = (FIRST_WAIT * 2_i32.pow(doublings.min(10))).min(LONGEST_WAIT);
    last.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
