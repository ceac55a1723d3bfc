//! Documents: texts that have been read and whose keys and types are right.
//!
//! Whether they make sense together (names that exist, facts that are known) is `resolve`'s part.

use std::path::Path;

use super::node::{At, Node, Tree};
use super::schema::{self, API_VERSION};
use super::{nearest, text, violation, wire};
use crate::problem::{Location, Problem};

/// One document of a convention file, checked against the schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub(crate) kind: Kind,
    pub(crate) tree: Node,
}

/// What a document describes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A kind of service.
    Convention,
    /// One service.
    Service,
    /// Services that are deployed together.
    Stack,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Convention, Self::Service, Self::Stack];

    /// As it is written after `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Convention => "Convention",
            Self::Service => "Service",
            Self::Stack => "Stack",
        }
    }
}

impl Document {
    /// What it describes.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name, where it states one.
    pub fn name(&self) -> Option<&str> {
        self.tree.get("name").and_then(Node::text)
    }

    /// Where it begins.
    pub fn location(&self) -> Location {
        self.tree.at.location()
    }
}

/// Reads all documents of one file. Nothing may be resolved while there are problems: a document
/// with a problem is left out.
pub fn parse(file: &Path, text: &str) -> (Vec<Document>, Vec<Problem>) {
    let (nodes, mut problems) = text::documents(file, text);
    let mut documents = Vec::new();
    for tree in nodes {
        match check(tree) {
            Ok(document) => documents.push(document),
            Err(more) => problems.extend(more),
        }
    }
    problems.sort();
    (documents, problems)
}

fn check(tree: Node) -> Result<Document, Vec<Problem>> {
    if !matches!(tree.tree, Tree::Map(_)) {
        let message = "a document must be a map that starts with `apiVersion: mwctl/v1`";
        return Err(vec![Problem::new(message).at(tree.at.location())]);
    }
    let kind = header(&tree).map_err(|problem| vec![problem])?;
    let value = tree.value(false);
    let problems: Vec<Problem> = schema::validator(kind)
        .iter_errors(&value)
        .flat_map(|error| violation::problems(&error, &tree))
        .collect();
    if problems.is_empty() {
        Ok(Document { kind, tree })
    } else {
        Err(problems)
    }
}

fn header(tree: &Node) -> Result<Kind, Problem> {
    let kinds = || Kind::ALL.iter().map(|kind| kind.name());
    let at = |at: &At| at.location();
    match tree.get("apiVersion") {
        Some(version) if version.text() == Some(API_VERSION) => {}
        Some(version) => {
            return Err(
                Problem::new(format!("`apiVersion` must be `{API_VERSION}`"))
                    .hint(format!("write `apiVersion: {API_VERSION}`"))
                    .at(at(&version.at)),
            );
        }
        None => {
            return Err(Problem::new("`apiVersion` is missing")
                .hint(format!("start with `apiVersion: {API_VERSION}`"))
                .at(at(&tree.at)));
        }
    }
    let Some(kind) = tree.get("kind") else {
        return Err(Problem::new("`kind` is missing")
            .hint("add `kind: Service` (or `Convention`, `Stack`)")
            .at(at(&tree.at)));
    };
    let text = kind.text().unwrap_or_default();
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == text) {
        return Ok(kind);
    }
    let mut problem = Problem::new(format!("unknown kind `{text}`")).at(at(&kind.at));
    problem.hint = nearest::hint(text, kinds());
    Err(problem)
}

/// A document's own keys, without those of the shared Spec.
pub(crate) fn own_keys<T: serde::de::DeserializeOwned>(tree: &Node) -> Result<T, Problem> {
    let mut map = serde_json::Map::new();
    for entry in tree.entries() {
        let foreign = matches!(entry.key.as_str(), "apiVersion" | "kind" | "services");
        if !foreign && !schema::is_spec_key(&entry.key) && entry.value.tree != Tree::Null {
            map.insert(entry.key.clone(), entry.value.value(true));
        }
    }
    serde_json::from_value(map.into()).map_err(|error| unreadable(&error, &tree.at))
}

/// The Spec of a merged and rendered tree.
pub(crate) fn spec(tree: &Node) -> Result<wire::Spec, Problem> {
    serde_json::from_value(tree.value(true)).map_err(|error| unreadable(&error, &tree.at))
}

/// For what the schema should have refused already.
fn unreadable(error: &serde_json::Error, at: &At) -> Problem {
    Problem::new(format!("the document can't be read: {error}")).at(at.location())
}
