//! What a failed test leaves behind: every object of its cluster, events among them, as YAML, and what its containers said.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ListParams, LogParams};
use kube::core::discovery::verbs;
use kube::{Api, Client, Discovery, ResourceExt as _};

/// How long it may take: the failure itself is more important.
const LONGEST: Duration = Duration::from_secs(20);

/// Writes all objects to a folder and says where; a failure to do so is said as well, and hides no other failure.
///
/// The client is made where it is used: a test is dropped inside its own runtime, where nobody may wait.
#[expect(
    clippy::print_stderr,
    reason = "the author of a failed test reads it there"
)]
pub(crate) fn keep(test: &str, client: impl FnOnce() -> Client + Send) {
    let folder = std::env::temp_dir()
        .join("mwctl-testing")
        .join(format!("{test}-{}", std::process::id()));
    let gather = || -> io::Result<PathBuf> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let written = write(client(), &folder);
            tokio::time::timeout(LONGEST, written)
                .await
                .map_err(io::Error::other)?
        })
    };
    let kept = std::thread::scope(|scope| {
        let gathered = scope.spawn(gather).join();
        gathered.unwrap_or_else(|_| Err(io::Error::other("a panic")))
    });
    match kept {
        Ok(path) => eprintln!(
            "mwctl-testing: the cluster's objects are in {}",
            path.display()
        ),
        Err(error) => eprintln!("mwctl-testing: the cluster's objects are lost: {error}"),
    }
}

async fn write(client: Client, folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("objects.yaml");
    let mut file = std::fs::File::create(&path)?;
    for object in objects(&client).await.map_err(io::Error::other)? {
        let text = serde_yaml::to_string(&object).map_err(io::Error::other)?;
        write!(file, "---\n{text}")?;
    }
    for (name, log) in logs(&client).await.map_err(io::Error::other)? {
        std::fs::write(folder.join(name), log)?;
    }
    Ok(path)
}

/// All objects, in the order of discovery.
async fn objects(client: &Client) -> kube::Result<Vec<DynamicObject>> {
    let mut objects = Vec::new();
    let mut seen = BTreeSet::new();
    let discovery = Discovery::new(client.clone()).run().await?;
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            // What isn't stored can't be listed, as access reviews.
            if !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let Ok(listed) = api.list(&ListParams::default()).await else {
                continue;
            };
            for mut object in listed {
                // Some are served by two groups.
                if object.uid().is_none_or(|uid| seen.insert(uid)) {
                    // The record of who owns which field hides everything else.
                    object.managed_fields_mut().clear();
                    object.types.get_or_insert_with(|| kube::core::TypeMeta {
                        api_version: resource.api_version.clone(),
                        kind: resource.kind.clone(),
                    });
                    objects.push(object);
                }
            }
        }
    }
    Ok(objects)
}

/// What each container said, by the name of a file. None has said anything where there is no node.
async fn logs(client: &Client) -> kube::Result<Vec<(String, String)>> {
    let mut logs = Vec::new();
    let pods: Api<Pod> = Api::all(client.clone());
    for pod in pods.list(&ListParams::default()).await? {
        let namespace = pod.namespace().unwrap_or_default();
        let name = pod.name_any();
        let spec = pod.spec.unwrap_or_default();
        let containers = spec.init_containers.into_iter().flatten();
        for container in containers.chain(spec.containers) {
            let parameters = LogParams {
                container: Some(container.name.clone()),
                ..LogParams::default()
            };
            let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
            if let Ok(log) = pods.logs(&name, &parameters).await
                && !log.is_empty()
            {
                logs.push((format!("{namespace}_{name}_{}.log", container.name), log));
            }
        }
    }
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_object_is_kept_once() {
        let server = mwctl_apiserver::server::Server::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = write(server.client(), folder.path()).await.unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.matches("\n  name: kube-system\n").count(), 1, "{text}");
        assert_eq!(text.matches("\nkind: Namespace\n").count(), 4, "{text}");
    }
}
