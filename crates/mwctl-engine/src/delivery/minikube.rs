//! minikube's own way, for machines that neither docker nor ssh can reach into: whole archives, and an exit code
//! that is 0 also when it failed on every node.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mwctl_core::minikube as words;

use super::{DeliveryError, Imports};
use crate::command::{Command, CommandError, CommandRunner, Output, ignore_lines};
use crate::image::Built;

const QUESTION: Duration = Duration::from_mins(1);
const IMPORT: Duration = Duration::from_mins(15);

/// `minikube image load`.
#[derive(Clone, Debug)]
pub struct MinikubeLoad {
    profile: String,
    runner: Arc<dyn CommandRunner>,
}

impl MinikubeLoad {
    /// Into all nodes of that profile.
    pub fn new(profile: impl Into<String>, runner: Arc<dyn CommandRunner>) -> Self {
        Self {
            profile: profile.into(),
            runner,
        }
    }

    async fn run(&self, arguments: Vec<String>, limit: Duration) -> Result<Output, DeliveryError> {
        let mut command =
            Command::new(["minikube".to_owned()].into_iter().chain(arguments)).timeout(limit);
        for (name, value) in words::ENVIRONMENT {
            command = command.variable(name, value);
        }
        command
            .succeed(self.runner.as_ref(), &ignore_lines)
            .await
            .map_err(|source: CommandError| DeliveryError::Command {
                node: self.describe(),
                source,
            })
    }
}

#[async_trait]
impl Imports for MinikubeLoad {
    fn describe(&self) -> String {
        format!("minikube profile `{}`", self.profile)
    }

    async fn has(&self, built: &Built) -> Result<bool, DeliveryError> {
        let answer = self.run(words::image_list(&self.profile), QUESTION).await?;
        let list = words::images(&answer.text()).map_err(|answer| DeliveryError::Answer {
            node: self.describe(),
            answer,
        })?;
        // The ID is the configuration's digest with all of its runtimes; the tag alone would do,
        // since it is made of the content.
        Ok(words::contains(
            &list,
            built.reference(),
            Some(&built.config.digest),
        ))
    }

    async fn known(&self) -> Result<Option<BTreeSet<String>>, DeliveryError> {
        Ok(None)
    }

    async fn import(&self, archive: &Path, _built: &Built) -> Result<(), DeliveryError> {
        let path = archive.to_string_lossy();
        self.run(words::image_load(&self.profile, &path), IMPORT)
            .await
            .map(drop)
    }

    async fn forget(&self, _built: &Built) -> Result<(), DeliveryError> {
        // A failed load leaves no name behind.
        Ok(())
    }
}
