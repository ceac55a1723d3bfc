//! A stored object: its value, and the JSON that every reader of it is sent.

use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::{Arc, OnceLock};

/// Which collection: an API group (empty for the core group) and the plural of a resource. Versions share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    /// The API group.
    pub group: Arc<str>,
    /// The plural, such as `pods`.
    pub resource: Arc<str>,
}

/// Which object of a collection. The order of keys is that of lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The namespace; empty for what is in none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// An object at one revision. It never changes: a write makes another.
#[derive(Debug)]
pub struct Object {
    /// Six times as large as the JSON, and read from it where it isn't there.
    value: OnceLock<Value>,
    json: Bytes,
    revision: u64,
}

impl GroupResource {
    /// The collection of this group and plural.
    pub fn new(group: &str, resource: &str) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
        }
    }
}

impl Key {
    /// The object of this name in this namespace, which is empty for what is in none.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl Object {
    /// The value as of a revision, which it carries as `metadata.resourceVersion` from here on.
    pub(super) fn new(mut value: Value, revision: u64) -> Self {
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
        }
        let json = written(&value);
        Self {
            value: value.into(),
            json,
            revision,
        }
    }

    /// The same one, as JSON alone until somebody looks into it.
    pub(super) fn as_json(&self) -> Self {
        Self {
            value: OnceLock::new(),
            json: self.json.clone(),
            revision: self.revision,
        }
    }

    /// Whether it is there as a value, too.
    #[cfg(test)]
    pub(crate) fn is_read(&self) -> bool {
        self.value.get().is_some()
    }

    /// An object that was written down as this JSON.
    pub(super) fn stored(json: Vec<u8>, revision: u64) -> Result<Self, serde_json::Error> {
        Ok(Self {
            value: OnceLock::from(serde_json::from_slice::<Value>(&json)?),
            json: json.into_boxed_slice().into(),
            revision,
        })
    }

    /// A value that is not stored, such as the outcome of a dry run; it keeps the revision that it says it has.
    pub fn unstored(value: Value) -> Self {
        let version = value.pointer("/metadata/resourceVersion");
        let revision = version
            .and_then(Value::as_str)
            .and_then(|version| version.parse().ok());
        let json = written(&value);
        Self {
            value: value.into(),
            json,
            revision: revision.unwrap_or_default(),
        }
    }

    /// The same value with another revision, as the last message about an object has it.
    pub(super) fn at(&self, revision: u64) -> Self {
        Self::new(self.value().clone(), revision)
    }

    /// Whether a value says the same as this one, whatever revision it was made from.
    pub(super) fn same_as(&self, value: &Value) -> bool {
        let (Some(mine), Some(other)) = (self.value().as_object(), value.as_object()) else {
            return self.value() == value;
        };
        let [of_mine, of_other] = [mine, other].map(|object| object.get("metadata"));
        let maps = [of_mine, of_other].map(|metadata| metadata.and_then(Value::as_object));
        same_but("metadata", mine, other)
            && match maps {
                [Some(mine), Some(other)] => same_but("resourceVersion", mine, other),
                _ => of_mine == of_other,
            }
    }

    /// The whole object.
    pub fn value(&self) -> &Value {
        // It was written by us, from a value.
        (self.value).get_or_init(|| serde_json::from_slice(&self.json).unwrap_or_default())
    }

    /// The whole object as JSON; a clone costs nothing.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The revision of its latest change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.metadata("name")
    }

    /// `metadata.namespace`, empty where there is none.
    pub fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.metadata("uid")
    }

    /// Whether its removal has been asked for and waits for somebody.
    pub fn is_terminating(&self) -> bool {
        !self.metadata("deletionTimestamp").is_empty()
    }

    /// `metadata.labels`.
    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.value().pointer("/metadata/labels")?.as_object()
    }

    fn metadata(&self, field: &str) -> &str {
        self.value()["metadata"][field].as_str().unwrap_or_default()
    }
}

/// Whether two objects have the same fields, but for one.
pub(crate) fn same_but(but: &str, mine: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let count = |fields: &Map<String, Value>| fields.keys().filter(|name| *name != but).count();
    count(mine) == count(other)
        && (mine.iter().filter(|(name, _)| *name != but))
            .all(|(name, value)| other.get(name) == Some(value))
}

/// The JSON in as much memory as it takes: what grows while it is written has up to twice that, and much of it is kept for long.
fn written(value: &Value) -> Bytes {
    Bytes::from(value.to_string().into_bytes().into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_carries_its_revision_and_equals_itself_at_any() {
        let object = Object::new(json!({"kind": "A", "metadata": {"name": "a"}}), 7);
        assert_eq!(object.value()["metadata"]["resourceVersion"], "7");
        assert!(
            object
                .same_as(&json!({"metadata": {"resourceVersion": "3", "name": "a"}, "kind": "A"}))
        );
        assert!(!object.same_as(&json!({"metadata": {"name": "b"}, "kind": "A"})));
        assert!(!object.same_as(&json!({"metadata": {"name": "a"}, "kind": "A", "data": {}})));
    }

    #[test]
    fn an_object_that_is_json_alone_is_the_same_one() {
        let object = Object::new(json!({"kind": "A", "metadata": {"name": "a"}}), 7);
        let other = object.as_json();
        assert!(!other.is_read());
        assert_eq!(
            (other.value(), other.json(), other.revision()),
            (object.value(), object.json(), 7)
        );
    }

    #[test]
    fn a_value_without_metadata_is_no_fault() {
        let object = Object::new(json!([1]), 1);
        assert_eq!((object.name(), object.labels()), ("", None));
    }
}
