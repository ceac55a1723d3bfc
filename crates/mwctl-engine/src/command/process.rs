//! Programs as processes of this machine.

use std::collections::VecDeque;
use std::io;
use std::process::Stdio;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};

use super::guard::{Guard, Guarded};
use super::{Command, CommandError, CommandRunner, Input, Line, OnLine, Output, tail};

/// How much of a program's standard error is kept.
const KEPT: usize = 64 * 1024;

/// Runs programs on this machine, found on PATH. None outlives the run, not even a killed one.
#[derive(Clone, Debug, Default)]
pub struct ProcessRunner {
    environment: Vec<(String, String)>,
    removed: Vec<String>,
    guard: Guard,
}

impl ProcessRunner {
    /// Runs programs with our own environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable for every program.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Hides a variable from every program, as `DOCKER_HOST` that leads into a cluster.
    #[must_use]
    pub fn without(mut self, name: impl Into<String>) -> Self {
        self.removed.push(name.into());
        self
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that starts programs"
    )]
    fn prepare(&self, command: &Command) -> io::Result<tokio::process::Command> {
        let mut argv = command.argv.iter();
        let program = argv
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
        let mut process = tokio::process::Command::new(program);
        process.args(argv).process_group(0).kill_on_drop(true);
        for name in &self.removed {
            process.env_remove(name);
        }
        let variables = self.environment.iter().chain(&command.environment);
        process.envs(variables.map(|(name, value)| (name, value)));
        if let Some(directory) = &command.directory {
            process.current_dir(directory);
        }
        process.stdin(match &command.input {
            Input::None => Stdio::null(),
            Input::Bytes(_) => Stdio::piped(),
            Input::File(file) => Stdio::from(std::fs::File::open(file)?),
        });
        process.stdout(match &command.output_file {
            None => Stdio::piped(),
            Some(file) => Stdio::from(std::fs::File::create(file)?),
        });
        process.stderr(Stdio::piped());
        Ok(process)
    }
}

/// Kills the process group unless the program has ended by itself.
struct Group {
    pid: Option<Pid>,
    /// Does the same where this process can't.
    _guarded: Option<Guarded>,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.pid {
            // The group is gone already when its last process has ended: nothing to report.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

#[async_trait]
impl CommandRunner for ProcessRunner {
    async fn run(&self, command: &Command, on_line: OnLine<'_>) -> Result<Output, CommandError> {
        let failed = |source: io::Error| CommandError::Run {
            argv: command.argv.clone(),
            source,
        };
        let mut process = self.prepare(command).map_err(failed)?;
        self.guard.ready();
        let mut child = process.spawn().map_err(|source| {
            // A missing working directory gives the same error as a missing program.
            let directory = command.directory.as_ref();
            if source.kind() == io::ErrorKind::NotFound && directory.is_none_or(|d| d.is_dir()) {
                CommandError::Missing {
                    argv: command.argv.clone(),
                }
            } else {
                failed(source)
            }
        })?;
        let pid = child.id().and_then(|id| Pid::from_raw(id as i32));
        let mut group = Group {
            pid,
            _guarded: pid.map(|pid| self.guard.watch(pid)),
        };
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut out = Vec::new();
        let mut error = VecDeque::new();
        let work = async {
            let feed = async {
                if let (Some(mut stdin), Input::Bytes(bytes)) = (stdin, &command.input) {
                    // A program that doesn't read to the end closes its side: its business.
                    if stdin.write_all(bytes).await.is_ok() {
                        stdin.shutdown().await.ok();
                    }
                }
            };
            let read_out = lines(stdout, |bytes| {
                out.extend_from_slice(bytes);
                on_line(Line::Out(&text(bytes)));
            });
            let read_error = lines(stderr, |bytes| {
                error.extend(bytes);
                let excess = error.len().saturating_sub(KEPT);
                error.drain(..excess);
                on_line(Line::Error(&text(bytes)));
            });
            let (status, (), read_out, read_error) =
                tokio::join!(child.wait(), feed, read_out, read_error);
            read_out.and(read_error).and(status)
        };
        let status = match command.timeout {
            None => work.await,
            Some(limit) => {
                if let Ok(status) = tokio::time::timeout(limit, work).await {
                    status
                } else {
                    out.extend(error);
                    return Err(CommandError::TimedOut {
                        argv: command.argv.clone(),
                        after: limit,
                        tail: tail(&out),
                    });
                }
            }
        };
        let status = status.map_err(failed)?;
        group.pid = None;
        Ok(Output {
            code: status.code(),
            stdout: out,
            stderr: error.into(),
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim_end_matches(['\n', '\r'])
        .to_owned()
}

async fn lines(
    pipe: Option<impl AsyncRead + Unpin>,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let Some(pipe) = pipe else {
        return Ok(());
    };
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        take(&line);
        line.clear();
    }
    Ok(())
}
