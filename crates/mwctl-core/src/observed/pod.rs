//! Pods and warnings, reduced to what a decision or a person needs.

use std::time::Duration;

use k8s_openapi::api::core::v1::{
    ContainerState as KubeState, ContainerStateTerminated, ContainerStatus, Event, Pod,
};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use crate::manifest::{FORM, Form, NAME};
use crate::name::ServiceName;

/// How long a process that nothing checks must go on before it is taken for ready: one that can't run has ended by then,
/// and the node, which looks once a second, has noticed.
pub const SETTLING: Duration = Duration::from_secs(3);

/// A pod.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedPod {
    /// Its name.
    pub name: String,
    /// The service that its label names.
    pub service: Option<ServiceName>,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// The form it has.
    pub form: Form,
    /// The node it is on.
    pub node: Option<String>,
    /// That node's architecture, as in `amd64`, where whoever observed it knows.
    pub architecture: Option<String>,
    /// Why the scheduler found no node, in its words.
    pub unschedulable: Option<String>,
    /// Its containers, those that prepare it first.
    pub containers: Vec<ObservedContainer>,
}

/// A container of a pod.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedContainer {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Whether it only prepares the pod.
    pub init: bool,
    /// Whether it is ready.
    pub ready: bool,
    /// What it does.
    pub state: ContainerState,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended the last time.
    pub last_termination: Option<Termination>,
}

/// What a container does.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ContainerState {
    /// It has yet to start.
    Waiting {
        /// Why, in one word, as in `ImagePullBackOff`.
        reason: String,
        /// Why, in the node's words.
        message: String,
    },
    /// It runs.
    Running,
    /// It has ended.
    Terminated(Termination),
}

/// How a container ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// Its exit code.
    pub exit_code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why, in one word, as in `OOMKilled`.
    pub reason: String,
    /// Why, in the node's or the process's words.
    pub message: String,
}

/// A warning that the cluster reported about an object.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// The kind of what it concerns.
    pub kind: String,
    /// The name of what it concerns.
    pub name: String,
    /// What happened, in one word.
    pub reason: String,
    /// What happened, in a sentence.
    pub message: String,
    /// How often.
    pub count: u32,
}

impl ObservedPod {
    /// What a Pod object says.
    pub fn of(pod: &Pod) -> Self {
        let label = |key: &str| pod.metadata.labels.as_ref().and_then(|l| l.get(key));
        let status = pod.status.clone().unwrap_or_default();
        let condition = |kind: &str| {
            let conditions = status.conditions.as_deref().unwrap_or_default();
            conditions.iter().find(|c| c.type_ == kind)
        };
        let statuses = |list: &Option<Vec<ContainerStatus>>, init: bool| -> Vec<_> {
            let list = list.as_deref().unwrap_or_default();
            list.iter().map(|status| container(status, init)).collect()
        };
        let mut containers = statuses(&status.init_container_statuses, true);
        containers.extend(statuses(&status.container_statuses, false));
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            service: label(NAME).and_then(|name| ServiceName::new(name.as_str()).ok()),
            phase: status.phase.clone().unwrap_or_default(),
            ready: condition("Ready").is_some_and(|c| c.status == "True"),
            terminating: pod.metadata.deletion_timestamp.is_some(),
            form: label(FORM)
                .and_then(|form| Form::parse(form))
                .unwrap_or(Form::Planned),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            architecture: None,
            unschedulable: condition("PodScheduled")
                .filter(|c| c.status == "False" && c.reason.as_deref() == Some("Unschedulable"))
                .map(|c| c.message.clone().unwrap_or_default()),
            containers,
        }
    }

    /// What a Pod object says at the moment `now`: a container that failed, runs again, and that nothing checks is ready for the
    /// cluster as soon as it runs; here it is only once it has gone on for [`SETTLING`].
    pub fn at(pod: &Pod, now: Timestamp) -> Self {
        let mut this = Self::of(pod);
        let statuses = pod.status.iter();
        let statuses = statuses.flat_map(|status| status.container_statuses.iter().flatten());
        for status in statuses.filter(|status| runs_again(pod, status, now)) {
            let mut containers = this.containers.iter_mut();
            if let Some(known) = containers.find(|it| !it.init && it.name == status.name) {
                known.ready = false;
                this.ready = false;
            }
        }
        this
    }

    /// Takes over what the node has reported of containers that wait without a reason: their status follows up to
    /// seconds after the event.
    pub fn hear(&mut self, warnings: &[Warning]) {
        let about = |warning: &&Warning| {
            warning.kind == "Pod" && warning.name == self.name && warning.reason == "Failed"
        };
        let mut reported = warnings.iter().rev().filter(about);
        let Some(failure) = reported.find_map(|warning| failure(&warning.message)) else {
            return;
        };
        for container in &mut self.containers {
            let ContainerState::Waiting { reason, message } = &mut container.state else {
                continue;
            };
            let unsaid = matches!(
                reason.as_str(),
                "" | "ContainerCreating" | "PodInitializing"
            );
            if unsaid && failure.image.is_none_or(|image| image == container.image) {
                failure.reason.clone_into(reason);
                failure.said.clone_into(message);
            }
        }
    }

    /// Whether every container that stays is running.
    pub fn is_running(&self) -> bool {
        let mut staying = self.containers.iter().filter(|c| !c.init).peekable();
        staying.peek().is_some() && staying.all(|c| c.state == ContainerState::Running)
    }
}

impl Warning {
    /// What an Event object says; `None` where it isn't a warning.
    pub fn of(event: &Event) -> Option<Self> {
        if event.type_.as_deref() != Some("Warning") {
            return None;
        }
        let about = &event.involved_object;
        let series = event.series.as_ref().and_then(|series| series.count);
        Some(Self {
            kind: about.kind.clone().unwrap_or_default(),
            name: about.name.clone().unwrap_or_default(),
            reason: event.reason.clone().unwrap_or_default(),
            message: event.message.clone().unwrap_or_default(),
            count: u32::try_from(series.or(event.count).unwrap_or(1)).unwrap_or(1),
        })
    }
}

/// Whether an unchecked container that failed was started again less than [`SETTLING`] ago. Where the cluster's clock goes
/// differently, nothing is known of that, and the cluster is believed.
fn runs_again(pod: &Pod, status: &ContainerStatus, now: Timestamp) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let checked = containers
        .filter(|container| container.name == status.name)
        .any(|it| it.readiness_probe.is_some() || it.startup_probe.is_some());
    let last = status.last_state.as_ref();
    let last = last.and_then(|state| state.terminated.as_ref());
    let failed = last.is_some_and(|end| end.exit_code != 0);
    let running = status.state.as_ref().and_then(|it| it.running.as_ref());
    let started = running.and_then(|it| it.started_at.as_ref());
    let young = started.is_some_and(|at| {
        let age = now.duration_since(at.0);
        !age.is_negative() && age.unsigned_abs() < SETTLING
    });
    !checked && failed && young
}

/// What an event says that a status will say.
struct Failure<'a> {
    reason: &'static str,
    said: &'a str,
    /// The image that it is about, where it is about one.
    image: Option<&'a str>,
}

/// Reads `Failed to pull image "IMAGE": …`, and `Error: …` of a configuration that isn't whole.
fn failure(message: &str) -> Option<Failure<'_>> {
    if let Some(rest) = message.strip_prefix("Failed to pull image \"") {
        let (image, said) = rest.split_once("\": ")?;
        return Some(Failure {
            reason: "ErrImagePull",
            said,
            image: Some(image),
        });
    }
    let said = message.strip_prefix("Error: ")?;
    let lost = said.contains("couldn't find key ") || said.ends_with("\" not found");
    lost.then_some(Failure {
        reason: "CreateContainerConfigError",
        said,
        image: None,
    })
}

fn container(status: &ContainerStatus, init: bool) -> ObservedContainer {
    let last = status.last_state.as_ref();
    ObservedContainer {
        name: status.name.clone(),
        image: status.image.clone(),
        init,
        ready: status.ready,
        state: state(status.state.as_ref()),
        restarts: u32::try_from(status.restart_count).unwrap_or(0),
        last_termination: last
            .and_then(|state| state.terminated.as_ref())
            .map(termination),
    }
}

fn state(state: Option<&KubeState>) -> ContainerState {
    match state {
        Some(KubeState {
            terminated: Some(terminated),
            ..
        }) => ContainerState::Terminated(termination(terminated)),
        Some(KubeState {
            running: Some(_), ..
        }) => ContainerState::Running,
        other => {
            let waiting = other.and_then(|state| state.waiting.as_ref());
            let text = |text: Option<&String>| text.cloned().unwrap_or_default();
            ContainerState::Waiting {
                reason: text(waiting.and_then(|w| w.reason.as_ref())),
                message: text(waiting.and_then(|w| w.message.as_ref())),
            }
        }
    }
}

fn termination(terminated: &ContainerStateTerminated) -> Termination {
    Termination {
        exit_code: terminated.exit_code,
        signal: terminated.signal,
        reason: terminated.reason.clone().unwrap_or_default(),
        message: terminated.message.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
