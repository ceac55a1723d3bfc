//! Reads containers' logs: the last lines of one, or all of a service's as they come.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use mwctl_core::name::ServiceName;
use mwctl_core::observed::{ContainerState, ObservedContainer, ObservedPod};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::pods::follow;
use super::{Cluster, Request, request};
use crate::event::{Event, Events};

/// How many lines explain a failure: enough for a stack trace.
const EXPLANATION: i64 = 20;
/// How long a node may take to file the log of a run that ended.
const FILED: Duration = Duration::from_millis(200);

/// The last lines of the container of `pod` that is in trouble, of its previous run where it was
/// started again. Empty where there is no log.
pub async fn last_lines(cluster: &Cluster, pod: &ObservedPod) -> Vec<String> {
    let troubled = pod
        .containers
        .iter()
        .find(|container| !matches!(container.state, ContainerState::Running))
        .or_else(|| pod.containers.iter().find(|container| !container.ready));
    let Some(container) = troubled else {
        return Vec::new();
    };
    let Some(previous) = ended_before(container) else {
        return Vec::new();
    };
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    // A node that hasn't filed the run that ended yet has it as the current one, and one that is about to has none for a moment.
    for is_last in [false, true] {
        let mut is_filing = false;
        for previous in [previous, false] {
            let parameters = LogParams {
                container: Some(container.name.clone()),
                previous,
                tail_lines: Some(EXPLANATION),
                ..LogParams::default()
            };
            let what = || "read the log".to_owned();
            let Ok(text) = request(what, api.logs(&pod.name, &parameters)).await else {
                // The file of the run before goes when the next one gets its own: it may have been this moment.
                is_filing |= previous;
                continue;
            };
            if is_excuse(&text) {
                is_filing = true;
            } else if !text.is_empty() {
                return text.lines().map(str::to_owned).collect();
            }
        }
        if is_last || !is_filing {
            break;
        }
        sleep(FILED).await;
    }
    Vec::new()
}

/// Whether this is what the kubelet says instead of a log whose file it doesn't find: its answer has no other sign of it.
fn is_excuse(text: &str) -> bool {
    const EXCUSES: [&str; 3] = [
        "failed to try resolving symlinks in path \"/var/log/pods/",
        "failed to open log file \"/var/log/pods/",
        "unable to retrieve container logs for ",
    ];
    text.lines().count() <= 1 && EXCUSES.iter().any(|excuse| text.starts_with(excuse))
}

/// Whether the run that explains a container's trouble is the one before: the current one may have begun this moment. `None`
/// where there was no run at all.
fn ended_before(container: &ObservedContainer) -> Option<bool> {
    let again = container.restarts > 0;
    match container.state {
        ContainerState::Terminated(_) => Some(false),
        ContainerState::Running => Some(again),
        ContainerState::Waiting { .. } if again => Some(true),
        ContainerState::Waiting { .. } => container.last_termination.is_some().then_some(false),
    }
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// At most this many of each container's past; all where `None`.
    pub tail: Option<i64>,
    /// Only lines of the last so many seconds.
    pub since_seconds: Option<i64>,
    /// Whether to go on with what comes.
    pub follow: bool,
    /// Only the run before the current one.
    pub previous: bool,
    /// Only this container.
    pub container: Option<String>,
}

/// Tells the logs of every pod that `selector` finds; ends with the logs, or never when following.
pub async fn tell(
    cluster: &Cluster,
    service: &ServiceName,
    selector: &str,
    wanted: &Wanted,
    events: &Events,
) -> Result<(), Request> {
    if !wanted.follow {
        for pod in super::observe::pods(cluster, selector).await? {
            for container in containers(&pod, wanted) {
                stream(cluster, service, &pod.name, &container, wanted, events).await?;
            }
        }
        return Ok(());
    }
    let mut streams = JoinSet::new();
    let mut open = BTreeSet::new();
    let mut pods = pin!(follow(cluster, selector));
    // A container that starts later is shown from its first line on.
    let mut first_look = true;
    while let Some(found) = pods.next().await {
        let Ok(found) = found else { continue };
        for (name, pod) in &found {
            for (container, id) in started(pod) {
                let chosen = wanted
                    .container
                    .as_ref()
                    .is_none_or(|only| *only == container);
                if !chosen || !open.insert((name.clone(), id)) {
                    continue;
                }
                let mut wanted = wanted.clone();
                if !first_look {
                    wanted.tail = None;
                    wanted.since_seconds = None;
                }
                let (cluster, service, events) = (cluster.clone(), service.clone(), events.clone());
                let name = name.clone();
                streams.spawn(async move {
                    let told = stream(&cluster, &service, &name, &container, &wanted, &events);
                    if let Err(error) = told.await {
                        tracing::debug!("the log of {name}/{container} ended: {error}");
                    }
                });
            }
        }
        first_look = false;
        while streams.try_join_next().is_some() {}
    }
    Ok(())
}

/// Tells the whole log of one container of a pod, until the container ends.
pub async fn of_container(
    cluster: &Cluster,
    service: &ServiceName,
    (pod, container): (&str, &str),
    events: &Events,
) -> Result<(), Request> {
    let wanted = Wanted {
        follow: true,
        ..Wanted::default()
    };
    stream(cluster, service, pod, container, &wanted, events).await
}

fn containers(pod: &ObservedPod, wanted: &Wanted) -> Vec<String> {
    pod.containers
        .iter()
        .filter(|container| match &wanted.container {
            Some(only) => container.name == *only,
            None => !container.init,
        })
        .filter(|container| {
            !matches!(container.state, ContainerState::Waiting { .. }) || container.restarts > 0
        })
        .map(|container| container.name.clone())
        .collect()
}

/// The containers of a pod that have been started, each with the runtime's id of this start.
fn started(pod: &Pod) -> Vec<(String, String)> {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    statuses
        .into_iter()
        .flatten()
        .filter_map(|status| Some((status.name.clone(), status.container_id.clone()?)))
        .collect()
}

async fn stream(
    cluster: &Cluster,
    service: &ServiceName,
    pod: &str,
    container: &str,
    wanted: &Wanted,
    events: &Events,
) -> Result<(), Request> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let parameters = LogParams {
        container: Some(container.to_owned()),
        follow: wanted.follow,
        previous: wanted.previous,
        tail_lines: wanted.tail,
        since_seconds: wanted.since_seconds,
        ..LogParams::default()
    };
    let what = || format!("read the log of {pod}/{container}");
    let reader = request(what, api.log_stream(pod, &parameters)).await?;
    let mut lines = reader.lines();
    while let Ok(Some(line)) = lines.try_next().await {
        events.send(Event::Log {
            service: service.clone(),
            pod: pod.to_owned(),
            container: container.to_owned(),
            line,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mwctl_core::observed::Termination;

    use super::*;

    #[test]
    fn what_the_kubelet_says_instead_of_a_log_is_none() {
        let missing = "/var/log/pods/t_web-1_6df6/web/0.log";
        let excuse = format!(
            "failed to try resolving symlinks in path \"{missing}\": lstat {missing}: no such file or directory"
        );
        assert!(is_excuse(&excuse));
        assert!(!is_excuse(&format!("{excuse}\nno database\n")));
        assert!(!is_excuse("no database\n"));
    }

    #[test]
    fn the_run_that_ended_explains_the_trouble_also_when_the_next_one_has_begun() {
        let end = || Termination {
            exit_code: 1,
            signal: None,
            reason: "Error".to_owned(),
            message: String::new(),
        };
        let waits = || ContainerState::Waiting {
            reason: String::new(),
            message: String::new(),
        };
        let before = |state, restarts| {
            ended_before(&ObservedContainer {
                name: "x".to_owned(),
                image: "x:1".to_owned(),
                init: false,
                ready: false,
                state,
                restarts,
                last_termination: (restarts > 0).then(end),
            })
        };
        assert_eq!(before(waits(), 0), None);
        assert_eq!(before(waits(), 1), Some(true));
        assert_eq!(before(ContainerState::Running, 0), Some(false));
        assert_eq!(before(ContainerState::Running, 1), Some(true));
        assert_eq!(before(ContainerState::Terminated(end()), 1), Some(false));
    }
}
