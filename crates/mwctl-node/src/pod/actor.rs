//! The task of a pod: carries out what is decided, takes in what happens, and keeps the pod's status in the cluster true.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use mwctl_container::{End, Running};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::context::Context;
use crate::images::Image;

use super::begin::{self, Started};
use super::decide::{Effect, Event, Failure, Notice};
use super::live::Live;
use super::probes::until;
use super::sandbox::{self, Sandbox};
use super::state::{self, Finish, Refusal, State};
use super::{hooks, message, security, status, stop, written};

/// When the cluster is asked again after it hasn't answered.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a status that says only that the pod begins isn't worth a write: most pods run by then.
const BEGINNING: Duration = Duration::from_millis(200);
/// How long the rest of a container's output is waited for.
const REST: Duration = Duration::from_secs(2);

/// What the cluster says of a pod.
#[derive(Debug)]
pub(crate) enum Update {
    Changed(Box<Pod>),
    /// It is no longer there.
    Gone,
    /// Something that its volumes show has changed.
    Volumes,
}

/// What a task has done.
enum Done {
    Nothing,
    Event(Event),
    Prepared(Result<Sandbox, Failure>),
    Started {
        container: String,
        result: Box<Result<Started, Failure>>,
    },
    Deleted,
}

struct Actor {
    context: Arc<Context>,
    pod: Arc<Pod>,
    state: State,
    sandbox: Option<Arc<Sandbox>>,
    /// Whether what its volumes show has changed while they were made.
    changed_meanwhile: bool,
    tasks: JoinSet<Done>,
    written: Option<PodStatus>,
    /// Whether it is no longer in the cluster.
    gone: bool,
    deleting: bool,
}

/// Runs a pod until it is gone from the cluster and from this machine; one that is `refused` isn't run.
pub(crate) async fn run(
    context: Arc<Context>,
    pod: Pod,
    refused: Option<Refusal>,
    mut updates: mpsc::UnboundedReceiver<Update>,
) {
    let pod = state::view(pod);
    let mut state = State::new(&pod, Timestamp::now());
    state.refusal = security::refuse(&pod).or(refused);
    state.remember(&pod);
    let mut actor = Actor {
        context,
        pod: Arc::new(pod),
        state,
        sandbox: None,
        changed_meanwhile: false,
        tasks: JoinSet::new(),
        written: None,
        gone: false,
        deleting: false,
    };
    let begun = Instant::now();
    if let Some(refusal) = actor.state.refusal.clone() {
        actor.tell(&Notice::warning(refusal.reason, refusal.message));
    }
    loop {
        let (effects, wake) = actor.state.decide(&actor.pod, Timestamp::now());
        for effect in effects {
            actor.carry_out(effect);
        }
        let tokens = actor.sandbox.as_ref().map(|sandbox| &sandbox.tokens);
        if tokens.is_some_and(|tokens| tokens.are_due(Timestamp::now())) {
            actor.refresh_volumes();
        }
        let beginning = BEGINNING.saturating_sub(begun.elapsed());
        let quiet = !beginning.is_zero() && actor.says_nothing_yet();
        let late = !actor.gone && !quiet && actor.write_status().await.is_err();
        if actor.gone && actor.is_over() {
            return;
        }
        let renewal = actor.sandbox.as_ref().and_then(|it| it.tokens.next());
        let wake = wake.into_iter().chain(renewal).min();
        let wake = wake.map(|at| until(at, Timestamp::now()));
        let wake = wake.into_iter().chain(quiet.then_some(beginning));
        let next = wake.chain(late.then_some(AGAIN)).min();
        tokio::select! {
            update = updates.recv() => match update {
                Some(Update::Changed(pod)) => actor.changed(*pod),
                Some(Update::Volumes) => actor.refresh_volumes(),
                Some(Update::Gone) | None => actor.lost(),
            },
            Some(done) = actor.tasks.join_next() => match done {
                Ok(done) => actor.done(done),
                Err(error) => tracing::error!("a task of a pod: {error}"),
            },
            () = async { match next { Some(next) => sleep(next).await, None => pending().await } } => {}
        }
    }
}

impl Actor {
    fn uid(&self) -> String {
        self.pod.metadata.uid.clone().unwrap_or_default()
    }

    fn api(&self) -> Api<Pod> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        Api::namespaced(self.context.client.clone(), namespace)
    }

    fn changed(&mut self, pod: Pod) {
        let (before, after) = (&self.pod.metadata, &pod.metadata);
        let differs = before.labels != after.labels || before.annotations != after.annotations;
        self.pod = Arc::new(state::view(pod));
        self.state.meet(&self.pod);
        if differs {
            self.refresh_volumes();
        }
    }

    fn is_over(&self) -> bool {
        let torn_down = matches!(
            self.state.sandbox,
            state::Sandbox::Removed | state::Sandbox::Absent { .. }
        );
        torn_down && !self.state.is_busy() && self.tasks.is_empty()
    }

    /// Somebody has removed it without waiting: nothing of it may go on.
    fn lost(&mut self) {
        self.gone = true;
        let now = Timestamp::now();
        let mut pod = (*self.pod).clone();
        let deleted = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now);
        pod.metadata.deletion_timestamp = Some(deleted);
        pod.metadata.deletion_grace_period_seconds = Some(0);
        self.pod = Arc::new(pod);
        for name in self.state.containers.keys() {
            if let Some(live) = self.context.live(&self.uid(), name) {
                live.running.kill();
            }
        }
    }

    fn tell(&self, notice: &Notice) {
        self.context.tell(&self.pod, notice);
    }

    fn happened(&mut self, event: Event) {
        for effect in self.state.handle(&self.pod, event, Timestamp::now()) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let (context, pod) = (self.context.clone(), self.pod.clone());
        match effect {
            Effect::Tell(notice) => self.tell(&notice),
            Effect::Prepare => {
                self.tasks
                    .spawn(async move { Done::Prepared(sandbox::prepare(&context, &pod).await) });
            }
            Effect::Start { container, attempt } => {
                let Some(sandbox) = self.sandbox.clone() else {
                    return;
                };
                self.tasks.spawn(async move {
                    let result = match state::container(&pod, &container) {
                        Some(spec) => begin::begin(&context, &pod, &sandbox, spec, attempt).await,
                        None => Err(Failure {
                            reason: "CreateContainerError",
                            message: "it is gone".to_owned(),
                            ended: false,
                        }),
                    };
                    Done::Started {
                        container,
                        result: Box::new(result),
                    }
                });
            }
            Effect::Stop { container, grace } => {
                let Some(live) = self.context.live(&self.uid(), &container) else {
                    return;
                };
                self.tasks.spawn(async move {
                    if let Some(spec) = state::container(&pod, &container) {
                        stop::stop(&context, &pod, spec, &live, grace).await;
                    }
                    Done::Nothing
                });
            }
            Effect::Look { container } => {
                self.tasks.spawn(async move {
                    let spec = state::container(&pod, &container);
                    let image = spec.and_then(|spec| spec.image.as_deref());
                    match context.images.find(image.unwrap_or_default()).await {
                        Ok(Some(_)) => Done::Event(Event::Found { container }),
                        Ok(None) | Err(_) => Done::Nothing,
                    }
                });
            }
            Effect::Probe { container, which } => {
                let Some(live) = self.context.live(&self.uid(), &container) else {
                    return;
                };
                self.tasks.spawn(async move {
                    let spec = state::container(&pod, &container);
                    let Some((spec, probe)) = spec.and_then(|spec| Some((spec, which.of(spec)?)))
                    else {
                        return Done::Nothing;
                    };
                    let answer = hooks::probe(&context, &pod, spec, &live, probe).await;
                    Done::Event(Event::Probed {
                        container,
                        which,
                        answer,
                    })
                });
            }
            Effect::TearDown => {
                let sandbox = self.sandbox.take();
                self.tasks.spawn(async move {
                    sandbox::remove(&context, &pod, sandbox).await;
                    Done::Event(Event::TornDown)
                });
            }
            Effect::Delete => self.delete(),
        }
    }

    /// Nothing of it is left here, so that its object may go.
    fn delete(&mut self) {
        if self.gone || std::mem::replace(&mut self.deleting, true) {
            return;
        }
        let (api, pod) = (self.api(), self.pod.clone());
        let status = self.status();
        self.tasks.spawn(async move {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            // The last word, which others may see before it is gone.
            if let Err(error) = patch_status(&api, &pod, &status).await {
                tracing::debug!(name, "the last status of a pod: {error}");
            }
            let preconditions = Preconditions {
                uid: pod.metadata.uid.clone(),
                ..Preconditions::default()
            };
            let parameters = DeleteParams {
                preconditions: Some(preconditions),
                ..DeleteParams::default()
            }
            .grace_period(0);
            if let Err(error) = api.delete(name, &parameters).await
                && !is_gone(&error)
            {
                tracing::warn!(name, "a pod that has ended isn't removed: {error}");
                sleep(AGAIN).await;
            }
            Done::Deleted
        });
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Nothing => {}
            Done::Event(event) => self.happened(event),
            // Where it didn't work the next decision tries again.
            Done::Deleted => self.deleting = false,
            Done::Prepared(Ok(sandbox)) => {
                let address = sandbox.address;
                self.sandbox = Some(Arc::new(sandbox));
                if std::mem::take(&mut self.changed_meanwhile) {
                    self.refresh_volumes();
                }
                self.happened(Event::Prepared(Ok(address)));
            }
            Done::Prepared(Err(failure)) => self.happened(Event::Prepared(Err(failure))),
            Done::Started { container, result } => self.started(container, *result),
        }
    }

    fn started(&mut self, container: String, result: Result<Started, Failure>) {
        let result = result.map(|started| {
            let Started {
                begun,
                live,
                pumps,
                image,
            } = started;
            self.context.add(&self.uid(), &container, live.clone());
            if self.gone {
                live.running.kill();
            }
            self.watch(&container, begun.id.clone(), live, pumps, image);
            begun
        });
        self.happened(Event::Started { container, result });
    }

    /// Waits for the end of a container.
    fn watch(
        &mut self,
        container: &str,
        id: String,
        live: Live,
        mut pumps: JoinSet<()>,
        image: Image,
    ) {
        let (context, uid, container) = (self.context.clone(), self.uid(), container.to_owned());
        let pod = self.pod.clone();
        let started = Timestamp::now();
        self.tasks.spawn(async move {
            let end = live.running.ended().await;
            let finished = Timestamp::now();
            let rest = async { while pumps.join_next().await.is_some() {} };
            // Only what the container gave its output to could hold it open for longer.
            drop(timeout(REST, rest).await);
            context.remove(&uid, &container);
            let mut finish = finish(&live.running, id.clone(), end, started, finished);
            if let Some(spec) = state::container(&pod, &container) {
                let failed = finish.code != 0;
                finish.message = message::take(&pod, spec, live.log.path(), failed).await;
            }
            drop((live, image));
            if let Err(error) = context.runtime.remove(&id).await {
                tracing::debug!(id, "what a container wrote stays: {error}");
            }
            written::take(&context, &id).await;
            Done::Event(Event::Ended { container, finish })
        });
    }

    fn refresh_volumes(&mut self) {
        let (context, pod, sandbox) =
            (self.context.clone(), self.pod.clone(), self.sandbox.clone());
        let Some(sandbox) = sandbox else {
            self.changed_meanwhile = true;
            return;
        };
        self.tasks.spawn(async move {
            if let Err(message) = sandbox::refresh(&context, &pod, &sandbox).await {
                context.tell(&pod, &Notice::warning("FailedMount", message));
            }
            Done::Nothing
        });
    }

    fn status(&self) -> PodStatus {
        let node = self.context.networks.node_address().to_string();
        status::status(&self.pod, &self.state, &node, Timestamp::now())
    }

    /// Whether nobody has been told anything of the pod, and there is nothing to tell but that it begins.
    fn says_nothing_yet(&self) -> bool {
        let told = self
            .pod
            .status
            .as_ref()
            .and_then(|it| it.start_time.as_ref());
        let is_new = told.is_none() && self.written.is_none();
        let stays = self.pod.metadata.deletion_timestamp.is_none();
        is_new && stays && status::only_begins(&self.status())
    }

    async fn write_status(&mut self) -> Result<(), kube::Error> {
        let status = self.status();
        if self.written.as_ref() == Some(&status) {
            return Ok(());
        }
        match patch_status(&self.api(), &self.pod, &status).await {
            Err(error) if is_gone(&error) => {}
            Err(error) => {
                tracing::debug!("the status of a pod isn't written: {error}");
                return Err(error);
            }
            Ok(pod) => {
                // What others wrote into it is ours to keep.
                let mut known = (*self.pod).clone();
                known.status = pod.status;
                self.pod = Arc::new(known);
            }
        }
        self.written = Some(self.status());
        Ok(())
    }
}

async fn patch_status(api: &Api<Pod>, pod: &Pod, status: &PodStatus) -> Result<Pod, kube::Error> {
    let mut status = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    // What isn't said any more must go, too.
    if let Some(fields) = status.as_object_mut() {
        for name in ["reason", "message"] {
            fields.entry(name).or_insert(serde_json::Value::Null);
        }
    }
    let patch = serde_json::json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    api.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch))
        .await
}

/// It isn't there, or another one of its name is.
fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || status.code == 409)
}

fn finish(
    running: &Running,
    id: String,
    end: End,
    started: Timestamp,
    finished: Timestamp,
) -> Finish {
    let code = match end {
        End::Code(code) => i32::from(code),
        End::Signal(number) => 128 + number,
    };
    let reason = if code != 0 && running.group().out_of_memory() > 0 {
        "OOMKilled"
    } else if code == 0 {
        "Completed"
    } else {
        "Error"
    };
    Finish {
        id,
        code,
        signal: None,
        reason: reason.to_owned(),
        message: None,
        started,
        finished,
    }
}
