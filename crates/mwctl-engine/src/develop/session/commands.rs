//! Runs the commands of this machine that changes call for, beside everything else.

use std::time::{Duration, Instant};

use mwctl_core::develop::Event as CoreEvent;
use tokio::task::JoinSet;

use super::Loop;
use crate::command::{Command, CommandError, ProcessRunner, ignore_lines, pasteable};
use crate::event::Event;

/// A command that has ended.
pub(super) struct Ended {
    place: usize,
    argv: Vec<String>,
    took: Duration,
    result: Result<(), CommandError>,
}

/// Those that run; dropping them ends their programs.
pub(super) type Running = JoinSet<Ended>;

impl Loop<'_> {
    /// Begins the command at this place of the description, if it is still there.
    pub(super) fn run_here(&mut self, place: usize) {
        let Some(on_change) = self.subject.develop.on_change.get(place).cloned() else {
            return;
        };
        let mut command = Command::new(&on_change.command).directory(&self.subject.root);
        for (name, value) in on_change.environment {
            command = command.variable(name, value);
        }
        self.commands.spawn(async move {
            let start = Instant::now();
            let result = command.succeed(&ProcessRunner::new(), &ignore_lines).await;
            Ended {
                place,
                argv: command.argv,
                took: start.elapsed(),
                result: result.map(drop),
            }
        });
    }

    /// Tells how a command ended, and begins it again where files changed meanwhile.
    pub(super) fn ended_here(&mut self, ended: Ended) {
        let service = self.subject.service.name.clone();
        let command = pasteable(&ended.argv);
        self.events.send(match ended.result {
            Ok(()) => Event::Ran {
                service,
                command,
                millis: ended.took.as_millis() as u64,
            },
            Err(error) => Event::Failed {
                service: Some(service),
                summary: match &error {
                    CommandError::Failed {
                        code: Some(code), ..
                    } => {
                        format!("`{command}` failed with exit code {code}")
                    }
                    error => error.to_string(),
                },
                details: error.tail().lines().map(ToOwned::to_owned).collect(),
                hint: error.hints().into_iter().next(),
            },
        });
        self.event(CoreEvent::Ran(ended.place));
    }
}
