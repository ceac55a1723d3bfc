//! The documents of an image: manifest and configuration, with sorted keys and no times, so that
//! equal images have equal digests.

use std::collections::BTreeMap;

use mwctl_core::model::Build;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::base::Base;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// One blob of an image.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobDescriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
}

impl BlobDescriptor {
    pub(super) fn layer(digest: String, size: u64) -> Self {
        Self {
            media_type: LAYER.to_owned(),
            digest,
            size,
        }
    }
}

/// The IDs by which a node knows stacks of layers: each of a layer and all below it.
pub fn chain(diff_ids: &[String]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let id = match ids.last() {
            None => diff_id.clone(),
            Some(parent) => {
                let text = format!("{parent} {diff_id}");
                format!("sha256:{}", hex::encode(Sha256::digest(text)))
            }
        };
        ids.push(id);
    }
    ids
}

/// The configuration of an image: the base's, with what the build says on top.
pub(super) fn configuration(
    base: &Base,
    build: &Build,
    key: &str,
    layers: &[BlobDescriptor],
) -> Vec<u8> {
    let mut document = base.config_value();
    let object = |value: &mut Value| {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
    };
    object(&mut document);
    document["created"] = json!("1970-01-01T00:00:00Z");
    let config = &mut document["config"];
    object(config);
    if !build.entrypoint.is_empty() {
        config["Entrypoint"] = json!(build.entrypoint);
        // The base's arguments belong to the base's entrypoint.
        config["Cmd"] = Value::Null;
    }
    config["Env"] = json!(environment(&config["Env"], &build.environment));
    config["User"] = json!(build.user.to_string());
    config["WorkingDir"] = json!(build.directory);
    let labels = &mut config["Labels"];
    object(labels);
    labels["mwctl.key"] = json!(key);
    labels["org.opencontainers.image.base.name"] = json!(base.reference);
    labels["org.opencontainers.image.base.digest"] = json!(base.digest);

    let history = &mut document["history"];
    if let Value::Array(entries) = history {
        entries.extend(layers.iter().map(|_| step()));
    } else {
        // One entry per layer: podman counts them.
        let count = base.layers.len() + layers.len();
        *history = Value::Array((0..count).map(|_| step()).collect());
    }
    let diff_ids = base.diff_ids.iter().cloned();
    let diff_ids: Vec<String> = diff_ids
        .chain(layers.iter().map(|layer| layer.digest.clone()))
        .collect();
    document["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
    sorted(document)
}

fn step() -> Value {
    json!({"created": "1970-01-01T00:00:00Z", "created_by": "mwctl"})
}

/// The base's variables in their order, ours instead of theirs, and then ours that are new.
fn environment(base: &Value, ours: &BTreeMap<String, String>) -> Vec<String> {
    let given = base
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mut variables: Vec<String> = given
        .filter(|variable| !ours.contains_key(&name(variable)))
        .map(str::to_owned)
        .collect();
    variables.extend(ours.iter().map(|(name, value)| format!("{name}={value}")));
    variables
}

/// The manifest. The base's layers keep their digests: they are never packed again.
pub(super) fn manifest(base: &Base, config: &BlobDescriptor, layers: &[BlobDescriptor]) -> Vec<u8> {
    let layers: Vec<&BlobDescriptor> = base.layers.iter().chain(layers).collect();
    sorted(json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": layers,
        "annotations": {
            "org.opencontainers.image.base.name": base.reference,
            "org.opencontainers.image.base.digest": base.digest,
        },
    }))
}

/// JSON with sorted keys, without empty values.
pub(crate) fn sorted(mut value: Value) -> Vec<u8> {
    fn sort(value: &mut Value) {
        match value {
            Value::Object(object) => {
                let mut entries: Vec<_> = std::mem::take(object).into_iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                for (key, mut value) in entries {
                    if !value.is_null() {
                        sort(&mut value);
                        object.insert(key, value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(sort),
            _ => {}
        }
    }
    sort(&mut value);
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_chain_id_is_the_first_layer_and_each_other_one_hashes_its_parent() {
        let ids = chain(&["sha256:a".to_owned(), "sha256:b".to_owned()]);
        assert_eq!(ids[0], "sha256:a");
        let expected = hex::encode(Sha256::digest("sha256:a sha256:b"));
        assert_eq!(ids[1], format!("sha256:{expected}"));
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": 2}], "a": null, "c": {}});
        assert_eq!(sorted(value), br#"{"b":[{"a":2,"z":1}],"c":{}}"#);
    }

    #[test]
    fn our_variables_replace_the_bases() {
        let ours = BTreeMap::from([
            ("PATH".to_owned(), "/x".to_owned()),
            ("A".to_owned(), "1".to_owned()),
        ]);
        let base = json!(["PATH=/bin", "LANG=C"]);
        assert_eq!(environment(&base, &ours), ["LANG=C", "A=1", "PATH=/x"]);
    }
}
