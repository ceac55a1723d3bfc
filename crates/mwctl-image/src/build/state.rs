//! An image in the making: its layers so far, its configuration, and the key that stands for all
//! that was done.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::oci::{CONFIG, Descriptor, LAYER, MANIFEST, sorted};
use crate::store::{Made, Store, StoreError};
use crate::view::View;

/// What every image without a base has.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What goes into a step's key, each part with a name by which people are told that it changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs(pub Vec<(String, String)>);

impl Inputs {
    pub(super) fn add(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.0.push((what.into(), value.into()));
    }

    /// The key after another one.
    pub(super) fn key(&self, parent: &str) -> String {
        let mut state = Sha256::new();
        let mut add = |text: &str| {
            state.update((text.len() as u64).to_le_bytes());
            state.update(text);
        };
        add("mwctl step 2");
        add(parent);
        for (what, value) in &self.0 {
            add(what);
            add(value);
        }
        hex::encode(state.finalize())
    }
}

/// A layer of an image in the making.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub blob: Descriptor,
    pub diff_id: Digest,
    pub folder: PathBuf,
    pub told: String,
}

/// An image in the making.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub key: String,
    /// The lowest first.
    pub parts: Vec<Part>,
    pub environment: Vec<(String, String)>,
    pub arguments: BTreeMap<String, String>,
    pub user: String,
    pub directory: String,
    /// The rest of the configuration, as OCI writes it.
    pub config: Map<String, Value>,
    /// Whether this stage said what the arguments are, and not its base.
    pub own_command: bool,
    /// The base's name and digest.
    pub base: Option<(String, Digest)>,
}

impl State {
    pub(super) fn scratch() -> Self {
        Self {
            key: "scratch".to_owned(),
            parts: Vec::new(),
            environment: vec![("PATH".to_owned(), PATH.to_owned())],
            arguments: BTreeMap::new(),
            user: String::new(),
            directory: "/".to_owned(),
            config: Map::new(),
            own_command: false,
            base: None,
        }
    }

    pub(super) fn view(&self) -> View {
        View::new(
            self.parts
                .iter()
                .rev()
                .map(|part| part.folder.clone())
                .collect(),
        )
    }

    /// The value of a variable, of the image or of the build.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let mut known = self.environment.iter();
        match known.find(|(known, _)| known == name) {
            Some((_, value)) => Some(value.clone()),
            None => self.arguments.get(name).cloned(),
        }
    }

    pub(super) fn set_environment(&mut self, name: &str, value: String) {
        match self.environment.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.environment.push((name.to_owned(), value)),
        }
    }

    /// An entry of one of the configuration's maps.
    pub(super) fn set_in(&mut self, map: &str, key: &str, value: Value) {
        let map = self.config.entry(map).or_insert_with(|| json!({}));
        if !map.is_object() {
            *map = json!({});
        }
        map[key] = value;
    }

    /// A path from the directory so far.
    pub(super) fn absolute(&self, path: &str) -> String {
        let joined = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.directory)
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in joined.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    pub(super) fn add(&mut self, store: &Store, key: String, made: &Made, told: String) {
        self.key = key;
        self.parts.push(Part {
            blob: Descriptor {
                media_type: LAYER.to_owned(),
                digest: made.diff_id.clone(),
                size: made.size,
            },
            diff_id: made.diff_id.clone(),
            folder: store.made_folder(&made.diff_id),
            told,
        });
    }

    /// Writes the image's documents; gives the manifest's digest. Equal images have equal bytes.
    pub(super) fn write(&self, store: &Store, architecture: &str) -> Result<Digest, StoreError> {
        const BEGIN: &str = "1970-01-01T00:00:00Z";
        let mut config = self.config.clone();
        let variables = self.environment.iter();
        let variables: Vec<String> = variables
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        config.insert("Env".to_owned(), json!(variables));
        config.insert("User".to_owned(), json!(self.user));
        config.insert("WorkingDir".to_owned(), json!(self.directory));
        // One entry for each layer: podman counts them.
        let history: Vec<Value> = self
            .parts
            .iter()
            .map(|part| json!({"created": BEGIN, "created_by": part.told}))
            .collect();
        let diff_ids: Vec<&Digest> = self.parts.iter().map(|part| &part.diff_id).collect();
        let config = sorted(json!({
            "architecture": architecture,
            "os": "linux",
            "created": BEGIN,
            "config": config,
            "history": history,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }));
        let layers: Vec<&Descriptor> = self.parts.iter().map(|part| &part.blob).collect();
        let digest = store.put_bytes(&config)?;
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest, "size": config.len()},
            "layers": layers,
        });
        if let Some((name, digest)) = &self.base {
            manifest["annotations"] = json!({
                "org.opencontainers.image.base.name": name,
                "org.opencontainers.image.base.digest": digest,
            });
        }
        store.put_bytes(&sorted(manifest))
    }
}
