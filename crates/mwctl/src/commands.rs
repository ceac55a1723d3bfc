//! Which command does what.

mod apply;
mod cluster;
mod develop;
mod down;
mod exec;
mod forward;
mod lint;
mod logs;
mod plan;
mod render;
mod restart;
mod status;
mod test;
mod up;

use clap::CommandFactory;

use crate::args::{Cli, Command};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;

/// Runs one command.
pub(crate) async fn run(command: Command, run: &Invocation) -> Result<Exit, CommandError> {
    match command {
        Command::Up(arguments) => up::run(run, &arguments).await,
        Command::Develop(arguments) => develop::run(run, &arguments).await,
        Command::Apply(arguments) => apply::run(run, &arguments).await,
        Command::Test(arguments) => test::run(run, &arguments).await,
        Command::Status(arguments) => status::run(run, &arguments).await,
        Command::Logs(arguments) => logs::run(run, &arguments).await,
        Command::Exec(arguments) => exec::run(run, &arguments).await,
        Command::Forward(arguments) => forward::run(run, &arguments).await,
        Command::Plan(arguments) => plan::run(run, &arguments).await,
        Command::Render(arguments) => render::run(run, &arguments),
        Command::Lint(arguments) => lint::run(run, &arguments),
        Command::Restart(arguments) => restart::run(run, &arguments).await,
        Command::Down(arguments) => down::run(run, &arguments).await,
        Command::Cluster(arguments) => cluster::run(run, &arguments).await,
        Command::Schema => {
            let schema = mwctl_core::conventions::schema();
            let text = serde_json::to_string_pretty(&schema).map_err(CommandError::internal)?;
            run.ui.print(&format!("{text}\n"));
            Ok(Exit::Success)
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mwctl", &mut script);
            run.ui.print(&String::from_utf8_lossy(&script));
            Ok(Exit::Success)
        }
    }
}
