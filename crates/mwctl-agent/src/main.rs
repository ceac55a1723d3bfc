//! The agent's entry point: the words of the command line in, the exit code out.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    mwctl_agent::agent::main(std::env::args_os().skip(1))
}

/// A container runs Linux. This only keeps a build of the whole workspace working elsewhere.
#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::from(69)
}
