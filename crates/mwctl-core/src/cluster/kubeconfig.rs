//! Reads kubeconfig files as kubectl merges them: the first file that names a thing wins.
//!
//! Lenient on purpose: credentials and fields of other tools are none of our business, and a
//! context that points nowhere is left out instead of making all the others unusable.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Context;
use super::detect::{Traits, detect};
use crate::problem::Problem;

/// What is known beside the kubeconfig, for telling whose cluster it is.
#[derive(Clone, Debug, Default)]
pub struct Detection {
    /// minikube's home directory, if it is known.
    pub minikube_home: Option<PathBuf>,
    /// The names of minikube's profiles.
    pub profiles: BTreeSet<String>,
}

/// The merged contexts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Kubeconfig {
    /// The current context's name.
    pub current: Option<String>,
    /// All contexts whose cluster is there, by name.
    pub contexts: Vec<Context>,
}

impl Kubeconfig {
    /// The context of that name.
    pub fn context(&self, name: &str) -> Option<&Context> {
        self.contexts.iter().find(|context| context.name == name)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Document {
    current_context: Option<String>,
    clusters: Option<Vec<NamedCluster>>,
    contexts: Option<Vec<NamedContext>>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Option<ClusterEntry>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct ClusterEntry {
    server: Option<String>,
    certificate_authority: Option<PathBuf>,
    extensions: Option<Vec<Extension>>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Option<ContextEntry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContextEntry {
    cluster: Option<String>,
    namespace: Option<String>,
    extensions: Option<Vec<Extension>>,
}

#[derive(Deserialize)]
struct Extension {
    name: String,
    #[serde(default)]
    extension: serde_json::Value,
}

fn provider(extensions: Option<&Vec<Extension>>) -> Option<&str> {
    extensions?
        .iter()
        .find_map(|entry| entry.extension.get("provider")?.as_str())
}

/// Merges the files, in the order of `KUBECONFIG`; `files` holds each path with its text.
pub fn read(
    files: &[(PathBuf, String)],
    detection: &Detection,
) -> Result<Kubeconfig, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut current = None;
    let mut clusters: BTreeMap<String, (&Path, ClusterEntry)> = BTreeMap::new();
    let mut contexts: BTreeMap<String, ContextEntry> = BTreeMap::new();
    for (path, text) in files {
        if text.trim().is_empty() {
            continue;
        }
        let document: Document = match serde_yaml::from_str(text) {
            Ok(document) => document,
            Err(error) => {
                let first = error.to_string();
                let first = first.lines().next().unwrap_or_default().to_owned();
                problems.push(
                    Problem::new(format!("`{}` is not a kubeconfig: {first}", path.display()))
                        .hint("kubectl config view shows what kubectl reads"),
                );
                continue;
            }
        };
        let named = document.current_context.filter(|name| !name.is_empty());
        current = current.or(named);
        for entry in document.clusters.unwrap_or_default() {
            clusters
                .entry(entry.name)
                .or_insert((path, entry.cluster.unwrap_or_default()));
        }
        for entry in document.contexts.unwrap_or_default() {
            contexts
                .entry(entry.name)
                .or_insert(entry.context.unwrap_or_default());
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let contexts = contexts
        .into_iter()
        .filter_map(|(name, entry)| context(name, entry, &clusters, detection))
        .collect();
    Ok(Kubeconfig { current, contexts })
}

fn context(
    name: String,
    entry: ContextEntry,
    clusters: &BTreeMap<String, (&Path, ClusterEntry)>,
    detection: &Detection,
) -> Option<Context> {
    let cluster_name = entry.cluster?;
    let (file, cluster) = clusters.get(&cluster_name)?;
    let server = cluster.server.clone()?;
    let extensions = cluster.extensions.as_ref();
    let own = extensions
        .and_then(|list| list.iter().find(|entry| entry.name == "mwctl"))
        .map(|entry| &entry.extension);
    let kind = detect(&Traits {
        context: &name,
        cluster: &cluster_name,
        server: &server,
        provider: provider(extensions).or_else(|| provider(entry.extensions.as_ref())),
        own,
        authority: cluster.certificate_authority.as_deref(),
        file,
        minikube_home: detection.minikube_home.as_deref(),
        is_profile: detection.profiles.contains(&cluster_name),
    });
    Some(Context {
        name,
        cluster: cluster_name,
        server,
        namespace: entry.namespace.filter(|namespace| !namespace.is_empty()),
        kind,
    })
}

#[cfg(test)]
mod tests;
