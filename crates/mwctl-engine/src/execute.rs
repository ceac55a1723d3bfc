//! Carries out a plan: each step as soon as those it waits for are done, side by side.
//!
//! A failed step keeps back what waits for it and nothing else. Once cancelled, what changes objects is
//! finished, what makes images or waits is given up, and nothing else is begun: every step can be
//! repeated, so the next run goes on from there.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use mwctl_core::manifest::workload_id;
use mwctl_core::model::{Condition, Service, Stack};
use mwctl_core::name::ServiceName;
use mwctl_core::observed::Cause;
use mwctl_core::plan::{Action, Plan, Step, render};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Events};
use crate::kube::pods::selector;
use crate::kube::trouble::Trouble;
use crate::kube::wait::{Goal, Report, Sign, Wait};
use crate::kube::{Cluster, apply, forbidden, wait};

/// How long a deletion may take: longer than a pod's grace period.
const DELETION: Duration = Duration::from_mins(2);

/// Why a step failed, with what to type where that is known.
#[derive(Debug)]
pub struct Failure {
    /// The error with its causes.
    pub error: Box<dyn Error + Send + Sync>,
    /// What to type.
    pub hint: Option<String>,
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: Box::new(error),
            hint: None,
        }
    }
}

/// Makes images and brings them to the nodes: the seam behind which every kind of build stands.
#[async_trait]
pub trait Images: Send + Sync {
    /// Makes the image of a service under `reference`.
    async fn build(
        &self,
        service: &Service,
        reference: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Failure>;

    /// Brings an image that was made to every node, and makes sure that it is there.
    async fn deliver(
        &self,
        service: &Service,
        reference: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Failure>;
}

/// A plan and all that is needed to carry it out.
#[derive(Clone, Copy)]
pub struct Execution<'a> {
    /// Where.
    pub cluster: &'a Cluster,
    /// The stack that the plan is for.
    pub stack: &'a Stack,
    /// The plan.
    pub plan: &'a Plan,
    /// Who makes images.
    pub images: &'a dyn Images,
    /// How long a service may take to become ready.
    pub timeout: Duration,
    /// Who is told.
    pub events: &'a Events,
    /// Ends the execution: after the steps that change objects, and at once where images are made or something is waited for.
    pub cancel: &'a CancellationToken,
    /// Whether it waits for services that no other step waits for.
    pub wait: bool,
}

/// How an execution ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Steps that were done.
    pub done: BTreeSet<usize>,
    /// Steps that failed; events have told why.
    pub failed: BTreeSet<usize>,
    /// Steps that were not begun.
    pub remaining: BTreeSet<usize>,
}

impl Outcome {
    /// Whether everything was done.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.remaining.is_empty()
    }
}

/// Carries the plan out.
///
/// Cancel safety: dropping it stops between requests; what was applied stays.
pub async fn execute(execution: Execution<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let awaited: BTreeSet<usize> = execution
        .plan
        .steps
        .iter()
        .flat_map(|step| step.after.iter().copied())
        .collect();
    let mut waiting: Vec<&Step> = execution
        .plan
        .steps
        .iter()
        .filter(|step| {
            let only_waits = matches!(step.action, Action::Await { .. });
            execution.wait || !only_waits || awaited.contains(&step.id)
        })
        .collect();
    let mut running = FuturesUnordered::new();
    loop {
        if !execution.cancel.is_cancelled() {
            waiting.retain(|step| {
                let ready = step
                    .after
                    .iter()
                    .all(|before| outcome.done.contains(before));
                if ready {
                    running.push(run(execution, step));
                }
                !ready
            });
        }
        match running.next().await {
            Some((step, End::Done)) => outcome.done.insert(step),
            Some((step, End::Failed)) => outcome.failed.insert(step),
            Some((step, End::GivenUp)) => outcome.remaining.insert(step),
            None => break,
        };
    }
    outcome.remaining.extend(waiting.iter().map(|step| step.id));
    outcome
}

/// What a step does, as it is shown.
pub fn title(action: &Action) -> String {
    let (verb, object) = render::describe(action);
    format!("{verb} {object}")
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// It was done.
    Done,
    /// It failed; an event has told why.
    Failed,
    /// It was left in its middle.
    GivenUp,
}

/// A step as it is told of.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its number among those of the command.
    pub step: usize,
    /// What it does.
    pub title: String,
    /// For whom.
    pub service: Option<ServiceName>,
}

impl Task {
    /// Does the work, and tells of its beginning and its end. It is given up at once where `cancel` is there and comes.
    pub async fn during(
        self,
        events: &Events,
        cancel: Option<&CancellationToken>,
        work: impl Future<Output = Result<(), Failure>>,
    ) -> End {
        let Self {
            step,
            title,
            service,
        } = self;
        events.send(Event::StepStarted {
            step,
            title: title.clone(),
            service: service.clone(),
        });
        let start = Instant::now();
        let given_up = async {
            match cancel {
                Some(cancel) => cancel.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            result = work => Some(result),
            () = given_up => None,
        };
        let (event, end) = match result {
            Some(Ok(())) => {
                let millis = start.elapsed().as_millis() as u64;
                let done = Event::StepDone {
                    step,
                    title,
                    service,
                    millis,
                };
                (done, End::Done)
            }
            Some(Err(failure)) => (told(&title, service, &failure), End::Failed),
            None => {
                let stopped = Event::StepStopped {
                    step,
                    title,
                    service,
                };
                (stopped, End::GivenUp)
            }
        };
        events.send(event);
        end
    }
}

/// Whether a step can be left in its middle: what it does for a minute or more changes nothing that the cluster has, or all of it at its end.
fn can_be_given_up(action: &Action) -> bool {
    match action {
        Action::Build { .. } | Action::Deliver { .. } | Action::Await { .. } => true,
        Action::Apply(_) | Action::Delete { .. } => false,
    }
}

async fn run(execution: Execution<'_>, step: &Step) -> (usize, End) {
    let task = Task {
        step: step.id,
        title: title(&step.action),
        service: step.service.clone(),
    };
    let cancel = can_be_given_up(&step.action).then_some(execution.cancel);
    // Many run at once, and what each of them needs is large.
    let work = Box::pin(carry_out(execution, step));
    (step.id, task.during(execution.events, cancel, work).await)
}

async fn carry_out(execution: Execution<'_>, step: &Step) -> Result<(), Failure> {
    let Execution {
        cluster,
        stack,
        images,
        timeout,
        events,
        ..
    } = execution;
    let progress = |message: String| {
        events.send(Event::StepProgress {
            step: step.id,
            message,
        });
    };
    let service = |name: &ServiceName| {
        let found = stack.services.get(name);
        found.ok_or_else(|| Failure::from(UnknownService(name.clone())))
    };
    match &step.action {
        Action::Build {
            service: name,
            reference,
        } => images.build(service(name)?, reference, &progress).await,
        Action::Deliver {
            service: name,
            reference,
        } => images.deliver(service(name)?, reference, &progress).await,
        Action::Apply(object) => Ok(apply::apply(cluster, object).await?),
        Action::Delete { id } => Ok(apply::delete(cluster, id, DELETION).await?),
        Action::Await {
            service: name,
            condition,
        } => {
            let service = service(name)?;
            let report = |sign| match sign {
                Sign::Words(words) => progress(words),
                Sign::Trouble(kind, cause) => events.send(trouble(service, kind, cause)),
            };
            reach(cluster, stack, service, *condition, timeout, &report).await
        }
    }
}

/// Waits until a service has reached `condition`.
pub async fn reach(
    cluster: &Cluster,
    stack: &Stack,
    service: &Service,
    condition: Condition,
    timeout: Duration,
    report: Report<'_>,
) -> Result<(), Failure> {
    let workload = workload_id(stack, service);
    let selector = selector(stack, service);
    let goal = Goal {
        stack,
        service,
        workload: &workload,
        selector: &selector,
        condition,
        timeout,
    };
    Ok(wait::until(cluster, &goal, report).await?)
}

/// A plan names a service that its stack doesn't have.
#[derive(Debug, thiserror::Error)]
#[error("the stack has no service `{0}`")]
struct UnknownService(ServiceName);

/// What is in the way of a service that is waited for, as an event.
pub fn trouble(service: &Service, kind: Trouble, cause: Cause) -> Event {
    Event::Warning {
        service: Some(service.name.clone()),
        summary: match kind {
            Trouble::Ended => format!("{}; it is started again", cause.summary),
            Trouble::NoRoom | Trouble::NoVolume | Trouble::Unhealthy => cause.summary,
        },
        details: cause.detail,
        hint: Some(cause.hint),
    }
}

/// A failure as an event: the sentence, its causes, what is known of the pod, what to type.
pub fn told(title: &str, service: Option<ServiceName>, failure: &Failure) -> Event {
    let mut summary = failure.error.to_string();
    let mut details = Vec::new();
    let mut hint = failure.hint.clone();
    if let Some(cause) = failure.error.downcast_ref::<Wait>().and_then(Wait::cause) {
        add(cause, &mut details, &mut hint);
    }
    if hint.is_none() {
        hint = forbidden(failure.error.as_ref());
    }
    let mut source = failure.error.source();
    while let Some(error) = source {
        let text = error.to_string();
        // Some libraries repeat a cause in their own words.
        if !summary.contains(&text) && !details.contains(&text) {
            details.push(text);
        }
        source = error.source();
    }
    if service.is_none() {
        summary = format!("{title}: {summary}");
    }
    Event::Failed {
        service,
        summary,
        details,
        hint,
    }
}

fn add(cause: &Cause, details: &mut Vec<String>, hint: &mut Option<String>) {
    details.extend(cause.detail.iter().cloned());
    if hint.is_none() {
        *hint = Some(cause.hint.clone());
    }
}
