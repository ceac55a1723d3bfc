//! Ready, serving and terminating; named ports; headless Services; what the real controllers wrote for the same pods.

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{LEGACY, MIRRORED, SLICES};
use crate::observed::Key;
use crate::world::World;

fn world() -> World {
    World::with(&[SLICES, LEGACY])
}

fn pod(world: &mut World, name: &str, address: &str, ready: bool) -> Key {
    world.create::<Pod>(json!({
        "metadata": {"name": name, "namespace": "here", "labels": {"app": "web"}},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}],
        },
        "status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
        },
    }))
}

fn service(world: &mut World, spec: &Value) -> Key {
    let mut service = json!({
        "metadata": {"name": "web", "namespace": "here"},
        "spec": {"selector": {"app": "web"},
            "ports": [{"name": "web", "port": 80, "targetPort": "http", "protocol": "TCP"}]},
    });
    for (name, value) in spec.as_object().unwrap() {
        service["spec"][name] = value.clone();
    }
    world.create::<Service>(service)
}

fn slice(world: &World) -> EndpointSlice {
    let mut slices = world.list::<EndpointSlice>();
    assert_eq!(slices.len(), 1);
    slices.remove(0)
}

#[test]
fn a_service_has_slices_and_endpoints_of_its_pods() {
    let mut world = world();
    pod(&mut world, "a", "10.0.0.1", true);
    pod(&mut world, "b", "10.0.0.2", false);
    let key = service(&mut world, &json!({}));
    let slice = slice(&world);
    assert_eq!(slice.labels()["kubernetes.io/service-name"], "web");
    let ports = serde_json::to_value(&slice.ports).unwrap();
    assert_eq!(
        ports,
        json!([{"name": "web", "port": 8080, "protocol": "TCP"}])
    );
    let conditions = |at: usize| serde_json::to_value(&slice.endpoints[at].conditions).unwrap();
    assert_eq!(
        conditions(0),
        json!({"ready": true, "serving": true, "terminating": false})
    );
    assert_eq!(
        conditions(1),
        json!({"ready": false, "serving": false, "terminating": false})
    );
    let endpoints = world.get::<Endpoints>(&key).unwrap();
    let subset = &endpoints.subsets.unwrap()[0];
    assert_eq!(subset.addresses.as_ref().unwrap()[0].ip, "10.0.0.1");
    assert_eq!(
        subset.not_ready_addresses.as_ref().unwrap()[0].ip,
        "10.0.0.2"
    );
}

#[test]
fn a_service_without_pods_has_an_empty_slice_and_empty_endpoints() {
    let mut world = world();
    let key = service(&mut world, &json!({}));
    let slice = slice(&world);
    assert!(slice.endpoints.is_empty());
    assert_eq!(slice.ports, None);
    assert_eq!(world.get::<Endpoints>(&key).unwrap().subsets, None);
}

#[test]
fn a_pod_that_ends_still_serves_until_it_is_gone() {
    let mut world = world();
    let key = pod(&mut world, "a", "10.0.0.1", true);
    let name = service(&mut world, &json!({}));
    world.patch::<Pod>(&key, &json!({"metadata": {"finalizers": ["test/slow"]}}));
    world.delete::<Pod>(&key, None);
    let conditions = serde_json::to_value(&slice(&world).endpoints[0].conditions).unwrap();
    assert_eq!(
        conditions,
        json!({"ready": false, "serving": true, "terminating": true})
    );
    assert_eq!(world.get::<Endpoints>(&name).unwrap().subsets, None);
}

#[test]
fn a_headless_service_has_addresses_without_ports() {
    let mut world = world();
    pod(&mut world, "a", "10.0.0.1", true);
    service(&mut world, &json!({"clusterIP": "None", "ports": null}));
    let slice = slice(&world);
    assert_eq!(slice.ports, None);
    assert_eq!(slice.endpoints.len(), 1);
    assert_eq!(slice.labels()["service.kubernetes.io/headless"], "");
}

#[test]
fn addresses_that_are_not_ready_are_published_on_request() {
    let mut world = world();
    pod(&mut world, "a", "10.0.0.1", false);
    service(&mut world, &json!({"publishNotReadyAddresses": true}));
    let conditions = slice(&world).endpoints[0].conditions.clone().unwrap();
    assert_eq!(conditions.ready, Some(true));
}

#[test]
fn pods_with_other_numbers_for_a_named_port_have_a_slice_of_their_own() {
    let mut world = world();
    pod(&mut world, "a", "10.0.0.1", true);
    world.create::<Pod>(json!({
        "metadata": {"name": "b", "namespace": "here", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "m", "ports": [{"name": "http", "containerPort": 9090}]}]},
        "status": {"phase": "Running", "podIP": "10.0.0.2",
            "conditions": [{"type": "Ready", "status": "True"}]},
    }));
    service(&mut world, &json!({}));
    assert_eq!(world.list::<EndpointSlice>().len(), 2);
}

#[test]
fn many_pods_are_split_among_slices_and_joined_again() {
    let mut world = world();
    let keys: Vec<Key> = (0..150)
        .map(|number| {
            pod(
                &mut world,
                &format!("p{number:03}"),
                &format!("10.0.1.{number}"),
                true,
            )
        })
        .collect();
    service(&mut world, &json!({}));
    assert_eq!(world.list::<EndpointSlice>().len(), 2);
    for key in &keys[..60] {
        world.delete::<Pod>(key, None);
    }
    assert_eq!(slice(&world).endpoints.len(), 90);
}

#[test]
fn endpoints_go_with_their_service() {
    let mut world = world();
    let key = service(&mut world, &json!({}));
    world.delete::<Service>(&key, None);
    assert!(world.get::<Endpoints>(&key).is_none());
}

#[test]
fn a_service_without_a_selector_is_left_to_others() {
    let mut world = world();
    service(&mut world, &json!({"selector": null}));
    assert!(world.list::<EndpointSlice>().is_empty());
    assert!(world.list::<Endpoints>().is_empty());
}

#[test]
fn endpoints_that_are_written_by_hand_are_mirrored_and_go_with_their_slices() {
    let mut world = World::with(&[SLICES, LEGACY, MIRRORED]);
    world.create::<Service>(json!({
        "metadata": {"name": "web", "namespace": "here"}, "spec": {"ports": [{"port": 80}]},
    }));
    let key = world.create::<Endpoints>(json!({
        "metadata": {"name": "web", "namespace": "here", "labels": {"a": "b"},
            "annotations": {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "subsets": [{
            "addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.2"}],
            "ports": [{"port": 8080, "protocol": "TCP"}],
        }],
    }));
    let mirrored = slice(&world);
    assert_eq!(mirrored.labels()["a"], "b");
    assert_eq!(mirrored.annotations().keys().collect::<Vec<_>>(), ["note"]);
    let endpoints = serde_json::to_value(&mirrored.endpoints).unwrap();
    assert_eq!(
        endpoints,
        json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
        ])
    );
    let subsets = json!([{"addresses": [{"ip": "10.0.0.3"}]}]);
    world.patch::<Endpoints>(&key, &json!({"subsets": subsets}));
    assert_eq!(slice(&world).name_any(), mirrored.name_any());
    assert_eq!(slice(&world).endpoints[0].addresses, ["10.0.0.3"]);
    world.delete::<Endpoints>(&key, None);
    assert!(world.list::<EndpointSlice>().is_empty());
}

#[test]
fn endpoints_that_come_from_pods_are_not_mirrored() {
    let mut world = World::with(&[SLICES, LEGACY, MIRRORED]);
    pod(&mut world, "a", "10.0.0.1", true);
    service(&mut world, &json!({}));
    slice(&world);
}
