//! The command line: what can be typed. What it means is decided elsewhere.

mod cluster;
mod image;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::ArgValueCompleter;
use mwctl_core::delivery::Asked;

use crate::commands::completion::{fields, services};
use crate::env;
use crate::ui::{Color, Output};

pub use cluster::{Allowed, Cluster, Disposable, Grade};
pub use image::{Build, Builder, BuildersNetwork, Image, UpdateBases};

/// A miniature of the production stack on your own machine, and the shortest loop from an edit to
/// seeing it run and tested.
#[derive(Debug, Parser)]
#[command(
    name = "mwctl",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_help = "Start in a service's folder with `mwctl up`, then `mwctl develop`.")]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Work in this folder instead of the current one.
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,

    /// The cluster: a context of the kubeconfig, or a minikube profile.
    #[arg(long, global = true, value_name = "NAME", env = env::CLUSTER)]
    pub cluster: Option<String>,

    /// A context that may be used although it isn't known to be local; may be repeated.
    #[arg(long, global = true, value_name = "CONTEXT", env = env::ALLOW_CONTEXT, value_delimiter = ',')]
    pub allow_context: Vec<String>,

    /// The registry that images are pushed to and the cluster's nodes pull from, `HOST:PORT`, or `HOST:PORT=HOST:PORT`
    /// where the nodes call it something else; `none` for none, whatever the cluster says.
    #[arg(long, global = true, value_name = "PLACE", env = env::REGISTRY)]
    pub registry: Option<Asked>,

    /// The namespace, instead of the stack's own.
    #[arg(long, global = true, value_name = "NAME", env = env::NAMESPACE)]
    pub namespace: Option<String>,

    /// A profile whose services are taken in, beside those that belong to none; may be repeated.
    #[arg(long, global = true, value_name = "NAME", env = env::PROFILE, value_delimiter = ',')]
    pub profile: Vec<String>,

    /// For people or for programs.
    #[arg(short, long, global = true, value_name = "FORM", env = env::OUTPUT, default_value = "human")]
    pub output: Output,

    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,

    /// Where built images and downloads are kept; by default in the user's cache directory.
    #[arg(long, global = true, value_name = "DIR", env = env::CACHE_DIR)]
    pub cache_dir: Option<PathBuf>,

    /// Only say what failed.
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Trace what is done; twice for more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deploy the stack, or bring it up to date.
    ///
    /// Builds the images that are missing, brings them to the cluster, applies what differs, and
    /// waits until everything is ready. Twice in a row does nothing.
    Up(Up),
    /// Work on services: every saved file reaches the running container.
    ///
    /// Checks out a missing source, swaps the pods into their develop form, and follows the
    /// checkout until Ctrl-C, which brings the planned form back.
    Develop(Develop),
    /// Update a developed service's dependencies in its container, and restart it.
    ///
    /// Where all that it needs is in an image of its own file, that is made anew and rolled out.
    Apply(Apply),
    /// Run a service's tests in a fresh container; the exit code is theirs.
    Test(Test),
    /// Show what runs, and what is wrong with what doesn't.
    Status(Services),
    /// Show the services' logs, merged.
    Logs(Logs),
    /// Run a command in a service's container.
    Exec(Exec),
    /// Lead local ports to services.
    Forward(Forward),
    /// Show what `up` would do, and why.
    Plan(Deploy),
    /// Show line by line what `up` would change in the cluster. Secrets are hidden.
    Diff(Diff),
    /// Print the Kubernetes objects as YAML.
    Render(Render),
    /// Check the descriptions of services and stacks; all problems at once.
    Lint(Lint),
    /// Write a `mwctl.yaml` to begin with.
    ///
    /// Without options it holds what was recognised, and nothing else. From a Compose file or a chart it
    /// holds what that says, and what has no key is listed.
    Init(Init),
    /// Show where each value of a service comes from, and what it was chosen over.
    ///
    /// Reads descriptions and repositories alone; nothing runs. A value's origin is a file and line, or
    /// a default of `mwctl` itself. The keys are those of `mwctl.yaml`.
    Explain(Explain),
    /// Restart services.
    Restart(Services),
    /// Take the stack down. Volumes are kept unless `--volumes`.
    Down(Down),
    /// Show what this machine lacks for running containers, and what to type.
    ///
    /// Exits with 4 when something is missing without which containers don't run; what is only weaker than it could be is told.
    Doctor,
    /// Make and remove disposable clusters; find, start, stop and diagnose others.
    #[command(subcommand)]
    Cluster(Cluster),
    /// Build an image from a service's Blubber file or Dockerfile, without a daemon.
    ///
    /// Steps whose inputs didn't change aren't made again. A base that isn't there is pulled.
    Build(Build),
    /// Bring images onto this machine, see which ones are there, and keep bases fresh.
    ///
    /// Each user has one store. The embedded cluster's containers run from it. `mwctl images` is the same.
    #[command(subcommand, visible_alias = "images")]
    Image(Image),
    /// Print the JSON Schema of `mwctl.yaml`.
    Schema,
    /// Print a completion script for a shell: commands, options, services and keys.
    ///
    /// For bash: `source <(mwctl completion bash)` in `~/.bashrc`; for zsh the same in `~/.zshrc`; for fish:
    /// `mwctl completion fish | source` in `~/.config/fish/config.fish`.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether the command makes, reads or removes files that belong to the users of an image.
    pub(crate) fn owns_files(&self) -> bool {
        match self {
            // They look at images as `up` does, and may do what it does.
            Self::Image(Image::Outdated { .. } | Image::Update(_)) => false,
            Self::Build(_) | Self::Image(_) => true,
            Self::Cluster(Cluster::Run { disposable, .. } | Cluster::Serve { disposable, .. }) => {
                disposable.grade == Grade::Node
            }
            _ => false,
        }
    }
}

/// Services by name.
#[derive(Args, Debug)]
pub struct Services {
    /// The services; all where none is named.
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(services))]
    pub services: Vec<String>,
}

/// What a deployment should take in.
#[derive(Args, Debug)]
pub struct Deploy {
    /// The services, and what they need; all where none is named.
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(services))]
    pub services: Vec<String>,

    /// Keep objects that are no longer described.
    #[arg(long)]
    pub no_prune: bool,

    /// Take over objects of the same name that `mwctl` doesn't own.
    #[arg(long)]
    pub adopt: bool,
}

/// `mwctl up`.
#[derive(Args, Debug)]
pub struct Up {
    /// What to deploy.
    #[command(flatten)]
    pub deploy: Deploy,

    /// Wait until everything is ready; this is the default.
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,

    /// Don't wait until everything is ready.
    #[arg(long)]
    pub no_wait: bool,

    /// Put services whose deployment fails back to what ran before.
    #[arg(long, conflicts_with = "no_wait")]
    pub rollback: bool,

    /// How long a service may take to become ready.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// `mwctl diff`.
#[derive(Args, Debug)]
pub struct Diff {
    /// What to deploy.
    #[command(flatten)]
    pub deploy: Deploy,

    /// End with exit code 1 where anything differs.
    #[arg(long)]
    pub exit_code: bool,
}

/// `mwctl develop`.
#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Develop {
    /// The services; may be left out where there is only one to develop.
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(services))]
    pub services: Vec<String>,

    /// Bring the services into their develop form and their trees up to date, then leave them so.
    #[arg(long)]
    pub detach: bool,

    /// Leave the develop form: bring the planned form back.
    #[arg(long, conflicts_with = "detach")]
    pub stop: bool,

    /// Mount the checkouts, for reading only, instead of copying them: on the embedded cluster.
    #[arg(long, conflicts_with = "stop")]
    pub mount: bool,

    /// Don't lead local ports to the services.
    #[arg(long)]
    pub no_forward: bool,

    /// Don't show the services' logs.
    #[arg(long)]
    pub no_logs: bool,

    /// Take a service over from whoever develops it.
    #[arg(long)]
    pub take_over: bool,

    /// Write lock files that change in the container into the checkout.
    #[arg(long)]
    pub take_lock_files: bool,

    /// How long a service may take to become ready.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// `mwctl apply`.
#[derive(Args, Debug)]
pub struct Apply {
    /// The services.
    #[arg(value_name = "SERVICE", required = true, add = ArgValueCompleter::new(services))]
    pub services: Vec<String>,

    /// Write lock files that change in the container into the checkout.
    #[arg(long)]
    pub take_lock_files: bool,
}

/// `mwctl test`.
#[derive(Args, Debug)]
pub struct Test {
    /// The service.
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(services))]
    pub service: String,

    /// Keep the container when it is over.
    #[arg(long)]
    pub keep: bool,

    /// Don't bring dependencies up to date first.
    #[arg(long)]
    pub no_dependencies: bool,

    /// At most how long it may take.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub timeout: Duration,

    /// The command; the service's test command where none is given.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `mwctl logs`.
#[derive(Args, Debug)]
pub struct Logs {
    /// The services; all where none is named.
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(services))]
    pub services: Vec<String>,

    /// Go on with what comes.
    #[arg(short, long)]
    pub follow: bool,

    /// At most this many lines of each container's past.
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u32>,

    /// Only what was written in the last while, as in `10m`.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub since: Option<Duration>,

    /// The run before the current one.
    #[arg(long, conflicts_with = "follow")]
    pub previous: bool,

    /// Only this container.
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
}

/// `mwctl exec`.
#[derive(Args, Debug)]
pub struct Exec {
    /// The service.
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(services))]
    pub service: String,

    /// A helper container instead of the main one.
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,

    /// The command.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `mwctl forward`.
#[derive(Args, Debug)]
pub struct Forward {
    /// `SERVICE`, `SERVICE:LOCAL` or `SERVICE:LOCAL:PORT`; every service where none is named.
    #[arg(value_name = "ROUTE", add = ArgValueCompleter::new(services))]
    pub routes: Vec<String>,
}

/// `mwctl render`.
#[derive(Args, Debug)]
pub struct Render {
    /// The services; all where none is named.
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(services))]
    pub services: Vec<String>,

    /// Print the values of secrets.
    #[arg(long)]
    pub secrets: bool,
}

/// `mwctl lint`.
#[derive(Args, Debug)]
pub struct Lint {
    /// Files, or folders of services; this folder where none is named.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// `mwctl explain`.
#[derive(Args, Debug)]
pub struct Explain {
    /// The service; may be left out where there is only one.
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(services))]
    pub service: Option<String>,

    /// A key of it, as in `container.probes`; everything below it is shown. All keys where none is named.
    #[arg(value_name = "FIELD", add = ArgValueCompleter::new(fields))]
    pub field: Option<String>,
}

/// `mwctl init`.
#[derive(Args, Debug)]
pub struct Init {
    /// What to convert; without it the folder itself is looked into.
    #[arg(long, value_enum, value_name = "KIND")]
    pub from: Option<From>,

    /// The file to convert; by default the Compose file of the folder, or the values of its chart.
    #[arg(long, value_name = "PATH", requires = "from")]
    pub file: Option<PathBuf>,

    /// Replace an `mwctl.yaml` that is there.
    #[arg(long)]
    pub force: bool,
}

/// What `init` converts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum From {
    /// A Compose file: its services become a Stack.
    Compose,
    /// The values of a production chart: they become a Service.
    Chart,
}

/// `mwctl down`.
#[derive(Args, Debug)]
pub struct Down {
    /// Delete the volumes too, and with them the services' data.
    #[arg(long)]
    pub volumes: bool,
}

/// Reads `90s`, `5m`, `1h` or a number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let wrong = || format!("`{text}` is no time: write it like `90s`, `5m` or `1h`");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "m", "5 m", "-1s", "5d", "99999999999999999999"] {
            assert!(duration(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
