//! What a node's identity may do: only what concerns its own `Node` and the pods that run on it.
//!
//! [`authorize`] decides by path, [`admit`] by what is written; [`related`] tells which objects the pods of a node refer to. The rules of the
//! cluster role `system:node` say what there is to be limited.

mod references;

pub use references::related;

use super::policy::RoleRef;
use super::{Attributes, Decision, Policy, Resource, Target, User, authorize as by_roles, refused};
use crate::status::Status;
use references::references;
use serde_json::Value;

const PREFIX: &str = "system:node:";
const LEASES: &str = "kube-node-lease";
const MIRROR: &str = "kubernetes.io/config.mirror";
const CAN_ONLY_READ: &str = "can only read resources of this type";
const CAN_ONLY_GET: &str = "can only get individual resources of this type";

/// Labels of Kubernetes' own domains that a node sets on itself; those below `kubelet.kubernetes.io` and `node.kubernetes.io` are its too.
const OWN_LABELS: [&str; 10] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// The node that a user is, if it is one.
pub fn node_of(user: &User) -> Option<&str> {
    user.name
        .strip_prefix(PREFIX)
        .filter(|_| user.is_in("system:nodes"))
}

/// Decides on a request of the node `node`. `is_related` is asked about objects that a node may read only if one of its pods refers to them.
pub fn authorize(
    policy: &Policy,
    user: &User,
    node: &str,
    attributes: &Attributes<'_>,
    is_related: impl FnOnce(&Resource<'_>) -> bool,
) -> Decision {
    let granted = by_roles(policy, user, attributes);
    if granted.is_allowed() {
        return granted;
    }
    if let Target::Resource(resource) = &attributes.target
        && let Err(why) = limit(node, attributes.verb, resource, is_related)
    {
        return Decision::Refused(why);
    }
    let role = RoleRef {
        of_cluster: true,
        name: "system:node".to_owned(),
    };
    let mut rules = policy.rules("", &role).into_iter().flatten();
    if rules.any(|rule| rule.allows(attributes)) {
        Decision::Allowed(String::new())
    } else {
        Decision::Refused(String::new())
    }
}

fn limit(
    node: &str,
    verb: &str,
    asked: &Resource<'_>,
    is_related: impl FnOnce(&Resource<'_>) -> bool,
) -> Result<(), String> {
    let reads = matches!(verb, "get" | "list" | "watch");
    let relation = |allowed: bool, otherwise: &str| {
        if !allowed {
            return Err(otherwise.to_owned());
        }
        if asked.name.is_empty() {
            return Err("No Object name found".to_owned());
        }
        if !is_related(asked) {
            return Err(format!(
                "no relationship found between node '{node}' and this object"
            ));
        }
        Ok(())
    };
    match (asked.group, asked.resource, asked.subresource) {
        ("", "secrets" | "configmaps", _) => relation(reads, CAN_ONLY_READ),
        ("", "persistentvolumeclaims", "status") => relation(
            matches!(verb, "get" | "update" | "patch"),
            "can only get/update/patch this type",
        ),
        ("", "persistentvolumeclaims" | "persistentvolumes" | "serviceaccounts", "")
        | ("resource.k8s.io", "resourceclaims", _)
        | ("storage.k8s.io", "volumeattachments", _) => relation(verb == "get", CAN_ONLY_GET),
        ("", "serviceaccounts", "token") => relation(
            verb == "create",
            "can only create tokens for individual service accounts",
        ),
        ("", "pods", "") if verb == "get" => relation(true, ""),
        ("", "pods", "") if reads && asked.node != node => {
            Err("can only list/watch pods with spec.nodeName field selector".to_owned())
        }
        ("", "nodes", _) if reads && asked.name != node => {
            let others = match asked.name {
                "" => "all nodes".to_owned(),
                name => format!("'{name}'"),
            };
            Err(format!(
                "node '{node}' cannot read {others}, only its own Node object"
            ))
        }
        ("coordination.k8s.io", "leases", _) if asked.namespace != LEASES => Err(format!(
            "can only access leases in the \"{LEASES}\" system namespace"
        )),
        ("coordination.k8s.io", "leases", _) if named_otherwise(asked, node) => {
            Err("can only access node lease with the same name as the requesting node".to_owned())
        }
        ("storage.k8s.io", "csinodes", _) if named_otherwise(asked, node) => {
            Err("can only access CSINode with the same name as the requesting node".to_owned())
        }
        _ => Ok(()),
    }
}

/// A creation has no name in its path; what it writes is looked at when it is admitted.
fn named_otherwise(asked: &Resource<'_>, node: &str) -> bool {
    !asked.name.is_empty() && asked.name != node
}

/// Something that a node writes.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// `create`, `update`, `patch` or `delete`.
    pub verb: &'a str,
    /// Where; its name is that of the object.
    pub resource: Resource<'a>,
    /// What is written; of a deletion nothing.
    pub object: Option<&'a Value>,
    /// What was there. Of an eviction it is the pod, of a request for a token the pod that the token is to be bound to.
    pub old: Option<&'a Value>,
}

/// Refuses what the node `node` may not write.
pub fn admit(node: &str, write: &Write<'_>) -> Result<(), Status> {
    let Resource {
        group,
        resource,
        subresource,
        name,
        ..
    } = write.resource;
    let why = match (group, resource, subresource) {
        ("", "pods", "") if write.verb == "create" => creates_pod(node, write),
        ("", "pods", "") if write.verb == "delete" => foreign_pod(node, write, "delete pods"),
        ("", "pods", "status") => updates_pod_status(node, write),
        ("", "pods", "eviction") => (node_name(write.old) != node)
            .then(|| format!("node {node} can only evict pods with spec.nodeName set to itself")),
        ("", "nodes", _) => modifies_node(node, write),
        ("", "serviceaccounts", "token") => requests_token(node, write),
        ("coordination.k8s.io", "leases", _) => (name != node).then(|| {
            "can only access node lease with the same name as the requesting node".to_owned()
        }),
        ("storage.k8s.io", "csinodes", _) => (name != node).then(|| {
            "can only access CSINode with the same name as the requesting node".to_owned()
        }),
        _ => None,
    };
    why.map_or(Ok(()), |why| Err(refused(&write.resource, &why)))
}

fn creates_pod(node: &str, write: &Write<'_>) -> Option<String> {
    let pod = write.object?;
    if pod["metadata"]["annotations"].get(MIRROR).is_none() {
        return Some(format!(
            "pod does not have \"{MIRROR}\" annotation, node \"{node}\" can only create mirror pods"
        ));
    }
    if node_name(Some(pod)) != node {
        return Some(format!(
            "node \"{node}\" can only create pods with spec.nodeName set to itself"
        ));
    }
    let owners = pod["metadata"]["ownerReferences"]
        .as_array()
        .map_or(&[] as &[Value], Vec::as_slice);
    let own = |owner: &Value| {
        owner["apiVersion"] == "v1"
            && owner["kind"] == "Node"
            && owner["name"] == node
            && owner["controller"] == true
    };
    if !matches!(owners, [owner] if own(owner)) {
        return Some(format!(
            "node \"{node}\" can only create pods with an owner reference set to itself"
        ));
    }
    // A mirror pod shows what runs already. What it referred to the node could read, whose ever it is.
    let reference = references(pod).into_iter().next()?;
    Some(format!(
        "node \"{node}\" can not create pods that reference {}",
        reference.resource
    ))
}

fn updates_pod_status(node: &str, write: &Write<'_>) -> Option<String> {
    if let Some(why) = foreign_pod(node, write, "update pod status for pods") {
        return Some(why);
    }
    let labels = |object: Option<&Value>| {
        object
            .and_then(|object| object["metadata"].get("labels"))
            .cloned()
    };
    let changed = write.object.is_some() && labels(write.object) != labels(write.old);
    changed.then(|| format!("node \"{node}\" cannot update labels through pod status"))
}

fn foreign_pod(node: &str, write: &Write<'_>, what: &str) -> Option<String> {
    (node_name(write.old) != node)
        .then(|| format!("node \"{node}\" can only {what} with spec.nodeName set to itself"))
}

fn requests_token(node: &str, write: &Write<'_>) -> Option<String> {
    let bound = &write.object?["spec"]["boundObjectRef"];
    if bound["kind"] != "Pod" || bound["name"].as_str().is_none_or(str::is_empty) {
        return Some("node requested token not bound to a pod".to_owned());
    }
    (node_name(write.old) != node)
        .then(|| "node requested token bound to a pod scheduled on a different node".to_owned())
}

fn modifies_node(node: &str, write: &Write<'_>) -> Option<String> {
    let name = write.resource.name;
    if name != node {
        return Some(format!(
            "node \"{node}\" is not allowed to modify node \"{name}\""
        ));
    }
    let new = write.object?;
    let differs = |pointer: &str| {
        write
            .old
            .is_some_and(|old| given(old.pointer(pointer)) != given(new.pointer(pointer)))
    };
    if differs("/metadata/ownerReferences") {
        return Some(format!(
            "node \"{node}\" is not allowed to modify ownerReferences"
        ));
    }
    if differs("/spec/taints") {
        return Some(format!("node \"{node}\" is not allowed to modify taints"));
    }
    let foreign = foreign_labels(write.old, new);
    (!foreign.is_empty())
        .then(|| format!("is not allowed to modify labels: {}", foreign.join(", ")))
}

/// Nothing, where there is something empty.
fn given(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()))
}

/// Changed labels that are not a node's to change.
fn foreign_labels<'v>(old: Option<&'v Value>, new: &'v Value) -> Vec<&'v str> {
    let labels = |object: Option<&'v Value>| object?.pointer("/metadata/labels")?.as_object();
    let before = labels(old);
    let after = labels(Some(new));
    let get = |labels: Option<&'v serde_json::Map<String, Value>>, name: &str| labels?.get(name);
    let names = before
        .into_iter()
        .chain(after)
        .flat_map(serde_json::Map::keys);
    let mut foreign: Vec<&str> = names
        .map(String::as_str)
        .filter(|name| get(before, name) != get(after, name) && !is_own_label(name))
        .collect();
    foreign.sort_unstable();
    foreign.dedup();
    foreign
}

fn is_own_label(name: &str) -> bool {
    let Some((domain, _)) = name.split_once('/') else {
        return true;
    };
    let within = |parent: &str| {
        domain
            .strip_suffix(parent)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if within("node-restriction.kubernetes.io") {
        return false;
    }
    if !within("kubernetes.io") && !within("k8s.io") {
        return true;
    }
    within("kubelet.kubernetes.io") || within("node.kubernetes.io") || OWN_LABELS.contains(&name)
}

fn node_name(pod: Option<&Value>) -> &str {
    pod.and_then(|pod| pod["spec"]["nodeName"].as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
