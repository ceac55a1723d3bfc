//! External programs: the one place that starts them.
//!
//! A program runs in a process group of its own, which is killed when the future is dropped or its
//! time is up, so that nothing it started lives on. Command lines are built elsewhere.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

#[cfg(any(test, feature = "fakes"))]
pub mod fake;
pub(crate) mod guard;
mod process;

pub use process::ProcessRunner;

/// A program to run.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Where it runs; our own directory where none is given.
    pub directory: Option<PathBuf>,
    /// Variables on top of ours.
    pub environment: Vec<(String, String)>,
    /// What it reads.
    pub input: Input,
    /// A file that gets its standard output instead of [`Output::stdout`].
    pub output_file: Option<PathBuf>,
    /// When it is killed.
    pub timeout: Option<Duration>,
}

/// What a program reads from its standard input.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Input {
    /// Nothing.
    #[default]
    None,
    /// These bytes.
    Bytes(Vec<u8>),
    /// This file.
    File(PathBuf),
}

/// A line that a program printed, while it runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Line<'a> {
    /// On its standard output.
    Out(&'a str),
    /// On its standard error.
    Error(&'a str),
}

impl<'a> Line<'a> {
    /// The text, wherever it was printed.
    pub fn text(self) -> &'a str {
        match self {
            Self::Out(text) | Self::Error(text) => text,
        }
    }
}

/// Receives lines.
pub type OnLine<'a> = &'a (dyn Fn(Line<'_>) + Send + Sync);

/// What a program left.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Output {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// The standard output as text; what isn't UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Runs programs.
#[async_trait]
pub trait CommandRunner: fmt::Debug + Send + Sync {
    /// Runs to the end, whatever the exit code. Cancel safety: dropping the future kills the
    /// program and all it started.
    async fn run(&self, command: &Command, on_line: OnLine<'_>) -> Result<Output, CommandError>;
}

impl Command {
    /// A program with its arguments.
    pub fn new<I>(argv: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Runs there.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// With that variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Reading this.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Writing into that file.
    #[must_use]
    pub fn output_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.output_file = Some(file.into());
        self
    }

    /// Killed after this time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Runs it and takes any exit code but 0 for an error.
    pub async fn succeed(
        &self,
        runner: &dyn CommandRunner,
        on_line: OnLine<'_>,
    ) -> Result<Output, CommandError> {
        let output = runner.run(self, on_line).await?;
        if output.code == Some(0) {
            return Ok(output);
        }
        let mut said = output.stdout;
        said.extend_from_slice(&output.stderr);
        Err(CommandError::Failed {
            argv: self.argv.clone(),
            code: output.code,
            tail: tail(&said),
        })
    }
}

/// Listens to no lines.
pub fn ignore_lines(_: Line<'_>) {}

/// Why a program gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program isn't there.
    #[error("`{}` is not installed", argv.first().map_or("", String::as_str))]
    Missing {
        /// The command.
        argv: Vec<String>,
    },
    /// It couldn't be started, or its output couldn't be read.
    #[error("cannot run `{}`", pasteable(argv))]
    Run {
        /// The command.
        argv: Vec<String>,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("`{}` was killed after {} s{}", pasteable(argv), after.as_secs(), shown(tail))]
    TimedOut {
        /// The command.
        argv: Vec<String>,
        /// The limit.
        after: Duration,
        /// The last lines it printed.
        tail: String,
    },
    /// It failed.
    #[error("`{}` {}{}", pasteable(argv), ended(*code), shown(tail))]
    Failed {
        /// The command.
        argv: Vec<String>,
        /// Its exit code; `None` where a signal ended it.
        code: Option<i32>,
        /// The last lines it printed.
        tail: String,
    },
}

impl CommandError {
    /// The last lines that the program printed.
    pub fn tail(&self) -> &str {
        match self {
            Self::TimedOut { tail, .. } | Self::Failed { tail, .. } => tail,
            _ => "",
        }
    }

    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { argv } => argv
                .first()
                .map(|program| format!("install `{program}`, or put it on PATH"))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn ended(code: Option<i32>) -> String {
    code.map_or_else(
        || "was ended by a signal".to_owned(),
        |code| format!("failed with exit code {code}"),
    )
}

fn shown(tail: &str) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!(":\n{tail}")
    }
}

/// The last lines of an output: enough to see the cause, little enough for a terminal.
pub(crate) fn tail(bytes: &[u8]) -> String {
    const LINES: usize = 12;
    const LENGTH: usize = 400;
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let cut = |line: &&str| line.chars().take(LENGTH).collect::<String>();
    last.iter().map(cut).collect::<Vec<_>>().join("\n")
}

/// The command as it can be pasted into a shell.
pub fn pasteable(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    let quoted = argv.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Looks for a program in the folders of `path`, the value of `PATH`.
pub fn find_program(path: &OsStr, name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    std::env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|file| {
            std::fs::metadata(file)
                .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        })
}

#[cfg(test)]
mod tests;
