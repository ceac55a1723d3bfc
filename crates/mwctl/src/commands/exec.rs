//! `mwctl exec`: a command in a service's container, with this terminal; its exit code is ours.

use std::io::IsTerminal;

use mwctl_core::manifest::container_name;
use mwctl_engine::kube::exec::{self, Streams};
use mwctl_engine::kube::pods::{running, selector};
use tokio::sync::watch;

use crate::args::Exec;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, service, unreachable};
use crate::ui::terminal::Raw;

pub(super) async fn run(run: &Invocation, arguments: &Exec) -> Result<Exit, CommandError> {
    let workspace = run.workspace()?;
    let stack = &workspace.stack;
    let service = service(stack, &arguments.service)?;
    let container = match &arguments.container {
        None => container_name(stack, service, &service.main),
        Some(name) => {
            let helper = service.helpers.iter().find(|helper| helper.name == *name);
            helper.map_or_else(
                || name.clone(),
                |helper| container_name(stack, service, helper),
            )
        }
    };
    let cluster = run.connect(&stack.namespace).await?;
    let found = running(&cluster, &selector(stack, service), &container).await;
    let target = found
        .map_err(|error| unreachable(error, &cluster.context))?
        .ok_or_else(|| {
            CommandError::failure(format!("no pod of `{}` runs", service.name))
                .hint(format!("mwctl status {}", service.name))
        })?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let raw = if terminal {
        Some(Raw::enter().map_err(CommandError::internal)?)
    } else {
        None
    };
    let (size_tx, size_rx) = watch::channel(raw.as_ref().map_or((80, 24), |_| Raw::size()));
    let streams = Streams {
        input: Some(tokio::io::stdin()),
        output: tokio::io::stdout(),
        errors: tokio::io::stderr(),
        terminal: terminal.then_some(size_rx),
    };
    let command = exec::run(
        &cluster,
        &target.pod,
        &container,
        &arguments.command,
        streams,
    );
    let resized = async {
        match &raw {
            Some(raw) => raw.follow_size(&size_tx).await,
            None => std::future::pending().await,
        }
    };
    let code = tokio::select! {
        code = command => code.map_err(CommandError::failure)?,
        () = resized => return Err(CommandError::internal("the terminal is gone")),
        () = run.interrupt.finish.cancelled(), if !terminal => {
            return Err(CommandError::interrupted());
        }
    };
    Ok(Exit::Child(u8::try_from(code).unwrap_or(u8::MAX)))
}
