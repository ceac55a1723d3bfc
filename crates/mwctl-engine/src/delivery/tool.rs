//! The program by which a node's images are reached: its command line, and what to call it in errors.

use std::sync::Arc;
use std::time::Duration;

use super::DeliveryError;
use crate::command::{Command, CommandError, CommandRunner, Output, ignore_lines, pasteable};

/// A machine that was reached answers at once; one that isn't there is told by ssh after 10 s.
const GREETING: Duration = Duration::from_secs(20);

/// A program with the words that lead to one node, as `docker exec -i NODE ctr`.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    /// What it reaches, for people.
    pub(super) name: String,
    words: Vec<String>,
    /// Whether a shell over there reads what follows the words.
    shell: bool,
    runner: Arc<dyn CommandRunner>,
}

impl Tool {
    pub(super) fn new(
        name: impl Into<String>,
        words: impl IntoIterator<Item = impl Into<String>>,
        runner: Arc<dyn CommandRunner>,
    ) -> Self {
        Self {
            name: name.into(),
            words: words.into_iter().map(Into::into).collect(),
            shell: false,
            runner,
        }
    }

    /// The same where the words are those of `ssh`, which puts together with spaces what follows.
    pub(super) fn over_ssh(self) -> Self {
        Self {
            shell: true,
            ..self
        }
    }

    pub(super) fn command<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let arguments = arguments.into_iter().map(|argument| {
            if self.shell {
                pasteable(&[argument.to_owned()])
            } else {
                argument.to_owned()
            }
        });
        Command::new(self.words.iter().cloned().chain(arguments))
    }

    /// Whether the program over there answers, and what is behind it.
    pub(super) async fn answers(&self) -> Result<(), CommandError> {
        let question = self.command(["version"]).timeout(GREETING);
        self.run(question).await.map(drop)
    }

    pub(super) async fn run(&self, command: Command) -> Result<Output, CommandError> {
        command.succeed(self.runner.as_ref(), &ignore_lines).await
    }

    /// The same, where a failure is one of the delivery.
    pub(super) async fn deliver(&self, command: Command) -> Result<Output, DeliveryError> {
        self.run(command)
            .await
            .map_err(|source| self.failed(source))
    }

    pub(super) fn failed(&self, source: CommandError) -> DeliveryError {
        DeliveryError::Command {
            node: self.name.clone(),
            source,
        }
    }
}
