//! What a repository says about itself: which convention recognises it, and the facts that templates
//! use, each with the line it was read from.
//!
//! Nothing is guessed: a fact without a source that exists stays unknown.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::foreign::Said;
use super::late;
use super::layer::{Layer, Speaker};
use super::node::{At, Node, Tree, escape};
use super::repository::Files;
use super::template::Context;
use super::violation::kind_of;
use super::wire::{Recognise, Sign};
use crate::model::Evidence;
use crate::problem::{Problem, Rule};

/// Whether a repository is of a kind, and which lines show it.
pub(crate) fn recognises(
    recognise: &Recognise,
    files: &Files<'_>,
) -> Option<Vec<(PathBuf, usize)>> {
    if recognise.all.is_empty() && recognise.any.is_empty() {
        return None;
    }
    if recognise
        .none
        .iter()
        .any(|sign| found(sign, files).is_some())
    {
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
    sign.all().into_iter().find_map(|sign| {
        let line = match &sign.key {
            None => files.text(&sign.file).map(|_| 1)?,
            Some(key) => files.tree(&sign.file)?.pointer(key)?.at.line,
        };
        Some((PathBuf::from(&sign.file), line))
    })
}

/// What a convention looks for, as a person would say it.
pub(crate) fn describe(recognise: &Recognise) -> String {
    let one = |sign: &Sign| match &sign.key {
        None => sign.file.clone(),
        Some(key) => format!("{} with {key}", sign.file),
    };
    let sign = |sign: &Sign| {
        let all: Vec<String> = sign.all().into_iter().map(one).collect();
        all.join(" or ")
    };
    let all: Vec<String> = recognise.all.iter().map(sign).collect();
    let any: Vec<String> = recognise.any.iter().map(sign).collect();
    let mut parts = all;
    if !any.is_empty() {
        parts.push(any.join(" or "));
    }
    parts.join(" and ")
}

/// A fact: a named value, and where it was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: Value,
    /// Where the value stands.
    pub(crate) at: At,
    /// The line of the repository that shows it; `None` for a value that the convention assumes.
    pub(crate) evidence: Option<Evidence>,
    /// The file of another tool that says it, rather than a place of the convention's list.
    pub(crate) speaker: Option<Speaker>,
    /// What the places after it say, where that is something else.
    pub(crate) others: Vec<(Option<Speaker>, Value, At)>,
}

impl Fact {
    /// A value after the first one: it only counts as what wasn't chosen.
    fn add(&mut self, speaker: Option<Speaker>, value: Value, at: At) {
        let known = self.value == value || self.others.iter().any(|(_, other, _)| *other == value);
        if !known {
            self.others.push((speaker, value, at));
        }
    }
}

/// What is asked when facts are looked for.
pub(crate) struct Sources<'a> {
    /// The repository.
    pub(crate) files: &'a Files<'a>,
    /// What files of other tools say, the weakest first.
    pub(crate) said: &'a [Said],
    /// The layers that the lists of places come from.
    pub(crate) layers: &'a [Layer],
    /// What a place's own value may refer to.
    pub(crate) context: &'a Context,
}

/// The facts of a service. The places of a convention's list that are in a file come first, then what files
/// of other tools say, then what the convention assumes; a list of the service's own is all that counts.
pub(crate) fn facts(spec: &Node, sources: &Sources<'_>, problems: &mut Vec<Problem>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let listed = spec.get("facts").map(Node::entries).unwrap_or_default();
    for fact in listed {
        let (read, assumed): (Vec<&Node>, Vec<&Node>) = fact
            .value
            .items()
            .iter()
            .partition(|candidate| candidate.get("file").is_some());
        let own = sources.is_own(&fact.key);
        let mut found: Option<Fact> = None;
        if own {
            sources.try_each(&fact.key, fact.value.items().iter(), &mut found, problems);
        } else {
            sources.try_each(&fact.key, read.into_iter(), &mut found, problems);
            sources.try_said(&fact.key, &mut found);
            sources.try_each(&fact.key, assumed.into_iter(), &mut found, problems);
        }
        facts.extend(found);
    }
    let names = sources.said.iter().flat_map(|said| &said.facts);
    for (name, _) in names {
        let known = listed.iter().any(|fact| fact.key == *name);
        if !known && !facts.iter().any(|fact| fact.name == *name) {
            let mut found = None;
            sources.try_said(name, &mut found);
            facts.extend(found);
        }
    }
    facts
}

impl Sources<'_> {
    /// Whether the list of places was written for this service.
    fn is_own(&self, name: &str) -> bool {
        let pointer = format!("/facts/{}", escape(name));
        let mut layers = self.layers.iter().rev();
        let speaker = layers.find(|layer| layer.tree.pointer(&pointer).is_some());
        speaker.is_some_and(|layer| {
            matches!(
                layer.speaker,
                Speaker::Service | Speaker::Stack | Speaker::Overrides
            )
        })
    }

    fn try_each<'b>(
        &self,
        name: &str,
        candidates: impl Iterator<Item = &'b Node>,
        found: &mut Option<Fact>,
        problems: &mut Vec<Problem>,
    ) {
        for candidate in candidates {
            if let Some(fact) = found {
                // It doesn't count, so what is wrong with it doesn't either.
                if let Some(other) = read(candidate, self.files, self.context, &mut Vec::new()) {
                    fact.add(None, other.value, other.at);
                }
            } else if let Some(read) = read(candidate, self.files, self.context, problems) {
                let evidence = read.evidence.map(|(file, line)| Evidence {
                    conclusion: format!("{name} {}", shown(&read.value)),
                    file,
                    line,
                });
                *found = Some(Fact {
                    name: name.to_owned(),
                    value: read.value,
                    at: read.at,
                    evidence,
                    speaker: None,
                    others: Vec::new(),
                });
            }
        }
    }

    fn try_said(&self, name: &str, found: &mut Option<Fact>) {
        for said in self.said.iter().rev() {
            let facts = said.facts.iter().filter(|(other, _)| other == name);
            for (_, node) in facts {
                let value = node.value(true);
                if let Some(fact) = found {
                    fact.add(Some(said.speaker.clone()), value, node.at.clone());
                } else {
                    let file = PathBuf::from(said.speaker.to_string());
                    *found = Some(Fact {
                        name: name.to_owned(),
                        evidence: Some(Evidence {
                            conclusion: format!("{name} {}", shown(&value)),
                            file,
                            line: node.at.line,
                        }),
                        value,
                        at: node.at.clone(),
                        speaker: Some(said.speaker.clone()),
                        others: Vec::new(),
                    });
                }
            }
        }
    }
}

/// Facts as templates see them.
pub(crate) fn values(facts: &[Fact]) -> Map<String, Value> {
    let pair = |fact: &Fact| (fact.name.clone(), fact.value.clone());
    facts.iter().map(pair).collect()
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// What one candidate gives.
struct Read {
    value: Value,
    at: At,
    evidence: Option<(PathBuf, usize)>,
}

fn read(
    candidate: &Node,
    files: &Files<'_>,
    context: &Context,
    problems: &mut Vec<Problem>,
) -> Option<Read> {
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
                    problems.push(
                        Problem::new(message)
                            .rule(Rule::WrongType)
                            .at(node.at.location()),
                    );
                    None
                }
                Tree::Text(text) => Some(Read {
                    value: Value::String(late::without_variables(text)?),
                    at: node.at.clone(),
                    evidence: Some((PathBuf::from(file), node.at.line)),
                }),
                _ => Some(Read {
                    value: node.value(true),
                    at: node.at.clone(),
                    evidence: Some((PathBuf::from(file), node.at.line)),
                }),
            }
        }
        (file, None, Some(value)) => {
            if let Some(file) = file {
                files.text(file)?;
            }
            let at = value.at.clone();
            Some(Read {
                value: context.render(value, problems).value(true),
                at,
                evidence: file.map(|file| (PathBuf::from(file), 1)),
            })
        }
        (_, None, None) => {
            let problem = Problem::new("a fact needs `file` and `key`, or a `value`")
                .rule(Rule::MissingKey)
                .hint("such as `{file: package.json, key: /name}` or `{value: 8080}`");
            problems.push(problem.at(candidate.at.location()));
            None
        }
        (None, Some(_), _) => {
            let problem =
                Problem::new("`key` needs the `file` it stands in").rule(Rule::MissingKey);
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
