//! Volumes: what a service's containers share, and what outlives its pods.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeClaimVolumeSource, Volume, VolumeMount, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::label::{object_name, shorten};
use super::workload::metadata;
use crate::model::{Mount, Service, Stack, VolumeKind};

/// The claims of a service's persistent volumes.
pub(super) fn claims(
    stack: &Stack,
    service: &Service,
    worktree: &str,
) -> Vec<PersistentVolumeClaim> {
    let persistent = service.volumes.iter().filter_map(|volume| {
        let VolumeKind::Persistent { size } = &volume.kind else {
            return None;
        };
        Some((volume, size))
    });
    persistent
        .map(|(volume, size)| PersistentVolumeClaim {
            metadata: metadata(
                stack,
                service,
                claim_name(stack, service, &volume.name),
                worktree,
            ),
            spec: Some(PersistentVolumeClaimSpec {
                access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                resources: Some(VolumeResourceRequirements {
                    requests: Some([("storage".to_owned(), Quantity(size.clone()))].into()),
                    limits: None,
                }),
                ..Default::default()
            }),
            status: None,
        })
        .collect()
}

/// Whether a service has data that outlives its pods.
pub(super) fn is_persistent(service: &Service) -> bool {
    service
        .volumes
        .iter()
        .any(|volume| matches!(volume.kind, VolumeKind::Persistent { .. }))
}

/// A service's volumes as the pod names them.
pub(super) fn volumes(stack: &Stack, service: &Service) -> Vec<Volume> {
    service
        .volumes
        .iter()
        .map(|volume| match &volume.kind {
            VolumeKind::Temporary => temporary(&volume.name),
            VolumeKind::Persistent { .. } => Volume {
                name: volume.name.clone(),
                persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                    claim_name: claim_name(stack, service, &volume.name),
                    read_only: None,
                }),
                ..Default::default()
            },
        })
        .collect()
}

/// An empty directory that goes with the pod.
pub(super) fn temporary(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Default::default()
    }
}

/// One volume in a container.
pub(super) fn mount(mount: &Mount) -> VolumeMount {
    VolumeMount {
        name: mount.volume.clone(),
        mount_path: mount.path.clone(),
        read_only: mount.read_only.then_some(true),
        ..Default::default()
    }
}

fn claim_name(stack: &Stack, service: &Service, volume: &str) -> String {
    shorten(&format!("{}-{volume}", object_name(stack, service)))
}
