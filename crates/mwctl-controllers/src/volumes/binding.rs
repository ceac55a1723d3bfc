//! Making a claim and a volume know each other, and keeping their phases true.

use k8s_openapi::api::core::v1::{
    ObjectReference, PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus,
    PersistentVolumeStatus,
};
use kube::ResourceExt;
use serde_json::json;

use super::{BOUND, PROVISIONED_BY, PROVISIONER, without_finalizer};
use crate::action::{Action, Propagation, Target};
use crate::observed::{Key, Observed, reference_to};

/// The key of the claim that a volume names.
pub(super) fn key_of(reference: &ObjectReference) -> Key {
    Key::new(
        reference.namespace.clone().unwrap_or_default(),
        reference.name.clone().unwrap_or_default(),
    )
}

/// The volume that a claim names.
pub(super) fn volume_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    let name = claim.spec.as_ref()?.volume_name.as_deref()?;
    Some(name).filter(|name| !name.is_empty())
}

/// Makes a volume the claim's, and the claim the volume's.
pub(super) fn bind(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Vec<Action> {
    let mut actions: Vec<Action> = reserve(claim, volume).into_iter().collect();
    actions.push(Action::Patch {
        target: Target::of(claim),
        subresource: None,
        patch: json!({
            "metadata": {"annotations": {
                "pv.kubernetes.io/bind-completed": "yes",
                "pv.kubernetes.io/bound-by-controller": "yes",
            }},
            "spec": {"volumeName": volume.name_any()},
        }),
        announcement: None,
    });
    actions
}

/// Writes into a volume whose it is, unless it says so already.
fn reserve(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<Action> {
    let named = volume
        .spec
        .as_ref()
        .and_then(|spec| spec.claim_ref.as_ref());
    if named.is_some_and(|named| named.uid == claim.metadata.uid) {
        return None;
    }
    let reference = ObjectReference {
        resource_version: None,
        ..reference_to(claim)
    };
    Some(Action::Patch {
        target: Target::of(volume),
        subresource: None,
        patch: json!({
            "metadata": {
                "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
                "resourceVersion": volume.metadata.resource_version,
            },
            "spec": {"claimRef": reference},
        }),
        announcement: None,
    })
}

/// Keeps the status of a claim that names a volume true.
pub(super) fn settle_claim(
    observed: &Observed,
    claim: &PersistentVolumeClaim,
    volume: &str,
) -> Vec<Action> {
    let Some(volume) = observed.volumes.get(&Key::cluster(volume)) else {
        // One that was bound and has lost its volume says so; one that names a volume in advance waits.
        let was_bound = phase_of(claim) == "Bound";
        return if was_bound {
            set_phase(claim, "Lost", None)
        } else {
            Vec::new()
        };
    };
    let named = volume
        .spec
        .as_ref()
        .and_then(|spec| spec.claim_ref.as_ref());
    let is_anothers = named.is_some_and(|named| {
        key_of(named) != Key::of(claim) || (named.uid.is_some() && named.uid != claim.metadata.uid)
    });
    if is_anothers {
        return Vec::new();
    }
    if let Some(action) = reserve(claim, volume) {
        return vec![action];
    }
    set_phase(claim, "Bound", Some(volume))
}

fn phase_of(claim: &PersistentVolumeClaim) -> &str {
    (claim
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref()))
    .unwrap_or("Pending")
}

fn set_phase(
    claim: &PersistentVolumeClaim,
    phase: &str,
    volume: Option<&PersistentVolume>,
) -> Vec<Action> {
    let spec = volume
        .and_then(|volume| volume.spec.clone())
        .unwrap_or_default();
    let status = PersistentVolumeClaimStatus {
        phase: Some(phase.to_owned()),
        access_modes: spec.access_modes,
        capacity: spec.capacity,
        ..claim.status.clone().unwrap_or_default()
    };
    if claim.status.as_ref() == Some(&status) {
        return Vec::new();
    }
    let mut claim = claim.clone();
    claim.status = Some(status);
    vec![Action::UpdateStatus(claim.into())]
}

/// Keeps a volume's phase true, and ends it when its claim is gone and its policy says so.
pub(super) fn settle_volume(observed: &Observed, volume: &PersistentVolume) -> Vec<Action> {
    let spec = volume.spec.clone().unwrap_or_default();
    let owner = spec.claim_ref.as_ref();
    let claim = owner.and_then(|owner| {
        let claim = observed.claims.get(&key_of(owner))?;
        (owner.uid.is_none() || owner.uid == claim.metadata.uid).then_some(claim)
    });
    let was_bound = owner.is_some_and(|owner| owner.uid.is_some());
    let phase = match claim {
        Some(claim) if volume_of(claim) == Some(volume.name_any().as_str()) => "Bound",
        None if was_bound => "Released",
        Some(_) | None => "Available",
    };
    if volume.metadata.deletion_timestamp.is_some() {
        return if phase == "Bound" {
            Vec::new()
        } else {
            without_finalizer(volume, BOUND)
        };
    }
    let is_ours = volume
        .annotations()
        .get(PROVISIONED_BY)
        .is_some_and(|by| by == PROVISIONER);
    let is_for_deletion = spec.persistent_volume_reclaim_policy.as_deref() == Some("Delete");
    if phase == "Released" && is_ours && is_for_deletion {
        return vec![Action::Delete {
            target: Target::of(volume),
            propagation: Some(Propagation::Background),
            grace: None,
            announcement: None,
        }];
    }
    let status = volume.status.clone().unwrap_or_default();
    if status.phase.as_deref() == Some(phase) {
        return Vec::new();
    }
    let mut volume = volume.clone();
    volume.status = Some(PersistentVolumeStatus {
        phase: Some(phase.to_owned()),
        ..status
    });
    vec![Action::UpdateStatus(volume.into())]
}
