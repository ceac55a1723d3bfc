//! Blubber v4: its variants with all that they include, and what they say about a service.
//!
//! `read` checks a file as Blubber itself would as far as a service is concerned, `inherit` merges what a
//! variant includes, `said` puts the variants for production, development and tests into our keys.
//! Source: Blubber v1.8, `api/config.schema.json` and `config/*.go`.

use std::path::Path;

use super::super::nearest;
use super::super::node::{At, Entry, Node, Tree};
use super::super::reader;
use super::super::repository::Files;
use super::super::violation::kind_of;
use super::pipeline::{self, Choice};
use super::{Said, Use, list, number, plain, scalar, text};
use crate::problem::{Problem, Rule};

mod inherit;

/// What such a file tells.
const ABOUT: &str = "its variants";

/// Where it is, unless pipelines say otherwise.
pub(crate) const FILE: &str = ".pipeline/blubber.yaml";

/// The version that is read.
const VERSION: &str = "v4";

/// Keys of the top level and of every variant.
const COMMON: [&str; 12] = [
    "base",
    "arguments",
    "apt",
    "lives",
    "runs",
    "entrypoint",
    "builders",
    "builder",
    "node",
    "php",
    "python",
    "version",
];

/// A file's variants, expanded.
#[derive(Clone, Debug)]
pub(crate) struct Blubber {
    /// Where it begins.
    pub(crate) at: At,
    /// Its version, where it is another than the one that is read.
    pub(crate) other_version: Option<String>,
    /// Name, place, and everything that it has with what it includes.
    pub(crate) variants: Vec<(String, At, Node)>,
}

impl Blubber {
    /// A variant by its name.
    pub(crate) fn variant(&self, name: &str) -> Option<&(String, At, Node)> {
        self.variants.iter().find(|(own, _, _)| own == name)
    }
}

/// Reads a Blubber file and expands its variants.
pub(crate) fn read(file: &Path, source: &str) -> Result<Blubber, Vec<Problem>> {
    let tree = reader::tree(file, source)?;
    let version = tree.get("version").and_then(scalar);
    match version.as_deref() {
        Some(VERSION) => {}
        Some(other) => {
            return Ok(Blubber {
                at: tree
                    .get("version")
                    .map_or_else(|| tree.at.clone(), |it| it.at.clone()),
                other_version: Some(other.to_owned()),
                variants: Vec::new(),
            });
        }
        None => {
            let problem = Problem::new("`version` is missing")
                .rule(Rule::MissingKey)
                .hint("start with `version: v4`");
            return Err(vec![problem.at(tree.at.location())]);
        }
    }
    let mut problems = Vec::new();
    known(&tree, &[&COMMON[..], &["variants"]].concat(), &mut problems);
    let variants = tree.get("variants");
    let entries = variants.map(Node::entries).unwrap_or_default();
    for entry in entries {
        variant(entry, entries, &mut problems);
    }
    let mut expanded = Vec::new();
    for entry in entries {
        match inherit::expand(&tree, entries, &entry.key) {
            Ok(node) => {
                exclusive(&node, entry, &mut problems);
                expanded.push((entry.key.clone(), entry.at.clone(), node));
            }
            Err(cycle) => {
                let message = format!("variants include each other: {}", cycle.join(" → "));
                if cycle.iter().all(|name| *name >= entry.key) {
                    problems.push(
                        Problem::new(message)
                            .rule(Rule::Cycle)
                            .at(entry.at.location()),
                    );
                }
            }
        }
    }
    if problems.is_empty() {
        Ok(Blubber {
            at: tree.at.clone(),
            other_version: None,
            variants: expanded,
        })
    } else {
        problems.sort();
        problems.dedup();
        Err(problems)
    }
}

fn known(map: &Node, keys: &[&str], problems: &mut Vec<Problem>) {
    for entry in map.entries() {
        if !keys.contains(&entry.key.as_str()) {
            let problem =
                Problem::new(format!("unknown key `{}`", entry.key)).rule(Rule::UnknownKey);
            let mut problem = problem.at(entry.at.location());
            problem.hint = nearest::hint(&entry.key, keys.iter().copied());
            problems.push(problem);
        }
    }
    for (section, keys) in [
        ("lives", &["as", "uid", "gid", "in"][..]),
        (
            "runs",
            &["as", "uid", "gid", "in", "insecurely", "environment"][..],
        ),
        ("apt", &["packages", "sources", "proxies"][..]),
        (
            "node",
            &["env", "requirements", "use-npm-ci", "allow-dedupe-failure"][..],
        ),
        ("php", &["requirements", "production"][..]),
        (
            "builder",
            &["command", "script", "requirements", "mounts", "caches"][..],
        ),
    ] {
        let Some(node) = map.get(section) else {
            continue;
        };
        if !matches!(node.tree, Tree::Map(_) | Tree::Null) {
            let message = format!("`{section}` must be a map, not {}", kind_of(&node.tree));
            problems.push(
                Problem::new(message)
                    .rule(Rule::WrongType)
                    .at(node.at.location()),
            );
        }
        for entry in node.entries() {
            if !keys.contains(&entry.key.as_str()) {
                let message = format!("unknown key `{}` of `{section}`", entry.key);
                let mut problem = Problem::new(message)
                    .rule(Rule::UnknownKey)
                    .at(entry.at.location());
                problem.hint = nearest::hint(&entry.key, keys.iter().copied());
                problems.push(problem);
            }
        }
    }
    for pointer in ["/lives/in", "/runs/in"] {
        if let Some(node) = map.pointer(pointer)
            && let Some(path) = node.text()
            && (!path.starts_with('/') || path.trim_matches('/').is_empty())
        {
            let message = format!("`{path}` must be an absolute path, and not the root");
            problems.push(Problem::new(message).at(node.at.location()));
        }
    }
}

fn variant(entry: &Entry, all: &[Entry], problems: &mut Vec<Problem>) {
    let name = &entry.key;
    let middle = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let legal = name.len() >= 3
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(middle);
    if !legal {
        let problem = Problem::new(format!("`{name}` can't be a variant's name"))
            .rule(Rule::Name)
            .hint("at least three letters, digits, hyphens and dots, starting with a letter");
        problems.push(problem.at(entry.at.location()));
    }
    known(
        &entry.value,
        &[&COMMON[..11], &["includes", "copies"]].concat(),
        problems,
    );
    let includes = entry
        .value
        .get("includes")
        .map(Node::items)
        .unwrap_or_default();
    for include in includes {
        let name = include.text().unwrap_or_default();
        if !all.iter().any(|other| other.key == name) {
            let mut problem =
                Problem::new(format!("unknown variant `{name}`")).rule(Rule::UnknownName);
            problem.hint = nearest::hint(name, all.iter().map(|other| other.key.as_str()));
            problems.push(problem.at(include.at.location()));
        }
    }
    let copies = entry
        .value
        .get("copies")
        .map(Node::items)
        .unwrap_or_default();
    let texts = copies.iter().filter(|it| it.text().is_some()).count();
    if texts > 0 && texts < copies.len() {
        let problem = Problem::new("`copies` are all names or all maps");
        problems.push(problem.at(copies[0].at.location()));
    }
    for (index, copy) in copies.iter().enumerate() {
        if copies[..index]
            .iter()
            .any(|other| other.value(true) == copy.value(true))
        {
            let problem = Problem::new("`copies` can't hold the same twice");
            problems.push(problem.at(copy.at.location()));
        }
        let from = copy
            .text()
            .or_else(|| copy.get("from").and_then(Node::text));
        let Some(from) = from else {
            let problem = Problem::new("a copy needs `from`").rule(Rule::MissingKey);
            problems.push(problem.at(copy.at.location()));
            continue;
        };
        if copy.text().is_some() && from != "local" && !all.iter().any(|other| other.key == from) {
            let mut problem =
                Problem::new(format!("unknown variant `{from}`")).rule(Rule::UnknownName);
            let names = all.iter().map(|other| other.key.as_str());
            problem.hint = nearest::hint(from, names.chain(["local"]));
            problems.push(problem.at(copy.at.location()));
        }
        if copy.get("destination").is_some() && copy.get("source").is_none() {
            let problem =
                Problem::new("a copy with `destination` needs `source`").rule(Rule::MissingKey);
            problems.push(problem.at(copy.at.location()));
        }
    }
}

/// Of the expanded variant: `builders` and the single ones exclude each other; a command and a script too.
fn exclusive(node: &Node, entry: &Entry, problems: &mut Vec<Problem>) {
    let single = ["builder", "node", "php", "python"]
        .into_iter()
        .find(|key| node.get(key).is_some());
    if let (Some(builders), Some(single)) = (node.get("builders"), single)
        && !builders.items().is_empty()
    {
        let message = format!(
            "the variant `{}` has both `builders` and `{single}`",
            entry.key
        );
        problems.push(Problem::new(message).at(entry.at.location()));
    }
    let listed = node.get("builders").map(Node::items).unwrap_or_default();
    let custom = listed.iter().filter_map(|builder| builder.get("custom"));
    for builder in custom.chain(node.get("builder")) {
        if builder.get("command").is_some() && builder.get("script").is_some() {
            let problem = Problem::new("a builder has either a `command` or a `script`");
            problems.push(problem.at(builder.at.location()));
        }
    }
}

/// A repository's Blubber file, and what its pipelines mean by it.
pub(crate) struct Found {
    file: String,
    choice: Choice,
    blubber: Blubber,
}

/// Finds a repository's Blubber file and reads it.
pub(crate) fn find(files: &Files<'_>) -> Option<Found> {
    let choice = pipeline::choice(files);
    let file = choice.blubber.clone().unwrap_or_else(|| FILE.to_owned());
    let blubber = files.read_all(&file, read)?;
    Some(Found {
        file,
        choice,
        blubber,
    })
}

/// What a repository's Blubber file says about its service.
pub(crate) fn said(found: &Found, taken_for: Use) -> Said {
    let Found {
        file,
        choice,
        blubber,
    } = found;
    let mut said = Said::new(file, ABOUT, blubber.at.clone());
    // It is to be had with the packages that the file installs on it, which only `mwctl build` does.
    said.yielding.push((
        "/container/build/base",
        "the base `{}` isn't taken: the convention's is; `mwctl build` makes the file's own image",
    ));
    if let Some(version) = &blubber.other_version {
        let told = format!("Blubber {version} isn't read, only {VERSION}");
        said.note(told, &blubber.at);
        return said;
    }
    let Choice {
        production,
        test,
        test_arguments,
        ..
    } = choice;
    let first = |names: [Option<&str>; 2]| {
        let mut names = names.into_iter().flatten();
        names.find_map(|name| blubber.variant(name))
    };
    if let Some(variant) = first([production.as_deref(), Some("production")]) {
        match taken_for {
            Use::Base => image(&mut said, blubber, variant),
            Use::Image => whole(&mut said, file, variant),
        }
    }
    if let Some((_, _, node)) = first([Some("development"), Some("dev")]) {
        mode(&mut said, "develop", node, &[]);
    }
    if let Some((name, at, node)) = first([test.as_deref(), Some("test")]) {
        mode(&mut said, "test", node, test_arguments);
        if taken_for == Use::Image {
            said.set("/test/variant", text(name, at));
        }
    }
    said
}

/// What a variant says where the image is built as the file says.
fn whole(said: &mut Said, file: &str, (name, at, node): &(String, At, Node)) {
    said.set("/container/build/file", text(file, at));
    said.set("/container/build/variant", text(name, at));
    runs(said, at, node);
    accounts(said, at, node);
    environment(said, "/container/environment", node);
}

/// Where it lives and runs, and what.
fn runs(said: &mut Said, at: &At, node: &Node) {
    let lives = node.pointer("/lives/in").cloned();
    let lives = lives.unwrap_or_else(|| text("/srv/app", at));
    let runs = node.pointer("/runs/in").unwrap_or(&lives).clone();
    said.fact("directory", lives.clone());
    said.set("/container/build/directory", lives);
    said.set("/container/workingDirectory", runs);
    if let Some(entrypoint) = entrypoint(node) {
        said.set("/container/command", plain(entrypoint));
    }
}

/// What a variant runs.
fn entrypoint(node: &Node) -> Option<&Node> {
    node.get("entrypoint").filter(|it| !it.items().is_empty())
}

/// Whose its files are, and as whom it runs.
fn accounts(said: &mut Said, at: &At, node: &Node) {
    let id = |pointer: &str, default: u32| {
        node.pointer(pointer)
            .cloned()
            .unwrap_or_else(|| number(default, at))
    };
    let owner = id("/lives/uid", 65533);
    let insecurely = node
        .pointer("/runs/insecurely")
        .is_some_and(|it| it.tree == Tree::Bool(true));
    let user = if insecurely {
        owner.clone()
    } else {
        id("/runs/uid", 900)
    };
    said.set("/container/build/owner", owner);
    said.set("/container/build/user", user);
}

fn image(said: &mut Said, blubber: &Blubber, (_, at, node): &(String, At, Node)) {
    let base = |node: &Node| {
        node.get("base")
            .filter(|it| it.text().is_some_and(|it| !it.is_empty()))
            .cloned()
    };
    let copies = node.get("copies").map(Node::items).unwrap_or_default();
    // Files that an earlier variant made, and not the repository's own at their own place.
    let made = copies.iter().find(|copy| {
        copy.get("from")
            .and_then(Node::text)
            .is_some_and(|it| it != "local")
            && copy.get("source").is_some()
    });
    let home = made.and_then(|copy| blubber.variant(copy.get("from")?.text()?));
    if let Some((_, _, home)) = home {
        said.set_some("/container/build/base", base(home).as_ref());
        if let Some(entrypoint) = node.get("entrypoint") {
            let told = "the entrypoint isn't taken: what it runs was made in another variant";
            said.note(told, &entrypoint.at);
        }
    } else {
        match base(node) {
            Some(base) => said.set("/container/build/base", base),
            None => said.note("an empty base can't run the service's files", at),
        }
        runs(said, at, node);
    }
    accounts(said, at, node);
    environment(said, "/container/environment", node);
    if let Some(packages) = node.pointer("/apt/packages") {
        for entry in packages.entries() {
            let names: Vec<String> = entry.value.items().iter().filter_map(scalar).collect();
            if !names.is_empty() {
                let told = format!("Debian packages aren't installed: {}", names.join(", "));
                said.note(told, &packages.at);
            }
        }
    }
    let builders = node.get("builders").map(Node::items).unwrap_or_default();
    let custom = builders.iter().filter_map(|builder| builder.get("custom"));
    for builder in custom.chain(node.get("builder")) {
        said.note("the builder's command isn't run", &builder.at);
    }
    let excluded = copies
        .iter()
        .filter(|copy| copy.get("from").and_then(Node::text) == Some("local"));
    let mut excluded = excluded.filter_map(|copy| copy.get("exclude"));
    if let Some(first) = excluded.next() {
        let all = std::iter::once(first).chain(excluded).flat_map(Node::items);
        let all: Vec<String> = [".git".to_owned()]
            .into_iter()
            .chain(all.filter_map(scalar))
            .collect();
        said.set("/container/build/exclude", list(all, &first.at));
    }
}

/// The command and the variables of a way of working.
fn mode(said: &mut Said, mode: &str, node: &Node, arguments: &[Node]) {
    if let Some(entrypoint) = entrypoint(node) {
        let mut command = plain(entrypoint);
        if let Tree::List(items) = &mut command.tree {
            items.extend(arguments.iter().map(plain));
        }
        said.set(&format!("/{mode}/command"), command);
    }
    environment(said, &format!("/{mode}/environment"), node);
}

fn environment(said: &mut Said, pointer: &str, node: &Node) {
    let variables = node.pointer("/runs/environment");
    for entry in variables.map(Node::entries).unwrap_or_default() {
        if let Some(value) = scalar(&entry.value) {
            let key = super::super::node::escape(&entry.key);
            said.set(&format!("{pointer}/{key}"), text(value, &entry.value.at));
        }
    }
    let builders = node.get("builders").map(Node::items).unwrap_or_default();
    let mut node_env = builders
        .iter()
        .filter_map(|builder| builder.pointer("/node/env"));
    let node_env = node_env.next().or_else(|| node.pointer("/node/env"));
    if let Some(value) = node_env.filter(|it| it.text().is_some_and(|it| !it.is_empty())) {
        said.set(&format!("{pointer}/NODE_ENV"), value.clone());
    }
}

#[cfg(test)]
mod tests;
