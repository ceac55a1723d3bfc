//! One Kubernetes object that we make, and the name it is found by.
//!
//! Printing or serialising an `Object` hides what a Secret holds; only `to_value` reveals it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret, Service,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::label::{APPLIED, FORM, Form, NAME};
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
const ORDER: [&str; 8] = [
    "Namespace",
    "ConfigMap",
    "Secret",
    "PersistentVolumeClaim",
    "NetworkPolicy",
    "Service",
    "Deployment",
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

/// An object of one of the kinds that we make.
#[derive(Clone, PartialEq)]
pub enum Object {
    /// The stack's namespace.
    Namespace(Namespace),
    /// Configuration files, or the agent.
    ConfigMap(ConfigMap),
    /// Private settings.
    Secret(Secret),
    /// A volume that outlives its pods.
    PersistentVolumeClaim(PersistentVolumeClaim),
    /// Who may talk to whom.
    NetworkPolicy(NetworkPolicy),
    /// A service's address.
    Service(Service),
    /// A service's pods.
    Deployment(Box<Deployment>),
    /// A single pod, for tests.
    Pod(Box<Pod>),
}

macro_rules! each {
    ($object:expr, $inner:ident => $answer:expr) => {
        match $object {
            Object::Namespace($inner) => $answer,
            Object::ConfigMap($inner) => $answer,
            Object::Secret($inner) => $answer,
            Object::PersistentVolumeClaim($inner) => $answer,
            Object::NetworkPolicy($inner) => $answer,
            Object::Service($inner) => $answer,
            Object::Deployment($inner) => $answer,
            Object::Pod($inner) => $answer,
        }
    };
}

impl Object {
    /// Where it is found.
    pub fn id(&self) -> ObjectId {
        fn kind<K: Resource>() -> (&'static str, &'static str) {
            (K::API_VERSION, K::KIND)
        }
        let (api_version, kind) = match self {
            Self::Namespace(_) => kind::<Namespace>(),
            Self::ConfigMap(_) => kind::<ConfigMap>(),
            Self::Secret(_) => kind::<Secret>(),
            Self::PersistentVolumeClaim(_) => kind::<PersistentVolumeClaim>(),
            Self::NetworkPolicy(_) => kind::<NetworkPolicy>(),
            Self::Service(_) => kind::<Service>(),
            Self::Deployment(_) => kind::<Deployment>(),
            Self::Pod(_) => kind::<Pod>(),
        };
        let metadata = self.metadata();
        ObjectId {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        each!(self, object => object.metadata())
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        each!(self, object => object.metadata_mut())
    }

    /// The service it belongs to; `None` for what belongs to the stack.
    pub fn service(&self) -> Option<ServiceName> {
        let name = self.metadata().labels.as_ref()?.get(NAME)?;
        ServiceName::new(name.as_str()).ok()
    }

    /// The form that its label says it has.
    pub fn form(&self) -> Form {
        let labels = self.metadata().labels.as_ref();
        labels
            .and_then(|labels| labels.get(FORM))
            .and_then(|form| Form::parse(form))
            .unwrap_or(Form::Planned)
    }

    /// The whole object as the API takes it, secrets revealed.
    pub fn to_value(&self) -> Value {
        each!(self, object => serde_json::to_value(object))
            .expect("the keys of Kubernetes objects are strings")
    }

    /// The object as it may be shown: a Secret's values are replaced by [`HIDDEN`].
    pub fn to_shown(&self) -> Value {
        let mut value = self.to_value();
        if matches!(self, Self::Secret(_)) {
            for field in ["data", "stringData"] {
                for (_, hidden) in value
                    .get_mut(field)
                    .and_then(Value::as_object_mut)
                    .into_iter()
                    .flatten()
                {
                    *hidden = Value::String(HIDDEN.to_owned());
                }
            }
        }
        value
    }

    /// The hash of what is applied, without the annotation that carries it.
    pub fn fingerprint(&self) -> String {
        let mut plain = self.clone();
        let annotations = &mut plain.metadata_mut().annotations;
        if let Some(map) = annotations {
            map.remove(APPLIED);
            if map.is_empty() {
                *annotations = None;
            }
        }
        // `k8s-openapi` writes fields in one order and maps sorted: equal objects give equal texts.
        hex::encode(&Sha256::digest(plain.to_value().to_string().as_bytes())[..16])
    }

    /// The same object with the annotation that says what was applied. This is what goes to the
    /// cluster; the next plan tells by it whether anything changed.
    #[must_use]
    pub fn stamped(mut self) -> Self {
        let hash = self.fingerprint();
        self.metadata_mut()
            .annotations
            .get_or_insert_with(BTreeMap::new)
            .insert(APPLIED.to_owned(), hash);
        self
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
