//! Why a service doesn't run: one plain sentence, what supports it, and what to type.
//!
//! The first container that is in the way decides, those that prepare the pod first; after the
//! containers come the scheduler, whoever should have made the pod, and the readiness check.

mod ended;
mod refused;
mod waiting;
mod words;

use serde::Serialize;

use super::{
    ContainerState, Observed, ObservedContainer, ObservedPod, Progress, Termination, Warning,
};
use crate::manifest::{Form, workload_id};
use crate::model::{Check, Condition, Service, Stack};

/// Why a service doesn't run.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Cause {
    /// One sentence without a full stop.
    pub summary: String,
    /// What supports it: the cluster's words, the last lines of the process.
    pub detail: Vec<String>,
    /// What to type or to change.
    pub hint: String,
}

impl Cause {
    fn new(summary: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            detail: Vec::new(),
            hint: hint.into(),
        }
    }

    fn because(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let lines = lines.into_iter().map(Into::into);
        self.detail
            .extend(lines.filter(|line: &String| !line.trim().is_empty()));
        self
    }
}

/// Finds out why `service` doesn't run; `None` where nothing speaks against it.
///
/// `stack` tells which services there are, for names that nobody has. `last_lines` are the last lines that its container wrote: of the one before, where it was
/// started again.
pub fn diagnose(
    stack: &Stack,
    service: &Service,
    pods: &[ObservedPod],
    warnings: &[Warning],
    last_lines: &[String],
) -> Option<Cause> {
    let pods: Vec<&ObservedPod> = pods
        .iter()
        .filter(|pod| pod.service.as_ref() == Some(&service.name) && !pod.terminating)
        .collect();
    let about_pods: Vec<&Warning> = warnings
        .iter()
        .filter(|warning| pods.iter().any(|pod| pod.name == warning.name))
        .collect();
    let unready = || pods.iter().filter(|pod| !pod.ready);
    unready()
        .flat_map(|pod| &pod.containers)
        .find_map(|container| of_container((stack, service), container, &about_pods, last_lines))
        .or_else(|| unready().find_map(|pod| unschedulable(service, pod)))
        .or_else(|| mount(service, &about_pods))
        .or_else(|| refused::cause(service, &pods, warnings))
        .or_else(|| {
            let cause =
                unready().find_map(|pod| unhealthy(service, pod, &about_pods, last_lines))?;
            Some(words::sharpened(stack, service, cause, last_lines))
        })
}

/// What a service waits for that isn't there yet; `None` where nothing is missing.
pub fn waits_for(stack: &Stack, service: &Service, observed: &Observed) -> Option<Cause> {
    let missing = service.needs.iter().find(|need| {
        let reached = stack.services.get(&need.service).map(|other| {
            let progress = observed.progress(&workload_id(stack, other));
            match need.condition {
                Condition::Ready | Condition::Completed => progress >= Progress::Ready,
                Condition::Started => progress >= Progress::Started,
                Condition::Eventually => true,
            }
        });
        reached == Some(false)
    })?;
    let (name, needed) = (&service.name, &missing.service);
    let state = match missing.condition {
        Condition::Completed => "hasn't run to its end",
        Condition::Started => "hasn't started",
        Condition::Ready | Condition::Eventually => "isn't ready",
    };
    Some(Cause::new(
        format!("`{name}` waits for `{needed}`, which {state}"),
        format!("mwctl status {needed}"),
    ))
}

fn of_container(
    (stack, service): (&Stack, &Service),
    container: &ObservedContainer,
    warnings: &[&Warning],
    last_lines: &[String],
) -> Option<Cause> {
    let ended = |termination: &Termination| {
        let cause = ended::cause(service, container, termination, warnings, last_lines)?;
        // Who was killed for its memory was killed for its memory, whatever it said before.
        if termination.reason == "OOMKilled" {
            return Some(cause);
        }
        Some(words::sharpened(stack, service, cause, last_lines))
    };
    match &container.state {
        ContainerState::Waiting { reason, message } => {
            match waiting::cause(service, container, reason, message) {
                Some(cause) if waiting::is_there(reason) => {
                    Some(words::sharpened(stack, service, cause, &[]))
                }
                Some(cause) => Some(cause),
                None => container.last_termination.as_ref().and_then(ended),
            }
        }
        ContainerState::Terminated(termination) => ended(termination),
        // It was started again: how the last one ended says why it isn't ready.
        ContainerState::Running if !container.ready => {
            container.last_termination.as_ref().and_then(ended)
        }
        ContainerState::Running => None,
    }
}

fn unschedulable(service: &Service, pod: &ObservedPod) -> Option<Cause> {
    let message = pod.unschedulable.as_ref()?;
    let name = &service.name;
    let lower = message.to_lowercase();
    let cause = if lower.contains("insufficient") {
        let what: Vec<&str> = ["cpu", "memory", "ephemeral-storage", "pods"]
            .into_iter()
            .filter(|resource| lower.contains(&format!("insufficient {resource}")))
            .collect();
        Cause::new(
            format!(
                "no node has enough {} left for `{name}`",
                what.join(" and ")
            ),
            format!(
                "lower `container.resources.requests` of `{name}` in `mwctl.yaml`, or stop something: `mwctl status`"
            ),
        )
    } else if lower.contains("free ports") {
        Cause::new(
            format!("a port of the node that `{name}` wants is used already"),
            format!(
                "take `hostPort` out of the `patches` of `{name}`, or stop what uses it: `kubectl get pods --all-namespaces --output wide`"
            ),
        )
    } else if lower.contains("node affinity") || lower.contains("node selector") {
        Cause::new(
            format!("no node is of the kind that `{name}` wants"),
            "kubectl get nodes --show-labels",
        )
    } else if lower.contains("persistentvolumeclaim") {
        Cause::new(
            format!("the volume of `{name}` isn't there"),
            "the cluster needs a default storage class: `kubectl get storageclass`",
        )
    } else {
        Cause::new(
            format!("no node takes `{name}`"),
            format!("kubectl describe pod {}", pod.name),
        )
    };
    Some(cause.because([message]))
}

fn mount(service: &Service, warnings: &[&Warning]) -> Option<Cause> {
    // Others are of the first second only: the kubelet hasn't seen the ConfigMap yet.
    let warning = warnings.iter().find(|w| {
        let lost = [
            "not found",
            "non-existent config key",
            "references non-existent",
        ];
        matches!(w.reason.as_str(), "FailedMount" | "FailedAttachVolume")
            && lost.iter().any(|words| w.message.contains(words))
    })?;
    let name = &service.name;
    let summary = match after(&warning.message, "non-existent config key: ") {
        Some(key) => format!("a volume of `{name}` wants the key `{key}`, which isn't there"),
        None => format!("a volume of `{name}` can't be mounted"),
    };
    let hint = mended(service, missing(&warning.message));
    Some(Cause::new(summary, hint).because([&warning.message]))
}

/// The object that isn't there, from `configmap "NAME" not found`.
fn missing(message: &str) -> Option<&str> {
    let before = message.split_once("\" not found")?.0;
    before.rsplit_once('"').map(|(_, name)| name)
}

/// What to do about an object that a service refers to and that isn't there, or isn't whole: those that are the service's
/// own `up` makes.
fn mended(service: &Service, object: Option<&str>) -> String {
    let name = &service.name;
    match object {
        Some(object) if !object.starts_with(&format!("{name}-")) => {
            format!(
                "make `{object}` whole, or correct what refers to it: `mwctl render {name}` shows it"
            )
        }
        _ => format!("mwctl up {name}"),
    }
}

/// The word behind `mark` in a message.
fn after<'a>(message: &'a str, mark: &str) -> Option<&'a str> {
    let rest = message.split_once(mark)?.1;
    let word = rest.split(|c: char| c.is_whitespace() || c == ',').next()?;
    (!word.is_empty()).then_some(word)
}

/// A container that runs but doesn't answer.
fn unhealthy(
    service: &Service,
    pod: &ObservedPod,
    warnings: &[&Warning],
    last_lines: &[String],
) -> Option<Cause> {
    let warning = warnings
        .iter()
        .rev()
        .find(|w| w.name == pod.name && w.reason == "Unhealthy")?;
    let starting = warning.message.starts_with("Startup probe failed");
    let kind = if starting { "startup" } else { "readiness" };
    let name = &service.name;
    let logs = format!("mwctl logs {name}");
    let message = &warning.message;
    let probe = if starting {
        &service.main.startup
    } else {
        &service.main.readiness
    };
    let check = probe.as_ref().map(|probe| &probe.check);
    let port = match check {
        Some(Check::Http { port, .. } | Check::Tcp { port }) => Some(*port),
        Some(Check::Exec { .. }) | None => service.port().map(|port| port.number),
    };
    let path = match check {
        Some(Check::Http { path, .. }) => path.as_str(),
        _ => "/",
    };
    let cause = if pod.form == Form::Develop {
        Cause::new(format!("the process of `{name}` isn't ready"), logs)
    } else if message.contains("connection refused") {
        let port = port.map_or_else(String::new, |port| format!(" on port {port}"));
        Cause::new(
            format!("`{name}` runs, but nothing listens{port}"),
            format!("{logs}, or correct the port of `{name}` in `mwctl.yaml`"),
        )
    } else if let Some(status) = status_code(message) {
        Cause::new(
            format!("`{name}` runs, but answers {status} to its {kind} check `GET {path}`"),
            logs,
        )
    } else if message.contains("deadline exceeded") || message.contains("timeout") {
        Cause::new(
            format!("`{name}` runs, but doesn't answer its {kind} check in time"),
            logs,
        )
    } else {
        Cause::new(format!("`{name}` runs, but its {kind} check fails"), logs)
    };
    Some(cause.because([message]).because(last_lines))
}

/// The status in `… failed with statuscode: 500`.
fn status_code(message: &str) -> Option<&str> {
    let rest = message.split_once("statuscode: ")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    let status = &rest[..end.unwrap_or(rest.len())];
    (!status.is_empty()).then_some(status)
}

#[cfg(test)]
mod tests;
