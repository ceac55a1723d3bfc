//! What nodes and pods use (`metrics.k8s.io/v1beta1`), as metrics-server tells it: nothing of it is stored, and the nodes' backends are
//! asked for each answer. A cluster none of whose nodes measures has no such group.

use super::path;
use super::respond::{self, Body};
use super::verbs::Call;
use super::{no_page, not_allowed, reviews};
use crate::access::{self, Attributes, Decision};
use crate::backend::{Backends, NodeUsage, Usage};
use crate::decode::quantity::Quantity;
use crate::schema::{Column, Gvk, Resource};
use crate::status::Status;
use crate::storage::Object;
use futures::future::join_all;
use http::{Method, Response};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The group, which as any other needs no more than this to be told from them.
pub(super) const GROUP: &str = "metrics.k8s.io";

const VERSION: &str = "v1beta1";

static RESOURCES: LazyLock<[Resource; 2]> = LazyLock::new(|| {
    [
        resource("nodes", "NodeMetrics"),
        resource("pods", "PodMetrics"),
    ]
});

fn resource(plural: &str, kind: &str) -> Resource {
    let columns = [
        ("Name", "name"),
        ("cpu", "quantity"),
        ("memory", "quantity"),
        ("Window", "duration"),
    ];
    let column = |(name, format): (&str, &str)| Column {
        name: name.to_owned(),
        kind: "string".to_owned(),
        format: format.to_owned(),
        description: String::new(),
        path: String::new(),
        priority: 0,
    };
    Resource {
        gvk: Gvk {
            group: GROUP.to_owned(),
            version: VERSION.to_owned(),
            kind: kind.to_owned(),
        },
        plural: plural.to_owned(),
        // As metrics-server has it, where no name is given.
        singular: String::new(),
        namespaced: plural == "pods",
        short_names: Vec::new(),
        categories: Vec::new(),
        verbs: ["get", "list"].map(str::to_owned).to_vec(),
        subresources: Vec::new(),
        columns: columns.map(column).to_vec(),
    }
}

/// Whether there is somebody to ask.
pub(super) fn is_served(backends: &Backends) -> bool {
    !backends.meters().is_empty()
}

/// What of the group there is.
pub(super) fn resources(backends: &Backends) -> &'static [Resource] {
    if is_served(backends) {
        &*RESOURCES
    } else {
        &[]
    }
}

impl Call<'_> {
    /// The answer about what is used.
    pub(super) async fn metrics(&self, place: &path::Resource) -> Result<Response<Body>, Status> {
        let resource = (RESOURCES.iter())
            .find(|it| it.plural == place.plural && place.version == VERSION)
            .ok_or_else(no_page)?;
        let in_namespace = !place.namespace.is_empty();
        let is_one = !place.name.is_empty();
        let is_astray = in_namespace && !resource.namespaced
            || resource.namespaced && is_one && !in_namespace
            || !place.subresource.is_empty();
        if is_astray {
            return Err(no_page());
        }
        self.may_read(place)?;
        if self.parts.method != Method::GET || place.watch || self.parameters.flag("watch") {
            return Err(not_allowed());
        }
        let form = self.form()?;
        let registry = self.api.registry();
        let target = registry.core(&place.plural, &place.namespace, &place.name)?;
        if is_one {
            let missing = || {
                let kind = resource.gvk.kind.to_lowercase();
                let within = if in_namespace {
                    format!("{}/", place.namespace)
                } else {
                    String::new()
                };
                Status::not_found(GROUP, &kind, &format!("{within}{}", place.name))
            };
            let object = registry.get(&target).map_err(|_| missing())?;
            let used = self.used().await?;
            let told = told(resource, object.value(), &used).ok_or_else(missing)?;
            let told = Arc::new(Object::unstored(told));
            return Ok(respond::object(200, resource, form, &told));
        }
        // They are selected as what they are about is.
        let options = self.parameters.list_options(&target.resource.gvk)?;
        let mut page = registry.list(&target, &options)?;
        let used = self.used().await?;
        page.objects = (page.objects.iter())
            .filter_map(|object| told(resource, object.value(), &used))
            .map(|told| Arc::new(Object::unstored(told)))
            .collect();
        Ok(respond::list_as_it_is(resource, form, &page))
    }

    /// Refuses who may not see it.
    fn may_read(&self, place: &path::Resource) -> Result<(), Status> {
        let verb = match self.parts.method {
            Method::GET | Method::HEAD if !place.name.is_empty() => "get",
            Method::GET | Method::HEAD => "list",
            _ => return Err(not_allowed()),
        };
        let attributes = Attributes {
            verb,
            target: access::Target::Resource(access::Resource {
                group: GROUP,
                resource: &place.plural,
                namespace: &place.namespace,
                name: &place.name,
                ..access::Resource::default()
            }),
        };
        match reviews::decide(self.api.registry(), &self.user, &attributes) {
            Decision::Allowed(_) => Ok(()),
            Decision::Refused(why) => Err(access::forbidden(&self.user, &attributes, &why)),
        }
    }

    /// What is used on each node that measures. One that can't say it now doesn't keep the others from being told.
    async fn used(&self) -> Result<HashMap<String, NodeUsage>, Status> {
        let meters = self.api.backends().meters();
        let asked = meters
            .iter()
            .map(async |(node, backend)| match backend.meter() {
                Some(meter) => Some((node.clone(), meter.usage().await)),
                None => None,
            });
        let (mut used, mut refusal) = (HashMap::new(), None);
        for (node, answer) in join_all(asked).await.into_iter().flatten() {
            match answer {
                Ok(usage) => drop(used.insert(node, usage)),
                Err(status) => refusal = Some(status),
            }
        }
        match refusal {
            Some(refusal) if used.is_empty() => Err(refusal),
            _ => Ok(used),
        }
    }
}

/// What an object uses; none where that isn't known, as of a pod that doesn't run.
fn told(resource: &Resource, object: &Value, used: &HashMap<String, NodeUsage>) -> Option<Value> {
    let metadata = &object["metadata"];
    let is_node = !resource.namespaced;
    let node = if is_node {
        &metadata["name"]
    } else {
        &object["spec"]["nodeName"]
    };
    let usage = used.get(node.as_str()?)?;
    let at = usage.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut own = json!({"name": metadata["name"], "creationTimestamp": at});
    for field in ["namespace", "labels"] {
        if !metadata[field].is_null() {
            own[field] = metadata[field].clone();
        }
    }
    let mut told = json!({
        "kind": resource.gvk.kind, "apiVersion": format!("{GROUP}/{VERSION}"), "metadata": own,
        "timestamp": at, "window": seconds(usage.window),
    });
    if is_node {
        told["usage"] = amounts(usage.node);
        return Some(told);
    }
    let uid = metadata["uid"].as_str()?;
    let names = ["initContainers", "containers", "ephemeralContainers"].into_iter();
    let names = names.flat_map(|list| object["spec"][list].as_array().into_iter().flatten());
    let containers: Vec<Value> = names
        .filter_map(|container| container["name"].as_str())
        .filter_map(|name| {
            let used = usage.containers.get(&(uid.to_owned(), name.to_owned()))?;
            Some(json!({"name": name, "usage": amounts(*used)}))
        })
        .collect();
    told["containers"] = json!(containers);
    (!containers.is_empty()).then_some(told)
}

/// Amounts as quantities.
fn amounts(usage: Usage) -> Value {
    let quantity = |text: String| Quantity::parse(&text).map(|quantity| quantity.to_string());
    json!({
        "cpu": quantity(format!("{}n", usage.processors)),
        "memory": quantity(format!("{}Ki", usage.memory / 1024)),
    })
}

/// A time as Go writes it, to the millisecond.
fn seconds(time: Duration) -> String {
    let text = format!("{:.3}", time.as_secs_f64());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
