//! A command of the user's that runs beside a cluster: with this process's streams, and told of the cluster by one variable alone.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

use crate::command::guard::Guard;

/// Where a client looks for its clusters.
const KUBECONFIG: &str = "KUBECONFIG";

/// What a shell answers for a program that isn't there.
pub const NOT_FOUND: u8 = 127;

/// Runs a command to its end, and passes on what this process is told by signals.
///
/// Ctrl-C comes from a terminal to both, and is passed on only where there is none (`terminal`). There the command has a process group of
/// its own, which ends with this process however that ends.
///
/// Cancel safety: dropping it kills the command.
#[expect(
    clippy::disallowed_methods,
    reason = "the command has this process's streams, as no other program of ours"
)]
pub async fn run(command: &[OsString], kubeconfig: &Path, terminal: bool) -> io::Result<u8> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let mut hangups = signal(SignalKind::hangup())?;
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env(KUBECONFIG, kubeconfig)
        .kill_on_drop(true);
    let guard = Guard::default();
    if !terminal {
        guard.ready();
        command.process_group(0);
    }
    let mut child = command.spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(id as i32));
    let _guarded = group.filter(|_| !terminal).map(|group| guard.watch(group));
    loop {
        let told = tokio::select! {
            status = child.wait() => return status.map(code),
            _ = interrupts.recv() => (!terminal).then_some(Signal::INT),
            _ = terminations.recv() => Some(Signal::TERM),
            _ = hangups.recv() => Some(Signal::HUP),
        };
        if let (Some(told), Some(id)) = (told, child.id()) {
            pass_on(id, told, terminal);
        }
    }
}

fn pass_on(id: u32, signal: Signal, terminal: bool) {
    let told = match Pid::from_raw(id as i32) {
        Some(pid) if terminal => kill_process(pid, signal),
        Some(group) => kill_process_group(group, signal),
        None => Ok(()),
    };
    if let Err(error) = told {
        tracing::debug!("the command wasn't told: {error}");
    }
}

/// The exit code as shells write it: 128 and the signal's number where one ended the command.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str) -> u8 {
        let command = ["sh", "-c", script].map(OsString::from);
        run(&command, Path::new("there"), false).await.unwrap()
    }

    #[tokio::test]
    async fn the_commands_end_is_told_as_a_shell_tells_it() {
        assert_eq!(shell("exit 7").await, 7);
        assert_eq!(shell("kill -9 $$").await, 137);
        assert_eq!(shell("test $KUBECONFIG = there").await, 0);
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_an_error() {
        let missing = run(&["no-such-program".into()], Path::new("there"), false).await;
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
