//! `mwctl up`: deploys the stack, or brings it up to date.

use std::fmt::Write as _;
use std::path::Path;

use mwctl_core::observed::Observed;
use mwctl_core::plan::{Action, Plan, render, rollback};
use mwctl_engine::event::{Address, Deployed, Event};
use mwctl_engine::execute::{Execution, Outcome, execute};
use mwctl_engine::kube::lease::{self, Taken};
use mwctl_engine::kube::{Cluster, observe};
use mwctl_engine::progress::Progress;
use mwctl_engine::source::{self, Fetched};
use mwctl_engine::workspace::{self, Workspace};

use super::addresses::{self, Urls};
use crate::args::Up;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, unreachable};
use crate::ui::style::{accent, bold, dim};

pub(super) async fn run(run: &Invocation, arguments: &Up) -> Result<Exit, CommandError> {
    fetch(run).await?;
    let workspace = run.workspace()?;
    let target = run.deploy_target(&workspace).await?;
    let prepared = super::plan::make(&target, &workspace, &arguments.deploy).await?;
    tell_holds(run, &prepared.plan);
    tell_isolation(run, &workspace, &target.cluster).await;
    let events = run.ui.events();
    let execution = Execution {
        cluster: &target.cluster,
        stack: &workspace.stack,
        plan: &prepared.plan,
        images: &target.workshop,
        timeout: arguments.timeout,
        events: &events,
        cancel: &run.interrupt.finish,
        wait: !arguments.no_wait,
    };
    let outcome = alone(run, execution).await?;
    if arguments.rollback && !outcome.failed.is_empty() {
        go_back(run, execution, &prepared.observed, &outcome).await;
    }
    run.ui.finish();
    // What isn't deployed completely may have no address yet, and nobody is to wait for it.
    let urls = if outcome.failed.is_empty() && outcome.remaining.is_empty() {
        let stack = &workspace.stack;
        addresses::of(&target.cluster, stack, stack.services.values()).await
    } else {
        Urls::new()
    };
    tell(run, &workspace, &prepared.plan, &outcome, &urls);
    let obstacles = prepared.plan.obstacles().next().is_some();
    if run.interrupt.finish.is_cancelled() && !outcome.remaining.is_empty() {
        return Err(CommandError::interrupted());
    }
    if outcome.failed.is_empty() && !obstacles {
        Ok(Exit::Success)
    } else {
        Err(CommandError::told())
    }
}

/// Says so where isolation is asked for and nothing is known to bring it about.
async fn tell_isolation(run: &Invocation, workspace: &Workspace, cluster: &Cluster) {
    let services = workspace.stack.services.values();
    let mut strict = services.filter(|service| service.network.restrict_egress);
    let Some(first) = strict.next() else { return };
    if let Ok(false) = observe::enforces_policies(cluster).await {
        let name = &first.name;
        run.ui.events().send(Event::Notice {
            service: None,
            text: format!(
                "nothing in this cluster is known to enforce network policies: the isolation of `{name}` is described, not kept"
            ),
            hint: Some("a cluster that keeps it: `minikube start --cni calico`".to_owned()),
        });
    }
}

/// Carries a plan out while nobody else deploys the stack.
pub(super) async fn alone(
    run: &Invocation,
    execution: Execution<'_>,
) -> Result<Outcome, CommandError> {
    if execution.plan.is_empty() {
        return Ok(Outcome::default());
    }
    let cluster = execution.cluster;
    let owner = run.identity().owner;
    let claim = match lease::claim(cluster, execution.stack.name.as_str(), &owner).await {
        Ok(claim) => claim,
        Err(Taken::Request(error)) => return Err(unreachable(error, &cluster.context)),
        Err(error @ Taken::Held { .. }) => {
            let hint = match &error {
                Taken::Held { lapses, .. } => format!(
                    "wait until that is done and type `mwctl up` again; if they are gone, it lapses in {lapses} s"
                ),
                Taken::Request(_) => String::new(),
            };
            return Err(CommandError::environment(error).hint(hint));
        }
    };
    Ok(match claim {
        Some(claim) => {
            let outcome = claim.during(execute(execution)).await;
            claim.release().await;
            outcome
        }
        // A new namespace: nobody else is in it.
        None => execute(execution).await,
    })
}

/// Puts the services whose deployment failed back to what ran before.
async fn go_back(run: &Invocation, execution: Execution<'_>, before: &Observed, outcome: &Outcome) {
    let steps = execution.plan.steps.iter();
    let failed = steps
        .filter(|step| outcome.failed.contains(&step.id))
        .filter_map(|step| step.service.clone())
        .collect();
    let back = rollback(execution.stack, execution.plan, before, &failed);
    tell_holds(run, &back);
    let outcome = execute(Execution {
        plan: &back,
        ..execution
    })
    .await;
    for step in &back.steps {
        if let (Action::Await { service, .. }, true) =
            (&step.action, outcome.done.contains(&step.id))
        {
            run.ui
                .events()
                .notice(Some(service), "is back to what ran before");
        }
    }
}

/// Shows what the plan holds back: obstacles as failures, the rest as notes.
pub(super) fn tell_holds(run: &Invocation, plan: &Plan) {
    for hold in &plan.holds {
        let event = if hold.kind.is_obstacle() {
            Event::Failed {
                service: None,
                summary: hold.reason.clone(),
                details: Vec::new(),
                hint: hold.hint.clone(),
            }
        } else {
            Event::Notice {
                service: None,
                text: hold.reason.clone(),
                hint: hold.hint.clone(),
            }
        };
        run.ui.events().send(event);
    }
}

fn tell(run: &Invocation, workspace: &Workspace, plan: &Plan, outcome: &Outcome, urls: &Urls) {
    let stack = &workspace.stack;
    let services = stack.services.values().map(|service| Address {
        service: service.name.clone(),
        url: service.port().map(|port| {
            let host = mwctl_core::manifest::object_name(stack, service);
            format!("http://{host}.{}:{}", stack.namespace, port.number)
        }),
        local: urls.get(&service.name).cloned().unwrap_or_default(),
    });
    run.ui.events().send(Event::Done(Deployed {
        done: outcome.done.len(),
        failed: outcome.failed.len(),
        remaining: outcome.remaining.len(),
        unchanged: plan.unchanged,
        services: services.collect(),
    }));
    if plan.is_empty() {
        // What is held back was told before anything was done.
        let summary = format!("{}\n{}", render::summary(plan), addresses::text(urls));
        run.ui.say(summary.trim_end());
        return;
    }
    if !outcome.remaining.is_empty() {
        let rest: Vec<String> = plan
            .steps
            .iter()
            .filter(|step| outcome.remaining.contains(&step.id))
            .map(|step| mwctl_engine::execute::title(&step.action))
            .collect();
        run.ui.say(&format!("not done: {}", rest.join(", ")));
        run.ui.say(&format!(
            "  {} mwctl up  {}",
            accent("try:"),
            dim("# goes on from here")
        ));
    }
    if outcome.is_complete() {
        let first = stack
            .services
            .values()
            .find(|service| service.develop.is_some());
        let name = first.map_or("SERVICE", |service| service.name.as_str());
        run.ui.say(&next(run, stack.name.as_str(), name, urls));
    }
}

/// Where everything is, and what to type next.
fn next(run: &Invocation, stack: &str, service: &str, urls: &Urls) -> String {
    let forward = format!("forward {service}");
    let develop = format!("develop {service}");
    let mut commands = vec![
        (develop.as_str(), "follows your edits"),
        ("logs -f", "shows what they say"),
        ("down", "takes it down"),
    ];
    if urls.is_empty() {
        commands.insert(0, (forward.as_str(), "leads a port to it"));
    }
    let typed: Vec<String> = commands.iter().map(|(rest, _)| run.typed(rest)).collect();
    let width = typed.iter().map(String::len).max().unwrap_or_default();
    let mut text = format!("{} is up\n{}try:", bold(stack), addresses::text(urls));
    for (typed, (_, what)) in typed.iter().zip(&commands) {
        let typed = accent(&format!("{typed:width$}"));
        let _infallible = write!(text, "\n  {typed}  {}", dim(&format!("# {what}")));
    }
    text
}

/// Fetches the sources that are missing, and tells of each as an event.
pub(super) async fn fetch(run: &Invocation) -> Result<(), CommandError> {
    let events = run.ui.events();
    let tell = |text: String| events.notice(None, text);
    fetch_for(run, &run.directory(), &tell).await
}

/// Fetches the sources that the folder's services lack; `tell` hears of each.
pub(super) async fn fetch_for(
    run: &Invocation,
    folder: &Path,
    tell: &(dyn Fn(String) + Sync),
) -> Result<(), CommandError> {
    let runner = Invocation::runner();
    for source in workspace::sources(folder, run.asked()).map_err(CommandError::failure)? {
        let report = |sign: Progress| tracing::debug!("{sign:?}");
        let fetching = source::fetch(&source, runner.as_ref(), &report);
        let fetched = tokio::select! {
            fetched = fetching => fetched,
            () = run.interrupt.finish.cancelled() => return Err(CommandError::interrupted()),
        };
        match fetched {
            Ok(Fetched::Fetched(directory)) => {
                tell(format!("fetched the source into {}", directory.display()));
            }
            Ok(Fetched::Present(_) | Fetched::Nothing) => {}
            Err(error) => {
                let hints = error.hints();
                return Err(CommandError {
                    hints,
                    ..CommandError::failure(error)
                });
            }
        }
    }
    Ok(())
}
