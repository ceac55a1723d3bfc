//! Begins a container of a pod: its image, its environment, its process and its hook.

use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::{Container as Spec, Pod, Service};
use kube::Api;
use kube::api::ListParams;
use mwctl_container::{Container, Error, Join, Step};
use tokio::net::unix::pipe;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::images::{Image, ImageError};
use crate::log::{self, Log};

use super::decide::{Begun, Failure, Notice};
use super::describe::{self, HOSTS};
use super::environment::{self, Variables};
use super::hooks;
use super::live::{self, Live};
use super::message;
use super::sandbox::{Sandbox, surroundings};
use super::sources::{Needs, Sources};
use super::{security, state, written};

/// A container that runs, and what reads its output.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) begun: Begun,
    pub(crate) live: Live,
    pub(crate) pumps: JoinSet<()>,
    /// Held for as long as it runs.
    pub(crate) image: Image,
}

fn failure(reason: &'static str) -> impl FnOnce(String) -> Failure {
    move |message| Failure {
        reason,
        message,
        ended: false,
    }
}

/// The name of a container among all of the node.
pub(crate) fn id(pod: &Pod, container: &str, attempt: u32) -> String {
    format!(
        "{}-{container}-{attempt}",
        pod.metadata.uid.as_deref().unwrap_or_default()
    )
}

pub(crate) async fn begin(
    context: &Context,
    pod: &Pod,
    sandbox: &Arc<Sandbox>,
    spec: &Spec,
    attempt: u32,
) -> Result<Started, Failure> {
    let join = join(context, pod, sandbox, spec)?;
    let image = image(context, pod, spec).await?;
    let configuration = failure("CreateContainerConfigError");
    let variables = variables(context, pod, sandbox, spec, &image)
        .await
        .map_err(configuration)?;
    let mut files: Vec<String> = HOSTS.map(str::to_owned).to_vec();
    if image.root.layers.is_empty() {
        // Whatever users this machine has are none of the container's.
        files.extend(["passwd", "group"].map(str::to_owned));
    }
    let create = |error: &dyn std::fmt::Display| failure("CreateContainerError")(error.to_string());
    let metadata = &pod.metadata;
    let folder = log::folder(
        &context.options.logs,
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
        metadata.uid.as_deref().unwrap_or_default(),
        &spec.name,
    );
    let message = message::file(&log::file(&folder, attempt));
    let described = describe::describe(
        pod,
        spec,
        &image,
        &variables,
        &sandbox.planned,
        &files,
        &message,
    )
    .map_err(failure("CreateContainerConfigError"))?;
    let log = Arc::new(Log::create(&folder, attempt).map_err(|error| create(&error))?);
    let terminal = spec.tty == Some(true);
    let (streams, ends) =
        live::streams(spec.stdin == Some(true), terminal).map_err(|error| create(&error))?;
    let id = id(pod, &spec.name, attempt);
    let mut root = image.root.clone();
    root.read_only |= described.read_only_root;
    written::give(&context.options, &id, &mut root).map_err(|error| create(&error))?;
    message::make(&message).map_err(|error| create(&error))?;
    let container = Container {
        root,
        mounts: described.mounts,
        join,
        process: Some(described.process.clone()),
        streams,
        limits: described.limits,
        ..Container::new(id.clone())
    };
    context.tell(
        pod,
        &Notice::normal("Created", format!("Created container: {}", spec.name)).of(&spec.name),
    );
    let running = match context.runtime.run(container).await {
        Ok(running) => running,
        Err(error) => {
            written::take(context, &id).await;
            message::remove(&message);
            return Err(run_failure(&error));
        }
    };
    let output = live::output();
    let (pumps, stdin) =
        live::pump(ends, running.terminal(), &log, &output).map_err(|error| create(&error))?;
    let live = Live {
        running,
        log,
        output,
        stdin: stdin
            .filter(|_| spec.stdin == Some(true))
            .map(|stdin: pipe::Sender| Arc::new(Mutex::new(Some(stdin)))),
        terminal,
        environment: Arc::new(described.process),
        stop_signal: describe::stop_signal(&image),
    };
    context.tell(
        pod,
        &Notice::normal("Started", format!("Started container {}", spec.name)).of(&spec.name),
    );
    let hook = spec
        .lifecycle
        .as_ref()
        .and_then(|lifecycle| lifecycle.post_start.as_ref());
    if let Some(hook) = hook
        && let Err(message) = hooks::run(context, pod, spec, &live, hook).await
    {
        context.tell(
            pod,
            &Notice::warning("FailedPostStartHook", message).of(&spec.name),
        );
        if let Err(error) = live.running.signal(libc::SIGKILL).await {
            tracing::debug!("it ended by itself: {error}");
        }
    }
    let begun = Begun {
        id,
        image_id: image.id.clone(),
    };
    Ok(Started {
        begun,
        live,
        pumps,
        image,
    })
}

/// The namespaces of a container: those of its pod, and an ephemeral one may look at the processes of another container.
fn join(context: &Context, pod: &Pod, sandbox: &Sandbox, spec: &Spec) -> Result<Join, Failure> {
    let mut join = sandbox.join.clone();
    let Some(ephemeral) = state::ephemeral(pod, &spec.name) else {
        return Ok(join);
    };
    // A pod of those that are there from the beginning wouldn't have been taken.
    if security::is_privileged(spec) {
        let message = format!("container {}: {}", spec.name, security::NOTHING_PRIVILEGED);
        return Err(failure("CreateContainerConfigError")(message));
    }
    let target = ephemeral.target_container_name.as_deref();
    if let (None, Some(target)) = (&join.processes, target.filter(|it| !it.is_empty())) {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let live = context.live(uid, target).ok_or_else(|| {
            failure("CreateContainerError")(format!("the target container {target:?} doesn't run"))
        })?;
        join.processes = Some(live.running);
    }
    Ok(join)
}

/// What begun and ended at once is told from what never began.
fn run_failure(error: &Error) -> Failure {
    let step = error.failure().map(|failure| failure.step);
    let ended = matches!(step, Some(Step::Program | Step::Directory | Step::User));
    Failure {
        reason: "CreateContainerError",
        message: chain(error),
        ended,
    }
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

async fn image(context: &Context, pod: &Pod, spec: &Spec) -> Result<Image, Failure> {
    let reference = spec.image.as_deref().unwrap_or_default();
    let failed = |error: ImageError| Failure {
        reason: error.reason,
        message: error.message,
        ended: false,
    };
    let policy = spec.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
    if policy != "Always"
        && let Some(image) = context.images.find(reference).await.map_err(failed)?
    {
        let message = format!("Container image {reference:?} already present on machine");
        context.tell(pod, &Notice::normal("Pulled", message).of(&spec.name));
        return Ok(image);
    }
    if policy == "Never" {
        let message =
            format!("Container image {reference:?} is not present with pull policy of Never");
        return Err(Failure {
            reason: "ErrImageNeverPull",
            message,
            ended: false,
        });
    }
    context.tell(
        pod,
        &Notice::normal("Pulling", format!("Pulling image {reference:?}")).of(&spec.name),
    );
    let image = context.images.pull(reference).await.map_err(|error| {
        let message = format!("Failed to pull image {reference:?}: {}", error.message);
        failed(ImageError { message, ..error })
    })?;
    let message = format!("Successfully pulled image {reference:?}");
    context.tell(pod, &Notice::normal("Pulled", message).of(&spec.name));
    Ok(image)
}

async fn variables(
    context: &Context,
    pod: &Pod,
    sandbox: &Sandbox,
    spec: &Spec,
    image: &Image,
) -> Result<Variables, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let needs = Needs::of_environment(pod, &spec.name);
    let text = |error: kube::Error| error.to_string();
    let sources = Sources::fetch(&context.client, namespace, &needs)
        .await
        .map_err(text)?;
    let mut services = list(context, namespace).await.map_err(text)?;
    if namespace != "default" {
        let api: Api<Service> = Api::namespaced(context.client.clone(), "default");
        services.extend(api.get_opt("kubernetes").await.map_err(text)?);
    }
    let around = surroundings(context, sandbox.address);
    environment::environment(
        pod,
        spec,
        &image.config.environment,
        &services,
        &sources,
        &around,
    )
}

async fn list(context: &Context, namespace: &str) -> Result<Vec<Service>, kube::Error> {
    let services: Api<Service> = Api::namespaced(context.client.clone(), namespace);
    Ok(services.list(&ListParams::default()).await?.items)
}
