//! A container that couldn't be started: what is shown, told and looked for until it is tried again.

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::jiff::Timestamp;

use super::decide::{Effect, Failure, Notice, Turn};
use super::probes::after;

/// An image that can't be had.
const PULL: &str = "ErrImagePull";
/// The same while the next try is waited for.
const PULL_WAITS: &str = "ImagePullBackOff";
/// How long the first of them is shown; the kubelet goes on to the second when it next looks.
const SHOWN: Duration = Duration::from_secs(2);
/// An image that nobody is to be asked for. Whoever brings it doesn't tell the node.
const NEVER_PULL: &str = "ErrImageNeverPull";
/// How often is looked whether it is there.
const LOOKS: Duration = Duration::from_secs(1);

/// Why it couldn't be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    pub(crate) reason: String,
    pub(crate) message: String,
    since: Timestamp,
    /// When it is tried again.
    pub(crate) not_before: Timestamp,
    looked: Timestamp,
}

impl Failing {
    /// A failure at this time, with what is told of it.
    pub(crate) fn new(
        failure: Failure,
        now: Timestamp,
        not_before: Timestamp,
    ) -> (Self, Vec<Notice>) {
        let failed = |message: String| Notice::warning("Failed", message);
        let told = if failure.reason == PULL {
            vec![
                failed(failure.message.clone()),
                failed(format!("Error: {PULL}")),
            ]
        } else {
            vec![failed(format!("Error: {}", failure.message))]
        };
        let failing = Self {
            reason: failure.reason.to_owned(),
            message: failure.message,
            since: now,
            not_before,
            looked: now,
        };
        (failing, told)
    }

    /// Whether it isn't time yet. Says when there is something to decide again.
    pub(crate) fn waits(&mut self, turn: &mut Turn<'_>, container: &Container) -> bool {
        if self.not_before <= turn.now {
            return false;
        }
        let at = match self.reason.as_str() {
            PULL => self.show_the_wait(turn, container),
            NEVER_PULL => self.look(turn, container),
            _ => self.not_before,
        };
        turn.wake_at(at.min(self.not_before));
        true
    }

    fn show_the_wait(&mut self, turn: &mut Turn<'_>, container: &Container) -> Timestamp {
        let until = after(self.since, SHOWN);
        if until > turn.now {
            return until;
        }
        let image = container.image.as_deref().unwrap_or_default();
        let waits = format!("Back-off pulling image {image:?}");
        self.message = format!("{waits}: {PULL}: {}", self.message);
        PULL_WAITS.clone_into(&mut self.reason);
        let told = [
            Notice::normal("BackOff", waits),
            Notice::warning("Failed", format!("Error: {PULL_WAITS}")),
        ];
        let told = told.map(|notice| Effect::Tell(notice.of(&container.name)));
        turn.effects.extend(told);
        self.not_before
    }

    fn look(&mut self, turn: &mut Turn<'_>, container: &Container) -> Timestamp {
        if after(self.looked, LOOKS) <= turn.now {
            self.looked = turn.now;
            let container = container.name.clone();
            turn.effects.push(Effect::Look { container });
        }
        after(self.looked, LOOKS)
    }
}
