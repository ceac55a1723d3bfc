//! The condition `Progressing`: whether a rollout gets anywhere, and since when it doesn't.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::sets::Sets;
use super::{is_paused, wanted};

pub(super) const PROGRESSING: &str = "Progressing";
const COMPLETE: &str = "NewReplicaSetAvailable";
const OVERDUE: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// What a turn says about progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing.
    Unchanged,
    /// The rollout was paused.
    Paused,
    /// The rollout goes on.
    Resumed,
    /// A ReplicaSet of this name is being made.
    Created(String),
    /// The ReplicaSet of the template was there already.
    Found(String),
    /// To be seen from the numbers.
    FromNumbers,
}

impl Progress {
    /// What a pause, or its end, has to say.
    pub(super) fn of_pause(deployment: &Deployment) -> Self {
        if deadline(deployment).is_none() {
            return Self::Unchanged;
        }
        let reason = reason(deployment);
        match (is_paused(deployment), reason) {
            (_, Some(OVERDUE)) => Self::Unchanged,
            (true, reason) if reason != Some(PAUSED) => Self::Paused,
            (false, Some(PAUSED)) => Self::Resumed,
            _ => Self::Unchanged,
        }
    }
}

fn reason(deployment: &Deployment) -> Option<&str> {
    let status = deployment.status.as_ref()?;
    find(status, PROGRESSING)?.reason.as_deref()
}

/// A condition by its type.
pub(super) fn find<'a>(
    status: &'a DeploymentStatus,
    kind: &str,
) -> Option<&'a DeploymentCondition> {
    (status.conditions.iter().flatten()).find(|condition| condition.type_ == kind)
}

/// The time that a rollout may stand still.
pub(super) fn deadline(deployment: &Deployment) -> Option<SignedDuration> {
    let seconds = deployment
        .spec
        .as_ref()?
        .progress_deadline_seconds
        .unwrap_or(600);
    (seconds != i32::MAX).then(|| SignedDuration::from_secs(seconds.into()))
}

/// Whether the Deployment is as asked for, as its numbers say.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let total = Some(wanted(deployment));
    status.updated_replicas.or(Some(0)) == total
        && status.replicas.or(Some(0)) == total
        && status.available_replicas.or(Some(0)) == total
        && status.observed_generation >= deployment.metadata.generation
}

fn is_advancing(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let rest = |status: &DeploymentStatus| {
        status.replicas.unwrap_or_default() - status.updated_replicas.unwrap_or_default()
    };
    new.updated_replicas > old.updated_replicas
        || rest(new) < rest(old)
        || new.ready_replicas > old.ready_replicas
        || new.available_replicas > old.available_replicas
}

/// The condition that this turn asks for, if it is to change.
pub(super) fn condition(
    deployment: &Deployment,
    sets: &Sets,
    new: &DeploymentStatus,
    progress: &Progress,
    now: Timestamp,
) -> Option<DeploymentCondition> {
    deadline(deployment)?;
    let (status, reason, message) = match progress {
        Progress::Unchanged => return None,
        Progress::Paused => ("Unknown", PAUSED, "Deployment is paused".to_owned()),
        Progress::Resumed => (
            "Unknown",
            "DeploymentResumed",
            "Deployment is resumed".to_owned(),
        ),
        Progress::Created(name) => {
            let text = format!("Created new replica set \"{name}\"");
            ("True", "NewReplicaSetCreated", text)
        }
        Progress::Found(name) => {
            let text = format!("Found new replica set \"{name}\"");
            ("True", "FoundNewReplicaSet", text)
        }
        Progress::FromNumbers => from_numbers(deployment, sets, new, now)?,
    };
    Some(DeploymentCondition {
        type_: PROGRESSING.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    })
}

fn from_numbers(
    deployment: &Deployment,
    sets: &Sets,
    new: &DeploymentStatus,
    now: Timestamp,
) -> Option<(&'static str, &'static str, String)> {
    let old = deployment.status.clone().unwrap_or_default();
    let is_settled = new.replicas == new.updated_replicas && reason(deployment) == Some(COMPLETE);
    if is_settled {
        return None;
    }
    let subject = match &sets.new {
        Some(set) => format!("ReplicaSet \"{}\"", set.name_any()),
        None => format!("Deployment \"{}\"", deployment.name_any()),
    };
    if is_complete(deployment, new) {
        return Some((
            "True",
            COMPLETE,
            format!("{subject} has successfully progressed."),
        ));
    }
    if is_advancing(&old, new) {
        return Some((
            "True",
            "ReplicaSetUpdated",
            format!("{subject} is progressing."),
        ));
    }
    let is_overdue = overdue_at(deployment).is_some_and(|time| time < now);
    is_overdue.then(|| {
        (
            "False",
            OVERDUE,
            format!("{subject} has timed out progressing."),
        )
    })
}

/// When a rollout that stands still is given up; nothing when none is on its way.
pub(super) fn overdue_at(deployment: &Deployment) -> Option<Timestamp> {
    let condition = find(deployment.status.as_ref()?, PROGRESSING)?;
    if matches!(
        condition.reason.as_deref(),
        Some(COMPLETE | OVERDUE | PAUSED)
    ) {
        return None;
    }
    let since = condition.last_update_time.as_ref()?.0;
    since.saturating_add(deadline(deployment)?).ok()
}
