//! `mwctl apply`: updates a developed service's dependencies in its container, and restarts it. Where they are in an image that its own
//! file makes, that is made anew and rolled out, in the form in which the service runs.

use std::time::Duration;

use mwctl_core::model::{Condition, Image, Service, Stack};
use mwctl_engine::develop::conduct::subject;
use mwctl_engine::develop::session::{self, Applied, Control, Options, Reporting};
use mwctl_engine::execute::{reach, told};
use mwctl_engine::kube::Cluster;
use mwctl_engine::kube::pods::{develop_selector, running};
use mwctl_engine::kube::wait::Sign;
use tokio::sync::mpsc;

use crate::args::{Apply, Deploy, Develop, Up};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, service, unreachable};

/// How long the cluster may take to see that the process is ready again.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether all that a service needs is in an image of its own file, and nothing of it is brought up to date in the container.
fn is_in_the_image(service: &Service) -> bool {
    let own = matches!(&service.image, Image::Build(build) if build.file.is_some());
    let step = service
        .develop
        .as_ref()
        .and_then(|it| it.dependencies.as_ref());
    own && step.is_none()
}

/// Makes a service's image anew, where something that is in it has changed, and rolls it out.
async fn anew(
    run: &Invocation,
    cluster: &Cluster,
    stack: &Stack,
    service: &Service,
) -> Result<Exit, CommandError> {
    let services = vec![service.name.to_string()];
    let timeout = Duration::from_mins(5);
    let found = match subject(stack, service) {
        Some(subject) => {
            let selector = develop_selector(stack, service);
            let found = running(cluster, &selector, &subject.container).await;
            found.map_err(|error| unreachable(error, &cluster.context))?
        }
        None => None,
    };
    if found.is_some() {
        let arguments = Develop {
            services,
            detach: true,
            stop: false,
            mount: false,
            no_forward: true,
            no_logs: true,
            take_over: true,
            take_lock_files: false,
            timeout,
        };
        return Box::pin(super::develop::run(run, &arguments)).await;
    }
    let arguments = Up {
        deploy: Deploy {
            services,
            no_prune: true,
            adopt: false,
        },
        wait: true,
        no_wait: false,
        rollback: false,
        timeout,
    };
    Box::pin(super::up::run(run, &arguments)).await
}

pub(super) async fn run(run: &Invocation, arguments: &Apply) -> Result<Exit, CommandError> {
    let workspace = run.workspace()?;
    let stack = &workspace.stack;
    let cluster = run.connect(&stack.namespace).await?;
    let mut failed = false;
    for name in &arguments.services {
        let service = service(stack, name)?;
        if is_in_the_image(service) {
            failed |= anew(run, &cluster, stack, service).await? != Exit::Success;
            continue;
        }
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
