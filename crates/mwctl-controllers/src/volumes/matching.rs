//! Which of the volumes that are there fits a claim: the smallest that is large enough.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::ResourceExt;

use super::binding;
use crate::claim::{matches, selector};
use crate::observed::{Key, Observed};
use crate::scheduler::Amount;

/// The volume for a claim.
pub(super) fn find<'a>(
    observed: &'a Observed,
    claim: &PersistentVolumeClaim,
) -> Option<&'a PersistentVolume> {
    let volumes = observed.volumes.iter().map(AsRef::as_ref);
    // One that is meant for this claim comes before all others.
    meant_for(observed, claim).or_else(|| {
        (volumes.filter(|volume| is_free(volume) && fits(volume, claim)))
            .min_by_key(|volume| (capacity(volume), volume.name_any()))
    })
}

/// The volume that somebody made for this very claim.
pub(super) fn meant_for<'a>(
    observed: &'a Observed,
    claim: &PersistentVolumeClaim,
) -> Option<&'a PersistentVolume> {
    (observed.volumes.iter().map(AsRef::as_ref)).find(|volume| is_meant_for(volume, claim))
}

fn is_meant_for(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let reference = volume
        .spec
        .as_ref()
        .and_then(|spec| spec.claim_ref.as_ref());
    reference.is_some_and(|reference| {
        binding::key_of(reference) == Key::of(claim)
            && (reference.uid.is_none() || reference.uid == claim.metadata.uid)
    })
}

fn is_free(volume: &PersistentVolume) -> bool {
    volume.metadata.deletion_timestamp.is_none()
        && (volume.spec.as_ref()).is_some_and(|spec| spec.claim_ref.is_none())
}

fn capacity(volume: &PersistentVolume) -> Amount {
    (volume.spec.as_ref())
        .and_then(|spec| spec.capacity.as_ref()?.get("storage"))
        .map_or_else(Amount::default, Amount::of)
}

fn fits(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let (Some(has), Some(wants)) = (&volume.spec, &claim.spec) else {
        return false;
    };
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
    let modes = has.access_modes.as_deref().unwrap_or_default();
    let wanted = (wants.resources.as_ref())
        .and_then(|resources| resources.requests.as_ref()?.get("storage"))
        .map_or_else(Amount::default, Amount::of);
    let is_selected = wants
        .selector
        .as_ref()
        .is_none_or(|wanted| selector(wanted).is_some_and(|wanted| matches(&wanted, volume)));
    has.storage_class_name.as_deref().unwrap_or_default()
        == wants.storage_class_name.as_deref().unwrap_or_default()
        && mode(&has.volume_mode) == mode(&wants.volume_mode)
        && (wants.access_modes.iter().flatten()).all(|mode| modes.contains(mode))
        && capacity(volume) >= wanted
        && is_selected
}
