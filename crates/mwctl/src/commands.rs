//! Which command does what.

mod addresses;
mod apply;
mod build;
pub(crate) mod cluster;
pub(crate) mod completion;
mod develop;
mod diff;
mod doctor;
mod down;
mod exec;
mod explain;
mod forward;
mod image;
mod init;
mod lint;
mod logs;
mod plan;
mod render;
mod restart;
mod status;
mod test;
mod up;

use crate::args::Command;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;

/// Runs one command.
pub(crate) async fn run(command: Command, run: &Invocation) -> Result<Exit, CommandError> {
    match command {
        Command::Up(arguments) => up::run(run, &arguments).await,
        Command::Develop(arguments) => develop::run(run, &arguments).await,
        Command::Apply(arguments) => Box::pin(apply::run(run, &arguments)).await,
        Command::Test(arguments) => test::run(run, &arguments).await,
        Command::Status(arguments) => status::run(run, &arguments).await,
        Command::Logs(arguments) => logs::run(run, &arguments).await,
        Command::Exec(arguments) => exec::run(run, &arguments).await,
        Command::Forward(arguments) => forward::run(run, &arguments).await,
        Command::Plan(arguments) => plan::run(run, &arguments).await,
        Command::Diff(arguments) => diff::run(run, &arguments).await,
        Command::Render(arguments) => render::run(run, &arguments),
        Command::Lint(arguments) => lint::run(run, &arguments).await,
        Command::Init(arguments) => init::run(run, &arguments),
        Command::Explain(arguments) => explain::run(run, &arguments),
        Command::Restart(arguments) => restart::run(run, &arguments).await,
        Command::Down(arguments) => down::run(run, &arguments).await,
        Command::Doctor => doctor::run(run),
        Command::Cluster(arguments) => cluster::run(run, &arguments).await,
        Command::Build(arguments) => build::run(run, &arguments).await,
        Command::Image(arguments) => image::run(run, &arguments).await,
        Command::Schema => {
            let schema = mwctl_core::conventions::schema();
            let text = serde_json::to_string_pretty(&schema).map_err(CommandError::internal)?;
            run.ui.print(&format!("{text}\n"));
            Ok(Exit::Success)
        }
        Command::Completion { shell } => completion::run(run, shell),
    }
}
