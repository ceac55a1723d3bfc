//! Single values that YAML reads as something else than what is written, where a text is meant: `1e3`,
//! `1.10`, `017`, `True`.
//!
//! In settings and configuration they are numbers and truth values rightly. In variables, commands, versions
//! and references they would change silently, so that they are problems there.

use super::check::Check;
use super::node::{Node, Tree, escape};

/// Keys whose single values, and those below them, are texts.
const TEXTS: [&str; 4] = ["environment", "command", "version", "ref"];
/// Keys below which everything is data.
const DATA: [&str; 5] = ["settings", "config", "facts", "files", "patches"];

/// Reports each value that wouldn't be the text that is written.
pub(crate) fn check(check: &mut Check<'_>) {
    let tree = check.tree();
    walk(tree, &mut Vec::new(), false, check);
}

/// A step of the way to a node. Pointers are written out for problems alone: nearly all nodes have none.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

fn walk<'a>(node: &'a Node, way: &mut Vec<Step<'a>>, text: bool, check: &mut Check<'_>) {
    match &node.tree {
        Tree::Map(entries) => {
            for entry in entries {
                let key = entry.key.as_str();
                if way.is_empty() && DATA.contains(&key) {
                    continue;
                }
                way.push(Step::Key(key));
                walk(&entry.value, way, text || TEXTS.contains(&key), check);
                way.pop();
            }
        }
        Tree::List(items) => {
            for (index, item) in items.iter().enumerate() {
                way.push(Step::Index(index));
                walk(item, way, text, check);
                way.pop();
            }
        }
        Tree::Number(number) if text => compare(node, way, &number.to_string(), check),
        Tree::Bool(value) if text => compare(node, way, &value.to_string(), check),
        Tree::Number(_) | Tree::Bool(_) | Tree::Text(_) | Tree::Null => {}
    }
}

fn compare(node: &Node, way: &[Step<'_>], read: &str, check: &mut Check<'_>) {
    let written = node.at.written();
    // A template that gives a number is written as a text.
    if written.is_empty() || written == read || written.contains(['{', '"', '\'']) {
        return;
    }
    let pointer = way.iter().fold(String::new(), |pointer, step| match step {
        Step::Key(key) => format!("{pointer}/{}", escape(key)),
        Step::Index(index) => format!("{pointer}/{index}"),
    });
    let message = format!("`{written}` would become `{read}`");
    let hint = format!("put it into quotes: `\"{written}\"`");
    check.hinted(&pointer, message, Some(hint));
}
