//! One Kubernetes object that we make, and the name it is found by.
//!
//! Printing or serialising an `Object` hides what a Secret holds; only `to_value` reveals it.

use std::cmp::Ordering;
use std::fmt;

use k8s_openapi::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::label::{APPLIED, FORM, Form, NAME, RAW};
use crate::name::ServiceName;

/// What stands in the place of a secret value.
pub const HIDDEN: &str = "…";

/// Where an object is found.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectId {
    /// Group and version, as in `apps/v1`.
    pub api_version: String,
    /// The kind, as in `Deployment`.
    pub kind: String,
    /// The namespace; `None` for what lives in none.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

/// The order in which kinds are applied: what is used comes before what uses it.
const ORDER: [&str; 22] = [
    "Namespace",
    "CustomResourceDefinition",
    "StorageClass",
    "ResourceQuota",
    "LimitRange",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "PersistentVolumeClaim",
    "NetworkPolicy",
    "Service",
    "PodDisruptionBudget",
    "DaemonSet",
    "StatefulSet",
    "Deployment",
    "Job",
    "CronJob",
    "Pod",
];

impl ObjectId {
    /// The id of an object as the API server gives it; `None` where it isn't one.
    pub fn of(value: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let metadata = value.get("metadata")?;
        Some(Self {
            api_version: text(value.get("apiVersion")?)?,
            kind: text(value.get("kind")?)?,
            namespace: metadata.get("namespace").and_then(text),
            name: text(metadata.get("name")?)?,
        })
    }

    fn rank(&self) -> usize {
        ORDER
            .iter()
            .position(|kind| *kind == self.kind)
            .unwrap_or(ORDER.len())
    }
}

/// Configuration precedes what uses it.
impl Ord for ObjectId {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |id: &Self| (id.rank(), id.namespace.clone(), id.name.clone());
        key(self)
            .cmp(&key(other))
            .then_with(|| (&self.kind, &self.api_version).cmp(&(&other.kind, &other.api_version)))
    }
}

impl PartialOrd for ObjectId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As one would type it: `deployment/mathoid-main`.
impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind.to_lowercase(), self.name)
    }
}

/// One object, of whatever kind.
#[derive(Clone, PartialEq)]
pub struct Object {
    id: ObjectId,
    value: Value,
}

impl Object {
    /// A typed object, which has a name.
    pub(crate) fn new<K: Resource + Serialize>(object: &K) -> Self {
        let value =
            serde_json::to_value(object).expect("the keys of Kubernetes objects are strings");
        Self::from_value(value).expect("a typed object says what it is, and ours have names")
    }

    /// An object as somebody else described it; `None` where it lacks `apiVersion`, `kind` or a name.
    pub fn from_value(value: Value) -> Option<Self> {
        let id = ObjectId::of(&value)?;
        Some(Self { id, value })
    }

    /// Where it is found.
    pub fn id(&self) -> ObjectId {
        self.id.clone()
    }

    /// Whether it is of the kind `K`.
    pub fn is<K: Resource>(&self) -> bool {
        self.id.kind == K::KIND && self.id.api_version == K::API_VERSION
    }

    /// A label of it.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.value
            .get("metadata")?
            .get("labels")?
            .get(key)?
            .as_str()
    }

    /// The service it belongs to; `None` for what belongs to the stack.
    pub fn service(&self) -> Option<ServiceName> {
        service_of(&self.value)
    }

    /// The form that its label says it has.
    pub fn form(&self) -> Form {
        self.label(FORM)
            .and_then(Form::parse)
            .unwrap_or(Form::Planned)
    }

    /// The whole object as the API takes it, secrets revealed.
    pub fn to_value(&self) -> Value {
        self.value.clone()
    }

    /// The object as it may be shown: a Secret's values are replaced by [`HIDDEN`].
    pub fn to_shown(&self) -> Value {
        let mut value = self.to_value();
        hide(&mut value);
        value
    }

    /// The hash of what is applied, without the annotation that carries it.
    pub fn fingerprint(&self) -> String {
        let mut plain = self.value.clone();
        if let Some(metadata) = plain.get_mut("metadata").and_then(Value::as_object_mut)
            && let Some(annotations) = metadata
                .get_mut("annotations")
                .and_then(Value::as_object_mut)
        {
            annotations.shift_remove(APPLIED);
            if annotations.is_empty() {
                metadata.shift_remove("annotations");
            }
        }
        // Fields stand in one order: equal objects give equal texts.
        hex::encode(&Sha256::digest(plain.to_string().as_bytes())[..16])
    }

    /// The same object with the annotation that says what was applied. This is what goes to the
    /// cluster; the next plan tells by it whether anything changed.
    #[must_use]
    pub fn stamped(mut self) -> Self {
        let hash = self.fingerprint();
        let annotations = &mut self.value["metadata"]["annotations"];
        if !annotations.is_object() {
            *annotations = Value::Object(serde_json::Map::new());
        }
        annotations[APPLIED] = Value::String(hash);
        self
    }
}

/// The service that an object belongs to, wanted or live. What was described elsewhere belongs to
/// none, though it may have such a label for purposes of its own.
pub(crate) fn service_of(object: &Value) -> Option<ServiceName> {
    let labels = object.get("metadata")?.get("labels")?;
    if labels.get(RAW).is_some() {
        return None;
    }
    ServiceName::new(labels.get(NAME)?.as_str()?).ok()
}

/// Replaces what a Secret holds by [`HIDDEN`]; other objects stay as they are.
pub fn hide(object: &mut Value) {
    if object.get("kind").and_then(Value::as_str) != Some("Secret") {
        return;
    }
    for field in ["data", "stringData"] {
        let values = object.get_mut(field).and_then(Value::as_object_mut);
        for (_, hidden) in values.into_iter().flatten() {
            *hidden = Value::String(HIDDEN.to_owned());
        }
    }
}

/// As it may be shown: secrets hidden.
impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Object({})", self.to_shown())
    }
}

/// As it may be shown: secrets hidden.
impl Serialize for Object {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_shown().serialize(serializer)
    }
}
