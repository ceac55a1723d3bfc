//! Order, partitions, claims, and a status as the real controller wrote it.

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{NAME, revision};
use crate::observed::Key;
use crate::world::World;

fn set(spec: &Value) -> Value {
    let mut set = json!({
        "metadata": {"name": "db", "namespace": "here"},
        "spec": {
            "replicas": 3,
            "serviceName": "headless",
            "selector": {"matchLabels": {"app": "db"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [{"name": "main"}]},
            },
        },
    });
    for (name, value) in spec.as_object().unwrap() {
        set["spec"][name] = value.clone();
    }
    set
}

/// A cluster in which pods become ready at once.
fn simulated() -> World {
    let mut world = World::with(&[NAME, "default-scheduler", "simulate"]);
    world.create::<Namespace>(json!({"metadata": {"name": "default"}}));
    world
}

fn names(world: &World) -> Vec<String> {
    world
        .list::<Pod>()
        .iter()
        .map(ResourceExt::name_any)
        .collect()
}

fn ready(world: &mut World, name: &str) {
    world.patch::<Pod>(
        &Key::new("here", name),
        &json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
    );
}

fn label(value: &str) -> Value {
    json!({"spec": {"template": {"metadata": {"labels": {"v": value}}}}})
}

#[test]
fn pods_come_one_after_the_other() {
    let mut world = World::with(&[NAME]);
    world.create::<StatefulSet>(set(&json!({})));
    assert_eq!(names(&world), ["db-0"]);
    ready(&mut world, "db-0");
    assert_eq!(names(&world), ["db-0", "db-1"]);
    let pod = world.get::<Pod>(&Key::new("here", "db-1")).unwrap();
    assert_eq!(pod.labels()["apps.kubernetes.io/pod-index"], "1");
    assert_eq!(pod.labels()["statefulset.kubernetes.io/pod-name"], "db-1");
    let spec = pod.spec.unwrap();
    assert_eq!(spec.hostname.as_deref(), Some("db-1"));
    assert_eq!(spec.subdomain.as_deref(), Some("headless"));
    assert_eq!(
        world.events[0],
        "SuccessfulCreate: create Pod db-0 in StatefulSet db successful"
    );
}

#[test]
fn in_parallel_they_come_together() {
    let mut world = World::with(&[NAME]);
    world.create::<StatefulSet>(set(&json!({"podManagementPolicy": "Parallel"})));
    assert_eq!(names(&world).len(), 3);
}

#[test]
fn the_highest_goes_first() {
    let mut world = simulated();
    let key = world.create::<StatefulSet>(set(&json!({})));
    world.events.clear();
    world.patch::<StatefulSet>(&key, &json!({"spec": {"replicas": 0}}));
    assert!(names(&world).is_empty());
    let order: Vec<&String> = world
        .events
        .iter()
        .filter(|it| it.contains("delete"))
        .collect();
    assert_eq!(
        order[0],
        "SuccessfulDelete: delete Pod db-2 in StatefulSet db successful"
    );
    assert_eq!(
        order[2],
        "SuccessfulDelete: delete Pod db-0 in StatefulSet db successful"
    );
    let status = world.get::<StatefulSet>(&key).unwrap().status.unwrap();
    let revision = status.current_revision.clone().unwrap();
    assert_eq!(
        serde_json::to_value(status).unwrap(),
        json!({"availableReplicas": 0, "collisionCount": 0, "currentRevision": revision,
            "observedGeneration": 2, "replicas": 0, "updateRevision": revision})
    );
}

#[test]
fn an_update_goes_from_the_highest_down_and_ends_in_one_revision() {
    let mut world = simulated();
    let key = world.create::<StatefulSet>(set(&json!({})));
    world.events.clear();
    world.patch::<StatefulSet>(&key, &label("2"));
    let deleted: Vec<&String> = world
        .events
        .iter()
        .filter(|it| it.contains("delete"))
        .collect();
    assert!(
        deleted[0].contains("db-2") && deleted[2].contains("db-0"),
        "{deleted:?}"
    );
    let status = world.get::<StatefulSet>(&key).unwrap().status.unwrap();
    assert_eq!(status.current_revision, status.update_revision);
    assert_eq!(
        (status.current_replicas, status.updated_replicas),
        (Some(3), Some(3))
    );
    assert_eq!(world.list::<ControllerRevision>().len(), 2);
}

#[test]
fn below_the_partition_the_old_revision_stays_even_for_new_pods() {
    let mut world = simulated();
    let strategy = json!({"updateStrategy": {"rollingUpdate": {"partition": 2}}});
    let key = world.create::<StatefulSet>(set(&strategy));
    world.patch::<StatefulSet>(&key, &label("2"));
    world.delete::<Pod>(&Key::new("here", "db-0"), None);
    let of = |name: &str| {
        let pod = world.get::<Pod>(&Key::new("here", name)).unwrap();
        (revision(&pod).to_owned(), pod.labels().get("v").cloned())
    };
    let status = world.get::<StatefulSet>(&key).unwrap().status.unwrap();
    assert_eq!(of("db-0"), (status.current_revision.unwrap(), None));
    assert_eq!(
        of("db-2"),
        (status.update_revision.unwrap(), Some("2".to_owned()))
    );
    assert_eq!(status.updated_replicas, Some(1));
}

#[test]
fn on_delete_waits_for_the_users_hand() {
    let mut world = simulated();
    let strategy = json!({"updateStrategy": {"type": "OnDelete"}});
    let key = world.create::<StatefulSet>(set(&strategy));
    world.patch::<StatefulSet>(&key, &label("2"));
    let updated = |world: &World| {
        world
            .get::<StatefulSet>(&key)
            .unwrap()
            .status
            .unwrap()
            .updated_replicas
    };
    assert_eq!(updated(&world), None);
    world.delete::<Pod>(&Key::new("here", "db-1"), None);
    assert_eq!(updated(&world), Some(1));
}

#[test]
fn a_former_template_gets_its_revision_back_under_a_new_number() {
    let mut world = simulated();
    let key = world.create::<StatefulSet>(set(&json!({})));
    world.patch::<StatefulSet>(&key, &label("2"));
    world.patch::<StatefulSet>(
        &key,
        &json!({"spec": {"template": {"metadata": {"labels": {"v": null}}}}}),
    );
    let mut numbers: Vec<i64> = world
        .list::<ControllerRevision>()
        .iter()
        .map(|it| it.revision)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3]);
}

#[test]
fn claims_are_made_once_and_stay() {
    let mut world = World::with(&[NAME]);
    let template =
        json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}});
    let spec = json!({"volumeClaimTemplates": [template], "replicas": 1});
    world.create::<StatefulSet>(set(&spec));
    let pod = Key::new("here", "db-0");
    let volumes = world
        .get::<Pod>(&pod)
        .unwrap()
        .spec
        .unwrap()
        .volumes
        .unwrap();
    let claim = volumes[0].persistent_volume_claim.as_ref().unwrap();
    assert_eq!(claim.claim_name, "data-db-0");
    let before = world.list::<PersistentVolumeClaim>();
    world.delete::<Pod>(&pod, None);
    assert_eq!(world.list::<PersistentVolumeClaim>(), before);
    assert_eq!(before[0].labels()["app"], "db");
}

#[test]
fn a_failed_pod_is_replaced_under_its_name() {
    let mut world = World::with(&[NAME]);
    world.create::<StatefulSet>(set(&json!({})));
    let key = Key::new("here", "db-0");
    let before = world.get::<Pod>(&key).unwrap().uid();
    world.patch::<Pod>(&key, &json!({"status": {"phase": "Failed"}}));
    assert_ne!(world.get::<Pod>(&key).unwrap().uid(), before);
    let expected = "RecreatingFailedPod: StatefulSet here/db is recreating failed Pod db-0";
    assert!(
        world.events.contains(&expected.to_owned()),
        "{:?}",
        world.events
    );
}
