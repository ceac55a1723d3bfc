//! One rule of strategic merge each, on a small type; the recorded vectors are in `tests/patches.rs`.

use super::*;
use crate::schema::{Field, ListKind, Struct};
use serde_json::json;

const POD: StructId = StructId(0);
const CONTAINER: StructId = StructId(1);

fn list(item: Shape, merge_key: Option<&str>, merge: bool) -> Field {
    Field {
        shape: Shape::List {
            item: Box::new(item),
            kind: ListKind::Atomic,
        },
        patch: PatchStrategy {
            merge,
            retain_keys: false,
            merge_key: merge_key.map(str::to_owned),
        },
        ..Field::default()
    }
}

fn map() -> Field {
    Field {
        shape: Shape::Map {
            value: Box::new(Shape::String),
            atomic: false,
        },
        ..Field::default()
    }
}

fn schema() -> Schema {
    let pod = [
        (
            "containers",
            list(Shape::Struct(CONTAINER), Some("name"), true),
        ),
        ("finalizers", list(Shape::String, None, true)),
        ("tolerations", list(Shape::Any, None, false)),
        ("labels", map()),
        ("strategy", Field::default()),
    ];
    let container = [
        ("name", Field::default()),
        ("image", Field::default()),
        ("args", list(Shape::String, None, false)),
        ("ports", list(Shape::Any, Some("containerPort"), true)),
    ];
    let structure = |name: &str, fields: Vec<(&str, Field)>| Struct {
        name: format!("example.{name}"),
        fields: fields
            .into_iter()
            .map(|(name, field)| (name.to_owned(), field))
            .collect(),
        ..Struct::default()
    };
    Schema {
        structs: vec![
            structure("Pod", pod.into()),
            structure("Container", container.into()),
        ],
        ..Schema::default()
    }
}

fn patched(live: &Value, body: &Value) -> Value {
    apply(&schema(), POD, live, body).unwrap()
}

fn refused(live: &Value, body: &Value) -> (u16, String) {
    let refusal = apply(&schema(), POD, live, body).unwrap_err();
    (refusal.code, refusal.message)
}

fn names(value: &Value) -> String {
    let names = value["containers"].as_array().unwrap().iter();
    names
        .map(|item| item["name"].as_str().unwrap())
        .collect::<Vec<_>>()
        .join(" ")
}

fn containers(names: &str) -> Value {
    let items = names
        .split(' ')
        .map(|name| json!({"name": name, "image": "i"}));
    json!({"containers": items.collect::<Value>()})
}

#[test]
fn items_merge_by_their_name_and_new_ones_stand_where_the_patch_has_them() {
    let body = json!({"containers": [{"name": "one", "image": "j"}, {"name": "new"}]});
    let merged = patched(&containers("one two"), &body);
    assert_eq!(
        merged,
        json!({"containers": [{"name": "one", "image": "j"}, {"name": "new"}, {"name": "two", "image": "i"}]})
    );
}

#[test]
fn the_wanted_order_moves_what_it_names_and_leaves_the_rest_where_it_stood() {
    let order = json!({"$setElementOrder/containers": [{"name": "d"}, {"name": "a"}]});
    assert_eq!(names(&patched(&containers("a b c d"), &order)), "b c d a");
    let order = json!({
        "$setElementOrder/containers": [{"name": "new"}, {"name": "two"}, {"name": "one"}],
        "containers": [{"name": "new"}],
    });
    assert_eq!(
        names(&patched(&containers("one two"), &order)),
        "new two one"
    );
}

#[test]
fn an_item_is_deleted_by_its_name_and_may_come_back_in_the_same_patch() {
    let body =
        json!({"containers": [{"name": "one", "image": "j"}, {"$patch": "delete", "name": "one"}]});
    assert_eq!(
        patched(&containers("one two"), &body),
        json!({"containers": [{"name": "one", "image": "j"}, {"name": "two", "image": "i"}]})
    );
}

#[test]
fn a_list_is_replaced_by_what_stands_beside_the_directive() {
    let body = json!({"containers": [{"name": "z"}, {"$patch": "replace"}]});
    assert_eq!(
        patched(&containers("one two"), &body),
        json!({"containers": [{"name": "z"}]})
    );
}

#[test]
fn of_two_items_with_one_key_the_first_is_merged_and_both_are_deleted() {
    let live = json!({"containers": [{"name": "m", "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "UDP"}]}]});
    let ports = |ports: Value| {
        patched(
            &live,
            &json!({"containers": [{"name": "m", "ports": ports}]}),
        )["containers"][0]["ports"]
            .clone()
    };
    assert_eq!(
        ports(json!([{"containerPort": 81}, {"containerPort": 80, "name": "w"}])),
        json!([{"containerPort": 81}, {"containerPort": 80, "protocol": "TCP", "name": "w"}, {"containerPort": 80, "protocol": "UDP"}])
    );
    assert_eq!(
        ports(json!([{"$patch": "delete", "containerPort": 80}])),
        json!([])
    );
}

#[test]
fn bare_values_are_added_and_deleted() {
    let live = json!({"finalizers": ["a", "b"]});
    assert_eq!(
        patched(&live, &json!({"finalizers": ["c", "a"]})),
        json!({"finalizers": ["c", "a", "b"]})
    );
    assert_eq!(
        patched(
            &live,
            &json!({"$deleteFromPrimitiveList/finalizers": ["a"]})
        ),
        json!({"finalizers": ["b"]})
    );
    assert_eq!(patched(&live, &json!({"finalizers": null})), json!({}));
}

#[test]
fn a_list_without_the_strategy_is_replaced() {
    let live = json!({"tolerations": [{"key": "a"}]});
    assert_eq!(
        patched(&live, &json!({"tolerations": [{"key": "z"}]})),
        json!({"tolerations": [{"key": "z"}]})
    );
}

#[test]
fn maps_merge_are_replaced_or_emptied() {
    let live = json!({"labels": {"a": "1", "b": "2"}});
    for (labels, expected) in [
        (json!({"a": null, "c": "3"}), json!({"b": "2", "c": "3"})),
        (json!({"$patch": "replace", "c": "3"}), json!({"c": "3"})),
        (json!({"$patch": "delete", "c": "3"}), json!({})),
    ] {
        assert_eq!(
            patched(&live, &json!({"labels": labels})),
            json!({"labels": expected})
        );
    }
}

#[test]
fn only_retained_keys_stay() {
    let live = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}});
    let body = json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}});
    assert_eq!(
        patched(&live, &body),
        json!({"strategy": {"type": "Recreate"}})
    );
    for bad in [
        json!({"$retainKeys": 3}),
        json!({"$retainKeys": [1]}),
        json!({"$retainKeys": ["type"], "rollingUpdate": {}}),
    ] {
        assert_eq!(
            refused(&live, &json!({"strategy": bad})),
            (400, "invalid patch format of retainKeys".to_owned())
        );
    }
}

#[test]
fn where_nothing_was_the_patch_is_taken_without_its_directives() {
    let body = json!({
        "labels": {"$patch": "zap", "a": "1", "b": null},
        "containers": [{"$patch": "delete", "name": "x"}, {"name": "y", "$retainKeys": ["name"]}],
    });
    assert_eq!(
        patched(&json!({}), &body),
        json!({"labels": {"a": "1"}, "containers": [{"name": "y"}]})
    );
}

#[test]
fn what_cannot_be_merged_is_refused_in_upstreams_words() {
    let live = json!({"containers": [{"name": "one", "image": "i"}], "labels": {"a": "1"}});
    for (body, message) in [
        (
            json!({"containers": [{"image": "q"}]}),
            "map: map[image:q] does not contain declared merge key: name",
        ),
        (
            json!({"containers": [{"$patch": "delete"}]}),
            "map: map[$patch:delete] does not contain declared merge key: name",
        ),
        (
            json!({"containers": ["x"]}),
            "list element types are not identical: [[map[image:i name:one]] [x]]",
        ),
        (
            json!({"containers": [{"$patch": "zap", "name": "one"}]}),
            "unknown patch type: zap in map: map[$patch:zap name:one]",
        ),
        (
            json!({"containers": [{"$patch": "merge", "name": "one"}]}),
            "merging lists cannot yet be specified in the patch",
        ),
        (
            json!({"labels": {"$patch": 3}}),
            "unknown patch type: %!s(int64=3) in map: map[$patch:3]",
        ),
        (
            json!({"$setElementOrder/containers": 3}),
            "expected a []interface {}, but received a int64",
        ),
        (
            json!({"$setElementOrder/containers": null}),
            "expected a []interface {}, but received a %!s(<nil>)",
        ),
        (
            json!({"$setElementOrder/containers": ["x"]}),
            "value for key 0 is not a map",
        ),
        (
            json!({"$setElementOrder/containers": [{"q": "1"}]}),
            "map: map[q:1] does not contain declared merge key: name",
        ),
        (
            json!({"$setElementOrder/labels": ["a"]}),
            "expected slice or array type, but got: struct",
        ),
        (
            json!({"$setElementOrder/nope": ["a"]}),
            "unable to find api field in struct Pod for the json field \"nope\"",
        ),
        (
            json!({"$setElementOrder/containers": [{"name": "two"}], "containers": [{"name": "one", "image": "x"}]}),
            "The order in patch list:\n[map[image:x name:one]]\n doesn't match $setElementOrder list:\n[map[name:two]]\n",
        ),
    ] {
        assert_eq!(refused(&live, &body), (500, message.to_owned()), "{body}");
    }
    assert_eq!(
        refused(&live, &json!([])),
        (
            400,
            "json: cannot unmarshal array into Go value of type map[string]interface {}".to_owned()
        )
    );
}
