//! `mwctl down`: takes the stack down, and leaves nothing but volumes, and those only if not asked.

use std::time::Duration;

use mwctl_core::plan::down;
use mwctl_engine::execute::Execution;
use mwctl_engine::kube::observe;

use crate::args::Down;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, unreachable};

pub(super) async fn run(run: &Invocation, arguments: &Down) -> Result<Exit, CommandError> {
    let workspace = run.workspace()?;
    let stack = &workspace.stack;
    let target = run.target(&workspace).await?;
    let namespace = mwctl_core::manifest::ObjectId {
        api_version: "v1".to_owned(),
        kind: "Namespace".to_owned(),
        namespace: None,
        name: stack.namespace.clone(),
    };
    let observed = observe::everything(&target.cluster, &[namespace])
        .await
        .map_err(|error| unreachable(error, &target.cluster.context))?;
    let plan = down(&observed, stack, &workspace.worktree, arguments.volumes);
    super::up::tell_holds(run, &plan);
    let outcome = super::up::alone(
        run,
        Execution {
            cluster: &target.cluster,
            stack,
            plan: &plan,
            images: &target.workshop,
            timeout: Duration::from_mins(5),
            events: &run.ui.events(),
            cancel: &run.interrupt.finish,
            wait: true,
        },
    )
    .await?;
    run.ui.finish();
    if plan.is_empty() {
        run.ui.say(&format!(
            "nothing of the stack `{}` is in the cluster",
            stack.name
        ));
    }
    if run.interrupt.finish.is_cancelled() && !outcome.remaining.is_empty() {
        return Err(CommandError::interrupted());
    }
    if outcome.is_complete() {
        Ok(Exit::Success)
    } else {
        Err(CommandError::told())
    }
}
