//! Which services the documents of a folder describe, before anything about their repositories is
//! known.
//!
//! A Stack lists them; without one, each Service document is one; without any, the folder itself is.

use std::collections::BTreeSet;
use std::path::Path;

use super::document::{self, Document, Kind, parse};
use super::merge::merge;
use super::node::{At, Entry, Node, Source as Text, Tree};
use super::repository::{FILE, Repository};
use super::{convert, schema, wire};
use crate::model::Source;
use crate::problem::Problem;

/// A service as it was described.
pub(crate) struct Member {
    /// Its name, where one was written.
    pub(crate) name: Option<String>,
    /// Where it was described.
    pub(crate) at: At,
    /// Its keys.
    pub(crate) layer: Node,
    /// The convention it names.
    pub(crate) convention: Option<(String, At)>,
    /// Whether a Stack lists it: only then may it be a service without files of its own.
    pub(crate) listed: bool,
}

impl Member {
    /// A problem with it, at its place unless nobody wrote anything.
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        let problem = Problem::new(message);
        if self.at.source.text.is_empty() {
            problem
        } else {
            problem.at(self.at.location())
        }
    }
}

/// What a folder's documents describe.
pub(crate) struct Described<'a> {
    pub(crate) stack: Option<(wire::Stack, &'a Node)>,
    pub(crate) members: Vec<Member>,
}

pub(crate) fn described<'a>(
    own: &'a [Document],
    directory: &Path,
    problems: &mut Vec<Problem>,
) -> Described<'a> {
    let of = |kind| own.iter().filter(move |document| document.kind == kind);
    let mut members = Vec::new();
    for document in of(Kind::Service) {
        match member(&document.tree) {
            Ok(member) => members.push(member),
            Err(problem) => problems.push(problem),
        }
    }
    let stacks: Vec<&Document> = of(Kind::Stack).collect();
    if let Some(second) = stacks.get(1) {
        let problem = Problem::new("a folder can hold one Stack, and this is the second");
        problems.push(problem.at(second.location()));
    }
    let Some(document) = stacks.first() else {
        if members.is_empty() {
            members.push(folder(directory));
        }
        return Described {
            stack: None,
            members,
        };
    };
    for member in members.iter().filter(|member| member.name.is_none()) {
        let problem = Problem::new("a Service beside a Stack needs a `name`");
        problems.push(problem.at(member.at.location()));
    }
    members.retain(|member| member.name.is_some());
    for entry in document
        .tree
        .get("services")
        .map(Node::entries)
        .unwrap_or_default()
    {
        list(entry, &mut members, problems);
    }
    let stack = match document::own_keys::<wire::Stack>(&document.tree) {
        Ok(header) => Some((header, &document.tree)),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    Described { stack, members }
}

fn list(entry: &Entry, members: &mut Vec<Member>, problems: &mut Vec<Problem>) {
    // A service may be listed without anything about it: `redis:`.
    let empty = Node::empty(entry.at.clone());
    let tree = if entry.value.tree == Tree::Null {
        &empty
    } else {
        &entry.value
    };
    let listed = match member(tree) {
        Ok(listed) => listed,
        Err(problem) => return problems.push(problem),
    };
    match members
        .iter_mut()
        .find(|member| member.name.as_ref() == Some(&entry.key))
    {
        Some(known) => {
            known.layer = merge(&known.layer, &listed.layer);
            known.convention = listed.convention.or_else(|| known.convention.take());
        }
        None => members.push(Member {
            name: Some(entry.key.clone()),
            at: entry.at.clone(),
            listed: true,
            ..listed
        }),
    }
}

fn member(tree: &Node) -> Result<Member, Problem> {
    let own = document::own_keys::<wire::Service>(tree)?;
    Ok(Member {
        name: own.name,
        at: tree.at.clone(),
        layer: spec_keys(tree),
        convention: own
            .convention
            .map(|name| (name, tree.place("/convention").clone())),
        listed: false,
    })
}

fn folder(directory: &Path) -> Member {
    let at = At::start(&Text::new(&directory.join(FILE), ""));
    Member {
        name: None,
        layer: Node::empty(at.clone()),
        at,
        convention: None,
        listed: false,
    }
}

/// The keys of a document that belong to the shared Spec.
pub(crate) fn spec_keys(tree: &Node) -> Node {
    let entries = tree
        .entries()
        .iter()
        .filter(|entry| schema::is_spec_key(&entry.key));
    Node {
        at: tree.at.clone(),
        tree: Tree::Map(entries.cloned().collect()),
    }
}

/// The Service that a repository's own file describes for a member, if any.
pub(crate) fn in_repository(
    repository: Option<&Repository>,
    name: Option<&str>,
    problems: &mut Vec<Problem>,
) -> Option<Member> {
    let repository = repository?;
    let text = repository.files.get(Path::new(FILE))?;
    let (documents, more) = parse(&repository.directory.join(FILE), text);
    problems.extend(more);
    let mut services = documents
        .iter()
        .filter(|document| document.kind == Kind::Service);
    let fits = |document: &&Document| document.name().is_none() || document.name() == name;
    let document = services.find(fits)?;
    member(&document.tree)
        .map_err(|problem| problems.push(problem))
        .ok()
}

/// Where the files of a folder's services come from: what has to be there, or to be fetched, before
/// `resolve` can look into them.
pub fn sources(own: &[Document], directory: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    for member in described(own, directory, &mut Vec::new()).members {
        let name = member.name.as_deref().unwrap_or_default();
        let source = convert::source(&member.layer, name, directory, &mut Vec::new());
        let source = source.unwrap_or_else(|| Source::Path(directory.to_owned()));
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// The environment variables whose values `resolve` needs for secrets.
pub fn environment(
    shipped: &[Document],
    own: &[Document],
    repositories: &[Repository],
) -> Vec<String> {
    let mut names = BTreeSet::new();
    let theirs: Vec<Document> = repositories
        .iter()
        .filter_map(|repository| repository.files.get(Path::new(FILE)))
        .flat_map(|text| parse(Path::new(FILE), text).0)
        .collect();
    for document in shipped.iter().chain(own).chain(&theirs) {
        variables(&document.tree, &mut names);
        for member in document
            .tree
            .get("services")
            .map(Node::entries)
            .unwrap_or_default()
        {
            variables(&member.value, &mut names);
        }
    }
    names.into_iter().collect()
}

fn variables(spec: &Node, names: &mut BTreeSet<String>) {
    for secret in spec.get("secrets").map(Node::entries).unwrap_or_default() {
        let variable = secret.value.get("environment").and_then(Node::text);
        names.extend(variable.map(ToOwned::to_owned));
    }
}
