//! Runs a service's tests in a fresh container: the current tree, dependencies, the command.
//!
//! The pod is made for this run and deleted afterwards; the running service is not touched.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, LogParams};
use mwctl_agent::protocol::Outcome;
use mwctl_core::develop::Rules;
use mwctl_core::manifest::{AgentBundle, Object, TestPod, container_name, test_pod};
use mwctl_core::model::{Service, Stack};
use mwctl_core::observed::{Cause, ContainerState, ObservedPod, diagnose};
use mwctl_core::problem::Problem;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use crate::develop::checkout::{self, ReadCheckout};
use crate::develop::converge::{Converge, converge};
use crate::develop::link::{self, Identity, Link};
use crate::develop::session::wire;
use crate::event::Events;
use crate::kube::logs::{self, last_lines};
use crate::kube::pods::{follow, target, test_selector};
use crate::kube::{Cluster, Request, apply, observe};

/// A test run that gives no exit code.
#[derive(Debug, thiserror::Error)]
pub enum Test {
    /// The service can't be tested as it is described.
    #[error("{}", .0.message)]
    Described(Problem),
    /// The checkout can't be read.
    #[error(transparent)]
    Checkout(#[from] ReadCheckout),
    /// The cluster doesn't do what is asked.
    #[error(transparent)]
    Request(#[from] Request),
    /// The pod doesn't start.
    #[error("{}", .0.summary)]
    Pod(Box<Cause>),
    /// The agent can't be spoken to.
    #[error(transparent)]
    Link(#[from] Link),
    /// The files or the dependencies didn't arrive.
    #[error(transparent)]
    Converge(#[from] Converge),
    /// It took too long.
    #[error("the tests were not over after {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The pod went away.
    #[error("the test's pod `{0}` went away before the tests were over")]
    Gone(String),
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The service.
    pub service: &'a Service,
    /// Its checkout.
    pub root: &'a Path,
    /// Which of its files take part.
    pub rules: &'a Rules,
    /// The service's own image, on the node.
    pub image: &'a str,
    /// The command; the service's test command where it is empty.
    pub command: &'a [String],
    /// Whether the dependency step is run.
    pub dependencies: bool,
    /// The agent.
    pub agent: AgentBundle<'a>,
    /// Whose checkout it is.
    pub worktree: &'a str,
    /// Who runs it.
    pub identity: &'a Identity,
    /// At most how long.
    pub timeout: Duration,
    /// Whether the pod stays.
    pub keep: bool,
}

/// Where the tests' output goes.
#[derive(Debug)]
pub enum Output<W> {
    /// There, byte by byte.
    Bytes(W),
    /// To whoever hears the events, line by line.
    Events,
}

/// Runs the tests and returns their exit code.
///
/// Cancel safety: dropping it leaves the pod; [`clean_up`] deletes it.
pub async fn run(
    cluster: &Cluster,
    run: &Run<'_>,
    name: &str,
    output: Output<impl AsyncWrite + Unpin>,
    events: &Events,
) -> Result<i32, Test> {
    let pod = TestPod {
        name,
        image: run.image,
        command: run.command,
    };
    let objects = test_pod(run.stack, run.service, &pod, &run.agent, run.worktree)
        .map_err(Test::Described)?;
    ensure_namespace(cluster, run).await?;
    for object in &objects {
        apply_once(cluster, object).await?;
    }
    let result = tokio::time::timeout(run.timeout, conduct(cluster, run, name, output, events))
        .await
        .unwrap_or(Err(Test::TimedOut(run.timeout)));
    if !run.keep {
        clean_up(cluster, name).await?;
    }
    result
}

/// Deletes a test's pod; one that is gone already is fine.
pub async fn clean_up(cluster: &Cluster, name: &str) -> Result<(), Request> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let now = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    let deleted =
        crate::kube::request(|| format!("delete pod {name}"), pods.delete(name, &now)).await;
    match deleted {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// Tests may be run before anything of the stack is deployed.
async fn ensure_namespace(cluster: &Cluster, run: &Run<'_>) -> Result<(), Request> {
    let images = BTreeMap::new();
    let objects = mwctl_core::manifest::render(run.stack, &images, run.worktree);
    for object in objects {
        if object.is::<Namespace>() {
            apply::apply(cluster, &object.stamped()).await?;
        }
    }
    Ok(())
}

/// Applies what a test needs; the agent's ConfigMap is there already more often than not.
async fn apply_once(cluster: &Cluster, object: &Object) -> Result<(), Request> {
    let known = object.is::<ConfigMap>() && observe::exists(cluster, &object.id()).await?;
    if known {
        Ok(())
    } else {
        apply::apply(cluster, object).await
    }
}

async fn conduct(
    cluster: &Cluster,
    run: &Run<'_>,
    name: &str,
    output: Output<impl AsyncWrite + Unpin>,
    events: &Events,
) -> Result<i32, Test> {
    let container = container_name(run.stack, run.service, &run.service.main);
    started(cluster, run, name, &container).await?;
    let mut conversation = link::open(cluster, name, &container, run.identity, true).await?;
    let tree = checkout::walk(run.root, "", run.rules)?.tree;
    let step = run
        .service
        .test
        .as_ref()
        .and_then(|test| test.dependencies.as_ref());
    let step = step.filter(|_| run.dependencies).map(wire::step);
    let name_of = &run.service.name;
    let started = converge(&mut conversation, run.root, &tree, step, name_of, events).await?;
    tracing::debug!("the test command: {started:?}");
    if started == Outcome::Stopped {
        return Err(Test::Gone(name.to_owned()));
    }
    let show = async {
        match output {
            Output::Bytes(output) => show(cluster, name, &container, output).await,
            Output::Events => {
                let told = logs::of_container(cluster, name_of, (name, &container), events);
                if let Err(error) = told.await {
                    tracing::warn!("the tests' output can't be shown: {error}");
                }
            }
        }
    };
    let ((), code) = tokio::join!(show, ended(cluster, name, &container));
    code
}

/// Waits until the container runs.
async fn started(
    cluster: &Cluster,
    run: &Run<'_>,
    name: &str,
    container: &str,
) -> Result<(), Test> {
    let mut pods = pin!(follow(cluster, &test_selector(run.stack, run.service)));
    while let Some(found) = pods.next().await {
        let Ok(mut found) = found else { continue };
        found.retain(|known, _| known == name);
        if target(&found, container).is_some() {
            return Ok(());
        }
        let Some(pod) = found.get(name).map(ObservedPod::of) else {
            continue;
        };
        if let Some(code) = code(&pod, container) {
            // It ended before it could be spoken to: the reason stands in its log.
            tracing::debug!("the test's container ended early with {code}");
        }
        let stuck = pod
            .containers
            .iter()
            .any(|container| match &container.state {
                ContainerState::Waiting { reason, .. } => {
                    !matches!(reason.as_str(), "ContainerCreating" | "PodInitializing")
                }
                ContainerState::Terminated(ended) => ended.exit_code != 0,
                ContainerState::Running => false,
            });
        if stuck {
            let lines = last_lines(cluster, &pod).await;
            let warnings = observe::warnings(cluster).await?;
            if let Some(cause) = diagnose(run.stack, run.service, &[pod], &warnings, &lines) {
                return Err(Test::Pod(Box::new(cause)));
            }
        }
    }
    Err(Test::Gone(name.to_owned()))
}

/// Copies the container's log until the container ends.
async fn show(cluster: &Cluster, name: &str, container: &str, mut output: impl AsyncWrite + Unpin) {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let parameters = LogParams {
        container: Some(container.to_owned()),
        follow: true,
        ..LogParams::default()
    };
    match pods.log_stream(name, &parameters).await {
        Ok(stream) => {
            drop(tokio::io::copy(&mut stream.compat(), &mut output).await);
            drop(output.flush().await);
        }
        Err(error) => tracing::warn!("the tests' output can't be shown: {error}"),
    }
}

/// Waits until the container has ended; its exit code.
async fn ended(cluster: &Cluster, name: &str, container: &str) -> Result<i32, Test> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let ended = kube::runtime::wait::await_condition(api, name, |pod: Option<&Pod>| {
        pod.is_none_or(|pod| code(&ObservedPod::of(pod), container).is_some())
    });
    match ended.await {
        Ok(Some(pod)) => {
            code(&ObservedPod::of(&pod), container).ok_or_else(|| Test::Gone(name.to_owned()))
        }
        _ => Err(Test::Gone(name.to_owned())),
    }
}

fn code(pod: &ObservedPod, container: &str) -> Option<i32> {
    let container = pod
        .containers
        .iter()
        .find(|known| known.name == container)?;
    match &container.state {
        ContainerState::Terminated(ended) => Some(ended.exit_code),
        _ => None,
    }
}
