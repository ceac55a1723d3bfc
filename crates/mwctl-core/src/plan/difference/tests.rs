//! Differences, between recorded objects of a real Kubernetes and what was applied.

use serde_json::json;

use super::*;

fn words(wanted: &Value, live: &Value) -> Vec<String> {
    let found = differences(wanted, live);
    found.iter().map(|found| found.describe(false)).collect()
}

#[test]
fn what_the_server_leaves_out_is_no_difference() {
    let wanted = json!({
        "readOnly": false, "delay": 0, "text": "", "list": [], "map": {"inner": {}}, "none": null
    });
    assert_eq!(words(&wanted, &json!({})), Vec::<String>::new());
    assert_eq!(
        words(&json!({"readOnly": true}), &json!({})),
        ["`readOnly` is missing in the cluster, true here"]
    );
}

#[test]
fn things_with_a_name_are_compared_by_it() {
    let wanted = json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]});
    let live = json!({"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "0"}]});
    assert_eq!(
        words(&wanted, &live),
        ["`env[A].value` is 0 in the cluster, 1 here"]
    );
}

#[test]
fn a_volume_that_is_mounted_twice_is_told_apart_by_its_path() {
    let wanted = json!([
        {"name": "data", "mountPath": "/a"},
        {"name": "data", "mountPath": "/b", "readOnly": true}
    ]);
    assert!(differences(&wanted, &wanted).is_empty());
}

#[test]
fn words_of_a_command_are_compared_as_they_stand() {
    let wanted = json!({"command": ["node", "server.js"]});
    assert_eq!(
        words(&wanted, &json!({"command": ["node", "server.js", "-v"]})),
        ["`command` differs"]
    );
    assert_eq!(
        words(&wanted, &json!({"command": ["node", "other.js"]})),
        ["`command[1]` is other.js in the cluster, server.js here"]
    );
}

#[test]
fn a_key_with_a_dot_stands_in_brackets_and_long_texts_are_not_shown() {
    assert_eq!(
        words(
            &json!({"data": {"config.yaml": "a: 1\nb: 2\n"}}),
            &json!({"data": {"config.yaml": "a: 1\n"}})
        ),
        ["`data[config.yaml]` differs"]
    );
}

#[test]
fn another_type_of_value_is_a_difference() {
    assert_eq!(
        words(&json!({"a": {"b": 1}}), &json!({"a": "text"})),
        ["`a` differs"]
    );
    assert_eq!(
        words(&json!({"a": [1]}), &json!({"a": {"b": 1}})),
        ["`a` differs"]
    );
}

/// What was applied to a Kubernetes v1.34, and what it answered when it was asked for it.
const RECORDED: [&str; 2] = [
    include_str!("recorded/applied.json"),
    include_str!("recorded/live.json"),
];

#[test]
fn what_a_real_server_makes_of_our_objects_is_no_difference() {
    let [applied, live] = RECORDED.map(|text| serde_json::from_str::<Vec<Value>>(text).unwrap());
    assert_eq!(applied.len(), 12);
    for (wanted, live) in applied.iter().zip(&live) {
        assert_eq!(wanted["metadata"]["name"], live["metadata"]["name"]);
        assert_eq!(words(wanted, live), Vec::<String>::new());
        assert_ne!(wanted, live);
    }
}
