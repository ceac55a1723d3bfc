//! Why a service doesn't run: one plain sentence, what supports it, and what to type.
//!
//! The first container that is in the way decides, those that prepare the pod first; after the
//! containers come the scheduler, whoever should have made the pod, and the readiness check.

mod ended;
mod waiting;

use serde::Serialize;

use super::{ContainerState, ObservedContainer, ObservedPod, Warning};
use crate::manifest::Form;
use crate::model::{Check, Service};

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
/// `last_lines` are the last lines that its container wrote: of the one before, where it was
/// started again.
pub fn diagnose(
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
        .find_map(|container| of_container(service, container, &about_pods, last_lines))
        .or_else(|| unready().find_map(|pod| unschedulable(service, pod)))
        .or_else(|| mount(service, &about_pods))
        .or_else(|| creation(service, &pods, warnings))
        .or_else(|| unready().find_map(|pod| readiness(service, pod, &about_pods, last_lines)))
}

fn of_container(
    service: &Service,
    container: &ObservedContainer,
    warnings: &[&Warning],
    last_lines: &[String],
) -> Option<Cause> {
    let ended = |termination| ended::cause(service, container, termination, warnings, last_lines);
    match &container.state {
        ContainerState::Waiting { reason, message } => {
            waiting::cause(service, container, reason, message)
                .or_else(|| container.last_termination.as_ref().and_then(ended))
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
    let warning = warnings
        .iter()
        .find(|w| w.reason == "FailedMount" && w.message.contains("not found"))?;
    Some(
        Cause::new(
            format!("a volume of `{}` can't be mounted", service.name),
            format!("mwctl up {}", service.name),
        )
        .because([&warning.message]),
    )
}

/// A pod that was never made: a quota, or a policy of the namespace, forbids it.
fn creation(service: &Service, pods: &[&ObservedPod], warnings: &[Warning]) -> Option<Cause> {
    if pods.iter().any(|pod| pod.form != Form::Test) {
        return None;
    }
    let prefix = format!("{}-", service.name);
    let warning = warnings
        .iter()
        .find(|w| w.reason == "FailedCreate" && w.name.starts_with(&prefix))?;
    let name = &service.name;
    let cause = if warning.message.contains("exceeded quota") {
        Cause::new(
            format!("the namespace's quota leaves no room for `{name}`"),
            format!(
                "lower `container.resources` of `{name}` in `mwctl.yaml`, or look at `kubectl describe quota`"
            ),
        )
    } else if warning.message.contains("PodSecurity") {
        Cause::new(
            format!("the namespace's Pod Security level doesn't admit `{name}`"),
            format!("mwctl render {name}"),
        )
    } else {
        Cause::new(
            format!("the cluster refuses to make the pod of `{name}`"),
            format!("mwctl render {name}"),
        )
    };
    Some(cause.because([&warning.message]))
}

/// A container that runs but doesn't answer.
fn readiness(
    service: &Service,
    pod: &ObservedPod,
    warnings: &[&Warning],
    last_lines: &[String],
) -> Option<Cause> {
    let warning = warnings
        .iter()
        .rev()
        .find(|w| w.name == pod.name && w.reason == "Unhealthy")?;
    let name = &service.name;
    let logs = format!("mwctl logs {name}");
    let message = &warning.message;
    let check = service.main.readiness.as_ref().map(|probe| &probe.check);
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
            format!("`{name}` runs, but answers {status} to its readiness check `GET {path}`"),
            logs,
        )
    } else if message.contains("deadline exceeded") || message.contains("timeout") {
        Cause::new(
            format!("`{name}` runs, but doesn't answer its readiness check in time"),
            logs,
        )
    } else {
        Cause::new(
            format!("`{name}` runs, but its readiness check fails"),
            logs,
        )
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
