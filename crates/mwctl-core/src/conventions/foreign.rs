//! What the files of other tools say about a service: a Dockerfile, Compose, Blubber, PipelineLib, a chart.
//!
//! Each reader turns one file into typed facts with places; each `said` turns those into keys of ours, and
//! lists what has no key. The keys become layers between the convention and the repository's own
//! `mwctl.yaml`, in this order, the later over the earlier:
//!
//! | file | because it says |
//! | --- | --- |
//! | Compose | how somebody runs it on one machine |
//! | Dockerfile | what is in the image |
//! | Blubber | what is in production's image; PipelineLib says which variants are meant |
//! | chart | what production's pod is |
//!
//! Ports are facts rather than keys: configuration and variables follow them too. A place of the
//! convention's list that is a file counts before them, its assumed value after them.

use std::path::PathBuf;

use serde::Serialize;

use super::layer::{Layer, Speaker};
use super::node::{At, Entry, Node, Tree, steps};
use super::repository::Files;

pub(crate) mod blubber;
pub(crate) mod chart;
pub(crate) mod compose;
mod container;
pub(crate) mod docker;
mod expand;
pub(crate) mod pipeline;
mod words;

/// Something a file says that has no key here, and is left out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// What is left out, and why: one sentence.
    pub text: String,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl Note {
    pub(crate) fn new(text: impl Into<String>, at: &At) -> Self {
        Self {
            text: text.into(),
            file: at.source.file.clone(),
            line: at.line,
        }
    }
}

/// What a file that says how an image is built is taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    /// A base, a directory and a command: the convention brings the service's files and dependencies.
    Base,
    /// The image itself, which is built as the file says.
    Image,
}

/// What one file says about the service.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// Which file.
    pub(crate) speaker: Speaker,
    /// What it is about, for a person.
    pub(crate) about: &'static str,
    /// In our keys.
    pub(crate) keys: Node,
    /// Facts, by name.
    pub(crate) facts: Vec<(String, Node)>,
    /// What has no key.
    pub(crate) notes: Vec<Note>,
    /// The hosts by which it knows the services that it needs, and their names here.
    pub(crate) hosts: Vec<(String, String)>,
    /// Services that share its image, by what their names have beside its own: keys over its.
    pub(crate) jobs: Vec<(String, Node)>,
    /// Keys that stay with the convention where it says them, by JSON pointer, and what is told then.
    pub(crate) yielding: Vec<(&'static str, &'static str)>,
}

impl Said {
    pub(crate) fn new(file: &str, about: &'static str, at: At) -> Self {
        Self {
            speaker: Speaker::File(file.to_owned()),
            about,
            keys: Node::empty(at),
            facts: Vec::new(),
            notes: Vec::new(),
            hosts: Vec::new(),
            jobs: Vec::new(),
            yielding: Vec::new(),
        }
    }

    /// Says a key, by its JSON pointer. What was said before is replaced.
    pub(crate) fn set(&mut self, pointer: &str, value: Node) {
        put(&mut self.keys, pointer, value);
    }

    /// Says a key where there is a value.
    pub(crate) fn set_some(&mut self, pointer: &str, value: Option<&Node>) {
        if let Some(value) = value {
            self.set(pointer, value.clone());
        }
    }

    pub(crate) fn fact(&mut self, name: &str, value: Node) {
        if !self.facts.iter().any(|(other, _)| other == name) {
            self.facts.push((name.to_owned(), value));
        }
    }

    pub(crate) fn note(&mut self, text: impl Into<String>, at: &At) {
        self.notes.push(Note::new(text, at));
    }

    /// Says a need. Whether somebody fulfils it is seen later, by `keep_needs`.
    pub(crate) fn need(&mut self, service: &str, condition: &str, at: &At) {
        let mut need = Node::empty(at.clone());
        put(&mut need, "/service", text(service, at));
        put(&mut need, "/condition", text(condition, at));
        let mut needs = self
            .keys
            .get("needs")
            .map_or(Vec::new(), |it| it.items().to_vec());
        needs.push(need);
        let tree = Tree::List(needs);
        self.set(
            "/needs",
            Node {
                at: at.clone(),
                tree,
            },
        );
    }

    /// Leaves out the needs that nobody can fulfil. In variables, the hosts of the others become ours.
    pub(crate) fn keep_needs(&mut self, known: &dyn Fn(&str) -> bool) {
        for (theirs, ours) in std::mem::take(&mut self.hosts) {
            if known(&ours) {
                self.rename_host(&theirs, &ours);
            }
        }
        let Some(needs) = self.keys.pointer_mut("/needs") else {
            return;
        };
        let Tree::List(items) = &mut needs.tree else {
            return;
        };
        let mut left = Vec::new();
        items.retain(|item| {
            let name = item.get("service").and_then(Node::text).unwrap_or_default();
            if !known(name) {
                left.push((name.to_owned(), item.at.clone()));
            }
            known(name)
        });
        for (name, at) in left {
            let told = format!("no convention is called `{name}`: describe it in a Stack");
            self.note(told, &at);
        }
    }

    fn rename_host(&mut self, theirs: &str, ours: &str) {
        let Some(variables) = self.keys.pointer_mut("/container/environment") else {
            return;
        };
        let Tree::Map(entries) = &mut variables.tree else {
            return;
        };
        let host = format!("{{{{ services['{ours}'].host }}}}");
        for entry in entries {
            if let Tree::Text(value) = &mut entry.value.tree {
                *value = with_host(value, theirs, &host);
            }
        }
    }

    /// The packages that a convention of Python installs lie in a folder of the service's, where no program of
    /// theirs is found by its name: Python runs them as modules.
    pub(crate) fn run_by_python(&mut self) {
        const MODULES: [&str; 9] = [
            "alembic",
            "celery",
            "daphne",
            "flask",
            "gunicorn",
            "hypercorn",
            "pytest",
            "rq",
            "uvicorn",
        ];
        for pointer in ["/container/command", "/develop/command", "/test/command"] {
            let Some(command) = self.keys.pointer_mut(pointer) else {
                continue;
            };
            let Tree::List(words) = &mut command.tree else {
                continue;
            };
            let first = words.first().and_then(Node::text);
            if first.is_some_and(|first| MODULES.contains(&first)) {
                let at = words[0].at.clone();
                words.splice(..0, [text("python3", &at), text("-m", &at)]);
            }
        }
    }

    /// The variant for tests is of its own file: where the image is built from another (`built_from`), it isn't meant; nor where nobody
    /// says what the tests are.
    pub(crate) fn keep_variant(&mut self, tested: bool, built_from: Option<&str>) {
        let own = self.speaker.to_string();
        if !tested || built_from.is_some_and(|file| file != own) {
            remove(&mut self.keys, "/test/variant");
        }
    }

    /// Where it begins.
    pub(crate) fn at(&self) -> &At {
        &self.keys.at
    }

    /// Variables of development and tests that the convention itself sets for the running service aren't
    /// taken: it needs its own, such as where the configuration is that it made.
    ///
    /// Nor are the keys that the file's reader says to be `yielding`.
    pub(crate) fn yield_to(&mut self, convention: &Node) {
        for (pointer, told) in std::mem::take(&mut self.yielding) {
            if convention.pointer(pointer).is_some()
                && let Some(left) = remove(&mut self.keys, pointer)
            {
                let value = left.text().unwrap_or_default();
                self.note(told.replace("{}", value), &left.at);
            }
        }
        let set = convention.pointer("/container/environment");
        let set = set.map(Node::entries).unwrap_or_default();
        for mode in ["develop", "test"] {
            let variables = self.keys.pointer_mut(&format!("/{mode}/environment"));
            let Some(Tree::Map(entries)) = variables.map(|it| &mut it.tree) else {
                continue;
            };
            let mut left = Vec::new();
            entries.retain(|entry| {
                let own = |other: &&Entry| other.key == entry.key && other.value.tree != Tree::Null;
                let own = set.iter().find(own).is_some();
                if own {
                    left.push((entry.key.clone(), entry.value.at.clone()));
                }
                !own
            });
            for (name, at) in left {
                let told =
                    format!("`{name}` isn't taken for `{mode}`: the convention sets it itself");
                self.note(told, &at);
            }
        }
    }

    pub(crate) fn layer(&self) -> Layer {
        Layer {
            speaker: self.speaker.clone(),
            tree: self.keys.clone().into(),
        }
    }
}

/// A text in which a host stands: alone, before a port or a path, after `//` or `@`.
fn with_host(text: &str, host: &str, ours: &str) -> String {
    if text == host {
        return ours.to_owned();
    }
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(host) {
        let (before, after) = (&rest[..at], &rest[at + host.len()..]);
        let left = changed.chars().chain(before.chars()).last();
        let begins = matches!(left, None | Some('/' | '@' | ',' | '='));
        let ends = after.is_empty() || after.starts_with([':', '/', ',']);
        // `redis://…` is a scheme, and `//x/redis` a path.
        let scheme = after.starts_with("://");
        let path = left == Some('/')
            && !(before.ends_with("//") || before.is_empty() && changed.ends_with("//"));
        changed.push_str(before);
        changed.push_str(if begins && ends && !scheme && !path {
            ours
        } else {
            host
        });
        rest = after;
    }
    changed.push_str(rest);
    changed
}

/// Puts a value at a pointer; maps on the way are made where they are missing.
pub(crate) fn put(node: &mut Node, pointer: &str, value: Node) {
    let mut place = node;
    for step in steps(pointer) {
        if !matches!(place.tree, Tree::Map(_)) {
            place.tree = Tree::Map(Vec::new());
        }
        let Tree::Map(entries) = &mut place.tree else {
            return;
        };
        let index = entries.iter().position(|entry| entry.key == step);
        let index = index.unwrap_or_else(|| {
            entries.push(Entry {
                key: step.into_owned(),
                at: value.at.clone(),
                value: Node::empty(value.at.clone()),
            });
            entries.len() - 1
        });
        place = &mut entries[index].value;
    }
    *place = value;
}

/// Takes away what stands at a pointer.
fn remove(node: &mut Node, pointer: &str) -> Option<Node> {
    let (above, _) = pointer.rsplit_once('/')?;
    let last = steps(pointer).last()?;
    let place = if above.is_empty() {
        node
    } else {
        node.pointer_mut(above)?
    };
    let Tree::Map(entries) = &mut place.tree else {
        return None;
    };
    let index = entries.iter().position(|entry| entry.key == last)?;
    Some(entries.remove(index).value)
}

/// A text at a place.
pub(crate) fn text(value: impl Into<String>, at: &At) -> Node {
    Node {
        at: at.clone(),
        tree: Tree::Text(literal(&value.into())),
    }
}

/// A number at a place.
pub(crate) fn number(value: impl Into<serde_json::Number>, at: &At) -> Node {
    Node {
        at: at.clone(),
        tree: Tree::Number(value.into()),
    }
}

/// A list of texts at a place.
pub(crate) fn list(items: impl IntoIterator<Item = String>, at: &At) -> Node {
    let items = items.into_iter().map(|item| text(item, at));
    Node {
        at: at.clone(),
        tree: Tree::List(items.collect()),
    }
}

/// A text that other tools take as it stands, written so that our templates leave it alone.
fn literal(value: &str) -> String {
    if ["{{", "{%", "{#"].iter().any(|mark| value.contains(mark)) {
        let quoted = serde_json::Value::from(value).to_string();
        // Inside the quotes of an expression nothing is a template.
        return format!("{{{{ {quoted} }}}}");
    }
    value.to_owned()
}

/// A foreign value as ours: single values and lists stay, with their texts taken literally.
pub(crate) fn plain(node: &Node) -> Node {
    let tree = match &node.tree {
        Tree::Text(text) => Tree::Text(literal(text)),
        Tree::List(items) => Tree::List(items.iter().map(plain).collect()),
        Tree::Map(entries) => Tree::Map(
            entries
                .iter()
                .map(|entry| Entry {
                    value: plain(&entry.value),
                    ..entry.clone()
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node {
        at: node.at.clone(),
        tree,
    }
}

/// A single value as text.
pub(crate) fn scalar(node: &Node) -> Option<String> {
    match &node.tree {
        Tree::Text(text) => Some(text.clone()),
        Tree::Number(number) => Some(number.to_string()),
        Tree::Bool(value) => Some(value.to_string()),
        Tree::Null | Tree::List(_) | Tree::Map(_) => None,
    }
}

/// A port number in a text such as `8080`, `8080/tcp` or `"8080"`.
pub(crate) fn port(text: &str) -> Option<u16> {
    let number = text.split_once('/').map_or(text, |(number, _)| number);
    number.trim().parse().ok().filter(|number| *number > 0)
}

/// The files of other tools in a repository, read once; what they say depends on what they are taken for.
pub(crate) struct Foreign {
    compose: Option<Said>,
    docker: Option<docker::Found>,
    blubber: Option<blubber::Found>,
    chart: Option<Said>,
}

impl Foreign {
    /// None.
    pub(crate) fn none() -> Self {
        Self {
            compose: None,
            docker: None,
            blubber: None,
            chart: None,
        }
    }

    /// Reads them. Files that can't be read are problems of `files`.
    pub(crate) fn read(files: &Files<'_>, name: Option<&str>) -> Self {
        Self {
            compose: compose::said(files),
            docker: docker::find(files),
            blubber: blubber::find(files),
            chart: chart::said(files, name),
        }
    }

    /// Everything that they say, the weakest first.
    pub(crate) fn said(&self, taken_for: Use) -> Vec<Said> {
        let mut all = Vec::new();
        all.extend(self.compose.clone());
        all.extend(self.docker.as_ref().map(|it| docker::said(it, taken_for)));
        all.extend(self.blubber.as_ref().map(|it| blubber::said(it, taken_for)));
        all.extend(self.chart.clone());
        all
    }
}

/// The files that are looked into; `*` stands for any part of a name.
pub(crate) const FILES: [&str; 13] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "Dockerfile",
    "Containerfile",
    ".pipeline/config.yaml",
    ".pipeline/*.yaml",
    ".pipeline/*/blubber.yaml",
    "chart/Chart.yaml",
    "chart/values.yaml",
    "charts/*/Chart.yaml",
    "charts/*/values.yaml",
];

#[cfg(test)]
mod tests;
