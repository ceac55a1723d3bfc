//! `mwctl plan`: the very value that `up` would execute.

use std::collections::BTreeSet;

use mwctl_core::plan::{PlanOptions, render};
use mwctl_engine::deploy::{Prepare, Prepared, Wanted, prepare};
use mwctl_engine::made::Unmade;
use mwctl_engine::workspace::Workspace;

use crate::args::Deploy;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, Target, select, unreachable};

pub(super) async fn run(run: &Invocation, arguments: &Deploy) -> Result<Exit, CommandError> {
    // Its answer is one document, which no event may stand before.
    super::up::fetch_for(run, &run.directory(), &|text| run.ui.say(&text)).await?;
    let workspace = run.workspace()?;
    let target = run.target(&workspace).await?;
    let prepared = make(&target, &workspace, arguments).await?;
    run.ui
        .answer(&prepared.plan, || render::text(&prepared.plan));
    let held = prepared.plan.obstacles().next().is_some();
    Ok(if held { Exit::Failure } else { Exit::Success })
}

/// Plans a deployment in the planned form.
pub(super) async fn make(
    target: &Target,
    workspace: &Workspace,
    arguments: &Deploy,
) -> Result<Prepared, CommandError> {
    let none = BTreeSet::new();
    let named = !arguments.services.is_empty();
    let services = if named {
        select(&workspace.stack, &arguments.services)?
    } else {
        BTreeSet::new()
    };
    let wanted = Wanted {
        stack: &workspace.stack,
        worktree: &workspace.worktree,
        develop: &none,
        options: PlanOptions {
            services,
            prune: !arguments.no_prune && !named,
            adopt: arguments.adopt,
            ..PlanOptions::default()
        },
    };
    prepare(&target.cluster, &target.workshop, wanted)
        .await
        .map_err(|error| failed(error, &target.cluster.context))
}

/// Why no plan could be made.
pub(super) fn failed(error: Prepare, context: &str) -> CommandError {
    match error {
        Prepare::Image(error) => {
            let hints = error.hints();
            CommandError {
                hints,
                ..CommandError::failure(error)
            }
        }
        Prepare::Described(problem) => CommandError::problems(vec![problem]),
        Prepare::Request(error) | Prepare::Made(Unmade::Request(error)) => {
            unreachable(error, context)
        }
        Prepare::Delivery(error) => {
            let hints = error.hints();
            CommandError {
                hints,
                ..CommandError::environment(Prepare::Delivery(error))
            }
        }
        error @ (Prepare::Agent(_) | Prepare::Made(_)) => CommandError::environment(error),
    }
}
