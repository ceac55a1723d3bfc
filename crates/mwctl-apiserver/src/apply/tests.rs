//! What an apply and other writes do to an object and to its books; the recordings of a real server are in `tests/recorded`.

use super::*;
use crate::kinds;
use crate::schema::Gvk;
use proptest::prelude::*;
use serde_json::json;

const FIRST: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-01-02T00:00:00Z";

fn by<'a>(manager: &'a str, now: &'a str) -> Writer<'a> {
    Writer {
        manager,
        subresource: "",
        now,
    }
}

/// Runs `check` with a built-in kind.
fn with_kind<T>(api_version: &str, kind: &str, check: impl FnOnce(Kind<'_>) -> T) -> T {
    let schema = kinds::builtin();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let structure = schema.kind(&Gvk {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
    });
    check(Kind {
        schema: &schema,
        structure: Some(structure.unwrap()),
        status_apart: kind == "Deployment",
    })
}

fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

fn applied(writer: Writer<'_>, live: Option<&Value>, data: &Value) -> Value {
    with_kind("v1", "ConfigMap", |kind| {
        apply(kind, writer, live, &config_map(data), false).unwrap()
    })
}

fn owners(object: &Value) -> Vec<(String, String, Vec<String>)> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter();
    let paths = |entry: &Value| FieldSet::decode(&entry["fieldsV1"]).unwrap().paths();
    entries
        .map(|entry| (text(entry, "manager"), text(entry, "time"), paths(entry)))
        .collect()
}

fn owner(manager: &str, time: &str, paths: &[&str]) -> (String, String, Vec<String>) {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    (manager.to_owned(), time.to_owned(), paths)
}

#[test]
fn the_same_apply_again_changes_nothing_not_even_the_time() {
    let once = applied(by("a", FIRST), None, &json!({"k": "1"}));
    assert_eq!(owners(&once), [owner("a", FIRST, &[".data.k"])]);
    assert_eq!(
        applied(by("a", LATER), Some(&once), &json!({"k": "1"})),
        once
    );
}

#[test]
fn whoever_applies_what_is_there_owns_it_since_no_time() {
    let live = applied(by("a", FIRST), None, &json!({"k": "1"}));
    let live = applied(by("b", LATER), Some(&live), &json!({"k": "1"}));
    let expected = [
        owner("b", "", &[".data.k"]),
        owner("a", FIRST, &[".data.k"]),
    ];
    assert_eq!(owners(&live), expected);
}

#[test]
fn when_somebody_has_scaled_is_not_noted() {
    let live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 1}});
    let noted = with_kind("apps/v1", "Deployment", |kind| {
        let live = track_update(kind, by("a", FIRST), None, live);
        let mut scaled = live.clone();
        scaled["spec"]["replicas"] = json!(2);
        let writer = Writer {
            subresource: "scale",
            ..by("b", LATER)
        };
        track_update(kind, writer, Some(&live), scaled)
    });
    let last = |owners: Vec<_>| owners.into_iter().next();
    assert_eq!(
        last(owners(&noted)),
        Some(owner("b", "", &[".spec.replicas"]))
    );
}

#[test]
fn the_time_of_a_manager_moves_when_its_own_write_changes_its_set() {
    let live = applied(by("a", FIRST), None, &json!({"k": "1"}));
    let live = applied(by("b", LATER), Some(&live), &json!({"k": "1", "n": "1"}));
    assert_eq!(
        owners(&live),
        [
            owner("a", FIRST, &[".data.k"]),
            owner("b", LATER, &[".data.k", ".data.n"])
        ]
    );
    let live = applied(by("a", LATER), Some(&live), &json!({"k": "1", "z": "1"}));
    assert_eq!(
        owners(&live),
        [
            owner("a", LATER, &[".data.k", ".data.z"]),
            owner("b", LATER, &[".data.k", ".data.n"])
        ]
    );
}

#[test]
fn what_is_no_longer_applied_goes_unless_another_owns_it() {
    let live = applied(by("a", FIRST), None, &json!({"mine": "1", "shared": "1"}));
    let live = applied(by("b", FIRST), Some(&live), &json!({"shared": "1"}));
    let live = applied(by("a", LATER), Some(&live), &json!({"new": "1"}));
    assert_eq!(live["data"], json!({"shared": "1", "new": "1"}));
}

#[test]
fn another_value_is_refused_and_taken_by_force() {
    let live = applied(by("a", FIRST), None, &json!({"k": "1", "m": "1"}));
    let body = config_map(&json!({"k": "2", "m": "2"}));
    with_kind("v1", "ConfigMap", |kind| {
        let refusal = apply(kind, by("b", LATER), Some(&live), &body, false).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (
                409,
                "Apply failed with 2 conflicts: conflicts with \"a\":\n- .data.k\n- .data.m"
            )
        );
        let forced = apply(kind, by("b", LATER), Some(&live), &body, true).unwrap();
        assert_eq!(
            owners(&forced),
            [owner("b", LATER, &[".data.k", ".data.m"])]
        );
    });
}

#[test]
fn kubectl_takes_over_what_it_applied_before_and_nothing_else() {
    let body = config_map(&json!({"a": "1", "b": "1"}));
    let mut live = body.clone();
    let last = "kubectl.kubernetes.io/last-applied-configuration";
    live["metadata"]["annotations"] = json!({last: body.to_string()});
    let apply_by = |manager, live: &Value, data| {
        with_kind("v1", "ConfigMap", |kind| {
            let live = track_update(kind, by("edit", FIRST), None, live.clone());
            apply(
                kind,
                by(manager, LATER),
                Some(&live),
                &config_map(&data),
                false,
            )
        })
    };
    let wanted = json!({"a": "2", "b": "1"});
    let taken = apply_by("kubectl", &live, wanted.clone()).unwrap();
    assert_eq!(taken["data"], wanted);
    assert!(apply_by("another", &live, wanted.clone()).is_err());

    // What somebody changed since then is no longer kubectl's.
    live["data"]["b"] = json!("edited");
    let refused = apply_by("kubectl", &live, json!({"a": "2", "b": "2"})).unwrap_err();
    let causes = refused.details.unwrap().causes;
    let told: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
    assert_eq!(told, [".data.b"]);

    // A memory of another version of the API, or none at all that can be read, says nothing.
    for memory in [
        r#"{"apiVersion":"v0","data":{"a":"1"}}"#,
        r#"{"apiVersion":"#,
    ] {
        live["metadata"]["annotations"][last] = json!(memory);
        assert!(apply_by("kubectl", &live, wanted.clone()).is_err());
    }
}

#[test]
fn another_write_takes_what_it_changes_and_leaves_the_rest() {
    let live = applied(by("a", FIRST), None, &json!({"k": "1", "m": "1"}));
    let mut new = live.clone();
    new["data"] = json!({"k": "2", "m": "1"});
    with_kind("v1", "ConfigMap", |kind| {
        let live = track_update(kind, by("editor", LATER), Some(&live), new);
        assert_eq!(
            owners(&live),
            [
                owner("a", FIRST, &[".data.m"]),
                owner("editor", LATER, &[".data.k"])
            ]
        );
        let unchanged = track_update(kind, by("other", LATER), Some(&live), live.clone());
        assert_eq!(unchanged, live);
        let mut emptied = live.clone();
        emptied.as_object_mut().unwrap().shift_remove("data");
        let emptied = track_update(kind, by("other", LATER), Some(&live), emptied);
        assert_eq!(emptied["metadata"].get("managedFields"), None);
    });
}

#[test]
fn updates_by_ever_new_managers_become_ancient() {
    with_kind("v1", "ConfigMap", |kind| {
        let mut live = apply(
            kind,
            by("a", FIRST),
            None,
            &config_map(&json!({"a": "1"})),
            false,
        )
        .unwrap();
        for at in 0..25 {
            let mut new = live.clone();
            new["data"][format!("k{at:02}")] = json!("1");
            let (manager, now) = (format!("m{at:02}"), format!("2026-01-01T00:00:{at:02}Z"));
            live = track_update(kind, by(&manager, &now), Some(&live), new);
        }
        let owners = owners(&live);
        let managers: Vec<&str> = owners
            .iter()
            .map(|(manager, _, _)| manager.as_str())
            .collect();
        assert_eq!(managers[..3], ["a", "ancient-changes", "m16"]);
        assert_eq!(managers.len(), 11);
        assert_eq!(
            (owners[1].1.as_str(), owners[1].2.len()),
            ("2026-01-01T00:00:15Z", 16)
        );
    });
}

#[test]
fn an_update_may_rewrite_or_clear_the_past() {
    let live = applied(by("a", FIRST), None, &json!({"k": "1"}));
    with_kind("v1", "ConfigMap", |kind| {
        let update = |entries: Value| {
            let mut new = live.clone();
            new["metadata"]["managedFields"] = entries;
            track_update(kind, by("z", LATER), Some(&live), new)
        };
        assert_eq!(update(json!([{}]))["metadata"].get("managedFields"), None);
        assert_eq!(update(json!([])), live);
        assert_eq!(update(json!([{"operation": "Zap"}])), live);
        let mut entry = live["metadata"]["managedFields"][0].clone();
        entry["manager"] = json!("renamed");
        assert_eq!(
            owners(&update(json!([entry]))),
            [owner("renamed", FIRST, &[".data.k"])]
        );
    });
}

#[test]
fn what_nobody_tracked_was_written_before_the_first_apply() {
    let live = config_map(&json!({"k": "1"}));
    let both = applied(by("a", LATER), Some(&live), &json!({"k": "1"}));
    assert_eq!(
        owners(&both),
        [
            owner("a", "", &[".data.k"]),
            owner("before-first-apply", LATER, &[".data", ".data.k"])
        ]
    );
    let tracked = with_kind("v1", "ConfigMap", |kind| {
        track_update(
            kind,
            by("z", LATER),
            Some(&live),
            config_map(&json!({"k": "2"})),
        )
    });
    assert_eq!(tracked["metadata"].get("managedFields"), None);
}

#[test]
fn a_status_is_written_at_its_own_path_only() {
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"a": "b"}},
        "spec": {"replicas": 3}, "status": {"replicas": 2}});
    with_kind("apps/v1", "Deployment", |kind| {
        let main = apply(kind, by("a", FIRST), None, &body, false).unwrap();
        assert_eq!(main.get("status"), None);
        assert_eq!(
            owners(&main),
            [owner("a", FIRST, &[".metadata.labels.a", ".spec.replicas"])]
        );
        let writer = Writer {
            subresource: "status",
            ..by("st", LATER)
        };
        let mut other = body.clone();
        other["spec"]["replicas"] = json!(9);
        let status = apply(kind, writer, Some(&main), &other, false).unwrap();
        assert_eq!(
            (&status["spec"], &status["status"]),
            (&json!({"replicas": 3}), &json!({"replicas": 2}))
        );
        assert_eq!(
            owners(&status)[1],
            owner("st", LATER, &[".status.replicas"])
        );
    });
}

#[test]
fn a_scale_owns_the_replicas_and_is_named_in_conflicts() {
    let body = |replicas: u32| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": replicas}});
    with_kind("apps/v1", "Deployment", |kind| {
        let live = apply(kind, by("a", FIRST), None, &body(2), false).unwrap();
        let mut scaled = live.clone();
        scaled["spec"]["replicas"] = json!(5);
        let writer = Writer {
            subresource: "scale",
            ..by("sc", LATER)
        };
        let scaled = track_update(kind, writer, Some(&live), scaled);
        let refusal = apply(kind, by("a", LATER), Some(&scaled), &body(2), false).unwrap_err();
        assert_eq!(
            refusal.message,
            "Apply failed with 1 conflict: conflict with \"sc\" with subresource \"scale\" using apps/v1: .spec.replicas"
        );
    });
}

#[test]
fn what_cannot_be_kept_in_the_books_is_refused_in_upstreams_words() {
    let refused = |body: &Value| {
        with_kind(
            body["apiVersion"].as_str().unwrap(),
            body["kind"].as_str().unwrap(),
            |kind| {
                let refusal = apply(kind, by("a", FIRST), None, body, false).unwrap_err();
                assert_eq!((refusal.code, refusal.reason), (500, ""));
                let told = refusal.message.split_once("): ").unwrap().1;
                told.to_owned()
            },
        )
    };
    for (field, value, expected) in [
        ("data", json!([1]), ".data: expected map, got &{[1]}"),
        (
            "data",
            json!({"k": 1.5}),
            ".data.k: expected string, got &value.valueUnstructured{Value:1.5}",
        ),
        (
            "data",
            json!({"k": ["a"]}),
            ".data.k: expected string, got &value.valueUnstructured{Value:[]interface {}{\"a\"}}",
        ),
        (
            "immutable",
            json!("x"),
            ".immutable: expected boolean, got &{x}",
        ),
        (
            "metadata",
            json!({"generation": "x"}),
            ".metadata.generation: expected numeric (int or float), got string",
        ),
        (
            "metadata",
            json!({"finalizers": "a"}),
            ".metadata.finalizers: expected list, got &{a}",
        ),
        (
            "metadata",
            json!({"finalizers": [1]}),
            ".metadata.finalizers[=1]: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (
            "metadata",
            json!({"finalizers": ["a", "a"]}),
            ".metadata.finalizers: duplicate entries for key [=\"a\"]",
        ),
        (
            "metadata",
            json!({"finalizers": [null]}),
            ".metadata.finalizers: element 0: associative list without keys has an element that's an explicit null",
        ),
        (
            "metadata",
            json!({"finalizers": [{}]}),
            ".metadata.finalizers: element 0: associative list without keys has an element that's a map type",
        ),
    ] {
        let mut body = json!({"apiVersion": "v1", "kind": "ConfigMap"});
        body[field] = value;
        assert_eq!(refused(&body), expected);
    }
    for (spec, expected) in [
        (
            json!({"containers": ["x"]}),
            ".spec.containers: element 0: associative list with keys may not have non-map elements",
        ),
        (
            json!({"containers": [null]}),
            ".spec.containers: element 0: associative list with keys may not have a null element",
        ),
        (
            json!({"containers": [{"name": "m", "args": [1]}]}),
            ".spec.containers[name=\"m\"].args[0]: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (
            json!({"containers": [{"name": "m", "ports": [{"containerPort": "80"}]}]}),
            ".spec.containers[name=\"m\"].ports[containerPort=\"80\",protocol=\"TCP\"].containerPort: expected numeric (int or float), got string",
        ),
        (
            json!({"containers": [{"name": "m", "resources": {"limits": {"cpu": []}}}]}),
            ".spec.containers[name=\"m\"].resources.limits.cpu: expected any scalar, got &{[]}",
        ),
        (
            json!({"hostNetwork": 1, "nope": 1, "zap": 1}),
            "errors:\n  .spec.hostNetwork: expected boolean, got &{1}\n  .spec.nope: field not declared in schema",
        ),
    ] {
        assert_eq!(
            refused(&json!({"apiVersion": "v1", "kind": "Pod", "spec": spec})),
            expected
        );
    }
}

#[test]
fn empty_lists_and_keys_at_their_default_are_owned_as_upstream_owns_them() {
    let body = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"volumes": [], "tolerations": null, "securityContext": {},
        "containers": [{"image": "i"}, {"name": "m", "ports": [{"containerPort": 80}]}]}});
    let pod = with_kind("v1", "Pod", |kind| {
        apply(kind, by("a", FIRST), None, &body, false).unwrap()
    });
    assert_eq!(
        owners(&pod)[0].2,
        [
            ".spec.containers[name=\"\"]",
            ".spec.containers[name=\"\"].image",
            ".spec.containers[name=\"m\"]",
            ".spec.containers[name=\"m\"].name",
            ".spec.containers[name=\"m\"].ports[containerPort=80,protocol=\"TCP\"]",
            ".spec.containers[name=\"m\"].ports[containerPort=80,protocol=\"TCP\"].containerPort",
            ".spec.securityContext",
            ".spec.tolerations",
        ]
    );
}

/// Pods that have much in common and little sense.
fn pods() -> impl Strategy<Value = Value> {
    let port = (
        80..83_u16,
        prop::option::of(prop::sample::select(vec!["TCP", "UDP"])),
    )
        .prop_map(|(port, protocol)| match protocol {
            Some(protocol) => json!({"containerPort": port, "protocol": protocol}),
            None => json!({"containerPort": port}),
        });
    let distinct = |items: Vec<Value>, keys: &'static [&'static str]| {
        let mut seen = std::collections::HashSet::new();
        let key = |item: &Value, key: &str| item.get(key).cloned().unwrap_or_else(|| json!("TCP"));
        let items = items.into_iter();
        items
            .filter(|item| seen.insert(keys.iter().map(|name| key(item, name)).collect::<Vec<_>>()))
            .collect::<Value>()
    };
    let words = |most| prop::collection::vec("[ab]", 0..most);
    let container = ("[mn]", prop::option::of("[ij]"), prop::collection::vec(port, 0..3), words(3)).prop_map(
        move |(name, image, ports, args)| {
            json!({"name": name, "image": image, "args": args, "ports": distinct(ports, &["containerPort", "protocol"])})
        },
    );
    let labels = prop::collection::btree_map("[a-c]", "[xy]", 0..3);
    let finalizers = prop::collection::btree_set("[a-c]", 0..3);
    (labels, finalizers, prop::collection::vec(container, 0..3), prop::option::of("[pq]")).prop_map(
        move |(labels, finalizers, containers, node)| {
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": labels, "finalizers": finalizers},
                "spec": {"containers": distinct(containers, &["name"]), "nodeName": node}})
        },
    )
}

/// Whether everything that `body` says is so in `object`. An empty list says nothing.
fn says(body: &Value, object: Option<&Value>) -> bool {
    match (body, object) {
        (Value::Array(body), None) => body.is_empty(),
        (Value::Object(body), Some(object)) => {
            body.iter().all(|(name, body)| says(body, object.get(name)))
        }
        (Value::Array(body), Some(Value::Array(object))) => {
            let mut rest = object.iter();
            body.iter()
                .all(|body| rest.any(|object| says(body, Some(object))))
        }
        (body, object) => Some(body) == object,
    }
}

proptest! {
    #[test]
    fn an_apply_is_idempotent_and_gets_what_it_says(first in pods(), second in pods(), third in pods()) {
        with_kind("v1", "Pod", |kind| {
            let live = apply(kind, by("a", FIRST), None, &first, true).unwrap();
            let live = apply(kind, by("b", FIRST), Some(&live), &second, true).unwrap();
            let once = apply(kind, by("a", LATER), Some(&live), &third, true).unwrap();
            prop_assert!(says(&third, Some(&once)), "{} does not say {}", once, third);
            prop_assert_eq!(apply(kind, by("a", "later"), Some(&once), &third, false).unwrap(), once);
            Ok(())
        })?;
    }

    #[test]
    fn owners_own_only_what_is_there(first in pods(), second in pods(), third in pods()) {
        with_kind("v1", "Pod", |kind| {
            let live = track_update(kind, by("a", FIRST), None, first);
            let live = apply(kind, by("b", FIRST), Some(&live), &second, true).unwrap();
            let live = track_update(kind, by("c", LATER), Some(&live), third);
            let root = Type::root(kind.schema, kind.structure);
            for entry in managed_fields(&live).map(Managers::read).unwrap_or_default().entries {
                let mut there = entry.fields.clone();
                there.retain_existing(root, &live);
                prop_assert_eq!(there, entry.fields);
            }
            Ok(())
        })?;
    }
}
