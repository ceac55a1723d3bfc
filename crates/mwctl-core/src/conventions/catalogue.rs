//! The conventions that can be chosen from: the shipped ones and the folder's own, and the known
//! helper containers.
//!
//! It answers which one recognises a repository, and what a convention says with everything it
//! extends.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::document::{self, Document, Kind};
use super::facts;
use super::layer::{self, Layer, Speaker};
use super::members::spec_keys;
use super::nearest;
use super::node::{At, Node};
use super::repository::Files;
use super::sidecars::{Helpers, shadows};
use super::wire;
use crate::problem::{Problem, Rule};

pub(crate) struct Catalogue<'a> {
    conventions: BTreeMap<String, Convention<'a>>,
    helpers: Helpers<'a>,
}

struct Convention<'a> {
    header: wire::Convention,
    tree: &'a Node,
    own: bool,
    /// Worked out when the first service asks.
    said: OnceCell<Option<SaidByAll>>,
}

/// What a convention and everything it extends say, the most general first; and these layers merged.
type SaidByAll = (Vec<Layer>, Node);

/// A convention that fits a repository, and the lines that show it.
pub(crate) struct Recognised {
    pub(crate) convention: String,
    pub(crate) signs: Vec<(PathBuf, usize)>,
}

impl<'a> Catalogue<'a> {
    /// A folder's own convention takes the place of a shipped one of the same name.
    pub(crate) fn new(
        shipped: &'a [Document],
        own: &'a [Document],
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut conventions: BTreeMap<String, Convention<'a>> = BTreeMap::new();
        let (shipped_documents, own_documents) = (shipped, own);
        let shipped = shipped.iter().map(|document| (document, false));
        for (document, own) in shipped.chain(own.iter().map(|document| (document, true))) {
            if document.kind != Kind::Convention {
                continue;
            }
            let tree = &document.tree;
            let header = match document::own_keys::<wire::Convention>(tree) {
                Ok(header) => header,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            if let Err(error) = crate::name::ServiceName::new(header.name.as_str()) {
                problems.push(
                    Problem::new(error.to_string())
                        .rule(Rule::Name)
                        .at(tree.place("/name").location()),
                );
            }
            if conventions
                .get(&header.name)
                .is_some_and(|other| own && other.own)
            {
                let message = format!("the convention `{}` is described twice", header.name);
                problems.push(
                    Problem::new(message)
                        .rule(Rule::DuplicateName)
                        .at(tree.place("/name").location()),
                );
            } else if own && !header.replaces && conventions.contains_key(&header.name) {
                let problem = shadows("convention", &header.name);
                problems.push(problem.at(tree.place("/name").location()));
            }
            let convention = Convention {
                tree,
                own,
                said: OnceCell::new(),
                header,
            };
            conventions.insert(convention.header.name.clone(), convention);
        }
        let catalogue = Self {
            conventions,
            helpers: Helpers::new(shipped_documents, own_documents, problems),
        };
        for convention in catalogue.conventions.values() {
            catalogue.check(convention, problems);
        }
        catalogue
    }

    fn check(&self, convention: &Convention<'_>, problems: &mut Vec<Problem>) {
        let Some(base) = &convention.header.extends else {
            return;
        };
        let at = convention.tree.place("/extends");
        if !self.conventions.contains_key(base) {
            problems.push(self.unknown(base, at));
        } else if let Err(cycle) = self.chain(&convention.header.name)
            && cycle
                .iter()
                .all(|name| *name >= convention.header.name.as_str())
        {
            let message = format!("conventions extend each other: {}", cycle.join(" → "));
            problems.push(Problem::new(message).rule(Rule::Cycle).at(at.location()));
        }
    }

    /// The helper containers that are known.
    pub(crate) fn helpers(&self) -> &Helpers<'a> {
        &self.helpers
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.conventions.contains_key(name)
    }

    pub(crate) fn unknown(&self, name: &str, at: &At) -> Problem {
        let mut problem = Problem::new(format!("unknown convention `{name}`"))
            .rule(Rule::UnknownName)
            .at(at.location());
        problem.hint = nearest::hint(name, self.conventions.keys().map(String::as_str));
        problem
    }

    /// The convention and those it extends, the most general first; the cycle where there is one.
    fn chain<'b>(&'b self, name: &'b str) -> Result<Vec<&'b Convention<'a>>, Vec<&'b str>> {
        let mut names = vec![name];
        let mut chain = Vec::new();
        let mut next = self.conventions.get(name);
        while let Some(convention) = next {
            chain.push(convention);
            next = None;
            if let Some(base) = convention.header.extends.as_deref() {
                let seen = names.contains(&base);
                names.push(base);
                if seen {
                    return Err(names);
                }
                next = self.conventions.get(base);
            }
        }
        chain.reverse();
        Ok(chain)
    }

    /// What a convention and everything it extends say; `None` where it isn't there, or extends itself.
    pub(crate) fn said(&self, name: &str) -> Option<&SaidByAll> {
        let convention = self.conventions.get(name)?;
        let said = convention.said.get_or_init(|| {
            let chain = self.chain(name).ok()?;
            let layer = |convention: &&Convention<'_>| Layer {
                speaker: Speaker::Convention(convention.header.name.clone()),
                tree: spec_keys(convention.tree).into(),
            };
            let layers: Vec<Layer> = chain.iter().map(layer).collect();
            let merged = layer::merged(&layers, &convention.tree.at);
            Some((layers, merged))
        });
        said.as_ref()
    }

    /// Whether a service of this convention can run without files of its own.
    pub(crate) fn needs_no_source(&self, name: &str) -> bool {
        let said = self.said(name);
        said.is_some_and(|(_, merged)| merged.pointer("/container/image").is_some())
    }

    /// The names of the conventions whose services need no files of their own.
    pub(crate) fn without_source(&self) -> Vec<&str> {
        let names = self.conventions.keys().map(String::as_str);
        names.filter(|name| self.needs_no_source(name)).collect()
    }

    /// The conventions that recognise a repository, without those that a more special one extends.
    pub(crate) fn recognise(&self, files: &Files<'_>) -> Vec<Recognised> {
        let mut found: Vec<Recognised> = self
            .conventions
            .values()
            .filter_map(|convention| {
                let recognise = convention.header.recognise.as_ref()?;
                Some(Recognised {
                    convention: convention.header.name.clone(),
                    signs: facts::recognises(recognise, files)?,
                })
            })
            .collect();
        let general: Vec<String> = found
            .iter()
            .flat_map(|it| self.chain(&it.convention).unwrap_or_default())
            .filter_map(|convention| convention.header.extends.clone())
            .collect();
        found.retain(|it| !general.contains(&it.convention));
        found
    }

    /// What is looked for in a repository, one sign per convention.
    pub(crate) fn looked_for(&self) -> String {
        let signs = self.conventions.values().filter_map(|convention| {
            let recognise = convention.header.recognise.as_ref()?;
            Some(format!(
                "{} ({})",
                facts::describe(recognise),
                convention.header.name
            ))
        });
        signs.collect::<Vec<_>>().join("; ")
    }
}
