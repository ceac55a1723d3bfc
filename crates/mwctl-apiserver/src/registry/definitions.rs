//! The kinds that somebody defined: which there are as of the latest change of a definition, and how their objects go with it.

use super::{DeleteOptions, ListOptions, Registry, Served, Target, WriteOptions, stamp};
use crate::custom::{self, Definition};
use crate::schema::Resource;
use crate::status::Status;
use crate::storage::{GroupResource, Object, Query, Store};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The definitions as of the latest change of one. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(super) struct CurrentDefinitions(Arc<Mutex<Arc<Definitions>>>);

/// The kinds that are served because somebody defined them.
#[derive(Debug, Default)]
pub struct Definitions {
    revision: u64,
    /// By name, with the revision of the object that each was read from.
    known: BTreeMap<String, (u64, Arc<Definition>)>,
}

impl Definitions {
    /// What changes whenever one of them does.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.known.values().map(|(_, definition)| definition)
    }
}

fn collection() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

impl CurrentDefinitions {
    fn of(&self, store: &Store) -> Arc<Definitions> {
        let latest = store.latest(&collection());
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.revision != latest {
            let page = store.list(&collection(), &Query::all());
            let objects = page.map(|page| page.objects).unwrap_or_default();
            let known = objects
                .iter()
                .filter(|object| custom::is_established(object.value()))
                .filter_map(|object| {
                    let read = match current.known.get(object.name()) {
                        Some((revision, known)) if *revision == object.revision() => known.clone(),
                        _ => Arc::new(Definition::read(object.value())?),
                    };
                    Some((object.name().to_owned(), (object.revision(), read)))
                });
            *current = Arc::new(Definitions {
                revision: latest,
                known: known.collect(),
            });
        }
        current.clone()
    }
}

/// Whether a resource is that of the definitions themselves.
pub(super) fn is_definition(resource: &Resource) -> bool {
    resource.gvk.group == "apiextensions.k8s.io" && resource.gvk.kind == "CustomResourceDefinition"
}

impl Registry {
    /// The kinds that somebody defined.
    pub fn definitions(&self) -> Arc<Definitions> {
        self.definitions.of(&self.store)
    }

    /// The resource of a definition at this place.
    pub(super) fn defined(&self, group: &str, version: &str, plural: &str) -> Option<Served> {
        let definitions = self.definitions();
        let (_, definition) = definitions.known.get(&format!("{plural}.{group}"))?;
        (definition.resource().gvk.version == version).then(|| Served {
            schema: definition.schema().clone(),
            index: 0,
            definition: Some(definition.clone()),
        })
    }

    /// Writes what the server says of a definition, and returns warnings for whoever wrote it.
    pub(super) fn conclude_definition(&self, target: &Target, object: &mut Value) -> Vec<String> {
        if !is_definition(&target.resource) {
            return Vec::new();
        }
        let page = self.store.list(&collection(), &Query::all());
        let others = page.map(|page| page.objects).unwrap_or_default();
        let others: Vec<&Value> = others.iter().map(|other| other.value()).collect();
        custom::conclude(object, &others, &stamp::now());
        let definition = Definition::read(object);
        definition.map_or_else(Vec::new, |definition| definition.warnings().to_vec())
    }

    /// Refuses a new object whose definition is going.
    pub(super) fn refuse_ending_definition(&self, target: &Target) -> Result<(), Status> {
        if target.resource.definition.is_none() || self.ending_definition(target).is_none() {
            return Ok(());
        }
        let resource =
            crate::status::qualified(&target.resource.gvk.group, &target.resource.plural);
        let message = format!("create is not supported on resources of kind \"{resource}\"");
        Err(Status::new(405, "MethodNotAllowed", message))
    }

    /// The definition of a custom resource, if it is going.
    fn ending_definition(&self, target: &Target) -> Option<Arc<Object>> {
        let name = format!("{}.{}", target.resource.plural, target.resource.gvk.group);
        let key = crate::storage::Key::new("", &name);
        (self.store.get(&collection(), &key)).filter(|definition| definition.is_terminating())
    }

    /// Deletes the objects of a definition that is going, and lets it go when none is left.
    pub(super) fn clear_definition(&self, target: &Target) -> Result<(), Status> {
        let definitions = self.definitions();
        if let Some((_, definition)) = definitions.known.get(&target.name) {
            let instances = Target {
                resource: Served {
                    schema: definition.schema().clone(),
                    index: 0,
                    definition: Some(definition.clone()),
                },
                namespace: String::new(),
                name: String::new(),
                subresource: String::new(),
            };
            self.delete_collection(
                &instances,
                &ListOptions::default(),
                &DeleteOptions::default(),
            )?;
        }
        self.release_definition(&target.name)
    }

    /// After an object has gone: its definition may, too.
    pub(super) fn after_the_end_of(&self, target: &Target) -> Result<(), Status> {
        if target.resource.definition.is_none() {
            return Ok(());
        }
        match self.ending_definition(target) {
            Some(definition) => self.release_definition(definition.name()),
            None => Ok(()),
        }
    }

    fn release_definition(&self, name: &str) -> Result<(), Status> {
        let (plural, group) = name.split_once('.').unwrap_or_default();
        let left = self
            .store
            .list(&GroupResource::new(group, plural), &Query::all());
        if left.is_ok_and(|page| !page.objects.is_empty()) {
            return Ok(());
        }
        let resource = self.resource("apiextensions.k8s.io", "v1", "customresourcedefinitions");
        let Some(resource) = resource else {
            return Ok(());
        };
        let target = Target {
            resource,
            namespace: String::new(),
            name: name.to_owned(),
            subresource: String::new(),
        };
        let options = WriteOptions {
            manager: "mwctl".to_owned(),
            ..WriteOptions::default()
        };
        let released = self.edit(&target, &options, |definition| {
            if let Some(finalizers) = definition["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != custom::CLEANUP);
            }
            Ok(())
        });
        match released {
            Err(refusal) if refusal.code != 404 => Err(refusal),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
