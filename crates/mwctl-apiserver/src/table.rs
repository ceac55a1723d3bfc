//! Tables for people (`meta.k8s.io/v1 Table`): what `kubectl get` prints. The columns come from the schema, the cells from here, by the name of
//! the column; kinds of which nothing is known here show their name and their age.

mod access;
mod age;
mod autoscaling;
mod certificates;
mod events;
mod metrics;
mod network;
mod path;
mod plain;
mod pods;
mod storage;
mod workloads;

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::schema::{Column, Gvk, Resource};

/// What of an object comes with its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the parameter `includeObject`; `None` when it is another.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "Metadata" => Some(Self::Metadata),
            "None" => Some(Self::None),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }
}

/// A table of these objects. `metadata` is that of the list, and `version` that of `meta.k8s.io` which the client asked for.
pub fn table<'a>(
    resource: &Resource,
    objects: impl IntoIterator<Item = &'a Value>,
    metadata: &Value,
    version: &str,
    include: Include,
    now: Timestamp,
) -> Value {
    let rows = objects
        .into_iter()
        .map(|object| row(resource, object, include, now));
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": metadata,
        "columnDefinitions": columns(resource),
        "rows": rows.collect::<Vec<_>>(),
    })
}

fn columns(resource: &Resource) -> Vec<Value> {
    resource
        .columns
        .iter()
        .map(|column| {
            json!({"name": column.name, "type": column.kind, "format": column.format,
                "description": column.description, "priority": column.priority})
        })
        .collect()
}

/// What a `Scale` shows, which no cluster lists.
pub(crate) fn scale() -> &'static Resource {
    static SCALE: LazyLock<Resource> = LazyLock::new(|| {
        let column = |name: &str, kind: &str| Column {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: if name == "Name" { "name" } else { "" }.to_owned(),
            description: String::new(),
            path: String::new(),
            priority: 0,
        };
        Resource {
            gvk: Gvk {
                group: "autoscaling".to_owned(),
                version: "v1".to_owned(),
                kind: "Scale".to_owned(),
            },
            plural: "scales".to_owned(),
            singular: "scale".to_owned(),
            namespaced: true,
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: Vec::new(),
            subresources: Vec::new(),
            columns: vec![
                column("Name", "string"),
                column("Desired", "integer"),
                column("Available", "integer"),
                column("Age", "string"),
            ],
        }
    });
    &SCALE
}

/// The row of one object.
pub fn row(resource: &Resource, object: &Value, include: Include, now: Timestamp) -> Value {
    let shown = Shown { object, now };
    let cells: Vec<Value> = resource
        .columns
        .iter()
        .map(|column| {
            if column.path.is_empty() {
                cell(resource, &column.name, shown)
            } else {
                path::cell(column, shown)
            }
        })
        .collect();
    let mut row = Map::new();
    row.insert("cells".to_owned(), Value::Array(cells));
    if resource.plural == "pods"
        && let Some(condition) = pods::condition(object)
    {
        row.insert("conditions".to_owned(), json!([condition]));
    }
    match include {
        Include::None => {}
        Include::Object => drop(row.insert("object".to_owned(), object.clone())),
        Include::Metadata => {
            let metadata = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
            row.insert("object".to_owned(), metadata);
        }
    }
    Value::Object(row)
}

/// An object at a moment.
#[derive(Debug, Clone, Copy)]
struct Shown<'a> {
    object: &'a Value,
    now: Timestamp,
}

/// The cell of a column: what every kind has, or else what this one has.
fn cell(resource: &Resource, column: &str, shown: Shown<'_>) -> Value {
    let metadata = &shown.object["metadata"];
    match column {
        "Name" => return metadata["name"].clone(),
        "Age" => return Value::String(age::since(&metadata["creationTimestamp"], shown.now)),
        "Created At" => return metadata["creationTimestamp"].clone(),
        _ => {}
    }
    let object = shown.object;
    let known = match resource.plural.as_str() {
        _ if resource.gvk.group == "metrics.k8s.io" => metrics::cell(column, object),
        "pods" => pods::cell(column, shown),
        "deployments"
        | "replicasets"
        | "statefulsets"
        | "daemonsets"
        | "replicationcontrollers"
        | "podtemplates"
        | "jobs"
        | "cronjobs" => workloads::cell(&resource.plural, column, shown),
        "services" | "endpoints" | "endpointslices" | "ingresses" | "networkpolicies"
        | "ingressclasses" => network::cell(&resource.plural, column, object),
        "events" => events::cell(column, shown),
        "scales" => match column {
            "Desired" => Some(json!(number(&object["spec"]["replicas"]))),
            _ => Some(json!(number(&object["status"]["replicas"]))),
        },
        "horizontalpodautoscalers" => autoscaling::cell(column, object),
        "rolebindings" | "clusterrolebindings" => access::cell(column, object),
        "persistentvolumes" | "persistentvolumeclaims" => {
            storage::cell(&resource.plural, column, object)
        }
        "certificatesigningrequests" => certificates::cell(column, object),
        plural => plain::cell(plural, column, object),
    };
    known.unwrap_or_else(|| json!("<unknown>"))
}

/// A text, or an empty one.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A text, or `<none>`.
fn or_none(text: &str) -> Value {
    Value::from(if text.is_empty() { "<none>" } else { text })
}

/// A number, or zero.
fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Texts with a comma between them.
fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.collect::<Vec<_>>().join(",")
}

/// Labels as they are selected on a command line.
fn labels(labels: &Value) -> String {
    let mut pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", text(value)))
        .collect();
    pairs.sort_unstable();
    pairs.join(",")
}

/// A label selector as it is written on a command line.
fn selector(selector: &Value) -> String {
    let mut parts: Vec<(String, String)> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push((key.clone(), format!("{key}={}", text(value))));
    }
    for expression in items(&selector["matchExpressions"]) {
        let key = text(&expression["key"]);
        let mut values: Vec<&str> = items(&expression["values"]).map(text).collect();
        values.sort_unstable();
        let values = values.join(",");
        let part = match text(&expression["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_owned(), part));
    }
    parts.sort();
    parts
        .into_iter()
        .map(|(_, part)| part)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests;
