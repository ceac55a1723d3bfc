//! A node whose images containerd holds, through its own `ctr`: directly, or in the node's
//! container.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::tool::Tool;
use super::{DeliveryError, Imports};
use crate::command::{Command, CommandError, CommandRunner, Input, Output};
use crate::image::base::manifest_for;
use crate::image::{Base, BaseError, BaseSource, BlobDescriptor, Built};

/// The namespace in which the kubelet's images are.
const NAMESPACE: &str = "k8s.io";
/// Questions are answered in milliseconds; a node that needs longer is stuck.
const QUESTION: Duration = Duration::from_secs(20);
/// Unpacking a large image on a busy disk takes minutes.
const IMPORT: Duration = Duration::from_mins(10);

/// containerd on one node.
#[derive(Clone, Debug)]
pub struct Containerd(Tool);

impl Containerd {
    /// The containerd that this `ctr` command line reaches, as `ctr -a SOCKET` or
    /// `docker exec -i NODE ctr`. It should be the node's own: another version's may not fit.
    pub fn new(
        name: impl Into<String>,
        ctr: impl IntoIterator<Item = impl Into<String>>,
        runner: Arc<dyn CommandRunner>,
    ) -> Self {
        Self(Tool::new(name, ctr, runner))
    }

    /// What such a program of a machine reaches.
    pub(super) fn of(tool: Tool) -> Self {
        Self(tool)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let namespace = ["-n", NAMESPACE].into_iter();
        self.0.command(namespace.chain(arguments.iter().copied()))
    }

    fn question(&self, arguments: &[&str]) -> Command {
        self.command(arguments).timeout(QUESTION)
    }

    async fn ask(&self, arguments: &[&str]) -> Result<Output, CommandError> {
        self.0.run(self.question(arguments)).await
    }

    /// The digest under a name.
    async fn digest(&self, reference: &str) -> Result<Option<String>, CommandError> {
        let filter = format!("name=={reference}");
        let listed = self.ask(&["images", "ls", &filter]).await?.text();
        Ok(digest_in(&listed, reference))
    }

    async fn content(&self, digest: &str) -> Result<Option<Vec<u8>>, CommandError> {
        match self.ask(&["content", "get", digest]).await {
            Ok(output) => Ok(Some(output.stdout)),
            Err(CommandError::Failed { tail, .. }) if tail.contains("not found") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Finds a name's digest in the table of `images ls`: name, type, digest, …
fn digest_in(table: &str, reference: &str) -> Option<String> {
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let digest = (words.next() == Some(reference)).then(|| words.nth(1))??;
        digest.starts_with("sha256:").then(|| digest.to_owned())
    })
}

/// The chains in the table of `snapshots ls`: name, parent, kind. Only what is committed can be
/// built upon.
fn chains_in(table: &str) -> BTreeSet<String> {
    let rows = table
        .lines()
        .filter(|line| line.trim_end().ends_with("Committed"));
    rows.filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("sha256:"))
        .map(str::to_owned)
        .collect()
}

#[async_trait]
impl Imports for Containerd {
    fn describe(&self) -> String {
        self.0.name.clone()
    }

    async fn has(&self, built: &Built) -> Result<bool, DeliveryError> {
        let digest = self
            .digest(built.reference())
            .await
            .map_err(|source| self.0.failed(source))?;
        Ok(digest.as_deref() == Some(built.image.digest.as_str()))
    }

    fn as_base_source(&self) -> Option<Arc<dyn BaseSource>> {
        Some(Arc::new(self.clone()))
    }

    async fn known(&self) -> Result<Option<BTreeSet<String>>, DeliveryError> {
        let question = self.question(&["snapshots", "--snapshotter", "overlayfs", "ls"]);
        let listed = self.0.deliver(question).await?;
        Ok(Some(chains_in(&listed.text())))
    }

    async fn import(&self, archive: &Path, _built: &Built) -> Result<(), DeliveryError> {
        let command = self
            .command(&["images", "import", "-"])
            .input(Input::File(archive.to_path_buf()))
            .timeout(IMPORT);
        self.0.deliver(command).await.map(drop)
    }

    async fn forget(&self, built: &Built) -> Result<(), DeliveryError> {
        let command = self.question(&["images", "rm", built.reference()]);
        self.0.deliver(command).await.map(drop)
    }
}

#[async_trait]
impl BaseSource for Containerd {
    fn describe(&self) -> String {
        self.0.name.clone()
    }

    async fn resolve(
        &self,
        reference: &str,
        architecture: &str,
    ) -> Result<Option<Base>, BaseError> {
        let failed = |error: CommandError| BaseError::Fetch {
            reference: reference.to_owned(),
            source: Box::new(error),
        };
        let Some(mut digest) = self.digest(reference).await.map_err(failed)? else {
            return Ok(None);
        };
        // An index, perhaps, and then a manifest.
        for _ in 0..2 {
            let Some(bytes) = self.content(&digest).await.map_err(failed)? else {
                return Ok(None);
            };
            let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            if value["manifests"].is_array() {
                match manifest_for(&value, architecture) {
                    Some(found) => digest = found,
                    None => return Ok(None),
                }
            } else {
                let config = value["config"]["digest"].as_str().unwrap_or_default();
                return match self.content(config).await.map_err(failed)? {
                    Some(config) => Base::new(reference, &bytes, &config).map(Some),
                    None => Ok(None),
                };
            }
        }
        Ok(None)
    }

    async fn layer(
        &self,
        base: &Base,
        layer: &BlobDescriptor,
        into: &Path,
    ) -> Result<bool, BaseError> {
        let command = self
            .command(&["content", "get", &layer.digest])
            .output_file(into)
            .timeout(IMPORT);
        match self.0.run(command).await {
            Ok(_) => Ok(true),
            // What was unpacked may have been thrown away: containerd can be told to.
            Err(CommandError::Failed { .. }) => Ok(false),
            Err(error) => Err(BaseError::Fetch {
                reference: base.reference.clone(),
                source: Box::new(error),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_by_the_whole_name() {
        let table = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            a/b:1-x application/x sha256:no 1 MiB linux/amd64 -\n\
            a/b:1 application/vnd.oci.image.manifest.v1+json sha256:yes 1.0 MiB linux/amd64 -\n";
        assert_eq!(digest_in(table, "a/b:1").as_deref(), Some("sha256:yes"));
        assert_eq!(digest_in(table, "a/b"), None);
        assert_eq!(digest_in("REF TYPE DIGEST", "REF"), None);
    }

    #[test]
    fn only_committed_chains_can_be_built_upon() {
        let table = "KEY PARENT KIND\n\
            sha256:one  Committed\n\
            sha256:two sha256:one Committed\n\
            sha256:three sha256:two Active\n\
            0f1e sha256:two Active\n";
        let chains = chains_in(table);
        assert_eq!(chains.len(), 2, "{chains:?}");
    }
}
