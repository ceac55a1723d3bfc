//! `mwctl test`: a service's tests in a fresh container; the exit code is theirs.

use std::collections::BTreeMap;

use mwctl_core::model::Service;
use mwctl_engine::deploy::{agent, agent_runs_on, images};
use mwctl_engine::develop::conduct::subject;
use mwctl_engine::develop::session::rules;
use mwctl_engine::event::Event;
use mwctl_engine::execute::{End, Images as _, Task};
use mwctl_engine::test::{Output, Run, clean_up};
use mwctl_engine::workspace::Workspace;

use crate::args::Test;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, Target, service};

pub(super) async fn run(run: &Invocation, arguments: &Test) -> Result<Exit, CommandError> {
    super::up::fetch(run).await?;
    tests(run, &run.workspace()?, arguments).await
}

/// Runs the tests of a service of a stack that was read.
pub(super) async fn tests(
    run: &Invocation,
    workspace: &Workspace,
    arguments: &Test,
) -> Result<Exit, CommandError> {
    let stack = &workspace.stack;
    let service = &service(stack, &arguments.service)?.tested();
    let subject = subject(stack, service).ok_or_else(|| {
        CommandError::failure(format!(
            "`{}` can't be tested: it has no source",
            service.name
        ))
    })?;
    let rules = rules(&subject).map_err(CommandError::failure)?;
    let target = run.deploy_target(workspace).await?;
    agent_runs_on(&target.workshop.architecture).map_err(CommandError::environment)?;
    let events = run.ui.events();

    // The image is the service's own, or its file's for tests: what is edited since comes with the tree.
    let planned = images([service], &BTreeMap::new(), &target.workshop)
        .await
        .map_err(|error| super::plan::failed(error, &target.cluster.context))?;
    let image = planned
        .references
        .get(&service.name)
        .cloned()
        .unwrap_or_default();
    if let Some(build) = planned.builds.get(&service.name) {
        bring(run, &target, service, &build.reference).await?;
    }
    let identity = run.identity();
    let started = mwctl_engine::clock::since_epoch().as_millis();
    let name = format!("{}-test-{started:x}", service.name);
    let agent = agent();
    let order = Run {
        stack,
        service,
        root: &subject.root,
        rules: &rules,
        image: &image,
        command: &arguments.command,
        dependencies: !arguments.no_dependencies,
        agent,
        worktree: &workspace.worktree,
        identity: &identity,
        timeout: arguments.timeout,
        keep: arguments.keep,
    };
    let output = if run.ui.is_json() {
        Output::Events
    } else {
        Output::Bytes(tokio::io::stdout())
    };
    let tests = Box::pin(mwctl_engine::test::run(
        &target.cluster,
        &order,
        &name,
        output,
        &events,
    ));
    let code = tokio::select! {
        code = tests => code,
        () = run.interrupt.finish.cancelled() => {
            clean_up(&target.cluster, &name).await.map_err(CommandError::failure)?;
            return Err(CommandError::interrupted());
        }
    };
    match code {
        Ok(code) => {
            events.send(Event::Tested {
                service: service.name.clone(),
                exit_code: code,
            });
            Ok(Exit::Child(u8::try_from(code).unwrap_or(u8::MAX)))
        }
        Err(mwctl_engine::test::Test::Described(problem)) => {
            Err(CommandError::problems(vec![problem]))
        }
        Err(mwctl_engine::test::Test::Pod(cause)) => {
            events.send(Event::Failed {
                service: Some(service.name.clone()),
                summary: cause.summary,
                details: cause.detail,
                hint: Some(cause.hint),
            });
            Err(CommandError::told())
        }
        Err(error) => Err(CommandError::failure(error)),
    }
}

/// Makes the image of the tests where it is missing and brings it to the nodes, as a step that is told of.
async fn bring(
    run: &Invocation,
    target: &Target,
    service: &Service,
    reference: &str,
) -> Result<(), CommandError> {
    let events = run.ui.events();
    let step = 0;
    let task = Task {
        step,
        title: format!("bring the image of {}", service.name),
        service: Some(service.name.clone()),
    };
    let progress = |message: String| events.send(Event::StepProgress { step, message });
    let work = target.workshop.deliver(service, reference, &progress);
    match task
        .during(&events, Some(&run.interrupt.finish), work)
        .await
    {
        End::Done => Ok(()),
        End::Failed => Err(CommandError::told()),
        End::GivenUp => Err(CommandError::interrupted()),
    }
}
