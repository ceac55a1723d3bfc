//! Resources out of aggregated discovery, and their columns out of tables.

use mwctl_apiserver::schema::{Column, Gvk, Resource, Subresource};
use serde_json::Value;

/// Every resource of these `APIGroupDiscoveryList`s, in their order.
pub fn resources(lists: &[Value]) -> Vec<Resource> {
    let mut resources = Vec::new();
    for group in lists.iter().flat_map(|list| array(&list["items"])) {
        for version in array(&group["versions"]) {
            let around = Gvk {
                group: text(&group["metadata"]["name"]),
                version: text(&version["version"]),
                kind: String::new(),
            };
            resources.extend(array(&version["resources"]).map(|told| resource(told, &around)));
        }
    }
    resources
}

/// Where objects of a resource are listed, in all namespaces.
pub fn path(resource: &Resource) -> String {
    let Gvk { group, version, .. } = &resource.gvk;
    if group.is_empty() {
        format!("/api/{version}/{}", resource.plural)
    } else {
        format!("/apis/{group}/{version}/{}", resource.plural)
    }
}

/// The columns of a `Table`.
pub fn columns(table: &Value) -> Vec<Column> {
    array(&table["columnDefinitions"])
        .map(|column| Column {
            name: text(&column["name"]),
            kind: text(&column["type"]),
            format: text(&column["format"]),
            description: text(&column["description"]),
            path: String::new(),
            priority: column["priority"].as_i64().unwrap_or_default() as i32,
        })
        .collect()
}

fn resource(told: &Value, around: &Gvk) -> Resource {
    Resource {
        gvk: gvk(&told["responseKind"], around),
        plural: text(&told["resource"]),
        singular: text(&told["singularResource"]),
        namespaced: told["scope"] == "Namespaced",
        short_names: texts(&told["shortNames"]),
        categories: texts(&told["categories"]),
        verbs: texts(&told["verbs"]),
        subresources: array(&told["subresources"])
            .map(|sub| Subresource {
                name: text(&sub["subresource"]),
                gvk: gvk(&sub["responseKind"], around),
                verbs: texts(&sub["verbs"]),
            })
            .collect(),
        columns: Vec::new(),
    }
}

/// A kind; where it says no version, it is of the group and the version around it.
fn gvk(told: &Value, around: &Gvk) -> Gvk {
    let version = text(&told["version"]);
    let kind = text(&told["kind"]);
    if version.is_empty() {
        Gvk {
            kind,
            ..around.clone()
        }
    } else {
        Gvk {
            group: text(&told["group"]),
            version,
            kind,
        }
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> Vec<String> {
    array(value).map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_subresource_is_of_its_resources_group_unless_it_says_another() {
        let list = json!({"items": [{"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [{
            "resource": "deployments", "responseKind": {"group": "", "version": "", "kind": "Deployment"}, "scope": "Namespaced",
            "singularResource": "deployment", "verbs": ["get"], "shortNames": ["deploy"], "subresources": [
                {"subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}, "verbs": ["get"]},
                {"subresource": "status", "responseKind": {"group": "", "version": "", "kind": "Deployment"}, "verbs": ["patch"]}]}]}]}]});
        let resources = resources(&[list]);
        let [deployments] = resources.as_slice() else {
            panic!("one resource");
        };
        assert_eq!(path(deployments), "/apis/apps/v1/deployments");
        assert!(deployments.namespaced);
        let groups: Vec<_> = deployments
            .subresources
            .iter()
            .map(|sub| format!("{} {}", sub.gvk.group, sub.gvk.kind))
            .collect();
        assert_eq!(groups, ["autoscaling Scale", "apps Deployment"]);
    }
}
