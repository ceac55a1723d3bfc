//! Which services the documents of a folder describe, before anything about their repositories is
//! known.
//!
//! A Stack lists them; without one, each Service document is one; without any, the folder itself is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::document::{self, Document, Kind, parse};
use super::layer::{self, Layer, Speaker};
use super::node::{At, Entry, Node, Source as Text, Tree};
use super::repository::{FILE, Repository};
use super::{convert, nearest, schema, wire};
use crate::model::Source;
use crate::problem::{Problem, Rule};

/// A service as it was described.
pub(crate) struct Member {
    /// Its name, where one was written.
    pub(crate) name: Option<String>,
    /// Where it was described.
    pub(crate) at: At,
    /// Its keys, by who says them: a Service, and a Stack's entry over it.
    pub(crate) layers: Vec<Layer>,
    /// The convention it names.
    pub(crate) convention: Option<(String, At)>,
    /// Whether a Stack lists it: only then may it be a service without files of its own.
    pub(crate) listed: bool,
}

impl Member {
    /// Its keys, without those of its convention.
    pub(crate) fn layer(&self) -> Node {
        layer::merged(&self.layers, &self.at)
    }

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
    /// The services that are left out, with the profiles that they belong to.
    pub(crate) left_out: BTreeMap<String, Vec<String>>,
}

/// Finds the services. Those of profiles that weren't asked for are left out.
pub(crate) fn described<'a>(
    own: &'a [Document],
    directory: &Path,
    profiles: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Described<'a> {
    let of = |kind| own.iter().filter(move |document| document.kind == kind);
    let mut members = Vec::new();
    for document in of(Kind::Service) {
        match member(&document.tree, Speaker::Service) {
            Ok(member) => members.push(member),
            Err(problem) => problems.push(problem),
        }
    }
    // Those that are included come first, so that what includes them is merged over them.
    let stacks: Vec<&Document> = of(Kind::Stack).collect();
    let (included, owned): (Vec<&Document>, Vec<&Document>) =
        stacks.iter().partition(|document| document.included);
    if let Some(second) = owned.get(1) {
        let problem = Problem::new("a folder can hold one Stack, and this is the second")
            .rule(Rule::Document);
        problems.push(problem.at(second.location()));
    }
    let mut described = Described {
        stack: None,
        members,
        left_out: BTreeMap::new(),
    };
    if let Some(document) = owned.first() {
        let unnamed = |member: &&Member| member.name.is_none();
        for member in described.members.iter().filter(unnamed) {
            let problem =
                Problem::new("a Service beside a Stack needs a `name`").rule(Rule::MissingKey);
            problems.push(problem.at(member.at.location()));
        }
        described.members.retain(|member| member.name.is_some());
        for stack in included.iter().chain([document]) {
            for entry in services(&stack.tree) {
                list(entry, Speaker::Stack, &mut described.members, problems);
                profiled(entry, &mut described.left_out);
            }
        }
        match document::own_keys::<wire::Stack>(&document.tree) {
            Ok(header) => described.stack = Some((header, &document.tree)),
            Err(problem) => problems.push(problem),
        }
    } else if described.members.is_empty() {
        described.members.push(folder(directory));
    }
    for document in of(Kind::Overrides) {
        for entry in services(&document.tree) {
            override_with(entry, &mut described.members, problems);
            profiled(entry, &mut described.left_out);
        }
    }
    described
        .left_out
        .retain(|_, of| !of.is_empty() && !of.iter().any(|profile| profiles.contains(profile)));
    let left_out = &described.left_out;
    let stays = |member: &Member| {
        let name = member.name.as_ref();
        name.is_none_or(|name| !left_out.contains_key(name))
    };
    described.members.retain(stays);
    described
}

fn services(tree: &Node) -> &[Entry] {
    tree.get("services").map(Node::entries).unwrap_or_default()
}

/// Notes the profiles of a service, where its entry says something of them.
fn profiled(entry: &Entry, profiles: &mut BTreeMap<String, Vec<String>>) {
    if let Some(stated) = entry.value.get("profiles") {
        let names = stated.items().iter().filter_map(Node::text);
        profiles.insert(entry.key.clone(), names.map(ToOwned::to_owned).collect());
    }
}

/// Lays a personal entry over a service, which must be there: a misspelt name would change nothing.
fn override_with(entry: &Entry, members: &mut Vec<Member>, problems: &mut Vec<Problem>) {
    if let [only] = members.as_mut_slice()
        && only.name.is_none()
    {
        only.name = Some(entry.key.clone());
    }
    let names: Vec<String> = members.iter().filter_map(|it| it.name.clone()).collect();
    if names.contains(&entry.key) {
        list(entry, Speaker::Overrides, members, problems);
    } else {
        let mut problem =
            Problem::new(format!("unknown service `{}`", entry.key)).rule(Rule::UnknownName);
        problem.hint = nearest::hint(&entry.key, names.iter().map(String::as_str));
        problems.push(problem.at(entry.at.location()));
    }
}

fn list(entry: &Entry, speaker: Speaker, members: &mut Vec<Member>, problems: &mut Vec<Problem>) {
    // A service may be listed without anything about it: `redis:`.
    let empty = Node::empty(entry.at.clone());
    let tree = if entry.value.tree == Tree::Null {
        &empty
    } else {
        &entry.value
    };
    let listed = match member(tree, speaker) {
        Ok(listed) => listed,
        Err(problem) => return problems.push(problem),
    };
    match members
        .iter_mut()
        .find(|member| member.name.as_ref() == Some(&entry.key))
    {
        Some(known) => {
            known.layers.extend(listed.layers);
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

fn member(tree: &Node, speaker: Speaker) -> Result<Member, Problem> {
    let own = document::own_keys::<wire::Service>(tree)?;
    Ok(Member {
        name: own.name,
        // A document begins at its first key, which says nothing: its name says whom it is about.
        at: tree.place("/name").clone(),
        layers: vec![Layer {
            speaker,
            tree: spec_keys(tree).into(),
        }],
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
        layers: Vec::new(),
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
    let parsed = parse(&repository.directory.join(FILE), text);
    problems.extend(parsed.problems);
    let mut services = parsed
        .documents
        .iter()
        .filter(|document| document.kind == Kind::Service);
    let fits = |document: &&Document| document.name().is_none() || document.name() == name;
    let document = services.find(fits)?;
    member(&document.tree, Speaker::Service)
        .map_err(|problem| problems.push(problem))
        .ok()
}

/// Where the files of a folder's services come from: what has to be there, or to be fetched, before
/// `resolve` can look into them.
pub fn sources(own: &[Document], directory: &Path, profiles: &BTreeSet<String>) -> Vec<Source> {
    let mut sources = Vec::new();
    for member in described(own, directory, profiles, &mut Vec::new()).members {
        let name = member.name.as_deref().unwrap_or_default();
        let source = convert::source(&member.layer(), name, directory, &mut Vec::new());
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
        .flat_map(|text| parse(Path::new(FILE), text).documents)
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
