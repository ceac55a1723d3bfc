//! What is newer, what is gone, and what a list says about both.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::*;

fn pod(name: &str, uid: &str, version: u64) -> Object {
    let pod: Pod = serde_json::from_value(json!({"metadata": {
        "name": name, "namespace": "here", "uid": uid, "resourceVersion": version.to_string(),
    }}))
    .unwrap();
    pod.into()
}

#[test]
fn a_late_watch_does_not_undo_an_own_write() {
    let mut observed = Observed::default();
    assert!(observed.see(pod("a", "1", 7)).is_some());
    assert!(observed.see(pod("a", "1", 5)).is_none());
    let known = observed.pods.get(&Key::new("here", "a")).unwrap();
    assert_eq!(known.metadata.resource_version.as_deref(), Some("7"));
}

#[test]
fn what_is_gone_stays_gone_whatever_arrives_late() {
    let mut observed = Observed::default();
    observed.see(pod("a", "1", 5));
    assert!(observed.lose("1").is_some());
    assert!(observed.see(pod("a", "1", 9)).is_none());
    assert!(observed.is_gone("1"));
    assert!(observed.see(pod("a", "2", 10)).is_some());
}

#[test]
fn a_new_object_of_an_old_name_replaces_it() {
    let mut observed = Observed::default();
    observed.see(pod("a", "1", 5));
    observed.see(pod("a", "2", 9));
    assert!(observed.is_gone("1"));
    assert_eq!(observed.pods.iter().count(), 1);
    assert!(observed.lose("1").is_none());
    assert_eq!(observed.pods.iter().count(), 1);
}

#[test]
fn a_list_ends_what_it_does_not_name_but_not_what_was_written_meanwhile() {
    let mut observed = Observed::default();
    observed.see(pod("old", "1", 5));
    observed.begin_list(Kind::Pod.resource());
    observed.see(pod("kept", "2", 6));
    observed.see(pod("mine", "3", 9));
    let listed = HashSet::from(["2".to_owned()]);
    let changes = observed.end_list(Kind::Pod.resource(), &listed);
    let lost: Vec<&str> = changes.iter().map(|change| change.object().uid()).collect();
    assert_eq!(lost, ["1"]);
    assert_eq!(observed.pods.iter().count(), 2);
}
