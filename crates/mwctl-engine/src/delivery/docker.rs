//! A docker daemon whose images the kubelet uses: Docker Desktop's and its like, or the one in a
//! minikube machine.
//!
//! Its store accepts an archive without the layers it knows. Bases aren't taken from it, since it
//! doesn't keep their manifests.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::tool::Tool;
use super::{DeliveryError, Imports};
use crate::command::{Command, CommandError, CommandRunner, Input};
use crate::image::{Built, chain};

const QUESTION: Duration = Duration::from_secs(30);
const IMPORT: Duration = Duration::from_mins(10);

/// A docker daemon.
#[derive(Clone, Debug)]
pub struct Docker(Tool);

impl Docker {
    /// The daemon that this command line reaches, as `docker --context colima`.
    pub fn new(
        name: impl Into<String>,
        docker: impl IntoIterator<Item = impl Into<String>>,
        runner: Arc<dyn CommandRunner>,
    ) -> Self {
        Self(Tool::new(name, docker, runner))
    }

    /// What such a program of a machine reaches.
    pub(super) fn of(tool: Tool) -> Self {
        Self(tool)
    }

    fn command<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        self.0.command(arguments).timeout(QUESTION)
    }
}

#[async_trait]
impl Imports for Docker {
    fn describe(&self) -> String {
        self.0.name.clone()
    }

    async fn has(&self, built: &Built) -> Result<bool, DeliveryError> {
        let format = "{{.Id}}";
        let asked = ["image", "inspect", "--format", format, built.reference()];
        match self.0.run(self.command(asked)).await {
            Ok(output) => {
                // The classic store names images by configuration, the newer one by manifest.
                let id = output.text();
                Ok([&built.config.digest, &built.image.digest].contains(&&id.trim().to_owned()))
            }
            Err(CommandError::Failed { tail, .. }) if tail.to_lowercase().contains("no such") => {
                Ok(false)
            }
            Err(error) => Err(self.0.failed(error)),
        }
    }

    async fn known(&self) -> Result<Option<BTreeSet<String>>, DeliveryError> {
        let question = self.command(["image", "ls", "-q", "--no-trunc"]);
        let listed = self.0.deliver(question).await?.text();
        let ids: BTreeSet<&str> = listed
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let question = ["image", "inspect", "--format", "{{json .RootFS.Layers}}"];
        let question = self.command(question.into_iter().chain(ids));
        let answer = self.0.deliver(question).await?.text();
        let images = answer.lines().filter_map(|line| {
            serde_json::from_str::<Option<Vec<String>>>(line)
                .ok()
                .flatten()
        });
        Ok(Some(images.flat_map(|layers| chain(&layers)).collect()))
    }

    async fn import(&self, archive: &Path, _built: &Built) -> Result<(), DeliveryError> {
        let command = self
            .command(["load"])
            .input(Input::File(archive.to_path_buf()))
            .timeout(IMPORT);
        self.0.deliver(command).await.map(drop)
    }

    async fn forget(&self, built: &Built) -> Result<(), DeliveryError> {
        let command = self.command(["image", "rm", built.reference()]);
        self.0.deliver(command).await.map(drop)
    }
}
