//! A YAML or JSON text as a tree whose every key and value knows its place in the text.
//!
//! Everything later (merging, templates, checks) works on this tree, so that a problem found at the
//! very end still points at the line a person wrote. What the keys mean is not decided here.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use crate::problem::Location;

/// A text with its name, shared by all nodes that were read from it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(file: &Path, text: &str) -> Arc<Self> {
        Arc::new(Self {
            file: file.to_owned(),
            text: text.to_owned(),
        })
    }
}

/// A place in a text: line and column from 1, length in characters.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct At {
    pub(crate) source: Arc<Source>,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) length: usize,
}

impl At {
    pub(crate) fn start(source: &Arc<Source>) -> Self {
        Self {
            source: Arc::clone(source),
            line: 1,
            column: 1,
            length: 0,
        }
    }

    /// The text that stands there.
    pub(crate) fn written(&self) -> &str {
        let line = self.source.text.lines().nth(self.line.saturating_sub(1));
        let line = line.unwrap_or_default();
        let byte = |column: usize| {
            let mut chars = line.char_indices().skip(column);
            chars.next().map_or(line.len(), |(at, _)| at)
        };
        let start = self.column.saturating_sub(1);
        &line[byte(start)..byte(start + self.length)]
    }

    /// The place as it is reported: with its line's text, and never longer than the line.
    pub(crate) fn location(&self) -> Location {
        let text = self.source.text.lines().nth(self.line.saturating_sub(1));
        let text = text.unwrap_or_default().trim_end_matches('\r').to_owned();
        let rest = (text.chars().count() + 1).saturating_sub(self.column);
        Location {
            file: self.source.file.clone(),
            line: self.line,
            column: self.column,
            length: self.length.min(rest),
            text,
        }
    }
}

impl fmt::Debug for At {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.source.file.display();
        write!(formatter, "{file}:{}:{}", self.line, self.column)
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) tree: Tree,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key, its place, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: At,
    pub(crate) value: Node,
}

impl Node {
    /// An empty map at a place.
    pub(crate) fn empty(at: At) -> Self {
        Self {
            at,
            tree: Tree::Map(Vec::new()),
        }
    }

    /// A tree whose every node stands at `at`: for values that were not written in a located text.
    pub(crate) fn from_value(value: &Value, at: &At) -> Self {
        let tree = match value {
            Value::Null => Tree::Null,
            Value::Bool(value) => Tree::Bool(*value),
            Value::Number(value) => Tree::Number(value.clone()),
            Value::String(value) => Tree::Text(value.clone()),
            Value::Array(items) => Tree::List(
                items
                    .iter()
                    .map(|item| Self::from_value(item, at))
                    .collect(),
            ),
            Value::Object(map) => Tree::Map(
                map.iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        at: at.clone(),
                        value: Self::from_value(value, at),
                    })
                    .collect(),
            ),
        };
        Self {
            at: at.clone(),
            tree,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.tree {
            Tree::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.tree {
            Tree::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The node that a JSON pointer names.
    pub(crate) fn pointer(&self, pointer: &str) -> Option<&Node> {
        steps(pointer).try_fold(self, |node, step| match &node.tree {
            Tree::Map(_) => node.get(&step),
            Tree::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The node that a JSON pointer names, to be changed.
    pub(crate) fn pointer_mut(&mut self, pointer: &str) -> Option<&mut Self> {
        steps(pointer).try_fold(self, |node, step| match &mut node.tree {
            Tree::Map(entries) => entries
                .iter_mut()
                .find(|entry| entry.key == step)
                .map(|entry| &mut entry.value),
            Tree::List(items) => items.get_mut(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Where a JSON pointer's key or item stands, or the nearest thing around it that exists.
    pub(crate) fn place(&self, pointer: &str) -> &At {
        let mut place = &self.at;
        let mut node = self;
        for step in steps(pointer) {
            match &node.tree {
                Tree::Map(_) => match node.entry(&step) {
                    Some(entry) => (place, node) = (&entry.value.at, &entry.value),
                    None => return place,
                },
                Tree::List(items) => match step.parse::<usize>().ok().and_then(|i| items.get(i)) {
                    Some(item) => (place, node) = (&item.at, item),
                    None => return place,
                },
                _ => return place,
            }
        }
        place
    }

    /// The plain value. Keys without a value are left out where `keep_null` is false.
    pub(crate) fn value(&self, keep_null: bool) -> Value {
        match &self.tree {
            Tree::Null => Value::Null,
            Tree::Bool(value) => Value::Bool(*value),
            Tree::Number(value) => Value::Number(value.clone()),
            Tree::Text(text) => Value::String(text.clone()),
            Tree::List(items) => {
                Value::Array(items.iter().map(|item| item.value(keep_null)).collect())
            }
            Tree::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    if keep_null || entry.value.tree != Tree::Null {
                        map.insert(entry.key.clone(), entry.value.value(keep_null));
                    }
                }
                Value::Object(map)
            }
        }
    }
}

/// The unescaped steps of a JSON pointer; a missing first slash is forgiven.
pub(crate) fn steps(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> + '_ {
    let parts = pointer.split('/');
    let steps = parts.skip(usize::from(pointer.is_empty() || pointer.starts_with('/')));
    steps.map(|step| {
        if step.contains('~') {
            Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(step)
        }
    })
}

/// One step as part of a JSON pointer.
pub(crate) fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
