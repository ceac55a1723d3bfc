//! `mwctl restart`: new pods of the same description, one after the other where there are several. Jobs
//! have no pods that go on; they are left.

use futures::future::join_all;
use mwctl_core::manifest::workload_id;
use mwctl_core::model::Condition;
use mwctl_engine::execute::{reach, told, trouble};
use mwctl_engine::kube::apply;
use mwctl_engine::kube::wait::Sign;

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
        .filter(|service| services.contains(&service.name) && !service.workload.ends())
        .collect();
    let ids: Vec<_> = chosen
        .iter()
        .map(|service| workload_id(stack, service))
        .collect();
    let restarted = ids.iter().map(|id| apply::restart(&cluster, id));
    for (service, result) in chosen.iter().zip(join_all(restarted).await) {
        match result {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {
                let error = format!("`{}` is not deployed", service.name);
                return Err(CommandError::failure(error).hint(format!("mwctl up {}", service.name)));
            }
            Err(error) => return Err(unreachable(error, &cluster.context)),
        }
    }
    let events = run.ui.events();
    let mut failed = false;
    for service in chosen {
        let report = |sign| match sign {
            Sign::Words(words) => tracing::debug!("{}: {words}", service.name),
            Sign::Trouble(kind, cause) => events.send(trouble(service, kind, cause)),
        };
        let ready = reach(
            &cluster,
            stack,
            service,
            Condition::Ready,
            PATIENCE,
            &report,
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
