//! A Deployment's ReplicaSets, sorted: the one of the present template, and the others.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::ResourceExt;

/// The label that keeps the pods of two templates apart.
pub(super) const HASH: &str = "pod-template-hash";

/// A Deployment's ReplicaSets.
#[derive(Debug)]
pub(super) struct Sets {
    /// The one with the present template.
    pub(super) new: Option<Arc<ReplicaSet>>,
    /// The others, the oldest first.
    pub(super) old: Vec<Arc<ReplicaSet>>,
}

impl Sets {
    pub(super) fn sort(deployment: &Deployment, mut all: Vec<Arc<ReplicaSet>>) -> Self {
        all.sort_by_key(|set| (set.creation_timestamp(), set.name_any()));
        let template = deployment.spec.as_ref().map(|spec| &spec.template);
        let place = all.iter().position(|set| {
            let own = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
            own.map(unhashed) == template.cloned()
        });
        Self {
            new: place.map(|place| all.remove(place)),
            old: all,
        }
    }

    /// All of them, the new one last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.old.iter().chain(&self.new)
    }

    /// How many replicas they are asked for together.
    pub(super) fn replicas(&self) -> i32 {
        self.all().map(|set| replicas(set)).sum()
    }
}

/// The template without the label that the Deployment has added.
fn unhashed(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(meta) = &mut template.metadata
        && let Some(labels) = &mut meta.labels
    {
        labels.remove(HASH);
        if labels.is_empty() {
            meta.labels = None;
        }
    }
    template
}

/// How many replicas a set is asked for.
pub(super) fn replicas(set: &ReplicaSet) -> i32 {
    (set.spec.as_ref())
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

/// How many pods of a set serve.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    (set.status.as_ref())
        .and_then(|status| status.available_replicas)
        .unwrap_or_default()
}

/// How many pods of a set there are.
pub(super) fn existing(set: &ReplicaSet) -> i32 {
    (set.status.as_ref()).map_or(0, |status| status.replicas)
}
