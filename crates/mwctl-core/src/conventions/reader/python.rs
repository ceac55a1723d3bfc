//! What a Python project depends on: `requirements.txt`, and the lists of `pyproject.toml` as a map.
//!
//! Names are written as PEP 503 normalises them: lower case, runs of `-`, `_` and `.` as one `-`.

use std::path::Path;

use super::super::node::{Entry, Node, Tree};
use super::offset::Offsets;

/// `requirements.txt` as name to version. Options, includes and addresses are passed over.
pub(super) fn requirements(file: &Path, text: &str) -> Node {
    let offsets = Offsets::new(file, text);
    let mut entries: Vec<Entry> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((name, version)) = requirement(line) else {
            continue;
        };
        if !entries.iter().any(|entry| entry.key == name) {
            let at = offsets.line(index + 1);
            entries.push(Entry {
                key: name,
                at: at.clone(),
                value: Node {
                    at,
                    tree: Tree::Text(version),
                },
            });
        }
    }
    Node {
        at: offsets.at(&(0..0)),
        tree: Tree::Map(entries),
    }
}

/// Adds `/requirements`: the names of `project.dependencies` (PEP 621) and of Poetry's tables, with
/// their versions.
pub(super) fn with_requirements(mut tree: Node) -> Node {
    let mut entries: Vec<Entry> = Vec::new();
    let lists = tree.pointer("/project/dependencies");
    for item in lists.map(Node::items).unwrap_or_default() {
        if let Some((name, version)) = item.text().and_then(requirement) {
            entries.push(Entry {
                key: name,
                at: item.at.clone(),
                value: Node {
                    at: item.at.clone(),
                    tree: Tree::Text(version),
                },
            });
        }
    }
    let poetry = tree.pointer("/tool/poetry/dependencies");
    for entry in poetry.map(Node::entries).unwrap_or_default() {
        entries.push(Entry {
            key: normal(&entry.key),
            ..entry.clone()
        });
    }
    let mut seen = std::collections::BTreeSet::new();
    entries.retain(|entry| seen.insert(entry.key.clone()));
    let at = tree.at.clone();
    if let Tree::Map(own) = &mut tree.tree {
        own.retain(|entry| entry.key != "requirements");
        own.push(Entry {
            key: "requirements".to_owned(),
            at: at.clone(),
            value: Node {
                at,
                tree: Tree::Map(entries),
            },
        });
    }
    tree
}

/// Name and version of a line (PEP 508), without extras, markers and comments.
fn requirement(line: &str) -> Option<(String, String)> {
    let line = line.split(" #").next().unwrap_or_default();
    let line = line.split(';').next().unwrap_or_default().trim();
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || rest.starts_with(':') {
        return None;
    }
    let rest = rest.trim_start();
    let version = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, after)| after),
        None => rest,
    };
    let version = version.split(" --").next().unwrap_or_default();
    Some((
        normal(name),
        version.trim().trim_end_matches('\\').trim().to_owned(),
    ))
}

fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}
