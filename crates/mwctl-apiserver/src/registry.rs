//! What can be done with objects: the verbs of the API on any resource of the table, in upstream's order and words.
//!
//! The registry joins what others know: the store keeps objects, `decode` gives them their shape, `apply` remembers who owns which field,
//! `validation` judges them. Every decision about one object is a pure function of its old and its new value ([`metadata`], [`strategy`]);
//! here they are carried out, and repeated when somebody else was faster. HTTP and tokens are not known here.

mod admission;
mod certificates;
mod definitions;
mod delete;
mod enrich;
mod eviction;
mod expiry;
mod furnish;
mod list;
mod metadata;
mod namespaces;
mod quotas;
mod services;
mod stamp;
mod strategy;
mod subresource;
#[cfg(test)]
mod tests;
pub(crate) mod views;
mod write;

pub use definitions::Definitions;
pub use delete::{DeleteOptions, Deleted, Preconditions, Propagation};
pub(crate) use list::too_old;
pub use list::{ListOptions, WatchStart};
pub use stamp::now;
pub use write::{Answer, Change, WriteOptions};

use crate::backend::Backends;
use crate::custom::Definition;
use crate::decode;
use crate::schema::{Resource, Schema, StructId};
use crate::status::Status;
use crate::storage::{GroupResource, Key, Object, Refused, Store};
use serde_json::Value;
use std::ops::Deref;
use std::sync::Arc;

/// What a writer is told who has read an older object.
const OVERTAKEN: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// All resources and their objects. A clone is the same registry.
#[derive(Debug, Clone)]
pub struct Registry {
    store: Store,
    schema: Arc<Schema>,
    policy: admission::CurrentPolicy,
    allocations: services::Allocations,
    turn: quotas::Turn,
    definitions: definitions::CurrentDefinitions,
    looked: expiry::Looked,
    /// The nodes that run pods, as far as they are in this process.
    nodes: Backends,
}

/// A resource together with the facts that describe its objects.
#[derive(Debug, Clone)]
pub struct Served {
    schema: Arc<Schema>,
    index: usize,
    /// Where somebody defined it.
    definition: Option<Arc<Definition>>,
}

/// What a request is about: a resource, and as much of a path below it as there is.
#[derive(Debug, Clone)]
pub struct Target {
    /// The resource.
    pub resource: Served,
    /// The namespace; empty for all of them, and for what is in none.
    pub namespace: String,
    /// The object's name; empty for the collection.
    pub name: String,
    /// `status`, `scale` …; empty for the object itself.
    pub subresource: String,
}

impl Registry {
    /// A registry with the namespaces and the service that every cluster has.
    pub fn new(schema: Arc<Schema>) -> Result<Self, Status> {
        Self::of(schema, Store::default())
    }

    /// The registry of a store, in which what every cluster has is made where it is missing.
    pub fn of(schema: Arc<Schema>, store: Store) -> Result<Self, Status> {
        let registry = Self {
            store,
            schema,
            policy: admission::CurrentPolicy::default(),
            allocations: services::Allocations::default(),
            turn: quotas::Turn::default(),
            definitions: definitions::CurrentDefinitions::default(),
            looked: expiry::Looked::default(),
            nodes: Backends::default(),
        };
        registry.bootstrap()?;
        Ok(registry)
    }

    /// The nodes that run pods, as far as they are in this process.
    pub fn nodes(&self) -> &Backends {
        &self.nodes
    }

    /// The facts about the built-in kinds.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Where the objects are.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The resource at this place of the API.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<Served> {
        let here = |resource: &Resource| {
            resource.plural == plural
                && resource.gvk.group == group
                && resource.gvk.version == version
        };
        match self.schema.resources.iter().position(here) {
            Some(index) => Some(Served {
                schema: self.schema.clone(),
                index,
                definition: None,
            }),
            None => self.defined(group, version, plural),
        }
    }

    /// One object.
    pub fn get(&self, target: &Target) -> Result<Arc<Object>, Status> {
        self.store
            .get(&target.collection(), &target.key())
            .ok_or_else(|| target.not_found())
    }
}

impl Deref for Served {
    type Target = Resource;

    fn deref(&self) -> &Resource {
        &self.schema.resources[self.index]
    }
}

impl Served {
    /// The facts that the resource is a part of.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What somebody defined it by; none for built-in kinds.
    pub fn definition(&self) -> Option<&Definition> {
        self.definition.as_deref()
    }

    /// The type of its objects.
    pub fn structure(&self) -> Option<StructId> {
        self.schema.kind(&self.gvk)
    }

    /// Whether a path below its objects exists.
    pub fn has_subresource(&self, name: &str) -> bool {
        self.subresources.iter().any(|known| known.name == name)
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        decode::api_version(&self.gvk)
    }
}

impl Target {
    fn collection(&self) -> GroupResource {
        GroupResource::new(&self.resource.gvk.group, &self.resource.plural)
    }

    fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    /// The refusal of a request about an object that isn't there.
    fn not_found(&self) -> Status {
        Status::not_found(&self.resource.gvk.group, &self.resource.plural, &self.name)
    }

    /// What a refused change of the store means to whoever asked for it.
    fn refused(&self, refused: &Refused) -> Status {
        match refused {
            Refused::Exists => {
                Status::already_exists(&self.resource.gvk.group, &self.resource.plural, &self.name)
            }
            Refused::Missing => self.not_found(),
            Refused::Changed => self.conflict(OVERTAKEN),
            Refused::NotKept(why) => {
                Status::internal(format!("the change cannot be written to disk: {why}"))
            }
        }
    }

    fn conflict(&self, why: &str) -> Status {
        Status::conflict(
            &self.resource.gvk.group,
            &self.resource.plural,
            &self.name,
            why,
        )
    }

    /// The refusal of an object, with its causes.
    fn invalid(&self, name: &str, causes: Vec<crate::status::Cause>) -> Status {
        Status::invalid(
            &self.resource.gvk.group,
            &self.resource.gvk.kind,
            name,
            causes,
        )
    }

    /// `403 Forbidden` of an object.
    fn forbidden(&self, name: &str, why: &str) -> Status {
        let group = &self.resource.gvk.group;
        let resource = crate::status::qualified(group, &self.resource.plural);
        let message = format!("{resource} \"{name}\" is forbidden: {why}");
        Status::new(403, "Forbidden", message).about(group, &self.resource.plural, name)
    }
}

/// A string inside an object; empty where there is none.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
