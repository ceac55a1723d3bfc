//! Whether the claims that a pod mounts are there and have their volumes, or wait for nothing but the pod's place.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;

use crate::observed::{Key, Observed};
use crate::volumes;

/// What keeps a pod from any node; nothing when its claims are all there.
pub(super) fn missing(observed: &Observed, pod: &Pod) -> Option<String> {
    for key in claims(pod) {
        let name = &key.name;
        let Some(claim) = observed.claims.get(&key) else {
            return Some(format!("persistentvolumeclaim \"{name}\" not found"));
        };
        if claim.metadata.deletion_timestamp.is_some() {
            return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        if !volumes::has_volume(claim) && !volumes::waits_for_consumer(observed, claim) {
            return Some("pod has unbound immediate PersistentVolumeClaims".to_owned());
        }
    }
    None
}

/// What keeps a pod's claims from having a volume on whatever node it is placed.
pub(super) fn unobtainable(observed: &Observed, pod: &Pod) -> Result<(), &'static str> {
    if waiting(observed, pod).all(|claim| volumes::is_obtainable(observed, claim)) {
        return Ok(());
    }
    Err("node(s) didn't find available persistent volumes to bind")
}

/// The claims that get their volumes when the pod's node is known.
pub(super) fn waiting<'a>(
    observed: &'a Observed,
    pod: &Pod,
) -> impl Iterator<Item = &'a PersistentVolumeClaim> {
    claims(pod)
        .into_iter()
        .filter_map(|key| observed.claims.get(&key))
        .map(AsRef::as_ref)
        .filter(|claim| !volumes::has_volume(claim))
}

fn claims(pod: &Pod) -> Vec<Key> {
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
    names.map(|name| Key::new(&namespace, name)).collect()
}
