//! Placement and its refusals, in the words recorded from the real scheduler.

use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use serde_json::{Value, json};

use super::NAME;
use crate::observed::Key;
use crate::pods;
use crate::world::World;

fn node(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

fn pod(name: &str, spec: &Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "here", "labels": {"app": name}},
        "spec": {"containers": [{"name": "main"}]},
    });
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    pod
}

fn requesting(cpu: &str) -> Value {
    json!({"containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}]})
}

fn placed(world: &World, name: &str) -> Option<String> {
    let pod = world.get::<Pod>(&Key::new("here", name)).unwrap();
    pods::node(&pod).map(str::to_owned)
}

fn refusal(world: &World, name: &str) -> String {
    let pod = world.get::<Pod>(&Key::new("here", name)).unwrap();
    pods::condition(&pod, "PodScheduled")
        .unwrap()
        .message
        .clone()
        .unwrap()
}

const UNHELPFUL: &str = "no new claims to deallocate, preemption: 0/1 nodes are available: \
                         1 Preemption is not helpful for scheduling.";

#[test]
fn a_pod_waits_for_a_node_and_gets_it_when_it_comes() {
    let mut world = World::with(&[NAME]);
    world.create::<Pod>(pod("a", &json!({})));
    assert_eq!(refusal(&world, "a"), "no nodes available to schedule pods");
    world.create::<Node>(node("n"));
    assert_eq!(placed(&world, "a").as_deref(), Some("n"));
    assert!(
        world
            .events
            .contains(&"Scheduled: Successfully assigned here/a to n".to_owned())
    );
}

#[test]
fn what_is_larger_than_the_node_is_refused_by_name() {
    let mut world = World::with(&[NAME]);
    world.create::<Node>(node("n"));
    let resources = json!({"requests": {"cpu": "100", "memory": "1000Gi"}});
    let spec = json!({"containers": [{"name": "main", "resources": resources}]});
    world.create::<Pod>(pod("a", &spec));
    let expected =
        format!("0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. {UNHELPFUL}");
    assert_eq!(refusal(&world, "a"), expected);
    assert_eq!(world.events, [format!("FailedScheduling: {expected}")]);
}

#[test]
fn a_selector_that_no_node_matches_is_told() {
    let mut world = World::with(&[NAME]);
    world.create::<Node>(node("n"));
    world.create::<Pod>(pod("a", &json!({"nodeSelector": {"a": "b"}})));
    assert_eq!(
        refusal(&world, "a"),
        format!(
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {UNHELPFUL}"
        )
    );
}

#[test]
fn room_that_becomes_free_is_used() {
    let mut world = World::with(&[NAME]);
    world.create::<Node>(node("n"));
    world.create::<Pod>(pod("a", &requesting("1500m")));
    world.create::<Pod>(pod("b", &requesting("1")));
    assert_eq!(placed(&world, "b"), None);
    assert!(refusal(&world, "b").contains("1 No preemption victims found for incoming pod"));
    world.delete::<Pod>(&Key::new("here", "a"), None);
    assert_eq!(placed(&world, "b").as_deref(), Some("n"));
}

#[test]
fn pods_spread_to_where_most_is_free() {
    let mut world = World::with(&[NAME]);
    world.create::<Node>(node("n"));
    world.create::<Node>(node("m"));
    world.create::<Pod>(pod("a", &requesting("1")));
    world.create::<Pod>(pod("b", &requesting("1")));
    assert_ne!(placed(&world, "a"), placed(&world, "b"));
}

#[test]
fn a_tainted_node_takes_only_who_tolerates_it() {
    let mut world = World::with(&[NAME]);
    let mut tainted = node("n");
    tainted["spec"]["taints"] = json!([{"key": "only", "value": "us", "effect": "NoSchedule"}]);
    world.create::<Node>(tainted);
    world.create::<Pod>(pod("a", &json!({})));
    assert!(refusal(&world, "a").contains("1 node(s) had untolerated taint {only: us}."));
    let toleration = json!({"tolerations": [{"key": "only", "value": "us"}]});
    world.create::<Pod>(pod("b", &toleration));
    assert_eq!(placed(&world, "b").as_deref(), Some("n"));
}

#[test]
fn cordoned_and_unready_nodes_take_nothing() {
    let mut world = World::with(&[NAME]);
    let mut cordoned = node("n");
    cordoned["spec"]["unschedulable"] = json!(true);
    let mut unready = node("m");
    unready["status"]["conditions"] = json!([]);
    world.create::<Node>(cordoned);
    world.create::<Node>(unready);
    world.create::<Pod>(pod("a", &json!({})));
    assert!(
        refusal(&world, "a").starts_with(
            "0/2 nodes are available: 1 node(s) had untolerated taint \
             {node.kubernetes.io/not-ready: }, 1 node(s) were unschedulable."
        ),
        "{}",
        refusal(&world, "a")
    );
}

#[test]
fn a_missing_or_unbound_claim_keeps_a_pod_from_every_node() {
    let mut world = World::with(&[NAME]);
    world.create::<Node>(node("n"));
    let volumes =
        json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]});
    world.create::<Pod>(pod("a", &volumes));
    assert_eq!(
        refusal(&world, "a"),
        "0/1 nodes are available: persistentvolumeclaim \"data\" not found. not found"
    );
    world.create::<PersistentVolumeClaim>(
        json!({"metadata": {"name": "data", "namespace": "here"}, "spec": {}}),
    );
    assert_eq!(
        refusal(&world, "a"),
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
    );
    world.patch::<PersistentVolumeClaim>(
        &Key::new("here", "data"),
        &json!({"spec": {"volumeName": "pv"}}),
    );
    assert_eq!(placed(&world, "a").as_deref(), Some("n"));
}

#[test]
fn pods_that_avoid_each_other_get_nodes_of_their_own() {
    let mut world = World::with(&[NAME]);
    world.create::<Node>(node("n"));
    let term = json!([{"topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}]);
    let apart = json!({"affinity": {"podAntiAffinity":
        {"requiredDuringSchedulingIgnoredDuringExecution": term}}});
    world.create::<Pod>(pod("a", &apart));
    world.create::<Pod>(pod("b", &apart));
    assert!(refusal(&world, "b").contains("1 node(s) didn't match pod anti-affinity rules."));
    world.create::<Node>(node("m"));
    assert_eq!(placed(&world, "b").as_deref(), Some("m"));
}

#[test]
fn a_taken_port_of_the_host_is_a_reason() {
    let mut world = World::with(&[NAME]);
    world.create::<Node>(node("n"));
    let spec =
        json!({"containers": [{"name": "main", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    world.create::<Pod>(pod("a", &spec));
    world.create::<Pod>(pod("b", &spec));
    assert!(refusal(&world, "b").contains("didn't have free ports for the requested pod ports"));
}

#[test]
fn a_gated_pod_is_not_placed() {
    let mut world = World::with(&[NAME]);
    world.create::<Node>(node("n"));
    world.create::<Pod>(pod(
        "a",
        &json!({"schedulingGates": [{"name": "test/wait"}]}),
    ));
    assert_eq!(
        refusal(&world, "a"),
        "Scheduling is blocked due to non-empty scheduling gates"
    );
    world.patch::<Pod>(
        &Key::new("here", "a"),
        &json!({"spec": {"schedulingGates": null}}),
    );
    assert_eq!(placed(&world, "a").as_deref(), Some("n"));
}
