//! Which services a service needs: that they exist, and that nobody waits for itself.
//!
//! Adding a needed service that nobody described is `resolve`'s part; this says what is wrong after.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::nearest;
use super::node::{At, Node};
use super::wire::{self, Condition};
use crate::model;
use crate::name::ServiceName;
use crate::problem::{Problem, Rule};

/// A need and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) service: String,
    pub(crate) condition: Condition,
    pub(crate) at: At,
}

/// The needs of a merged spec. They hold no templates.
pub(crate) fn read(spec: &Node) -> Vec<Need> {
    let items = spec.get("needs").map(Node::items).unwrap_or_default();
    let read = |node: &Node| {
        let need: wire::Need = serde_json::from_value(node.value(false)).ok()?;
        let at = node.get("service").map_or(&node.at, |service| &service.at);
        Some(Need {
            service: need.service,
            condition: need.condition,
            at: at.clone(),
        })
    };
    items.iter().filter_map(read).collect()
}

pub(crate) fn convert(needs: &[Need]) -> Vec<model::Need> {
    let convert = |need: &Need| {
        Some(model::Need {
            service: ServiceName::new(need.service.as_str()).ok()?,
            condition: match need.condition {
                Condition::Ready => model::Condition::Ready,
                Condition::Started => model::Condition::Started,
                Condition::Completed => model::Condition::Completed,
                Condition::Eventually => model::Condition::Eventually,
            },
        })
    };
    needs.iter().filter_map(convert).collect()
}

/// Unknown, repeated and circular needs, and connections to services that aren't there.
pub(crate) fn check<'a>(
    drafts: &[Draft<'_>],
    addable: &dyn Fn() -> Vec<&'a str>,
    left_out: &BTreeMap<String, Vec<String>>,
    problems: &mut Vec<Problem>,
) {
    let names: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
    let unknown = |name: &str, at: &At| {
        let mut problem = Problem::new(format!("unknown service `{name}`"))
            .rule(Rule::UnknownName)
            .at(at.location());
        problem.hint = match left_out.get(name).and_then(|profiles| profiles.first()) {
            Some(profile) => Some(format!(
                "it belongs to the profile `{profile}`: ask for it with `--profile {profile}`"
            )),
            None => nearest::hint(name, names.iter().copied().chain(addable())),
        };
        problem
    };
    for draft in drafts {
        for (index, need) in draft.needs.iter().enumerate() {
            if need.service == draft.name.as_str() {
                let message = format!("`{}` can't need itself", need.service);
                problems.push(
                    Problem::new(message)
                        .rule(Rule::Cycle)
                        .at(need.at.location()),
                );
            } else if !names.contains(&need.service.as_str()) {
                problems.push(unknown(&need.service, &need.at));
            } else if need.condition == Condition::Completed && !is_job(drafts, &need.service) {
                let message = format!("`{}` never completes: it isn't a job", need.service);
                let hint = "wait until it is `ready`, or give it `workload: {kind: job}`";
                problems.push(Problem::new(message).hint(hint).at(need.at.location()));
            }
            if draft.needs[..index]
                .iter()
                .any(|other| other.service == need.service)
            {
                let message = format!("`{}` is needed twice", need.service);
                problems.push(
                    Problem::new(message)
                        .rule(Rule::DuplicateName)
                        .at(need.at.location()),
                );
            }
        }
        let egress = draft
            .spec
            .pointer("/network/egress")
            .map(Node::items)
            .unwrap_or_default();
        for service in egress.iter().filter_map(|rule| rule.get("service")) {
            if let Some(name) = service.text()
                && !names.contains(&name)
            {
                problems.push(unknown(name, &service.at));
            }
        }
    }
    cycles(drafts, problems);
}

fn is_job(drafts: &[Draft<'_>], name: &str) -> bool {
    let draft = drafts.iter().find(|draft| draft.name.as_str() == name);
    let kind = draft.and_then(|draft| draft.spec.pointer("/workload/kind"));
    kind.and_then(Node::text) == Some("job")
}

/// Reports each circle of waiting services once, starting from its first name.
fn cycles(drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
    let graph: BTreeMap<&str, &Draft<'_>> = drafts
        .iter()
        .map(|draft| (draft.name.as_str(), draft))
        .collect();
    for start in graph.keys() {
        let Some(path) = way_back(&graph, start) else {
            continue;
        };
        if path.len() < 2 || path.iter().any(|name| name < start) {
            continue;
        }
        let circle: Vec<&str> = path.iter().copied().chain([*start]).collect();
        let message = format!("services wait for each other: {}", circle.join(" → "));
        let hint = "mark one need as not waited for: `{service: …, condition: eventually}`";
        let at = waits(graph[start]).find(|need| path.get(1) == Some(&need.service.as_str()));
        let mut problem = Problem::new(message).rule(Rule::Cycle).hint(hint);
        problem.location = at.map(|need| need.at.location());
        problems.push(problem);
    }
}

fn waits<'a>(draft: &'a Draft<'_>) -> impl Iterator<Item = &'a Need> {
    draft
        .needs
        .iter()
        .filter(|need| need.condition != Condition::Eventually)
}

/// The shortest way from a service over its needs back to itself, without the way's last step.
fn way_back<'a>(graph: &BTreeMap<&'a str, &'a Draft<'_>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        for need in graph.get(name).into_iter().flat_map(|draft| waits(draft)) {
            if need.service == start {
                let mut path = vec![name];
                while let Some(previous) =
                    path.last().filter(|it| **it != start).map(|it| before[it])
                {
                    path.push(previous);
                }
                path.reverse();
                return Some(path);
            }
            if let Some((known, _)) = graph.get_key_value(need.service.as_str())
                && !before.contains_key(known)
            {
                before.insert(known, name);
                queue.push_back(known);
            }
        }
    }
    None
}
