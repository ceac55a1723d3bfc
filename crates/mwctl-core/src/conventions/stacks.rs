//! What a Stack says beyond its services: isolation, what its namespace admits, other files; and what
//! its services share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::check::Check;
use super::convert::quantities;
use super::document::{Document, Kind};
use super::draft::Draft;
use super::node::{At, Node};
use super::wire::{self, Isolation};
use super::{nearest, text};
use crate::model::{Admission, Limits, Manifest, PodSecurity, SecretSource, Stack};
use crate::name::ServiceName;
use crate::problem::{Location, Problem};

/// The stack with what its document says of all services and of the namespace.
pub(crate) fn completed(
    mut stack: Stack,
    header: &wire::Stack,
    tree: &Node,
    problems: &mut Vec<Problem>,
) -> Stack {
    let mut check = Check::new(tree);
    stack.admission = admission(header, &mut check);
    problems.extend(check.problems);
    if header.isolation == Some(Isolation::Strict) {
        for service in stack.services.values_mut() {
            service.network.restrict_egress |= !service.network.open;
        }
    }
    stack
}

/// A private setting that is taken from another service.
pub(crate) struct Shared {
    by: ServiceName,
    name: String,
    at: At,
}

/// The settings that a service takes from others.
pub(crate) fn shared(draft: &Draft<'_>) -> Vec<Shared> {
    let secrets = draft.spec.get("secrets").map(Node::entries);
    let taken = secrets.unwrap_or_default().iter();
    taken
        .filter_map(|entry| {
            Some(Shared {
                by: draft.name.clone(),
                name: entry.key.clone(),
                at: entry.value.get("from")?.at.clone(),
            })
        })
        .collect()
}

/// Says which settings aren't there, or are taken in a circle.
pub(crate) fn shared_secrets(stack: &Stack, shared: &[Shared], problems: &mut Vec<Problem>) {
    for Shared { by, name, at } in shared {
        let mut seen = vec![(by.clone(), name.clone())];
        while let Some((service, secret)) = seen.last().cloned() {
            let found = stack.services.get(&service);
            let next = match found.and_then(|service| service.secrets.get(&secret)) {
                // Whatever has problems of its own isn't there, and was reported.
                None if seen.len() == 1 => break,
                None => {
                    let known = found.map(|service| service.secrets.keys().map(String::as_str));
                    let message = match found {
                        Some(_) => format!("`{service}` has no secret `{secret}`"),
                        None => format!("unknown service `{service}`"),
                    };
                    let mut problem = Problem::new(message).at(at.location());
                    problem.hint = match known {
                        Some(known) => nearest::hint(&secret, known),
                        None => nearest::hint(
                            service.as_str(),
                            stack.services.keys().map(ServiceName::as_str),
                        ),
                    };
                    problems.push(problem);
                    break;
                }
                Some(SecretSource::Of { service, secret }) => (service.clone(), secret.clone()),
                Some(_) => break,
            };
            if seen.contains(&next) {
                let message = format!("the secret `{name}` is taken from itself");
                problems.push(Problem::new(message).at(at.location()));
                break;
            }
            seen.push(next);
        }
    }
}

/// The objects of files that are applied as they are.
pub(crate) fn raw(files: &BTreeMap<PathBuf, String>, problems: &mut Vec<Problem>) -> Vec<Manifest> {
    let mut manifests = Vec::new();
    for (file, text) in files {
        let (nodes, found) = text::documents(file, text);
        problems.extend(found);
        for node in &nodes {
            let items = match node.get("items") {
                Some(items) if node.get("kind").and_then(Node::text) == Some("List") => {
                    items.items()
                }
                _ => std::slice::from_ref(node),
            };
            for item in items {
                let missing = ["/apiVersion", "/kind", "/metadata/name"]
                    .into_iter()
                    .find(|key| item.pointer(key).and_then(Node::text).is_none());
                match missing {
                    None => manifests.push(Manifest(item.value(true))),
                    Some(key) => {
                        let key = key.trim_start_matches('/').replace('/', ".");
                        let message = format!("a Kubernetes object lacks `{key}`");
                        problems.push(Problem::new(message).at(item.at.location()));
                    }
                }
            }
        }
    }
    manifests
}

/// The files and folders with Kubernetes objects, relative to the folder, and where that is said.
pub fn manifests(own: &[Document]) -> Vec<(PathBuf, Location)> {
    named(own, "manifests")
}

/// The files whose documents belong to these too, relative to the folder, and where that is said.
pub fn includes(own: &[Document]) -> Vec<(PathBuf, Location)> {
    named(own, "include")
}

fn named(own: &[Document], key: &str) -> Vec<(PathBuf, Location)> {
    let stacks = own.iter().filter(|document| document.kind == Kind::Stack);
    let paths = stacks.filter_map(|document| document.tree.get(key).map(Node::items));
    let paths = paths.flatten();
    paths
        .filter_map(|node| {
            let beside = node.at.source.file.parent().unwrap_or(Path::new(""));
            Some((beside.join(node.text()?), node.at.location()))
        })
        .collect()
}

fn admission(header: &wire::Stack, check: &mut Check<'_>) -> Admission {
    let quota = quantities("/quota", header.quota.clone(), check);
    let limits = header.limits.as_ref().map(|limits| {
        let container = &limits.container;
        let mut read = |key: &str, wire: &BTreeMap<String, wire::Scalar>| {
            quantities(&format!("/limits/{key}"), wire.clone(), check)
        };
        Limits {
            min: read("container/min", &container.min),
            max: read("container/max", &container.max),
            default: read("container/defaultLimit", &container.default_limit),
            default_request: read("container/defaultRequest", &container.default_request),
            pod_max: read("pod", &limits.pod),
        }
    });
    Admission {
        pod_security: match header.pod_security {
            Some(wire::PodSecurity::Restricted) | None => PodSecurity::Restricted,
            Some(wire::PodSecurity::Baseline) => PodSecurity::Baseline,
            Some(wire::PodSecurity::Privileged) => PodSecurity::Privileged,
        },
        quota,
        limits,
    }
}
