//! `go.mod` as a tree: `/module`, `/name` (its last part, without a major version), `/go`, and
//! `/require` as module to version. Format: Go Modules Reference, *go.mod files*.

use std::path::Path;

use super::super::node::{Entry, Node, Tree};
use super::offset::Offsets;

pub(super) fn read(file: &Path, text: &str) -> Node {
    let offsets = Offsets::new(file, text);
    let mut tree: Vec<Entry> = Vec::new();
    let mut required: Vec<Entry> = Vec::new();
    let mut block: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let entry = |key: &str, value: &str| {
            let at = offsets.line(index + 1);
            Entry {
                key: key.to_owned(),
                at: at.clone(),
                value: Node {
                    at,
                    tree: Tree::Text(value.trim_matches(['"', '`']).to_owned()),
                },
            }
        };
        let mut require = |module: &str, version: &str| {
            let module = module.trim_matches(['"', '`']);
            if !required.iter().any(|other| other.key == module) {
                required.push(entry(module, version));
            }
        };
        match (block, first) {
            (Some(_), ")") => block = None,
            (Some("require"), module) => require(module, words.next().unwrap_or_default()),
            (Some(_), _) => {}
            (None, word) => match words.next() {
                Some("(") => block = Some(word),
                Some(value) if word == "require" => {
                    require(value, words.next().unwrap_or_default());
                }
                Some(value) if word == "module" && tree.is_empty() => {
                    tree.push(entry("module", value));
                    tree.push(entry("name", name(value)));
                }
                Some(value) if word == "go" => tree.push(entry("go", value)),
                _ => {}
            },
        }
    }
    let at = offsets.at(&(0..0));
    tree.push(Entry {
        key: "require".to_owned(),
        at: at.clone(),
        value: Node {
            at: at.clone(),
            tree: Tree::Map(required),
        },
    });
    Node {
        at,
        tree: Tree::Map(tree),
    }
}

/// `example.org/team/thing/v2` is `thing`.
fn name(module: &str) -> &str {
    let mut parts = module.trim_matches(['"', '`']).rsplit('/');
    let last = parts.next().unwrap_or_default();
    let major = last
        .strip_prefix('v')
        .is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
    match parts.next() {
        Some(before) if major => before,
        _ => last,
    }
}
