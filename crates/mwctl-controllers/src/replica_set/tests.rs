//! Counting, adopting, and which pods go first.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::NAME;
use crate::observed::{Key, controller_of};
use crate::world::World;

fn set(replicas: i32) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "here"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main"}]},
            },
        },
    })
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "here", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main"}]},
    })
}

#[test]
fn an_orphan_that_matches_is_adopted_instead_of_made_again() {
    let mut world = World::with(&[NAME]);
    world.create::<Pod>(pod("orphan"));
    world.create::<ReplicaSet>(set(2));
    let pods = world.list::<Pod>();
    assert_eq!(pods.len(), 2);
    assert!(
        pods.iter()
            .all(|pod| controller_of(&pod.metadata).is_some())
    );
}

#[test]
fn a_pod_that_no_longer_matches_is_released_and_replaced() {
    let mut world = World::with(&[NAME]);
    world.create::<ReplicaSet>(set(1));
    let first = Key::of(&world.list::<Pod>()[0]);
    world.patch::<Pod>(&first, &json!({"metadata": {"labels": {"app": "other"}}}));
    assert_eq!(world.list::<Pod>().len(), 2);
    let released = world.get::<Pod>(&first).unwrap();
    assert_eq!(controller_of(&released.metadata), None);
}

#[test]
fn a_pod_of_another_owner_is_left_alone() {
    let mut world = World::with(&[NAME]);
    let mut other = pod("taken");
    other["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Thing", "name": "x", "uid": "x", "controller": true}]);
    world.create::<Pod>(other);
    world.create::<ReplicaSet>(set(1));
    assert_eq!(world.list::<Pod>().len(), 2);
}

#[test]
fn finished_and_deleted_pods_are_replaced() {
    let mut world = World::with(&[NAME]);
    world.create::<ReplicaSet>(set(2));
    let pods = world.list::<Pod>();
    world.patch::<Pod>(&Key::of(&pods[0]), &json!({"status": {"phase": "Failed"}}));
    world.delete::<Pod>(&Key::of(&pods[1]), None);
    let status = world
        .get::<ReplicaSet>(&Key::new("here", "web"))
        .unwrap()
        .status;
    assert_eq!(status.unwrap().replicas, 2);
    assert_eq!(world.list::<Pod>().len(), 3);
}

#[test]
fn pods_that_serve_least_go_first() {
    let mut world = World::with(&[NAME]);
    world.create::<ReplicaSet>(set(4));
    let names: Vec<Key> = world.list::<Pod>().iter().map(Key::of).collect();
    let ready = json!({"status": {"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let placed = json!({"spec": {"nodeName": "n"}});
    for key in &names[1..] {
        world.patch::<Pod>(key, &placed);
    }
    for key in &names[2..] {
        world.patch::<Pod>(key, &ready);
    }
    world.patch::<Pod>(
        &names[2],
        &json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "10"}}}),
    );
    let owner = Key::new("here", "web");
    for (replicas, expected) in [(3, 0), (2, 1), (1, 3)] {
        world.patch::<ReplicaSet>(&owner, &json!({"spec": {"replicas": replicas}}));
        assert!(world.get::<Pod>(&names[expected]).is_none(), "{replicas}");
    }
    assert_eq!(world.list::<Pod>()[0].name_any(), names[2].name);
}

#[test]
fn a_pod_is_available_after_it_was_ready_for_a_while() {
    let mut world = World::with(&[NAME]);
    let mut object = set(1);
    object["spec"]["minReadySeconds"] = json!(10);
    let key = world.create::<ReplicaSet>(object);
    let pod = Key::of(&world.list::<Pod>()[0]);
    world.patch::<Pod>(
        &pod,
        &json!({"status": {"conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}),
    );
    let available = |world: &World| {
        let set = world.get::<ReplicaSet>(&key).unwrap();
        set.status.unwrap().available_replicas
    };
    assert_eq!(available(&world), None);
    world.advance(10);
    assert_eq!(available(&world), Some(1));
}
