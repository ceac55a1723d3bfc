//! The program by which a node's images are reached: its command line, and what to call it in errors.

use std::sync::Arc;

use super::DeliveryError;
use crate::command::{Command, CommandError, CommandRunner, Output, ignore_lines};

/// A program with the words that lead to one node, as `docker exec -i NODE ctr`.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    /// What it reaches, for people.
    pub(super) name: String,
    words: Vec<String>,
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
            runner,
        }
    }

    pub(super) fn command<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        Command::new(self.words.iter().map(String::as_str).chain(arguments))
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
