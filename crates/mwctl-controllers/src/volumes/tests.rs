//! Binding, making, releasing; events as the real controller wrote them.

use k8s_openapi::api::core::v1::{Namespace, Node};
use serde_json::Value;

use super::*;
use crate::scheduler;
use crate::world::World;

fn claim(spec: &Value) -> Value {
    let mut claim = json!({
        "metadata": {"name": "data", "namespace": "here", "finalizers": [IN_USE]},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    for (name, value) in spec.as_object().unwrap() {
        claim["spec"][name] = value.clone();
    }
    claim
}

fn volume(name: &str, size: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size},
            "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/x"}},
    })
}

fn phase(world: &World) -> Option<String> {
    let claim = world.get::<PersistentVolumeClaim>(&Key::new("here", "data"));
    claim.and_then(|claim| claim.status?.phase)
}

/// A cluster with a class of ours.
fn with_class() -> World {
    let mut world = World::with(&[NAME]);
    world.settings().volumes = Some("/volumes".into());
    world.create::<Namespace>(json!({"metadata": {"name": "here"}}));
    world
}

#[test]
fn a_claim_gets_the_smallest_volume_that_is_large_enough() {
    let mut world = World::with(&[NAME]);
    for (name, size) in [("small", "500Mi"), ("large", "5Gi"), ("right", "2Gi")] {
        world.create::<PersistentVolume>(volume(name, size));
    }
    let key = world.create::<PersistentVolumeClaim>(claim(&json!({})));
    let bound = world.get::<PersistentVolumeClaim>(&key).unwrap();
    assert_eq!(binding::volume_of(&bound), Some("right"));
    assert_eq!(bound.status.unwrap().capacity.unwrap()["storage"].0, "2Gi");
    let volume = world
        .get::<PersistentVolume>(&Key::cluster("right"))
        .unwrap();
    assert_eq!(volume.status.unwrap().phase.as_deref(), Some("Bound"));
    assert_eq!(phase(&world).as_deref(), Some("Bound"));
}

#[test]
fn a_claim_without_a_class_gets_the_default_one_and_a_folder() {
    let mut world = with_class();
    let key = world.create::<PersistentVolumeClaim>(claim(&json!({})));
    let bound = world.get::<PersistentVolumeClaim>(&key).unwrap();
    assert_eq!(
        bound.spec.as_ref().unwrap().storage_class_name.as_deref(),
        Some("standard")
    );
    let name = binding::volume_of(&bound).unwrap().to_owned();
    let volume = world
        .get::<PersistentVolume>(&Key::cluster(&*name))
        .unwrap();
    let path = volume.spec.unwrap().host_path.unwrap().path;
    assert_eq!(path, format!("/volumes/{name}"));
}

#[test]
fn a_made_volume_goes_with_its_claim() {
    let mut world = with_class();
    let key = world.create::<PersistentVolumeClaim>(claim(&json!({})));
    world.delete::<PersistentVolumeClaim>(&key, None);
    assert_eq!(phase(&world), None);
    assert!(world.list::<PersistentVolume>().is_empty());
}

#[test]
fn a_claim_in_use_waits_for_its_pod() {
    let mut world = with_class();
    let key = world.create::<PersistentVolumeClaim>(claim(&json!({})));
    let pod = world.create::<Pod>(json!({
        "metadata": {"name": "a", "namespace": "here"},
        "spec": {"containers": [],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]},
    }));
    world.delete::<PersistentVolumeClaim>(&key, None);
    assert_eq!(phase(&world).as_deref(), Some("Bound"));
    world.delete::<Pod>(&pod, None);
    assert_eq!(phase(&world), None);
}

#[test]
fn a_kept_volume_is_released_and_not_given_to_another() {
    let mut world = World::with(&[NAME]);
    world.create::<PersistentVolume>(volume("kept", "1Gi"));
    let key = world.create::<PersistentVolumeClaim>(claim(&json!({})));
    world.delete::<PersistentVolumeClaim>(&key, None);
    let phase_of_volume = |world: &World| {
        let volume = world
            .get::<PersistentVolume>(&Key::cluster("kept"))
            .unwrap();
        volume.status.unwrap().phase.unwrap()
    };
    assert_eq!(phase_of_volume(&world), "Released");
    world.create::<PersistentVolumeClaim>(claim(&json!({})));
    assert_eq!(phase_of_volume(&world), "Released");
    assert_ne!(phase(&world).as_deref(), Some("Bound"));
}

#[test]
fn why_a_claim_waits_is_told() {
    let mut world = World::with(&[NAME]);
    world.create::<PersistentVolumeClaim>(claim(&json!({})));
    let key = world.create::<PersistentVolumeClaim>(claim(&json!({"storageClassName": "nope"})));
    world.delete::<PersistentVolumeClaim>(&key, None);
    assert_eq!(
        world.events,
        [
            "FailedBinding: no persistent volumes available for this claim and no storage class is set",
            "ProvisioningFailed: storageclass.storage.k8s.io \"nope\" not found",
        ]
    );
}

#[test]
fn a_claim_whose_class_waits_gets_its_volume_when_its_first_pod_has_a_node() {
    let mut world = World::with(&[NAME, scheduler::NAME]);
    world.create::<StorageClass>(json!({"metadata": {"name": "late"},
        "provisioner": BY_HAND, "volumeBindingMode": "WaitForFirstConsumer"}));
    let mut free = volume("free", "2Gi");
    free["spec"]["storageClassName"] = json!("late");
    world.create::<PersistentVolume>(free);
    let key = world.create::<PersistentVolumeClaim>(claim(&json!({"storageClassName": "late"})));
    let bound = |world: &World| {
        let claim = world.get::<PersistentVolumeClaim>(&key).unwrap();
        binding::volume_of(&claim).map(str::to_owned)
    };
    assert_eq!(bound(&world), None);
    assert_eq!(
        world.events,
        ["WaitForFirstConsumer: waiting for first consumer to be created before binding"]
    );
    let pod = world.create::<Pod>(json!({"metadata": {"name": "p", "namespace": "here"},
        "spec": {"containers": [], "volumes": [
            {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}}));
    assert_eq!(bound(&world), None);
    world.create::<Node>(json!({"metadata": {"name": "n"}, "status": {
        "allocatable": {"cpu": "1", "memory": "1Gi", "pods": "9"},
        "conditions": [{"type": "Ready", "status": "True"}]}}));
    assert_eq!(bound(&world).as_deref(), Some("free"));
    assert_eq!(pods::node(&world.get::<Pod>(&pod).unwrap()), Some("n"));
}
