//! What was seen in the cluster, as plain data: the other half of what a plan is made from.
//!
//! Whoever watches the cluster fills it; nothing here asks anybody anything. To be of use to a plan,
//! `objects` holds what stands under the names that are wanted, whoever owns it, and everything that
//! carries the stack's label.

mod cause;
mod isolation;
mod pod;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

pub use self::cause::{Cause, diagnose, waits_for};
pub use self::isolation::enforces_policies;
pub use self::pod::{
    ContainerState, ObservedContainer, ObservedPod, SETTLING, Termination, Warning,
};

use crate::manifest::{FORM, Form, NAME, ObjectId};
use crate::name::ServiceName;

/// What was seen, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Observed {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The objects by id, as the API server gave them.
    #[serde(skip)]
    pub objects: BTreeMap<ObjectId, Value>,
    /// Images by reference.
    pub images: BTreeMap<String, ImageState>,
    /// The stack's pods.
    pub pods: Vec<ObservedPod>,
    /// Warnings that the cluster reported.
    pub events: Vec<Warning>,
}

/// Where an image is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageState {
    /// Whether the node has it.
    pub on_node: bool,
}

/// How far a workload is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Progress {
    /// There is none.
    Missing,
    /// Not all of its pods are there and current, or some don't run yet.
    Starting,
    /// Its pods are there, current and running; not all are ready, or an older one is left.
    Started,
    /// All its pods are current and ready, and no other is left.
    Ready,
}

impl Observed {
    /// How far the workload `id` is.
    pub fn progress(&self, id: &ObjectId) -> Progress {
        let Some(workload) = self.objects.get(id) else {
            return Progress::Missing;
        };
        let service = label(workload, NAME);
        let mut pods = self
            .pods
            .iter()
            .filter(|pod| pod.service.as_ref().map(ServiceName::as_str) == service)
            .filter(|pod| pod.form != Form::Test && !pod.terminating)
            .peekable();
        // A pod that begins again, as all do of a cluster that was stopped, says so sooner than its workload. Pods of jobs come and go.
        let goes_on = !matches!(id.kind.as_str(), "Job" | "CronJob");
        let unready = pods.clone().any(|pod| {
            let is_over = matches!(pod.phase.as_str(), "Failed" | "Succeeded");
            !pod.ready && (pod.is_running() || goes_on && !is_over)
        });
        let running = pods.peek().is_some() && pods.all(ObservedPod::is_running);
        match rollout(&id.kind, workload) {
            // What failed and runs again is ready for the cluster; whether it goes on isn't known yet.
            Rollout::Done if !unready => Progress::Ready,
            Rollout::Done | Rollout::Current if running => Progress::Started,
            Rollout::Done | Rollout::Current | Rollout::Stale => Progress::Starting,
        }
    }

    /// The form of the workload `id`; `None` where there is none.
    pub fn form(&self, id: &ObjectId) -> Option<Form> {
        self.objects.get(id).map(form)
    }
}

/// What a workload's status says.
enum Rollout {
    /// Its pods aren't all there, or are of an older description.
    Stale,
    /// Its pods are all of the current description.
    Current,
    /// They are ready too, or have run to their end, and no other is left.
    Done,
}

fn rollout(kind: &str, workload: &Value) -> Rollout {
    let number = |pointer: &str| workload.pointer(pointer).and_then(Value::as_i64);
    let count = |field: &str| number(&format!("/status/{field}")).unwrap_or(0);
    // A status of an earlier generation says nothing about this one; no status at all is none.
    let current = number("/status/observedGeneration")
        .is_some_and(|seen| seen >= number("/metadata/generation").unwrap_or(0));
    let (wanted, all, updated, available) = match kind {
        "CronJob" => return Rollout::Done,
        "Job" if has_condition(workload, "Complete") => return Rollout::Done,
        "Job" if count("active") > 0 => return Rollout::Current,
        "Job" => return Rollout::Stale,
        "DaemonSet" => (
            count("desiredNumberScheduled"),
            count("currentNumberScheduled"),
            count("updatedNumberScheduled"),
            count("numberAvailable"),
        ),
        _ => (
            number("/spec/replicas").unwrap_or(1),
            count("replicas"),
            count("updatedReplicas"),
            count("availableReplicas"),
        ),
    };
    if !current || updated < wanted {
        return Rollout::Stale;
    }
    if all > updated || available < wanted {
        return Rollout::Current;
    }
    Rollout::Done
}

/// Whether a Job has been tried as often as it may.
pub fn has_failed(job: &Value) -> bool {
    has_condition(job, "Failed")
}

fn has_condition(live: &Value, kind: &str) -> bool {
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// A label of a live object.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(key)?.as_str()
}

/// The form that a workload's label says it has.
pub fn form(workload: &Value) -> Form {
    label(workload, FORM)
        .and_then(Form::parse)
        .unwrap_or(Form::Planned)
}
