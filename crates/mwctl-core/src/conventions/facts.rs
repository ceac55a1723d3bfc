//! What a repository says about itself: which convention recognises it, and the facts that templates
//! use, each with the line it was read from.
//!
//! Nothing is guessed: a fact without a source that exists stays unknown.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::node::{Node, Tree};
use super::repository::Files;
use super::template::Context;
use super::violation::kind_of;
use super::wire::{Recognise, Sign};
use crate::model::Evidence;
use crate::problem::Problem;

/// Whether a repository is of a kind, and which lines show it.
pub(crate) fn recognises(
    recognise: &Recognise,
    files: &Files<'_>,
) -> Option<Vec<(PathBuf, usize)>> {
    if recognise.all.is_empty() && recognise.any.is_empty() {
        return None;
    }
    let mut seen = Vec::new();
    for sign in &recognise.all {
        seen.push(found(sign, files)?);
    }
    if !recognise.any.is_empty() {
        seen.push(recognise.any.iter().find_map(|sign| found(sign, files))?);
    }
    Some(seen)
}

fn found(sign: &Sign, files: &Files<'_>) -> Option<(PathBuf, usize)> {
    let line = match &sign.key {
        None => files.text(&sign.file).map(|_| 1)?,
        Some(key) => files.tree(&sign.file)?.pointer(key)?.at.line,
    };
    Some((PathBuf::from(&sign.file), line))
}

/// What a convention looks for, as a person would say it.
pub(crate) fn describe(recognise: &Recognise) -> String {
    let sign = |sign: &Sign| match &sign.key {
        None => sign.file.clone(),
        Some(key) => format!("{} with {key}", sign.file),
    };
    let all: Vec<String> = recognise.all.iter().map(sign).collect();
    let any: Vec<String> = recognise.any.iter().map(sign).collect();
    let mut parts = all;
    if !any.is_empty() {
        parts.push(any.join(" or "));
    }
    parts.join(" and ")
}

/// The facts of a service.
pub(crate) fn facts(
    spec: &Node,
    files: &Files<'_>,
    context: &Context,
    problems: &mut Vec<Problem>,
) -> (Map<String, Value>, Vec<Evidence>) {
    let mut facts = Map::new();
    let mut evidence = Vec::new();
    for fact in spec.get("facts").map(Node::entries).unwrap_or_default() {
        for candidate in fact.value.items() {
            let Some((value, line)) = read(candidate, files, context, problems) else {
                continue;
            };
            if let Some(line) = line {
                let file = candidate
                    .get("file")
                    .and_then(Node::text)
                    .unwrap_or_default();
                evidence.push(Evidence {
                    conclusion: format!("{} {}", fact.key, shown(&value)),
                    file: PathBuf::from(file),
                    line,
                });
            }
            facts.insert(fact.key.clone(), value);
            break;
        }
    }
    (facts, evidence)
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn read(
    candidate: &Node,
    files: &Files<'_>,
    context: &Context,
    problems: &mut Vec<Problem>,
) -> Option<(Value, Option<usize>)> {
    let file = candidate.get("file").and_then(Node::text);
    let key = candidate.get("key").and_then(Node::text);
    let value = candidate
        .get("value")
        .filter(|value| value.tree != Tree::Null);
    match (file, key, value) {
        (Some(file), Some(key), None) => {
            let tree = files.tree(file)?;
            let node = tree.pointer(key)?;
            match &node.tree {
                Tree::Null => None,
                Tree::List(_) | Tree::Map(_) => {
                    let found = kind_of(&node.tree);
                    let message = format!("{key} of {file} must be a single value, not {found}");
                    problems.push(Problem::new(message).at(node.at.location()));
                    None
                }
                _ => Some((node.value(true), Some(node.at.line))),
            }
        }
        (file, None, Some(value)) => {
            if let Some(file) = file {
                files.text(file)?;
            }
            let value = context.render(value, problems).value(true);
            Some((value, file.map(|_| 1)))
        }
        (_, None, None) => {
            let problem = Problem::new("a fact needs `file` and `key`, or a `value`")
                .hint("such as `{file: package.json, key: /name}` or `{value: 8080}`");
            problems.push(problem.at(candidate.at.location()));
            None
        }
        (None, Some(_), _) => {
            let problem = Problem::new("`key` needs the `file` it stands in");
            problems.push(problem.at(candidate.at.location()));
            None
        }
        (Some(_), Some(_), Some(_)) => {
            let problem = Problem::new("a fact has either a `key` or a `value`")
                .hint("write two items: the first that exists counts");
            problems.push(problem.at(candidate.at.location()));
            None
        }
    }
}
