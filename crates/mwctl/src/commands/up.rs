//! `mwctl up`: deploys the stack, or brings it up to date.

use mwctl_core::plan::{Plan, render};
use mwctl_engine::event::Event;
use mwctl_engine::execute::{Execution, Outcome, execute};
use mwctl_engine::progress::Progress;
use mwctl_engine::source::{self, Fetched};
use mwctl_engine::workspace::Workspace;
use serde::Serialize;

use crate::args::Up;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{accent, bold, dim};

/// What was done, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    event: &'static str,
    done: usize,
    failed: usize,
    remaining: usize,
    unchanged: usize,
    services: Vec<Address<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Address<'a> {
    service: &'a str,
    /// In the cluster.
    url: Option<String>,
}

pub(super) async fn run(run: &Invocation, arguments: &Up) -> Result<Exit, CommandError> {
    fetch(run).await?;
    let workspace = run.workspace()?;
    let target = run.target(&workspace.stack.namespace).await?;
    let prepared = super::plan::make(&target, &workspace, &arguments.deploy).await?;
    tell_holds(run, &prepared.plan);
    let outcome = execute(Execution {
        cluster: &target.cluster,
        stack: &workspace.stack,
        plan: &prepared.plan,
        images: &target.workshop,
        timeout: arguments.timeout,
        events: &run.ui.events(),
        cancel: &run.interrupt.finish,
        wait: !arguments.no_wait,
    })
    .await;
    run.ui.finish();
    tell(run, &workspace, &prepared.plan, &outcome);
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

fn tell(run: &Invocation, workspace: &Workspace, plan: &Plan, outcome: &Outcome) {
    let stack = &workspace.stack;
    let services = stack.services.values().map(|service| Address {
        service: service.name.as_str(),
        url: service.port().map(|port| {
            let host = mwctl_core::manifest::object_name(stack, service);
            format!("http://{host}.{}:{}", stack.namespace, port.number)
        }),
    });
    let answer = Answer {
        event: "done",
        done: outcome.done.len(),
        failed: outcome.failed.len(),
        remaining: outcome.remaining.len(),
        unchanged: plan.unchanged,
        services: services.collect(),
    };
    if run.ui.is_json() {
        run.ui.line(&answer);
        return;
    }
    if plan.is_empty() {
        run.ui.say(render::text(plan).trim_end());
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
        run.ui.say(&format!(
            "{} is up; {} leads a port to it, {} follows your edits",
            bold(stack.name.as_str()),
            accent(&format!("mwctl forward {name}")),
            accent(&format!("mwctl develop {name}")),
        ));
    }
}

/// Fetches the sources that are missing.
pub(super) async fn fetch(run: &Invocation) -> Result<(), CommandError> {
    let runner = Invocation::runner();
    for source in run.sources()? {
        let report = |sign: Progress| tracing::debug!("{sign:?}");
        let fetching = source::fetch(&source, runner.as_ref(), &report);
        let fetched = tokio::select! {
            fetched = fetching => fetched,
            () = run.interrupt.finish.cancelled() => return Err(CommandError::interrupted()),
        };
        match fetched {
            Ok(Fetched::Fetched(directory)) => {
                let text = format!("fetched the source into {}", directory.display());
                run.ui.events().notice(None, text);
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
