//! `mwctl logs`: the services' logs, merged.

use futures::future::join_all;
use mwctl_engine::kube::logs::{Wanted, tell};
use mwctl_engine::kube::pods::selector;

use crate::args::Logs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, select, unreachable};

pub(super) async fn run(run: &Invocation, arguments: &Logs) -> Result<Exit, CommandError> {
    let workspace = run.workspace()?;
    let services = select(&workspace.stack, &arguments.services)?;
    let cluster = run.connect(&workspace.stack.namespace).await?;
    let wanted = Wanted {
        tail: arguments.tail.map(i64::from),
        since_seconds: arguments.since.map(|since| since.as_secs().max(1) as i64),
        follow: arguments.follow,
        previous: arguments.previous,
        container: arguments.container.clone(),
    };
    let events = run.ui.events();
    let selectors: Vec<_> = workspace
        .stack
        .services
        .values()
        .filter(|service| services.contains(&service.name))
        .map(|service| (service.name.clone(), selector(&workspace.stack, service)))
        .collect();
    let all = join_all(
        selectors
            .iter()
            .map(|(name, selector)| tell(&cluster, name, selector, &wanted, &events)),
    );
    let told = tokio::select! {
        told = all => told,
        () = run.interrupt.finish.cancelled() => return Ok(Exit::Success),
    };
    for result in told {
        result.map_err(|error| unreachable(error, &cluster.context))?;
    }
    Ok(Exit::Success)
}
