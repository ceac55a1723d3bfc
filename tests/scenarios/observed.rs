//! What is in a scenario's cluster: an earlier stack that was deployed and became ready, with what
//! has happened to it since.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mwctl_core::manifest::ObjectId;
use mwctl_core::observed::{ImageState, Observed};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{builds, objects, stack};

/// `observed.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Seen {
    /// The description that was deployed, as a file of the scenario; nothing where it is missing.
    deployed: Option<PathBuf>,
    /// What has happened since.
    changes: Vec<Change>,
}

/// What has happened to an object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// The object, as plans name it.
    object: String,
    /// What was merged into it, as in RFC 7396; without it the object is gone.
    merge: Option<Value>,
}

/// The cluster of the scenario in `folder`.
pub(crate) fn observed(folder: &Path, seen: &Seen) -> Observed {
    let mut observed = Observed::default();
    if let Some(file) = &seen.deployed {
        let stack = stack(&folder.join(file));
        for object in objects(&stack) {
            let mut live = object.stamped().to_value();
            if live["kind"] == "Deployment" {
                become_ready(&mut live);
            }
            let id = ObjectId::of(&live).expect("a rendered object has an id");
            observed.objects.insert(id, live);
        }
        let on_node = builds(&stack)
            .into_values()
            .map(|build| (build.reference, ImageState { on_node: true }));
        observed.images = on_node.collect();
    }
    for change in &seen.changes {
        happen(&mut observed.objects, change);
    }
    observed
}

fn become_ready(deployment: &mut Value) {
    let replicas = deployment["spec"]["replicas"].clone();
    deployment["metadata"]["generation"] = json!(1);
    deployment["status"] = json!({
        "observedGeneration": 1,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "availableReplicas": replicas,
    });
}

fn happen(objects: &mut BTreeMap<ObjectId, Value>, change: &Change) {
    let id = objects.keys().find(|id| id.to_string() == change.object);
    let id = id.unwrap_or_else(|| panic!("no {}", change.object)).clone();
    let before = objects.remove(&id);
    if let (Some(mut live), Some(patch)) = (before, &change.merge) {
        merge(&mut live, patch);
        objects.insert(id, live);
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if !value.is_null() {
            merge(&mut target[key.as_str()], value);
        } else if let Some(target) = target.as_object_mut() {
            target.remove(key);
        }
    }
}
