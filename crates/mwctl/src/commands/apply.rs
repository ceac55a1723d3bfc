//! `mwctl apply`: updates a developed service's dependencies in its container, and restarts it.

use mwctl_core::model::Condition;
use mwctl_engine::develop::conduct::subject;
use mwctl_engine::develop::session::{self, Applied, Control, Options, Reporting};
use mwctl_engine::execute::{reach, told};
use mwctl_engine::kube::pods::{develop_selector, running};
use mwctl_engine::kube::wait::Sign;
use tokio::sync::mpsc;

use crate::args::Apply;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, service, unreachable};

/// How long the cluster may take to see that the process is ready again.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

pub(super) async fn run(run: &Invocation, arguments: &Apply) -> Result<Exit, CommandError> {
    let workspace = run.workspace()?;
    let stack = &workspace.stack;
    let cluster = run.connect(&stack.namespace).await?;
    let mut failed = false;
    for name in &arguments.services {
        let service = service(stack, name)?;
        let subject = subject(stack, service).ok_or_else(|| {
            CommandError::failure(format!("`{name}` has no source, and so no dependencies"))
        })?;
        if subject.develop.dependencies.is_none() {
            return Err(
                CommandError::failure(format!("`{name}` has no dependency step"))
                    .hint("describe one as `develop: {dependencies: …}` in `mwctl.yaml`"),
            );
        }
        let selector = develop_selector(stack, service);
        let found = running(&cluster, &selector, &subject.container).await;
        if found
            .map_err(|error| unreachable(error, &cluster.context))?
            .is_none()
        {
            return Err(
                CommandError::failure(format!("`{name}` is not being developed"))
                    .hint(format!("mwctl develop {name} --detach")),
            );
        }
        let options = Options {
            identity: run.identity(),
            take_over: true,
            take_lock_files: arguments.take_lock_files,
        };
        // Nobody is there to make images or to wait for trees.
        let (rebuild_tx, _rebuild_rx) = mpsc::unbounded_channel();
        let (arrived_tx, _arrived_rx) = mpsc::unbounded_channel();
        let (control_tx, control_rx) = mpsc::unbounded_channel();
        control_tx
            .send(Control::Apply)
            .map_err(CommandError::internal)?;
        let events = run.ui.events();
        let reporting = Reporting {
            events: &events,
            rebuild_tx,
            arrived_tx,
        };
        let applied = tokio::select! {
            applied = session::run(&cluster, subject, &options, reporting, control_rx) => applied,
            () = run.interrupt.finish.cancelled() => return Err(CommandError::interrupted()),
        };
        if applied.map_err(CommandError::failure)? == Applied::Failed {
            failed = true;
            continue;
        }
        // Its neighbours, and `status`, know it only when the cluster does.
        let quiet = |_: Sign| {};
        let ready = reach(&cluster, stack, service, Condition::Ready, PATIENCE, &quiet);
        let ready = tokio::select! {
            ready = ready => ready,
            () = run.interrupt.finish.cancelled() => return Err(CommandError::interrupted()),
        };
        if let Err(failure) = ready {
            failed = true;
            events.send(told("apply", Some(service.name.clone()), &failure));
        }
    }
    if failed {
        Err(CommandError::told())
    } else {
        Ok(Exit::Success)
    }
}
