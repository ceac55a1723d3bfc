//! `mwctl develop`: every saved file reaches the running container, until Ctrl-C.

use std::collections::BTreeSet;

use mwctl_core::name::ServiceName;
use mwctl_engine::deploy::leave;
use mwctl_engine::develop::conduct::{self, Conduct, conduct};
use mwctl_engine::develop::mount::Mounting;
use mwctl_engine::develop::session::{Options, Session};
use mwctl_engine::workspace::Workspace;

use crate::args::Develop;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, select, unreachable};

pub(super) async fn run(run: &Invocation, arguments: &Develop) -> Result<Exit, CommandError> {
    super::up::fetch(run).await?;
    let workspace = run.workspace()?;
    let services = chosen(&workspace, &arguments.services)?;
    let events = run.ui.events();
    if arguments.stop {
        let stack = &workspace.stack;
        let cluster = run.connect(&stack.namespace).await?;
        let left = leave(&cluster, stack, &services, &workspace.worktree)
            .await
            .map_err(|error| unreachable(error, &cluster.context))?;
        for name in &services {
            let text = if left.contains(name) {
                "is back in its planned form"
            } else {
                "was not being developed"
            };
            events.notice(Some(name), text);
        }
        return Ok(Exit::Success);
    }
    let target = run.deploy_target(&workspace).await?;
    let options = Options {
        identity: run.identity(),
        take_over: arguments.take_over,
        take_lock_files: arguments.take_lock_files,
    };
    let context = target.cluster.context.clone();
    let clusters = run.disposable();
    let known = clusters.find_context(&context);
    let mounting = Mounting {
        wanted: arguments.mount,
        links: known.map(|known| clusters.checkouts(&known.name)),
    };
    let workspace = mounting.ready(workspace, &services, &events);
    let reload = || {
        let workspace = run.load()?;
        Ok(mounting.ready(workspace, &services, &events))
    };
    let result = conduct(
        conduct::Plan {
            cluster: &target.cluster,
            workshop: &target.workshop,
            services: &services,
            options: &options,
            timeout: arguments.timeout,
            detach: arguments.detach,
            forward: !arguments.no_forward,
            logs: !arguments.no_logs,
            events: &events,
            finish: &run.interrupt.finish,
            reload: &reload,
        },
        workspace,
    )
    .await;
    run.ui.finish();
    match result {
        Ok(()) => Ok(Exit::Success),
        Err(Conduct::Deployment) => Err(CommandError::told()),
        Err(Conduct::Prepare(error)) => Err(super::plan::failed(error, &context)),
        Err(Conduct::Session(error @ Session::Owned { .. })) => {
            let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
            Err(CommandError::failure(error)
                .hint(format!("mwctl develop {} --take-over", names.join(" "))))
        }
        Err(error) => Err(CommandError::failure(error)),
    }
}

/// The services to develop: those named, else the only one that can be.
fn chosen(workspace: &Workspace, named: &[String]) -> Result<BTreeSet<ServiceName>, CommandError> {
    if !named.is_empty() {
        return select(&workspace.stack, named);
    }
    let candidates: BTreeSet<ServiceName> = workspace
        .stack
        .services
        .values()
        .filter(|service| service.develop.is_some() && service.source.directory().is_some())
        .map(|service| service.name.clone())
        .collect();
    match candidates.len() {
        1 => Ok(candidates),
        0 => Err(CommandError::usage(
            "no service of the stack has a source to develop",
        )),
        _ => {
            let mut error = CommandError::usage("which service?");
            error.hints = candidates
                .iter()
                .map(|name| format!("mwctl develop {name}"))
                .collect();
            Err(error)
        }
    }
}
