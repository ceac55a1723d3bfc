//! Which groups, versions and resources there are, in every form that clients ask for. Pure: the facts in, documents out.

use crate::schema::Resource;
use serde_json::{Value, json};

/// The groups of the core API (`core`), or all others, with everything in them (`apidiscovery.k8s.io APIGroupDiscoveryList`).
pub fn aggregated(resources: &[&Resource], version: &str, core: bool) -> Value {
    let items = names(resources).into_iter().filter(|group| group.is_empty() == core).map(|group| {
        let versions = versions(resources, group).into_iter().map(|version| {
            let resources = of(resources, group, version).map(aggregated_resource);
            json!({"version": version, "resources": resources.collect::<Value>(), "freshness": "Current"})
        });
        let mut metadata = json!({"creationTimestamp": null});
        if !core {
            metadata["name"] = json!(group);
        }
        json!({"metadata": metadata, "versions": versions.collect::<Value>()})
    });
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items.collect::<Value>(),
    })
}

/// `/api`.
pub fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`.
pub fn groups(resources: &[&Resource]) -> Value {
    let groups = names(resources)
        .into_iter()
        .filter(|group| !group.is_empty());
    let groups = groups.map(|group| group_of(resources, group));
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.collect::<Value>()})
}

/// `/apis/GROUP`; none if there is no such group.
pub fn group(resources: &[&Resource], name: &str) -> Option<Value> {
    let known = !name.is_empty() && names(resources).contains(&name);
    known.then(|| {
        let mut group = json!({"kind": "APIGroup", "apiVersion": "v1"});
        if let (Some(group), Value::Object(facts)) =
            (group.as_object_mut(), group_of(resources, name))
        {
            group.extend(facts);
        }
        group
    })
}

/// `/api/v1` and `/apis/GROUP/VERSION`; none if there is nothing.
pub fn of_version(resources: &[&Resource], group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for resource in of(resources, group, version) {
        let mut own = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.gvk.kind, "verbs": resource.verbs,
        });
        if !resource.short_names.is_empty() {
            own["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            own["categories"] = json!(resource.categories);
        }
        list.push(own);
        for subresource in &resource.subresources {
            list.push(json!({
                "name": format!("{}/{}", resource.plural, subresource.name), "singularName": "", "namespaced": resource.namespaced,
                "group": subresource.gvk.group, "version": subresource.gvk.version, "kind": subresource.gvk.kind, "verbs": subresource.verbs,
            }));
        }
    }
    if list.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list}),
    )
}

fn group_of(resources: &[&Resource], name: &str) -> Value {
    let versions: Vec<Value> = versions(resources, name)
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = |gvk: &crate::schema::Gvk| json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind});
    let mut own = json!({
        "resource": resource.plural, "responseKind": kind(&resource.gvk),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        own["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        own["categories"] = json!(resource.categories);
    }
    if !resource.subresources.is_empty() {
        let all = resource.subresources.iter().map(|subresource| {
            json!({"subresource": subresource.name, "responseKind": kind(&subresource.gvk), "verbs": subresource.verbs})
        });
        own["subresources"] = all.collect();
    }
    own
}

/// The groups in the order of the facts.
fn names<'r>(resources: &[&'r Resource]) -> Vec<&'r str> {
    distinct(resources.iter().map(|resource| resource.gvk.group.as_str()))
}

fn versions<'r>(resources: &[&'r Resource], group: &str) -> Vec<&'r str> {
    let of_group = resources
        .iter()
        .filter(|resource| resource.gvk.group == group);
    distinct(of_group.map(|resource| resource.gvk.version.as_str()))
}

fn of<'r>(
    resources: &[&'r Resource],
    group: &str,
    version: &str,
) -> impl Iterator<Item = &'r Resource> {
    let fits =
        move |resource: &&Resource| resource.gvk.group == group && resource.gvk.version == version;
    resources.iter().copied().filter(fits)
}

fn distinct<'s>(names: impl Iterator<Item = &'s str>) -> Vec<&'s str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    #[test]
    fn every_form_tells_of_the_same_resources() {
        let schema = kinds::builtin();
        let all_resources: Vec<&Resource> = schema.resources.iter().collect();
        let all = aggregated(&all_resources, "v2", false);
        let apps = all["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|group| group["metadata"]["name"] == "apps")
            .unwrap();
        let told = apps["versions"][0]["resources"].as_array().unwrap().len();
        let list = of_version(&all_resources, "apps", "v1").unwrap();
        let own = |resource: &&Value| !resource["name"].as_str().unwrap().contains('/');
        assert_eq!(
            list["resources"]
                .as_array()
                .unwrap()
                .iter()
                .filter(own)
                .count(),
            told
        );
        assert_eq!(
            group(&all_resources, "apps").unwrap()["preferredVersion"]["groupVersion"],
            "apps/v1"
        );
        assert_eq!(
            aggregated(&all_resources, "v2beta1", true)["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn what_is_not_there_is_none() {
        let schema = kinds::builtin();
        let all_resources: Vec<&Resource> = schema.resources.iter().collect();
        assert_eq!(group(&all_resources, "nope"), None);
        assert_eq!(group(&all_resources, ""), None);
        assert_eq!(of_version(&all_resources, "apps", "v7"), None);
    }
}
