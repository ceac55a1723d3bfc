//! Machines whose images are reached by ssh: whether it gets there, and what to say where it doesn't.
//!
//! It is asked once, before anything is sent. Where `ssh` isn't installed, a key isn't taken or `sudo` wants a password, there is still
//! `minikube image load`, which takes long but has a client of its own.

use std::sync::Arc;

use futures::future::try_join_all;
use mwctl_core::delivery::{Node, Runtime};

use super::tool::Tool;
use super::{Containerd, Docker, ImageDelivery};
use crate::command::{CommandError, CommandRunner};

/// The code with which ssh ends when it is itself what failed.
const SSH_FAILED: i32 = 255;

/// Why a machine isn't reached.
#[derive(Debug)]
pub(super) struct Unreached {
    machine: String,
    error: CommandError,
}

impl Unreached {
    /// What follows from it, with what to type.
    pub(super) fn in_words(&self, profile: &str) -> String {
        let Self { machine, error } = self;
        let cure = match error {
            CommandError::Missing { .. } => "install `ssh`, or put it on PATH".to_owned(),
            error if is_unreached(error) => {
                format!("`minikube start -p {profile}` brings its address and key up to date")
            }
            _ => format!("`minikube ssh -p {profile}` shows what is there"),
        };
        format!(
            "whole images are sent each time, by `minikube image load`, because ssh doesn't reach what holds the images of \
             `{machine}`; {cure}: {error}"
        )
    }
}

/// Whether ssh itself failed, and not what it ran.
pub(super) fn is_unreached(error: &CommandError) -> bool {
    let CommandError::Failed { argv, code, .. } = error else {
        return false;
    };
    *code == Some(SSH_FAILED) && argv.first().is_some_and(|program| program == "ssh")
}

/// All of these machines as places of images, if ssh gets to each of them.
pub(super) async fn reach(
    nodes: Vec<Node>,
    runner: &Arc<dyn CommandRunner>,
) -> Result<Vec<Arc<dyn ImageDelivery>>, Unreached> {
    let greetings = nodes.into_iter().map(|node| async move {
        let Node {
            name,
            words,
            runtime,
        } = node;
        let tool = Tool::new(name.clone(), words, runner.clone()).over_ssh();
        let answer = tool.answers().await;
        answer.map_err(|error| Unreached {
            machine: name,
            error,
        })?;
        let place: Arc<dyn ImageDelivery> = match runtime {
            Runtime::Containerd => Arc::new(Containerd::of(tool)),
            Runtime::Docker => Arc::new(Docker::of(tool)),
        };
        Ok(place)
    });
    try_join_all(greetings).await
}
