//! What holds where nobody says anything: the values that the conversion fills in.
//!
//! They stand here once, for the conversion and for whoever asks where a value comes from.

use serde_json::{Value, json};

use super::node::{Node, Tree};

pub(crate) const REPLICAS: u32 = 1;
/// Where an image's files go.
pub(crate) const DIRECTORY: &str = "/srv/app";
/// The user that production's images run as.
pub(crate) const USER: &str = "900";
/// The user that owns the files in production's images.
pub(crate) const OWNER: &str = "65533";
pub(crate) const PERIOD_SECONDS: u32 = 10;
pub(crate) const TIMEOUT_SECONDS: u32 = 1;
pub(crate) const INITIAL_DELAY_SECONDS: u32 = 0;
pub(crate) const FAILURE_THRESHOLD: u32 = 3;
/// Every file restarts the process.
pub(crate) const RESTART: &str = "**";
pub(crate) const STOP_TIMEOUT: &str = "5s";

/// The keys that a merged spec lacks and that are filled in for it, as JSON pointers with values.
pub(crate) fn missing(spec: &Node) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut lacks = |map: &str, key: &str, value: Value| {
        let there = map.is_empty() || spec.pointer(map).is_some();
        let pointer = format!("{map}/{key}");
        if there && spec.pointer(&pointer).is_none() {
            found.push((pointer, value));
        }
    };
    lacks("", "replicas", json!(REPLICAS));
    lacks("/container/build", "directory", json!(DIRECTORY));
    lacks("/container/build", "user", json!(USER.parse::<u32>().ok()));
    lacks(
        "/container/build",
        "owner",
        json!(OWNER.parse::<u32>().ok()),
    );
    let mut containers = vec!["/container".to_owned()];
    let helpers = spec.get("helpers").map(Node::entries).unwrap_or_default();
    containers.extend(
        helpers
            .iter()
            .map(|helper| format!("/helpers/{}", super::node::escape(&helper.key))),
    );
    for container in containers {
        for probe in ["readiness", "liveness", "startup"] {
            let probe = format!("{container}/probes/{probe}");
            lacks(&probe, "period", seconds(PERIOD_SECONDS));
            lacks(&probe, "timeout", seconds(TIMEOUT_SECONDS));
            lacks(&probe, "initialDelay", seconds(INITIAL_DELAY_SECONDS));
            lacks(&probe, "failureThreshold", json!(FAILURE_THRESHOLD));
        }
    }
    lacks("/develop", "restart", json!([RESTART]));
    lacks("/develop", "stopTimeout", json!(STOP_TIMEOUT));
    // What the build says holds for developing too.
    for (key, from) in [
        ("directory", "/container/build/directory"),
        ("exclude", "/container/build/exclude"),
        ("command", "/container/command"),
    ] {
        if let Some(node) = spec.pointer(from).filter(|node| node.tree != Tree::Null) {
            lacks("/develop", key, node.value(true));
        }
    }
    found
}

fn seconds(number: u32) -> Value {
    json!(format!("{number}s"))
}
