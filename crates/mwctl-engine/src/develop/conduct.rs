//! Develops services: brings them into their develop form, follows their checkouts, and puts the
//! planned form back at the end.
//!
//! ```text
//! plan ──→ execute ─────────────┐
//! one session per service ──────┼──→ until told to finish ──→ planned form
//! mwctl.yaml saved ──→ replan ──┤
//! a rebuild is asked for ───────┘
//! ```
//!
//! A plan that is being carried out gives way to a newer one: the images that it still makes are no longer wanted.
//!
//! The loop is here; what runs beside a session and only tells is in `companions`.

mod companions;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::pin::pin;
use std::time::Duration;

use mwctl_core::manifest::container_name;
use mwctl_core::model::{Service, Stack};
use mwctl_core::name::ServiceName;
use mwctl_core::plan::PlanOptions;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::companions::{accompany, watch_over};
use super::session::{self, Arrived, Control, Options, Session, Subject};
use crate::deploy::{Prepare, Prepared, Wanted, leave, prepare};
use crate::event::{Event, Events};
use crate::execute::{Execution, execute, told};
use crate::kube::Cluster;
use crate::kube::pods::develop_selector;
use crate::watch::{DocumentWatch, WatchCheckout};
use crate::workshop::Workshop;
use crate::workspace::{Load, Workspace};

/// Developing can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Conduct {
    /// No plan can be made.
    #[error(transparent)]
    Prepare(#[from] Prepare),
    /// A session ended.
    #[error(transparent)]
    Session(#[from] Session),
    /// The stack's documents can't be watched.
    #[error(transparent)]
    Watch(#[from] WatchCheckout),
    /// The planned form can't be put back.
    #[error("cannot put the planned form back")]
    Leave(#[source] crate::made::Unmade),
    /// A service can't be developed.
    #[error("`{0}` can't be developed: it has no source")]
    NoSource(ServiceName),
    /// The deployment failed; events have told why.
    #[error("the deployment failed")]
    Deployment,
}

/// What is developed, and how.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Where.
    pub cluster: &'a Cluster,
    /// Where images are made.
    pub workshop: &'a Workshop,
    /// The services.
    pub services: &'a BTreeSet<ServiceName>,
    /// How sessions behave.
    pub options: &'a Options,
    /// How long a service may take to become ready.
    pub timeout: Duration,
    /// Whether it ends as soon as everything is up to date, and stays in its develop form.
    pub detach: bool,
    /// Whether local ports lead to the services.
    pub forward: bool,
    /// Whether the services' logs are shown.
    pub logs: bool,
    /// Who is told.
    pub events: &'a Events,
    /// Asks to finish.
    pub finish: &'a CancellationToken,
    /// Reads the stack again.
    pub reload: &'a (dyn Fn() -> Result<Workspace, Load> + Send + Sync),
}

/// What goes on while services are developed.
struct Running {
    sessions: JoinSet<Result<session::Applied, Session>>,
    controls: BTreeMap<ServiceName, mpsc::UnboundedSender<Control>>,
    companions: JoinSet<()>,
}

/// Develops until told to finish, or, detached, until everything is up to date.
///
/// Cancel safety: dropping it leaves the services in their develop form, and running.
pub async fn conduct(plan: Plan<'_>, mut workspace: Workspace) -> Result<(), Conduct> {
    // First of all: what is saved while the rest is prepared is a change, too.
    let mut documents = DocumentWatch::new(&workspace.root, document_names(&workspace))?;
    let prepared = prepare(plan.cluster, plan.workshop, wanted(&plan, &workspace)).await?;
    // sessions --a service needs a new image--> here
    let (rebuild_tx, mut rebuild_rx) = mpsc::unbounded_channel();
    // sessions --a service's tree has arrived, or its pod can't start--> here
    let (arrived_tx, mut arrived_rx) = mpsc::unbounded_channel();
    let mut running = start(&plan, &workspace, &rebuild_tx, &arrived_tx)?;
    // companions --a service's pod is ready, or can't become so--> here
    let (ready_tx, mut ready_rx) = mpsc::unbounded_channel();
    let mut settled = Settled::default();
    let mut deployed = false;
    let mut next = Some(prepared);
    loop {
        // Planned work runs beside the sessions: a pod becomes ready because its session brings
        // its tree.
        if let Some(prepared) = next.take() {
            let stack = workspace.stack.clone();
            let superseded = plan.finish.child_token();
            let mut execution = pin!(carry_out(&plan, &stack, &prepared, &superseded));
            let complete = loop {
                tokio::select! {
                    complete = &mut execution => break complete,
                    Some(ended) = running.sessions.join_next() => over(ended)?,
                    Some(arrived) = arrived_rx.recv() => settled.arrived(arrived),
                    Some(ready) = ready_rx.recv() => settled.ready(ready),
                    Some(service) = rebuild_rx.recv() => {
                        let service: Service = service;
                        plan.events.notice(Some(&service.name), "making a newer image");
                        superseded.cancel();
                    }
                    () = documents.next() => if renew(&plan, &mut workspace, &running) {
                        superseded.cancel();
                    }
                }
            };
            if plan.finish.is_cancelled() {
                break;
            }
            if superseded.is_cancelled() {
                next = replan(&plan, &workspace).await;
            } else if !complete && !deployed {
                return Err(Conduct::Deployment);
            }
            if complete && !deployed {
                // Not sooner: until now, what is ready is what was there before.
                for service in plan
                    .services
                    .iter()
                    .filter_map(|name| stack.services.get(name))
                {
                    watch_over(&plan, &stack, service, &ready_tx, &mut running.companions);
                }
                deployed = true;
            }
            if next.is_some() {
                continue;
            }
        }
        if let Some(live) = settled.verdict(plan.services).filter(|_| plan.detach) {
            return if live {
                Ok(())
            } else {
                Err(Conduct::Deployment)
            };
        }
        tokio::select! {
            () = plan.finish.cancelled() => break,
            Some(ended) = running.sessions.join_next() => over(ended)?,
            Some(arrived) = arrived_rx.recv() => settled.arrived(arrived),
            Some(ready) = ready_rx.recv() => settled.ready(ready),
            Some(service) = rebuild_rx.recv() => {
                let service: Service = service;
                plan.events.notice(Some(&service.name), "making a new image");
                next = replan(&plan, &workspace).await;
            }
            () = documents.next() => if renew(&plan, &mut workspace, &running) {
                next = replan(&plan, &workspace).await;
            }
        }
    }
    drop(running);
    let left = leave(
        plan.cluster,
        &workspace.stack,
        plan.services,
        &workspace.worktree,
    )
    .await;
    for name in left.map_err(Conduct::Leave)? {
        plan.events.send(Event::Notice {
            service: Some(name),
            text: "is back in its planned form, with the image it had".to_owned(),
            hint: Some("mwctl up  # deploys your edits".to_owned()),
        });
    }
    Ok(())
}

/// How far the services are, for a run that ends when all are up to date.
#[derive(Default)]
struct Settled {
    /// Whether the process runs with the whole tree, by service.
    arrived: BTreeMap<ServiceName, bool>,
    /// Whether the pod is ready, by service.
    ready: BTreeMap<ServiceName, bool>,
}

impl Settled {
    fn arrived(&mut self, arrived: Arrived) {
        self.arrived.insert(arrived.service, arrived.live);
    }

    fn ready(&mut self, ready: Arrived) {
        self.ready.insert(ready.service, ready.live);
    }

    /// Whether all of `services` are well; `None` while that is open.
    fn verdict(&self, services: &BTreeSet<ServiceName>) -> Option<bool> {
        if self
            .arrived
            .values()
            .chain(self.ready.values())
            .any(|live| !live)
        {
            return Some(false);
        }
        let known = |name| self.arrived.contains_key(name) && self.ready.contains_key(name);
        services.iter().all(known).then_some(true)
    }
}

fn over(
    ended: Result<Result<session::Applied, Session>, tokio::task::JoinError>,
) -> Result<(), Conduct> {
    match ended {
        Ok(Ok(_)) | Err(_) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
    }
}

fn wanted<'a>(plan: &Plan<'a>, workspace: &'a Workspace) -> Wanted<'a> {
    Wanted {
        stack: &workspace.stack,
        worktree: &workspace.worktree,
        develop: plan.services,
        options: PlanOptions {
            services: plan.services.clone(),
            ..PlanOptions::default()
        },
    }
}

async fn carry_out(
    plan: &Plan<'_>,
    stack: &Stack,
    prepared: &Prepared,
    cancel: &CancellationToken,
) -> bool {
    for hold in prepared.plan.obstacles() {
        plan.events.send(Event::Failed {
            service: None,
            summary: hold.reason.clone(),
            details: Vec::new(),
            hint: hold.hint.clone(),
        });
    }
    let outcome = execute(Execution {
        cluster: plan.cluster,
        stack,
        plan: &prepared.plan,
        images: plan.workshop,
        timeout: plan.timeout,
        events: plan.events,
        cancel,
        // A developed service is watched by its companion: its process may well be broken for now.
        wait: false,
    })
    .await;
    outcome.is_complete() && prepared.plan.obstacles().next().is_none()
}

/// What the folder says about a service that is developed.
pub fn subject(stack: &Stack, service: &Service) -> Option<Subject> {
    Some(Subject {
        service: service.clone(),
        develop: service.develop.clone()?,
        root: service.source.directory()?.clone(),
        selector: develop_selector(stack, service),
        container: container_name(stack, service, &service.main),
    })
}

fn start(
    plan: &Plan<'_>,
    workspace: &Workspace,
    rebuild_tx: &mpsc::UnboundedSender<Service>,
    arrived_tx: &mpsc::UnboundedSender<Arrived>,
) -> Result<Running, Conduct> {
    let mut running = Running {
        sessions: JoinSet::new(),
        controls: BTreeMap::new(),
        companions: JoinSet::new(),
    };
    for name in plan.services {
        let stack = &workspace.stack;
        let service = stack.services.get(name);
        let subject = service.and_then(|service| subject(stack, service));
        let (Some(subject), Some(service)) = (subject, service) else {
            return Err(Conduct::NoSource(name.clone()));
        };
        let (control_tx, control_rx) = mpsc::unbounded_channel();
        running.controls.insert(name.clone(), control_tx);
        let (cluster, options) = (plan.cluster.clone(), plan.options.clone());
        let (events, rebuild_tx, arrived_tx) =
            (plan.events.clone(), rebuild_tx.clone(), arrived_tx.clone());
        running.sessions.spawn(async move {
            let reports = session::Reporting {
                events: &events,
                rebuild_tx,
                arrived_tx,
            };
            session::run(&cluster, subject, &options, reports, control_rx).await
        });
        accompany(plan, stack, service, &mut running.companions);
    }
    Ok(running)
}

fn document_names(workspace: &Workspace) -> BTreeSet<OsString> {
    workspace
        .documents
        .iter()
        .filter_map(|path| path.file_name().map(ToOwned::to_owned))
        .collect()
}

/// Takes what changed in the documents, if that means anything.
fn renew(plan: &Plan<'_>, workspace: &mut Workspace, running: &Running) -> bool {
    let changed = reload(plan, workspace);
    let has_changed = changed.is_some();
    if let Some(changed) = changed {
        describe(plan, &changed, running);
        *workspace = changed;
    }
    has_changed
}

/// Reads the stack again; tells what is wrong with it, and then the last good one stays.
fn reload(plan: &Plan<'_>, before: &Workspace) -> Option<Workspace> {
    match (plan.reload)() {
        Ok(workspace) => {
            let gone = plan
                .services
                .iter()
                .find(|name| !workspace.stack.services.contains_key(*name));
            if let Some(name) = gone {
                plan.events
                    .notice(Some(name), "is no longer described; it stays as it is");
                return None;
            }
            let other_bases = workspace.lock != before.lock;
            (workspace.stack != before.stack || other_bases).then(|| {
                plan.events.notice(None, "the description changed");
                plan.workshop.set_lock(workspace.lock.clone());
                workspace
            })
        }
        Err(Load::Problems(problems)) => {
            plan.events.send(Event::Problems { problems });
            plan.events
                .notice(None, "the last good description stays in force");
            None
        }
        Err(error) => {
            plan.events
                .send(told("read the description", None, &error.into()));
            None
        }
    }
}

fn describe(plan: &Plan<'_>, workspace: &Workspace, running: &Running) {
    for name in plan.services {
        let service = workspace.stack.services.get(name);
        let subject = service.and_then(|service| subject(&workspace.stack, service));
        if let (Some(subject), Some(control_tx)) = (subject, running.controls.get(name)) {
            // A session that has ended is reported by its task.
            drop(control_tx.send(Control::Describe(Box::new(subject))));
        }
    }
}

async fn replan(plan: &Plan<'_>, workspace: &Workspace) -> Option<Prepared> {
    match prepare(plan.cluster, plan.workshop, wanted(plan, workspace)).await {
        Ok(prepared) => Some(prepared),
        Err(error) => {
            plan.events.send(told("plan", None, &error.into()));
            None
        }
    }
}
