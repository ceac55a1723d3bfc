//! `mwctl restart`: new pods of the same description, one after the other where there are several.

use futures::future::try_join_all;
use mwctl_core::model::Condition;
use mwctl_engine::execute::{deployment, reach, told};
use mwctl_engine::kube::apply;

use crate::args::Services;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, select, unreachable};

/// How long a service may take to be ready again.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(5);

pub(super) async fn run(run: &Invocation, arguments: &Services) -> Result<Exit, CommandError> {
    let workspace = run.workspace()?;
    let services = select(&workspace.stack, &arguments.services)?;
    let cluster = run.connect(&workspace.stack.namespace).await?;
    let stack = &workspace.stack;
    let chosen: Vec<_> = stack
        .services
        .values()
        .filter(|service| services.contains(&service.name))
        .collect();
    let names: Vec<String> = chosen
        .iter()
        .map(|service| deployment(&cluster, stack, service).name)
        .collect();
    try_join_all(names.iter().map(|name| apply::restart(&cluster, name)))
        .await
        .map_err(|error| unreachable(error, &cluster.context))?;
    let events = run.ui.events();
    let mut failed = false;
    for service in chosen {
        let progress = |message: String| tracing::debug!("{}: {message}", service.name);
        let ready = reach(
            &cluster,
            stack,
            service,
            Condition::Ready,
            PATIENCE,
            &progress,
        );
        tokio::select! {
            result = ready => match result {
                Ok(()) => events.notice(Some(&service.name), "is ready again"),
                Err(failure) => {
                    failed = true;
                    events.send(told("restart", Some(service.name.clone()), &failure));
                }
            },
            () = run.interrupt.finish.cancelled() => return Err(CommandError::interrupted()),
        }
    }
    if failed {
        Err(CommandError::told())
    } else {
        Ok(Exit::Success)
    }
}
