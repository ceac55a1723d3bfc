//! Brings manifests from files into a test's cluster: custom resource definitions, and whatever else stands in them.

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client};
use serde_json::Value;

use crate::TestCluster;

/// Who owns what is applied so.
const MANAGER: &str = "mwctl-testing";

/// A file that can't be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It isn't YAML, or a document of it isn't an object.
    #[error("{}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The API refuses an object.
    #[error("{}: {what} is refused", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Kind and name.
        what: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// A custom resource definition is not established.
    #[error("{}: {what} is not established", path.display())]
    Established {
        /// The file.
        path: PathBuf,
        /// Kind and name.
        what: String,
        /// What ended the wait.
        #[source]
        source: Box<kube::runtime::wait::Error>,
    },
}

impl TestCluster {
    /// Applies every document of a YAML file, in order; a custom resource definition can be used when this returns.
    ///
    /// What names no namespace goes into the test's own.
    pub async fn apply(&self, path: impl AsRef<Path>) -> Result<(), ApplyError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| ApplyError::Read {
            path: path.to_owned(),
            source,
        })?;
        let wrong = |reason: String| ApplyError::Parse {
            path: path.to_owned(),
            reason,
        };
        let documents: Vec<Value> =
            serde_yaml::from_multiple(&text).map_err(|error| wrong(error.to_string()))?;
        for document in documents.into_iter().filter(|value| !value.is_null()) {
            let object: DynamicObject =
                serde_json::from_value(document).map_err(|error| wrong(error.to_string()))?;
            let Some(types) = &object.types else {
                return Err(wrong("a document lacks `apiVersion` or `kind`".to_owned()));
            };
            let kind =
                GroupVersionKind::try_from(types).map_err(|error| wrong(error.to_string()))?;
            let what = format!(
                "{} {}",
                kind.kind,
                object.metadata.name.as_deref().unwrap_or_default()
            );
            self.apply_object(&kind, &object)
                .await
                .map_err(|source| ApplyError::Refused {
                    path: path.to_owned(),
                    what: what.clone(),
                    source: Box::new(source),
                })?;
            if kind.kind == "CustomResourceDefinition" {
                let name = object.metadata.name.clone().unwrap_or_default();
                established(self.client(), &name).await.map_err(|source| {
                    ApplyError::Established {
                        path: path.to_owned(),
                        what,
                        source: Box::new(source),
                    }
                })?;
            }
        }
        Ok(())
    }

    async fn apply_object(
        &self,
        kind: &GroupVersionKind,
        object: &DynamicObject,
    ) -> Result<(), kube::Error> {
        let client = self.client();
        let (resource, capabilities) = pinned_kind(&client, kind).await?;
        let api: Api<DynamicObject> = if capabilities.scope == Scope::Cluster {
            Api::all_with(client, &resource)
        } else {
            let namespace = match &object.metadata.namespace {
                Some(namespace) => namespace.clone(),
                None => self.namespace().await?,
            };
            Api::namespaced_with(client, &namespace, &resource)
        };
        let parameters = PatchParams::apply(MANAGER).force();
        let name = object.metadata.name.as_deref().unwrap_or_default();
        api.patch(name, &parameters, &Patch::Apply(object)).await?;
        Ok(())
    }
}

async fn established(client: Client, name: &str) -> Result<(), kube::runtime::wait::Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    await_condition(definitions, name, conditions::is_crd_established()).await?;
    Ok(())
}
