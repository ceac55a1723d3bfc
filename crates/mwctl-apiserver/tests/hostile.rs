//! Bodies that nobody in their senses sends: nothing panics, and nothing takes longer than its size warrants.
//!
//! The large ones would take minutes if anything was quadratic, which the runner of the tests ends.

#![allow(clippy::unwrap_used, reason = "a failed assumption fails the test")]

use mwctl_apiserver::access::{self, Attributes, Policy, Resource, Target, User};
use mwctl_apiserver::apply::{self, FieldSet, Kind, Writer};
use mwctl_apiserver::kinds;
use mwctl_apiserver::patch::{self, PatchKind};
use mwctl_apiserver::schema::{Gvk, StructId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const KINDS: [PatchKind; 3] = [PatchKind::Json, PatchKind::Merge, PatchKind::StrategicMerge];

const NAMES: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "labels",
    "finalizers",
    "ownerReferences",
    "uid",
    "managedFields",
    "manager",
    "operation",
    "fieldsV1",
    "f:spec",
    "k:{\"name\":\"a\"}",
    "v:1",
    ".",
    "spec",
    "status",
    "containers",
    "initContainers",
    "ports",
    "containerPort",
    "protocol",
    "env",
    "volumes",
    "securityContext",
    "capabilities",
    "add",
    "hostPort",
    "data",
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "$setElementOrder/finalizers",
    "$deleteFromPrimitiveList/finalizers",
    "op",
    "path",
    "from",
    "value",
    "rules",
    "verbs",
    "resources",
    "subjects",
    "roleRef",
    "a",
    "b",
    "",
];

const TEXTS: &[&str] = &[
    "a",
    "b",
    "",
    "replace",
    "delete",
    "merge",
    "add",
    "remove",
    "move",
    "copy",
    "test",
    "/",
    "/spec",
    "/spec/containers/0",
    "/spec/containers/-",
    "/metadata/finalizers/-1",
    "/a/~1",
    "v1",
    "Pod",
    "Apply",
    "Update",
    "*",
    "ClusterRole",
    "User",
    "ALL",
];

/// JSON of words that mean something somewhere, in places where they mostly don't.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..90_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(TEXTS).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 5, |inner| {
        let field = (
            prop::sample::select(NAMES).prop_map(str::to_owned),
            inner.clone(),
        );
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            prop::collection::vec(field, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Something with the outline of a pod.
fn pods() -> impl Strategy<Value = Value> {
    (
        anything(),
        anything(),
        prop::collection::vec(anything(), 0..4),
    )
        .prop_map(|(metadata, spec, containers)| {
            let mut pod =
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
            if let Some(spec) = pod["spec"].as_object_mut() {
                spec.insert("containers".to_owned(), Value::from(containers));
            }
            pod
        })
}

fn pod() -> StructId {
    let gvk = Gvk {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Pod".to_owned(),
    };
    kinds::builtin().kind(&gvk).unwrap()
}

/// Every write that there is, on a pod and on an object without a type.
fn write_all(live: &Value, body: &Value) {
    let schema = kinds::builtin();
    for structure in [Some(pod()), None] {
        for kind in KINDS {
            drop(patch::apply(kind, &schema, structure, live, body));
        }
        let kind = Kind {
            schema: &schema,
            structure,
            status_apart: true,
        };
        for subresource in ["", "status"] {
            let writer = Writer {
                manager: "a",
                subresource,
                now: "now",
            };
            for force in [false, true] {
                drop(apply::apply(kind, writer, Some(live), body, force));
                drop(apply::apply(kind, writer, None, body, force));
            }
            drop(apply::track_update(kind, writer, Some(live), body.clone()));
            drop(apply::track_update(kind, writer, None, body.clone()));
        }
    }
}

proptest! {
    #[test]
    fn no_write_of_anything_panics(live in anything(), body in anything()) {
        write_all(&live, &body);
    }

    #[test]
    fn no_write_of_half_a_pod_panics(live in pods(), body in pods()) {
        write_all(&live, &body);
    }

    #[test]
    fn no_list_of_operations_panics(live in pods(), body in prop::collection::vec((0..6_usize, anything(), 0..TEXTS.len(), 0..TEXTS.len()), 0..8)) {
        let operation = |(op, value, path, from): (usize, Value, usize, usize)| {
            let op = ["add", "remove", "replace", "move", "copy", "test"][op];
            json!({"op": op, "path": TEXTS[path], "from": TEXTS[from], "value": value})
        };
        let body: Value = body.into_iter().map(operation).collect();
        drop(patch::apply(PatchKind::Json, &kinds::builtin(), None, &live, &body));
    }

    #[test]
    fn a_patch_that_says_what_is_so_changes_nothing(live in pods()) {
        let schema = kinds::builtin();
        prop_assert_eq!(patch::apply(PatchKind::Merge, &schema, None, &live, &json!({})).unwrap(), live.clone());
        prop_assert_eq!(patch::apply(PatchKind::Json, &schema, None, &live, &json!([])).unwrap(), live.clone());
        prop_assert_eq!(patch::apply(PatchKind::StrategicMerge, &schema, Some(pod()), &live, &json!({})).unwrap(), live);
    }

    #[test]
    fn no_set_of_fields_panics(value in anything()) {
        if let Some(set) = FieldSet::decode(&value) {
            drop((set.paths(), set.leaves()));
        }
    }

    #[test]
    fn no_role_and_no_pod_panics(objects in prop::collection::vec(anything(), 0..4), pod in pods()) {
        let policy = Policy::new(&objects);
        let user = User::service_account("a", "b");
        let resource = Resource { resource: "pods", namespace: "a", name: "b", ..Resource::default() };
        drop(access::authorize(&policy, &user, &Attributes { verb: "get", target: Target::Resource(resource) }));
        for object in &objects {
            drop(access::escalation::check_role(&policy, &user, object));
            drop(access::escalation::check_binding(&policy, &user, object));
            drop(access::pod_security::admit_pod(object, &resource, &pod));
            let write = access::node::Write { verb: "create", resource, object: Some(object), old: Some(&pod) };
            drop(access::node::admit("a", &write));
        }
        let _ = access::node::related("a", &objects, &resource);
        drop(access::pod_security::check(access::pod_security::Level::Restricted, &pod["metadata"], &pod["spec"]));
    }
}

#[test]
fn large_lists_and_maps_are_no_trouble() {
    const MANY: usize = 30_000;
    let schema = kinds::builtin();
    let container = |at: usize| json!({"name": format!("c{at}"), "image": "i"});
    let body = |from: usize| {
        let range = || from..from + MANY;
        let names: Value = range()
            .rev()
            .map(|at| json!({"name": format!("c{at}")}))
            .collect();
        let pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "finalizers": range().map(|at| format!("f{at}")).collect::<Value>(),
                "labels": range().map(|at| (format!("l{at}"), json!("1"))).collect::<Map<_, _>>()},
            "spec": {"containers": range().rev().map(container).collect::<Value>()}});
        (pod, names)
    };
    let ((live, _), (next, names)) = (body(0), body(MANY / 2));
    let kind = Kind {
        schema: &schema,
        structure: Some(pod()),
        status_apart: true,
    };
    let by = |manager| Writer {
        manager,
        subresource: "",
        now: "now",
    };
    let merged = apply::apply(kind, by("a"), None, &live, false).unwrap();
    let merged = apply::apply(kind, by("b"), Some(&merged), &next, false).unwrap();
    let merged = apply::apply(kind, by("a"), Some(&merged), &next, false).unwrap();
    assert_eq!(merged["spec"], next["spec"]);
    let merged = apply::track_update(kind, by("c"), Some(&merged), live.clone());
    assert_eq!(merged["spec"], live["spec"]);

    let mut patch = next.clone();
    patch["spec"]["$setElementOrder/containers"] = names;
    patch["metadata"]["$deleteFromPrimitiveList/finalizers"] =
        live["metadata"]["finalizers"].clone();
    let merged = patch::apply(
        PatchKind::StrategicMerge,
        &schema,
        Some(pod()),
        &live,
        &patch,
    )
    .unwrap();
    assert_eq!(
        merged["spec"]["containers"].as_array().unwrap().len(),
        MANY + MANY / 2
    );
    assert_eq!(
        merged["metadata"]["finalizers"],
        next["metadata"]["finalizers"]
    );
    let nulls: Map<String, Value> = (0..MANY)
        .map(|at| (format!("l{at}"), Value::Null))
        .collect();
    let merged = patch::apply(
        PatchKind::Merge,
        &schema,
        None,
        &live,
        &json!({"metadata": {"labels": nulls}}),
    )
    .unwrap();
    assert_eq!(merged["metadata"]["labels"], json!({}));
}

#[test]
fn a_short_patch_of_a_large_list_ends_soon() {
    let live = json!({"l": vec![0; 1_000_000]});
    let rotate = json!({"op": "move", "from": "/l/0", "path": "/l/-"});
    let refusal = patch::apply(
        PatchKind::Json,
        &kinds::builtin(),
        None,
        &live,
        &json!(vec![rotate; 10_000]),
    )
    .unwrap_err();
    assert_eq!(refusal.code, 422);
}
