//! The known helper containers, and how a service takes them up.

use std::collections::BTreeMap;

use super::document::{Document, Kind};
use super::layer::{Layer, Speaker};
use super::nearest;
use super::node::{Entry, Node, Tree};
use crate::problem::{Problem, Rule};

/// Helper containers by name: the shipped ones and the folder's own.
pub(crate) struct Helpers<'a>(BTreeMap<&'a str, &'a Document>);

impl<'a> Helpers<'a> {
    /// A folder's own helper takes the place of a shipped one of the same name.
    pub(crate) fn new(
        shipped: &'a [Document],
        own: &'a [Document],
        problems: &mut Vec<Problem>,
    ) -> Self {
        let of = |documents: &'a [Document]| {
            let helpers = documents.iter().filter(|it| it.kind == Kind::Helper);
            helpers.filter_map(|document| Some((document.name()?, document)))
        };
        let mut known: BTreeMap<&str, &Document> = of(shipped).collect();
        let mut described: Vec<&str> = Vec::new();
        for (name, document) in of(own) {
            let at = document.tree.place("/name").location();
            if let Err(error) = crate::name::ServiceName::new(name) {
                problems.push(Problem::new(error.to_string()).rule(Rule::Name).at(at));
            } else if described.contains(&name) {
                let message = format!("the helper `{name}` is described twice");
                problems.push(Problem::new(message).at(at));
            } else if known.contains_key(name) && !says_override(document) {
                problems.push(shadows("helper", name).at(at));
            }
            described.push(name);
            known.insert(name, document);
        }
        Self(known)
    }

    /// What is known of the helpers that a spec takes up, as the lowest of its layers.
    pub(crate) fn known(&self, spec: &Node, problems: &mut Vec<Problem>) -> Vec<Layer> {
        let helpers = spec.get("helpers").map(Node::entries).unwrap_or_default();
        let mut layers = Vec::new();
        for helper in helpers {
            let named = helper.value.get("use");
            let known = named.and_then(Node::text).unwrap_or(&helper.key);
            match (self.0.get(known), named) {
                (Some(document), _) => layers.push(Layer {
                    speaker: Speaker::Helper(known.to_owned()),
                    tree: placed(&document.tree, &helper.key).into(),
                }),
                (None, Some(named)) => {
                    let message = format!("unknown helper `{known}`");
                    let mut problem = Problem::new(message)
                        .rule(Rule::UnknownName)
                        .at(named.at.location());
                    problem.hint = nearest::hint(known, self.0.keys().copied());
                    problems.push(problem);
                }
                (None, None) => {}
            }
        }
        layers
    }
}

/// A helper's keys at the place where they stand in a service's.
fn placed(document: &Node, name: &str) -> Node {
    let mut keys = document.clone();
    drop_keys(
        &mut keys,
        &["apiVersion", "kind", "name", "description", "override"],
    );
    let within = |value: Node, key: &str| Node {
        at: value.at.clone(),
        tree: Tree::Map(vec![Entry {
            key: key.to_owned(),
            at: value.at.clone(),
            value,
        }]),
    };
    within(within(keys, name), "helpers")
}

fn says_override(document: &Document) -> bool {
    document.tree.get("override").map(|node| &node.tree) == Some(&Tree::Bool(true))
}

/// Something shipped would silently be replaced.
pub(crate) fn shadows(what: &str, name: &str) -> Problem {
    let problem = Problem::new(format!("`{name}` is the name of a shipped {what}"));
    problem.hint("to replace it write `override: true` beside the name, else choose another name")
}

fn drop_keys(node: &mut Node, keys: &[&str]) {
    if let Tree::Map(entries) = &mut node.tree {
        entries.retain(|entry| !keys.contains(&entry.key.as_str()));
    }
}
