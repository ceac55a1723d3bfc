//! The command line of `mwctl`: argv in, exit code out.
//!
//! ```text
//! argv ──args──→ Cli ──invocation──→ workspace, cluster ──commands──→ engine ──events──→ ui
//!                                                            └─ error ──exit──→ code
//! ```
//!
//! The only crate that knows terminals and the environment; what to do is decided in `mwctl-core`
//! and done by `mwctl-engine`.

pub mod args;
mod commands;
mod env;
mod error;
mod exit;
mod interrupt;
mod invocation;
mod ui;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;

use mwctl_engine::images::user_namespace;

use crate::args::Cli;
use crate::env::Environment;
use crate::error::{CommandError, Kind};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::invocation::Invocation;
use crate::ui::Ui;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // A shell that asks for completions gets them here, and nothing else happens.
    CompleteEnv::with_factory(Cli::command)
        .var(env::COMPLETE)
        .complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; clap knows which stream they go to.
            drop(error.print());
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Success
            };
            return exit.into();
        }
    };
    let environment = Environment::read();
    let global = &cli.global;
    if global.output == ui::Output::Sarif && !matches!(cli.command, args::Command::Lint(_)) {
        let ui = Ui::new(ui::Output::Human, global.color, global.quiet, false);
        let error = CommandError::usage("only `lint` has an answer in the form of SARIF")
            .hint("mwctl lint --output sarif");
        ui.error(&error);
        return error.exit().into();
    }
    trace(global.verbose, environment.log.as_deref());
    let ui = Ui::new(
        global.output,
        global.color,
        global.quiet,
        global.verbose > 0,
    );
    let exit = match run(cli, environment, &ui) {
        Ok(exit) => exit,
        Err(error) => {
            ui.finish();
            ui.error(&error);
            error.exit()
        }
    };
    exit.into()
}

fn run(cli: Cli, environment: Environment, ui: &Ui) -> Result<Exit, CommandError> {
    if cli.command.owns_files() {
        // The kernel lets a process in only while it has one thread: before there is a runtime.
        user_namespace::enter().map_err(|error| {
            let hints = error.hints();
            let mut error = CommandError::environment(error);
            error.hints = hints;
            error
        })?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(CommandError::internal)?;
    let result = runtime.block_on(async {
        let (interrupt, _listener) = Interrupt::listen().map_err(CommandError::internal)?;
        let now = interrupt.now.clone();
        let Cli { global, command } = cli;
        let invocation = Invocation {
            ui: ui.clone(),
            environment,
            global,
            interrupt,
        };
        tokio::select! {
            result = commands::run(command, &invocation) => result,
            () = now.cancelled() => Err(CommandError::interrupted()),
        }
    });
    // What runs in the background is of no use any more, and must not delay the end.
    runtime.shutdown_background();
    match result {
        Err(CommandError {
            kind: Kind::Interrupted,
            ..
        }) => Ok(Exit::Interrupted),
        other => other,
    }
}

fn trace(verbose: u8, filter: Option<&str>) {
    use tracing_subscriber::EnvFilter;
    let default = match verbose {
        0 => "error",
        1 => "mwctl=debug,mwctl_engine=debug",
        _ => "debug",
    };
    let filter = filter
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    // A second subscriber can only be there in tests that share a process.
    drop(
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .try_init(),
    );
}
