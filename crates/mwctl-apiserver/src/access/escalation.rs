//! Nobody may grant what they don't have: the check of roles and bindings that are written.
//!
//! To be asked when a role is created or its rules change, and when a binding is created or its role changes.

use super::policy::RoleRef;
use super::rule::{Rule, quoted};
use super::{Attributes, MASTERS, Policy, Resource, Target, User, authorize, refused};
use crate::status::Status;
use serde_json::Value;
use std::collections::BTreeMap;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses a `Role` or `ClusterRole` that grants more than its writer is granted, unless they may `escalate` it.
pub fn check_role(policy: &Policy, user: &User, role: &Value) -> Result<(), Status> {
    let resource = written(role);
    if may(policy, user, "escalate", resource) {
        return Ok(());
    }
    let mut rules = Rule::of_role(role);
    if role
        .get("aggregationRule")
        .is_some_and(|rule| !rule.is_null())
    {
        // It takes in whatever roles come to be labelled so.
        rules.push(everything());
    }
    check(policy, user, &resource, &rules)
}

/// Refuses a `RoleBinding` or `ClusterRoleBinding` of a role that grants more than its writer is granted, unless they may `bind` it.
pub fn check_binding(policy: &Policy, user: &User, binding: &Value) -> Result<(), Status> {
    let Some(role) = RoleRef::read(binding) else {
        return Ok(());
    };
    let resource = written(binding);
    let bound = Resource {
        resource: if role.of_cluster {
            "clusterroles"
        } else {
            "roles"
        },
        name: &role.name,
        ..resource
    };
    if may(policy, user, "bind", bound) {
        return Ok(());
    }
    let rules = policy
        .rules(resource.namespace, &role)
        .ok_or_else(|| Status::not_found(GROUP, resource.resource, &role.name))?;
    check(policy, user, &resource, rules)
}

/// The resource of an object that is written.
fn written(object: &Value) -> Resource<'_> {
    let metadata = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
    Resource {
        group: GROUP,
        resource: match object["kind"].as_str() {
            Some("ClusterRole") => "clusterroles",
            Some("Role") => "roles",
            Some("ClusterRoleBinding") => "clusterrolebindings",
            _ => "rolebindings",
        },
        namespace: metadata("namespace"),
        name: metadata("name"),
        ..Resource::default()
    }
}

fn may(policy: &Policy, user: &User, verb: &str, resource: Resource<'_>) -> bool {
    let target = Target::Resource(resource);
    user.is_in(MASTERS) || authorize(policy, user, &Attributes { verb, target }).is_allowed()
}

fn check(
    policy: &Policy,
    user: &User,
    resource: &Resource<'_>,
    wanted: &[Rule],
) -> Result<(), Status> {
    let held: Vec<&Rule> = policy
        .grants(user, resource.namespace)
        .flat_map(|grant| grant.rules)
        .collect();
    let parts = wanted.iter().flat_map(Rule::parts);
    let lacking = parts.filter(|part| !held.iter().any(|rule| rule.includes(part)));
    let told = together(lacking);
    if told.is_empty() {
        return Ok(());
    }
    Err(refused(
        resource,
        &format!(
            "user \"{}\" (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name,
            quoted(&user.groups),
            told.join("\n")
        ),
    ))
}

/// Rules with one of each, told with all verbs of the same things together.
fn together(parts: impl Iterator<Item = Rule>) -> Vec<String> {
    let mut rules: BTreeMap<[Vec<String>; 4], Rule> = BTreeMap::new();
    for part in parts {
        let things = [&part.groups, &part.resources, &part.names, &part.paths].map(Clone::clone);
        match rules.get_mut(&things) {
            Some(rule) => {
                if !rule.verbs.contains(&part.verbs[0]) {
                    rule.verbs.extend(part.verbs);
                }
            }
            None => {
                rules.insert(things, part);
            }
        }
    }
    let mut told: Vec<String> = rules.values().map(Rule::quoted).collect();
    told.sort_unstable();
    told
}

fn everything() -> Rule {
    let all = || vec!["*".to_owned()];
    Rule {
        verbs: all(),
        groups: all(),
        resources: all(),
        names: Vec::new(),
        paths: all(),
    }
}
