//! The table of kinds in `mwctl-apiserver`, made anew from a live API server and the declarations (Go and
//! protobuf) in k8s.io/api. Everything but
//! [`fetch`] is a function of documents; the program `mwctl-kinds` writes the answer down.

pub mod discovery;
pub mod fetch;
pub mod go;
pub mod openapi;
pub mod proto;

use std::collections::{BTreeMap, BTreeSet};

use mwctl_apiserver::kinds::facts::Facts;
use serde_json::Value;

/// Groups that the embedded server does not serve: webhooks and policies on admission, aggregated APIs, fair queueing.
const LEFT_OUT: [&str; 3] = [
    "admissionregistration.k8s.io",
    "apiregistration.k8s.io",
    "flowcontrol.apiserver.k8s.io",
];

/// What a table is made from.
#[derive(Debug, Default)]
pub struct Sources {
    /// The version that the server gives, such as `v1.34.10`.
    pub version: String,
    /// The documents of `/openapi/v3`.
    pub documents: Vec<Value>,
    /// The aggregated discovery of `/api` and of `/apis`.
    pub discovery: Vec<Value>,
    /// A table of each resource, by [`discovery::path`].
    pub tables: BTreeMap<String, Value>,
    /// The texts of `.proto` files.
    pub protos: Vec<String>,
    /// The files that declare types in Go.
    pub declarations: Vec<go::Source>,
}

/// The table, and what in it has no number in protobuf (`type.field`).
#[derive(Debug)]
pub struct Made {
    /// The table.
    pub facts: Facts,
    /// Fields without a number.
    pub unnumbered: Vec<String>,
}

/// Makes the table.
pub fn make(sources: &Sources) -> Made {
    let mut types = openapi::types(&sources.documents);
    let mut resources = discovery::resources(&sources.discovery);
    let known: BTreeSet<_> = types
        .values()
        .flat_map(|facts| facts.kinds.clone())
        .collect();
    resources.retain(|resource| {
        known.contains(&resource.gvk) && !LEFT_OUT.contains(&resource.gvk.group.as_str())
    });
    for resource in &mut resources {
        if let Some(table) = sources.tables.get(&discovery::path(resource)) {
            resource.columns = discovery::columns(table);
        }
    }

    let served: BTreeSet<_> = resources
        .iter()
        .flat_map(|resource| {
            std::iter::once(&resource.gvk).chain(resource.subresources.iter().map(|sub| &sub.gvk))
        })
        .map(|gvk| (gvk.group.clone(), gvk.version.clone()))
        .collect();
    for facts in types.values_mut() {
        facts
            .kinds
            .retain(|gvk| served.contains(&(gvk.group.clone(), gvk.version.clone())));
    }
    openapi::keep_reachable(&mut types);

    go::describe(&mut types, &sources.declarations);
    let unnumbered = proto::number(&mut types, &sources.protos);
    Made {
        facts: Facts {
            version: sources.version.clone(),
            types,
            resources,
        },
        unnumbered,
    }
}
