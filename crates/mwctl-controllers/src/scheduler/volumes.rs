//! Whether the claims that a pod mounts are there and have their volumes.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::observed::{Key, Observed};

/// What keeps a pod from any node; nothing when its claims are all there.
pub(super) fn missing(observed: &Observed, pod: &Pod) -> Option<String> {
    let namespace = pod.namespace().unwrap_or_default();
    let volumes = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    let names = volumes.filter_map(|volume| {
        let claim = volume.persistent_volume_claim.as_ref();
        let of_pod = || format!("{}-{}", pod.name_any(), volume.name);
        (claim.map(|claim| claim.claim_name.clone()))
            .or_else(|| volume.ephemeral.as_ref().map(|_| of_pod()))
    });
    for name in names {
        let Some(claim) = observed
            .claims
            .get(&Key::new(namespace.as_str(), name.as_str()))
        else {
            return Some(format!("persistentvolumeclaim \"{name}\" not found"));
        };
        if claim.metadata.deletion_timestamp.is_some() {
            return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        let volume = claim
            .spec
            .as_ref()
            .and_then(|spec| spec.volume_name.as_deref());
        if volume.unwrap_or_default().is_empty() {
            return Some("pod has unbound immediate PersistentVolumeClaims".to_owned());
        }
    }
    None
}
