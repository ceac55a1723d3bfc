//! `OpenAPI` documents about the kinds that are served: version 3 for each group and version, version 2 for all at once, as JSON and as protobuf.
//!
//! They are made from the schema when somebody asks, and kept. Clients learn from them which fields there are, how a patch merges, and that
//! `fieldValidation` may be asked for. Built-in kinds are not described, apart from the metadata that every kind has.

mod components;
mod descriptions;
mod gnostic;
mod v2;
mod v3;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::schema::Schema;

/// A text or protobuf that is made once.
type Bytes = Arc<[u8]>;

/// The documents of some schemas: of the built-in kinds, and of each custom resource.
#[derive(Debug, Default)]
pub struct Documents {
    schemas: Vec<Arc<Schema>>,
    v3: Mutex<BTreeMap<String, Bytes>>,
    v2: OnceLock<Value>,
    v2_json: OnceLock<Bytes>,
    v2_protobuf: OnceLock<Bytes>,
}

impl Documents {
    /// Documents of these schemas; nothing is made yet.
    pub fn new(schemas: Vec<Arc<Schema>>) -> Self {
        Self {
            schemas,
            v3: Mutex::default(),
            v2: OnceLock::new(),
            v2_json: OnceLock::new(),
            v2_protobuf: OnceLock::new(),
        }
    }

    /// Documents of other schemas, which keep what is the same: the documents of groups that no other schema speaks of.
    #[must_use]
    pub fn succeed(&self, schemas: Vec<Arc<Schema>>) -> Self {
        let next = Self::new(schemas);
        let mut kept = BTreeMap::new();
        let made = self.v3.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, group, version) in next.groups() {
            if let Some(document) = made.get(&path)
                && self.hash(&group, &version) == next.hash(&group, &version)
            {
                kept.insert(path, Arc::clone(document));
            }
        }
        Self {
            v3: Mutex::new(kept),
            ..next
        }
    }

    /// Whether they are of nothing.
    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty()
    }

    /// `/openapi/v3`: where the document of each group and version is. The hash in the address tells a client whether it has it already.
    pub fn index(&self) -> Value {
        let mut paths = serde_json::Map::new();
        for (path, group, version) in self.groups() {
            let url = format!("/openapi/v3/{path}?hash={}", self.hash(&group, &version));
            paths.insert(path, json!({ "serverRelativeURL": url }));
        }
        json!({ "paths": paths })
    }

    /// The document at `/openapi/v3/` and this path, such as `apis/apps/v1`, as JSON.
    pub fn v3(&self, path: &str) -> Option<Bytes> {
        let (path, group, version) = self
            .groups()
            .into_iter()
            .find(|(known, ..)| known == path)?;
        let mut made = self.v3.lock().unwrap_or_else(PoisonError::into_inner);
        let document = made.entry(path).or_insert_with(|| {
            let document = v3::document(&self.schemas, &group, &version);
            document.to_string().into_bytes().into()
        });
        Some(Arc::clone(document))
    }

    /// `/openapi/v2` as JSON.
    pub fn v2_json(&self) -> Bytes {
        let make = || self.v2().to_string().into_bytes().into();
        Arc::clone(self.v2_json.get_or_init(make))
    }

    /// `/openapi/v2` as protobuf (`application/com.github.proto-openapi.spec.v2@v1.0+protobuf`).
    pub fn v2_protobuf(&self) -> Bytes {
        let make = || gnostic::document(self.v2()).into();
        Arc::clone(self.v2_protobuf.get_or_init(make))
    }

    fn v2(&self) -> &Value {
        self.v2.get_or_init(|| {
            let groups = self.groups();
            let documents = groups
                .iter()
                .map(|(_, group, version)| v3::document(&self.schemas, group, version));
            v2::document(documents)
        })
    }

    /// The path, the group and the version of every document.
    fn groups(&self) -> BTreeSet<(String, String, String)> {
        let resources = self.schemas.iter().flat_map(|schema| &schema.resources);
        resources
            .map(|resource| {
                let (group, version) = (&resource.gvk.group, &resource.gvk.version);
                let path = v3::base(group, version);
                (
                    path.trim_start_matches('/').to_owned(),
                    group.clone(),
                    version.clone(),
                )
            })
            .collect()
    }

    /// What changes when a document does: the program makes it, from schemas of some version.
    fn hash(&self, group: &str, version: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(env!("CARGO_PKG_VERSION"));
        for schema in &self.schemas {
            let concerned = schema
                .resources
                .iter()
                .any(|resource| resource.gvk.group == group && resource.gvk.version == version);
            if concerned {
                hash.update(&schema.version);
                hash.update([0]);
            }
        }
        hex::encode_upper(hash.finalize())
    }
}

#[cfg(test)]
mod tests;
