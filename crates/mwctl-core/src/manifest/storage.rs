//! Volumes: what a service's containers share, and what outlives its pods.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeClaimVolumeSource, SecretVolumeSource, Volume, VolumeMount,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::config;
use super::label::{NAME, object_name, selector, shorten, stack_labels};
use super::workload::metadata;
use crate::model::{Mount, Service, Stack, VolumeKind, Workload};

/// The claims of a service's persistent volumes; those of a StatefulSet are made with its pods.
pub(super) fn claims(
    stack: &Stack,
    service: &Service,
    worktree: &str,
) -> Vec<PersistentVolumeClaim> {
    if service.workload == Workload::StatefulSet {
        return Vec::new();
    }
    persistent(service)
        .map(|(volume, size)| PersistentVolumeClaim {
            metadata: metadata(
                stack,
                service,
                claim_name(stack, service, &volume.name),
                worktree,
            ),
            spec: Some(claim(size)),
            status: None,
        })
        .collect()
}

/// What a StatefulSet makes the claims of its pods from. They can never be changed, so that the
/// version isn't among their labels.
pub(super) fn claim_templates(
    stack: &Stack,
    service: &Service,
    worktree: &str,
) -> Vec<PersistentVolumeClaim> {
    let mut labels = stack_labels(stack, worktree);
    labels.extend(selector(stack, service));
    labels.insert(NAME.to_owned(), service.name.to_string());
    persistent(service)
        .map(|(volume, size)| PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(volume.name.clone()),
                labels: Some(labels.clone()),
                ..Default::default()
            },
            spec: Some(claim(size)),
            status: None,
        })
        .collect()
}

fn persistent(service: &Service) -> impl Iterator<Item = (&crate::model::Volume, &String)> {
    let volumes = service.volumes.iter();
    volumes.filter_map(|volume| match &volume.kind {
        VolumeKind::Persistent { size } => Some((volume, size)),
        VolumeKind::Temporary | VolumeKind::Certificate => None,
    })
}

fn claim(size: &str) -> PersistentVolumeClaimSpec {
    PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        resources: Some(VolumeResourceRequirements {
            requests: Some([("storage".to_owned(), Quantity(size.to_owned()))].into()),
            limits: None,
        }),
        ..Default::default()
    }
}

/// Whether a service has data that outlives its pods.
pub(super) fn is_persistent(service: &Service) -> bool {
    persistent(service).next().is_some()
}

/// A service's volumes as the pod names them.
pub(super) fn volumes(stack: &Stack, service: &Service) -> Vec<Volume> {
    // A StatefulSet adds those that it makes itself.
    let own = |volume: &&crate::model::Volume| {
        service.workload != Workload::StatefulSet
            || !matches!(volume.kind, VolumeKind::Persistent { .. })
    };
    let volumes = service.volumes.iter().filter(own);
    volumes.map(|it| volume(stack, service, it)).collect()
}

/// One volume as the pod names it.
pub(super) fn volume(stack: &Stack, service: &Service, volume: &crate::model::Volume) -> Volume {
    match &volume.kind {
        VolumeKind::Temporary => temporary(&volume.name),
        VolumeKind::Certificate => Volume {
            name: volume.name.clone(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(config::certificate_name(stack, service, &volume.name)),
                ..Default::default()
            }),
            ..Default::default()
        },
        VolumeKind::Persistent { .. } => Volume {
            name: volume.name.clone(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim_name(stack, service, &volume.name),
                read_only: None,
            }),
            ..Default::default()
        },
    }
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
