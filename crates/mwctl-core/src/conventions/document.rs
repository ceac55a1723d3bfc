//! Documents: texts that have been read and whose keys and types are right.
//!
//! Whether they make sense together (names that exist, facts that are known) is `resolve`'s part.

use std::cmp::Reverse;
use std::path::Path;

use super::node::{At, Node, Tree, steps};
use super::schema::{self, API_VERSION};
use super::{nearest, text, violation, wire};
use crate::problem::{Location, Problem, Rule};

/// One document of a convention file, checked against the schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub(crate) kind: Kind,
    pub(crate) tree: Node,
    /// Whether it is of a file that a Stack includes.
    pub(crate) included: bool,
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
    /// A helper container that services take up by its name.
    Helper,
    /// What one person wants otherwise.
    Overrides,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Convention,
        Self::Service,
        Self::Stack,
        Self::Helper,
        Self::Overrides,
    ];

    /// As it is written after `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Convention => "Convention",
            Self::Service => "Service",
            Self::Stack => "Stack",
            Self::Helper => "Helper",
            Self::Overrides => "Overrides",
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

    /// The same document as one of a file that a Stack includes.
    #[must_use]
    pub fn included(mut self) -> Self {
        self.included = true;
        self
    }

    /// Where it begins.
    pub fn location(&self) -> Location {
        self.tree.at.location()
    }
}

/// What one file says.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// Its documents, also those with misspelt keys, read as if they were spelt right, and without
    /// the values of wrong kinds: so that the problems of what they describe are found as well. With
    /// problems there is nothing to deploy.
    pub documents: Vec<Document>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What was left out of the documents.
    pub omitted: Omitted,
}

/// What was left out of what was read, so that nobody takes its absence for news.
#[derive(Clone, Debug, Default)]
pub struct Omitted {
    /// A whole document was.
    a_document: bool,
    /// Values were: the places at which they would be missed.
    places: Vec<Location>,
}

impl Omitted {
    /// A whole document where `left_out`, else nothing.
    pub fn document_if(left_out: bool) -> Self {
        Self {
            a_document: left_out,
            places: Vec::new(),
        }
    }

    /// Adds what was left out elsewhere.
    pub fn add(&mut self, other: Self) {
        self.a_document |= other.a_document;
        self.places.extend(other.places);
    }

    /// Of the problems that resolving found, those that don't come from what was left out.
    pub fn news(&self, mut found: Vec<Problem>) -> Vec<Problem> {
        if self.a_document {
            return Vec::new();
        }
        found.retain(|problem| match &problem.location {
            Some(place) => !self.places.contains(place),
            None => self.places.is_empty(),
        });
        found
    }
}

/// Reads all documents of one file.
pub fn parse(file: &Path, text: &str) -> Parsed {
    let (nodes, mut problems) = text::documents(file, text);
    let mut omitted = Omitted::document_if(!problems.is_empty());
    let mut documents = Vec::new();
    for tree in nodes {
        let checked = check(tree);
        omitted.a_document |= checked.document.is_none();
        omitted.places.extend(checked.gaps);
        documents.extend(checked.document);
        problems.extend(checked.problems);
    }
    problems.sort();
    Parsed {
        documents,
        problems,
        omitted,
    }
}

/// The documents of a file that is known to be free of problems.
pub(super) fn sound(file: &Path, text: &str) -> Vec<Document> {
    let (trees, _) = text::documents(file, text);
    let documents = trees.into_iter().filter_map(|tree| {
        let kind = header(&tree).ok()?;
        Some(Document {
            kind,
            tree,
            included: false,
        })
    });
    documents.collect()
}

struct Checked {
    document: Option<Document>,
    problems: Vec<Problem>,
    /// Where what was left out of the document would be missed.
    gaps: Vec<Location>,
}

fn check(mut tree: Node) -> Checked {
    let refused = |problem| Checked {
        document: None,
        problems: vec![problem],
        gaps: Vec::new(),
    };
    if !matches!(tree.tree, Tree::Map(_)) {
        let message = "a document must be a map that starts with `apiVersion: mwctl/v1`";
        return refused(
            Problem::new(message)
                .rule(Rule::Document)
                .at(tree.at.location()),
        );
    }
    let kind = match header(&tree) {
        Ok(kind) => kind,
        Err(problem) => return refused(problem),
    };
    let value = tree.value(false);
    let mut problems = Vec::new();
    let mut misspelt = Vec::new();
    for error in schema::validator(kind).iter_errors(&value) {
        problems.extend(violation::problems(&error, &tree));
        misspelt.extend(violation::misspelt(&error, &tree));
    }
    let mut gaps = Vec::new();
    let usable = problems.is_empty() || {
        mend(&mut tree, &misspelt);
        leave_out(&mut tree, kind, &mut gaps);
        schema::validator(kind).is_valid(&tree.value(false))
    };
    Checked {
        document: usable.then_some(Document {
            kind,
            tree,
            included: false,
        }),
        problems,
        gaps,
    }
}

/// Leaves out the values that the schema refuses where they stand.
fn leave_out(tree: &mut Node, kind: Kind, gaps: &mut Vec<Location>) {
    let value = tree.value(false);
    let errors = schema::validator(kind).iter_errors(&value);
    let mut wrong: Vec<String> = errors
        .map(|error| error.instance_path().as_str().to_owned())
        .filter(|pointer| !pointer.is_empty())
        .collect();
    // The last first: an item that goes moves those behind it.
    wrong.sort_by_key(|pointer| Reverse(order(pointer)));
    wrong.dedup();
    for pointer in wrong {
        gaps.extend(places_above(tree, &pointer));
        let Some((map, key)) = pointer.rsplit_once('/') else {
            continue;
        };
        match tree.pointer_mut(map).map(|node| &mut node.tree) {
            Some(Tree::Map(entries)) => {
                let last = steps(&pointer).last().unwrap_or_default();
                entries.retain(|entry| entry.key != last);
            }
            Some(Tree::List(items)) => {
                if let Some(index) = key.parse().ok().filter(|index| *index < items.len()) {
                    items.remove(index);
                }
            }
            _ => {}
        }
    }
}

/// Sorts pointers so that a list's items are in their order.
fn order(pointer: &str) -> Vec<(usize, String)> {
    steps(pointer)
        .map(|step| (step.parse().unwrap_or(usize::MAX), step.into_owned()))
        .collect()
}

/// The places at which a value at `pointer` would be missed: those of all that it is part of.
fn places_above(tree: &Node, pointer: &str) -> Vec<Location> {
    // What a service is made of is missed where it is named.
    let own = ["/name", "/convention", "/source", "/container"];
    let mut places = Vec::new();
    if own.iter().any(|key| pointer.starts_with(key)) {
        places.push(tree.place("/name").location());
    }
    let mut above = pointer;
    while let Some((parent, _)) = above.rsplit_once('/') {
        let node = tree.pointer(parent).unwrap_or(tree);
        places.push(node.at.location());
        if let Some((map, _)) = parent.rsplit_once('/')
            && let Some(key) = steps(parent).last()
            && let Some(entry) = tree.pointer(map).and_then(|map| map.entry(&key))
        {
            places.push(entry.at.location());
        }
        above = parent;
    }
    places
}

/// Reads misspelt keys as they were meant, and leaves out those that mean nothing.
fn mend(tree: &mut Node, misspelt: &[violation::Misspelt]) {
    for wrong in misspelt {
        let Some(Tree::Map(entries)) = tree.pointer_mut(&wrong.map).map(|node| &mut node.tree)
        else {
            continue;
        };
        match &wrong.meant {
            Some(meant) if !entries.iter().any(|entry| entry.key == *meant) => {
                for entry in entries.iter_mut().filter(|entry| entry.key == wrong.key) {
                    entry.key.clone_from(meant);
                }
            }
            _ => entries.retain(|entry| entry.key != wrong.key),
        }
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
                    .rule(Rule::Document)
                    .hint(format!("write `apiVersion: {API_VERSION}`"))
                    .at(at(&version.at)),
            );
        }
        None => {
            return Err(Problem::new("`apiVersion` is missing")
                .rule(Rule::Document)
                .hint(format!("start with `apiVersion: {API_VERSION}`"))
                .at(at(&tree.at)));
        }
    }
    let Some(kind) = tree.get("kind") else {
        return Err(Problem::new("`kind` is missing")
            .rule(Rule::Document)
            .hint("add `kind: Service` (or `Convention`, `Stack`)")
            .at(at(&tree.at)));
    };
    let text = kind.text().unwrap_or_default();
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == text) {
        return Ok(kind);
    }
    let mut problem = Problem::new(format!("unknown kind `{text}`"))
        .rule(Rule::Document)
        .at(at(&kind.at));
    problem.hint = nearest::hint(text, kinds());
    Err(problem)
}

/// A document's own keys, without those of the shared Spec.
pub(crate) fn own_keys<T: serde::de::DeserializeOwned>(tree: &Node) -> Result<T, Problem> {
    let mut map = serde_json::Map::new();
    for entry in tree.entries() {
        let foreign = matches!(
            entry.key.as_str(),
            "apiVersion" | "kind" | "services" | "profiles"
        );
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed {
        parse(Path::new("mwctl.yaml"), text)
    }

    #[test]
    fn a_misspelt_key_is_a_problem_and_is_read_as_it_was_meant() {
        let parsed = read("apiVersion: mwctl/v1\nkind: Service\nconvntion: nod\nzebra: 1\n");
        assert_eq!(parsed.problems.len(), 2);
        assert!(!parsed.omitted.a_document);
        let tree = &parsed.documents[0].tree;
        assert_eq!(tree.get("convention").and_then(Node::text), Some("nod"));
        assert!(tree.get("zebra").is_none());
    }

    #[test]
    fn a_misspelt_key_never_takes_the_place_of_one_that_is_there() {
        let parsed = read("apiVersion: mwctl/v1\nkind: Service\nname: a\nnaem: b\n");
        assert_eq!(parsed.documents[0].name(), Some("a"));
    }

    #[test]
    fn a_document_that_can_t_be_mended_is_left_out_and_its_absence_is_told() {
        let parsed = read("apiVersion: mwctl/v1\nkind: Stack\nname: [1]\nservices: {}\n");
        assert_eq!(parsed.problems.len(), 1);
        assert!(parsed.documents.is_empty() && parsed.omitted.a_document);
        let other = Problem::new("anything");
        assert!(parsed.omitted.news(vec![other]).is_empty());
    }

    #[test]
    fn a_value_of_a_wrong_kind_is_left_out_and_what_misses_it_is_no_news() {
        let parsed = read(
            "apiVersion: mwctl/v1\nkind: Service\nname: a\ncontainer:\n  command: [x, [y], z, [w]]\n  image: [1]\nreplicas: many\n",
        );
        assert_eq!(parsed.problems.len(), 4);
        let tree = &parsed.documents[0].tree;
        let command = tree.pointer("/container/command").map(Node::items);
        let words: Option<Vec<_>> =
            command.map(|items| items.iter().filter_map(Node::text).collect());
        assert_eq!(words, Some(vec!["x", "z"]));
        assert!(tree.get("replicas").is_none());
        let about = |pointer| Problem::new("x").at(tree.place(pointer).location());
        let found = vec![
            about("/name"),
            about("/container"),
            about("/container/command/1"),
        ];
        assert_eq!(parsed.omitted.news(found), [about("/container/command/1")]);
    }
}
