//! Ends the programs of a run whose own process was killed, with all that they had started.
//!
//! A killed process can do nothing more, so another one does it: a small shell that is told of every
//! group of processes, and kills those that still run once its input is closed, which the kernel does
//! for a dead process. A signal at the parent's death would reach the program alone, not what it started.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Pid;

/// Reads `+ GROUP` and `- GROUP`, and kills at the end what was added and not taken away.
const SCRIPT: &str = r#"
live=
while read -r sign group; do
  rest=
  for one in $live; do [ "$one" = "$group" ] || rest="$rest $one"; done
  live=$rest
  [ "$sign" = - ] || live="$live $group"
done
for group in $live; do kill -s KILL -- "-$group"; done
"#;

/// The shell, started with the first program and shared by all that a runner starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    NotYet,
    Watching {
        shell: Child,
        told: ChildStdin,
    },
    /// There is no shell on this machine; programs are run all the same.
    Unavailable,
}

/// A group of processes that is killed if this process dies; no longer when dropped.
#[derive(Debug)]
pub(crate) struct Guarded {
    guard: Guard,
    group: Pid,
}

impl Guard {
    /// Kills a group if this process dies. The shell must be [`Self::ready`].
    pub(crate) fn watch(&self, group: Pid) -> Guarded {
        self.tell('+', group);
        Guarded {
            guard: self.clone(),
            group,
        }
    }

    /// Starts the shell where it doesn't run yet. Called before a program is started, so that as little time as can be passes in which
    /// nobody would end it.
    pub(crate) fn ready(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::NotYet) {
            *state = start();
        }
    }

    fn tell(&self, sign: char, group: Pid) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Watching { told, .. } = &mut *state {
            // A shell that somebody ended watches no more: programs are run all the same.
            let _ended = writeln!(told, "{sign} {}", group.as_raw_nonzero());
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.guard.tell('-', self.group);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it has to outlive this process for a moment, which no other program of ours does"
)]
fn start() -> State {
    let shell = std::process::Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is meant for us, and a folder may have to be unmounted.
        .process_group(0)
        .current_dir("/")
        .spawn();
    match shell {
        Ok(mut shell) => match shell.stdin.take() {
            Some(told) => State::Watching { shell, told },
            None => State::Unavailable,
        },
        Err(error) => {
            tracing::debug!("programs are not watched: {error}");
            State::Unavailable
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Self::Watching { shell, .. } = self {
            // Whatever was watched has ended, so there is nothing left for it to do.
            drop(shell.kill());
            drop(shell.wait());
        }
    }
}
