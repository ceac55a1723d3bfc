//! Where a pod wants to be: node selectors, required node affinity, and required nearness to or distance from other pods.

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodAffinityTerm,
};
use kube::ResourceExt;
use kube::core::SelectorExt;

use crate::claim::{matches, selector};
use crate::observed::{Key, Observed};
use crate::pods;

/// Whether a node is one that the pod's selector and its required node affinity allow.
pub(crate) fn matches_node(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else {
        return true;
    };
    let has = |(name, value): (&String, &String)| node.labels().get(name) == Some(value);
    if !spec.node_selector.iter().flatten().all(has) {
        return false;
    }
    let required = (spec.affinity.as_ref())
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| {
            affinity
                .required_during_scheduling_ignored_during_execution
                .as_ref()
        });
    required.is_none_or(|required| {
        (required.node_selector_terms.iter()).any(|term| term_matches(term, node))
    })
}

fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let by_label = term.match_expressions.as_deref().unwrap_or_default();
    let by_field = term.match_fields.as_deref().unwrap_or_default();
    // A term without any requirement matches nothing.
    (!by_label.is_empty() || !by_field.is_empty())
        && (by_label.iter()).all(|it| holds(it, node.labels().get(&it.key).map(String::as_str)))
        && (by_field.iter()).all(|it| {
            let field = (it.key == "metadata.name").then_some(node.metadata.name.as_deref());
            holds(it, field.flatten())
        })
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let is_listed = value.is_some_and(|value| values.iter().any(|it| it == value));
    let numbers =
        || -> Option<(i64, i64)> { Some((value?.parse().ok()?, values.first()?.parse().ok()?)) };
    match requirement.operator.as_str() {
        "In" => is_listed,
        "NotIn" => !is_listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => numbers().is_some_and(|(value, bound)| value > bound),
        "Lt" => numbers().is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

/// Whether the pods that are there already let this one be on a node; the reason if not.
pub(super) fn check_pods(observed: &Observed, pod: &Pod, node: &Node) -> Result<(), &'static str> {
    for (term, _) in terms(pod, Nearness::Apart) {
        if nearby(observed, term, pod, node).next().is_some() {
            return Err("node(s) didn't match pod anti-affinity rules");
        }
    }
    let is_unwelcome = placed(observed).any(|other| {
        terms(other, Nearness::Apart).any(|(term, _)| {
            concerns(observed, term, other, pod)
                && same_place(observed, &term.topology_key, other, node)
        })
    });
    if is_unwelcome {
        return Err("node(s) didn't satisfy existing pods anti-affinity rules");
    }
    for (term, _) in terms(pod, Nearness::Together) {
        let is_near = nearby(observed, term, pod, node).next().is_some();
        // The first of a group that wants to be together may begin anywhere.
        let is_first = concerns(observed, term, pod, pod)
            && !placed(observed).any(|other| concerns(observed, term, pod, other));
        let has_place = node.labels().contains_key(&term.topology_key);
        let is_allowed = is_near || (is_first && has_place);
        if !is_allowed {
            return Err("node(s) didn't match pod affinity rules");
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nearness {
    Together,
    Apart,
}

fn terms(pod: &Pod, nearness: Nearness) -> impl Iterator<Item = (&PodAffinityTerm, Nearness)> {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let terms = match nearness {
        Nearness::Together => affinity
            .and_then(|affinity| affinity.pod_affinity.as_ref())
            .and_then(|it| {
                it.required_during_scheduling_ignored_during_execution
                    .as_ref()
            }),
        Nearness::Apart => affinity
            .and_then(|affinity| affinity.pod_anti_affinity.as_ref())
            .and_then(|it| {
                it.required_during_scheduling_ignored_during_execution
                    .as_ref()
            }),
    };
    terms
        .into_iter()
        .flatten()
        .map(move |term| (term, nearness))
}

fn placed(observed: &Observed) -> impl Iterator<Item = &Pod> {
    (observed.pods.iter().map(AsRef::as_ref))
        .filter(|pod| pods::node(pod).is_some() && !pods::is_finished(pod))
}

fn nearby<'a>(
    observed: &'a Observed,
    term: &'a PodAffinityTerm,
    pod: &'a Pod,
    node: &'a Node,
) -> impl Iterator<Item = &'a Pod> {
    placed(observed).filter(move |other| {
        concerns(observed, term, pod, other)
            && same_place(observed, &term.topology_key, other, node)
    })
}

/// Whether a term of one pod speaks of another.
fn concerns(observed: &Observed, term: &PodAffinityTerm, owner: &Pod, other: &Pod) -> bool {
    let wanted = term.label_selector.as_ref().and_then(selector);
    let is_match = wanted.is_some_and(|wanted| matches(&wanted, other));
    is_match && in_scope(observed, term, owner, other)
}

fn in_scope(observed: &Observed, term: &PodAffinityTerm, owner: &Pod, other: &Pod) -> bool {
    let namespace = other.namespace().unwrap_or_default();
    let listed = term.namespaces.as_deref().unwrap_or_default();
    if listed.is_empty() && term.namespace_selector.is_none() {
        return owner.metadata.namespace == other.metadata.namespace;
    }
    let by_label = term.namespace_selector.as_ref().and_then(selector);
    listed.contains(&namespace)
        || by_label.is_some_and(|wanted| {
            (observed.namespaces.get(&Key::cluster(namespace.as_str())))
                .is_some_and(|it| wanted.matches(it.labels()))
        })
}

fn same_place(observed: &Observed, topology: &str, pod: &Pod, node: &Node) -> bool {
    let Some(own) = node.labels().get(topology) else {
        return false;
    };
    (pods::node(pod))
        .and_then(|name| observed.nodes.get(&Key::cluster(name)))
        .is_some_and(|other| other.labels().get(topology) == Some(own))
}
