//! Brings a checkout to an agent once: the whole tree, the dependency step, and the answer.
//!
//! For a fresh container, as a test's. A session that stays has its own loop in `session.rs`.

use std::path::Path;

use mwctl_agent::protocol::{Applied, FromAgent, Outcome, Step};
use mwctl_core::tree::Tree;

use super::checkout;
use super::link::{Arrival, Conversation};
use super::session::wire;
use crate::event::{Event, Events};
use mwctl_core::name::ServiceName;

/// A checkout didn't arrive.
#[derive(Debug, thiserror::Error)]
pub enum Converge {
    /// The stream ended in between.
    #[error("the connection to the container was lost: {0}")]
    Lost(String),
    /// Some files could not be put in place.
    #[error("files could not be put in place: {0}")]
    Files(String),
    /// The dependency step failed.
    #[error("the dependency step failed: {0}")]
    Dependencies(String),
}

/// Sends `tree` of the checkout `root`, runs `step`, and starts the process.
///
/// Returns how the update ended; the process runs on.
pub async fn converge(
    conversation: &mut Conversation,
    root: &Path,
    tree: &Tree,
    step: Option<Step>,
    service: &ServiceName,
    events: &Events,
) -> Result<Outcome, Converge> {
    const UPDATE: u64 = 1;
    for message in wire::want(UPDATE, tree) {
        send(conversation, message)?;
    }
    let mut step = step;
    loop {
        match arrival(conversation).await? {
            FromAgent::Need {
                update: UPDATE,
                paths,
                last,
            } => {
                for path in paths {
                    // A file that has vanished meanwhile is not part of what is tested.
                    let Some(content) = checkout::read(root, &path) else {
                        continue;
                    };
                    let entry = wire::entry(&path, &content.node);
                    for message in wire::parts(UPDATE, vec![(entry, content.bytes)], &[]) {
                        send(conversation, message)?;
                    }
                }
                if last {
                    send(
                        conversation,
                        wire::commit(UPDATE, step.take(), true, true, false),
                    )?;
                }
            }
            FromAgent::Applied(applied) => check(&applied)?,
            FromAgent::StepOutput { bytes, .. } => {
                for line in String::from_utf8_lossy(&bytes.0).lines() {
                    let (service, line) = (service.clone(), line.to_owned());
                    events.send(Event::Dependencies { service, line });
                }
            }
            FromAgent::Finished {
                update: UPDATE,
                outcome,
                ..
            } => {
                return match outcome {
                    Outcome::DependenciesFailed { exit } => {
                        Err(Converge::Dependencies(super::session::exit_in_words(exit)))
                    }
                    outcome => Ok(outcome),
                };
            }
            FromAgent::Problem { text, fatal: true } => return Err(Converge::Lost(text)),
            _ => {}
        }
    }
}

fn check(applied: &Applied) -> Result<(), Converge> {
    if applied.failed.is_empty() {
        return Ok(());
    }
    let failed: Vec<String> = applied
        .failed
        .iter()
        .map(|path| format!("{}: {}", path.path, path.reason))
        .collect();
    Err(Converge::Files(failed.join("; ")))
}

fn send(
    conversation: &Conversation,
    message: mwctl_agent::protocol::ToAgent,
) -> Result<(), Converge> {
    conversation
        .outgoing_tx
        .send(message)
        .map_err(|_| Converge::Lost("the stream is closed".to_owned()))
}

async fn arrival(conversation: &mut Conversation) -> Result<FromAgent, Converge> {
    match conversation.incoming_rx.recv().await {
        Some(Arrival::Message(message)) => Ok(message),
        Some(Arrival::Closed { reason }) => Err(Converge::Lost(reason)),
        None => Err(Converge::Lost("the stream ended".to_owned())),
    }
}
