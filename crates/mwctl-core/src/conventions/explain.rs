//! Where each value of a service comes from: who said it in which line, what its templates used, and
//! what it was chosen over.
//!
//! The keys are those that people write, not the model's: an answer can be put into `mwctl.yaml` as it
//! stands. Nothing is decided here; the layers were merged already.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::defaults;
use super::facts::Fact;
use super::foreign::Note;
use super::layer::{Layer, Speaker};
use super::merge::{is_data, rivals};
use super::nearest;
use super::node::{At, Entry, Node, Tree, escape, steps};
use super::template;
use crate::model::Evidence;
use crate::name::ServiceName;

/// How one service came to be what it is.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) name: ServiceName,
    pub(crate) convention: String,
    /// Where the convention is named; `None` where the repository was recognised.
    pub(crate) named: Option<At>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) layers: Vec<Layer>,
    /// The layers merged, templates as they are written.
    pub(crate) spec: Node,
    /// The same with templates filled in.
    pub(crate) rendered: Node,
    pub(crate) facts: Vec<Fact>,
    pub(crate) notes: Vec<Note>,
}

/// A service, and where everything about it comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The service.
    pub service: ServiceName,
    /// The convention it follows.
    pub convention: String,
    /// Where the convention is named; `None` where the repository was recognised.
    pub named: Option<Origin>,
    /// What shows which convention it is, and what else was read in the repository.
    pub evidence: Vec<Evidence>,
    /// Every value by its key, in the order of the keys.
    pub values: Vec<Explained>,
    /// What the repository's files say that is left out.
    pub notes: Vec<Note>,
}

/// One value and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The key as it is written in `mwctl.yaml`, as in `container.build.base`; `facts.NAME` for a fact.
    pub field: String,
    /// The value; `None` where somebody took it away.
    pub value: Option<Value>,
    /// The text with its templates, where it has some.
    pub template: Option<Value>,
    /// Who says it, and where.
    pub origin: Origin,
    /// Why this one counts, where there are others.
    pub reason: Option<String>,
    /// What else was said, the strongest first.
    pub instead_of: Vec<Other>,
    /// The names that its templates use, as in `facts.port`.
    pub uses: Vec<String>,
}

/// Who says something, and where.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Who says it.
    pub speaker: Speaker,
    /// The file; `None` for a default of mwctl itself.
    pub file: Option<PathBuf>,
    /// The line, from 1; 0 without a file.
    pub line: usize,
}

/// A value that doesn't count.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Other {
    /// The value, templates as they are written.
    pub value: Value,
    /// Who says it, and where.
    pub origin: Origin,
}

impl Origin {
    fn new(speaker: &Speaker, at: &At) -> Self {
        Self {
            speaker: speaker.clone(),
            file: Some(at.source.file.clone()),
            line: at.line,
        }
    }

    fn default() -> Self {
        Self {
            speaker: Speaker::Default,
            file: None,
            line: 0,
        }
    }
}

impl Explanation {
    /// The values at a field and below it; a field inside a list leads to the list. The field is
    /// written as in the answer, or as a JSON pointer.
    pub fn at(&self, field: &str) -> Vec<&Explained> {
        let wanted: Vec<String> = if field.starts_with('/') {
            steps(field).map(Cow::into_owned).collect()
        } else {
            parts(field)
        };
        let fits = |value: &&Explained| {
            let own = parts(&value.field);
            let short = own.len().min(wanted.len());
            let list = own.len() >= wanted.len() || matches!(value.value, Some(Value::Array(_)));
            own[..short] == wanted[..short] && list
        };
        self.values.iter().filter(fits).collect()
    }
}

impl Explanation {
    /// The field that was probably meant.
    pub fn nearest(&self, field: &str) -> Option<&str> {
        let fields: Vec<&str> = self.values.iter().map(|it| it.field.as_str()).collect();
        nearest::nearest(field, &fields)
    }
}

pub(crate) fn explanation(trace: &Trace) -> Explanation {
    let mut explainer = Explainer {
        trace,
        values: Vec::new(),
    };
    explainer.facts();
    explainer.walk("", &trace.spec);
    explainer.taken();
    for (pointer, value) in defaults::missing(&trace.rendered) {
        explainer.values.push(Explained {
            field: field(&pointer),
            value: Some(value),
            template: None,
            origin: Origin::default(),
            reason: None,
            instead_of: Vec::new(),
            uses: Vec::new(),
        });
    }
    explainer
        .values
        .sort_by(|one, other| one.field.cmp(&other.field));
    Explanation {
        service: trace.name.clone(),
        convention: trace.convention.clone(),
        named: trace.named.as_ref().map(|at| {
            // A convention is named in a Service or in a Stack; the layer of that file says which.
            let layer = trace.layers.iter().rev().find(|layer| {
                !matches!(layer.speaker, Speaker::Convention(_))
                    && layer.tree.at.source.file == at.source.file
            });
            Origin::new(layer.map_or(&Speaker::Stack, |layer| &layer.speaker), at)
        }),
        evidence: trace.evidence.clone(),
        values: explainer.values,
        notes: trace.notes.clone(),
    }
}

struct Explainer<'a> {
    trace: &'a Trace,
    values: Vec<Explained>,
}

impl Explainer<'_> {
    fn facts(&mut self) {
        for fact in &self.trace.facts {
            let pointer = format!("/facts/{}", escape(&fact.name));
            let (speaker, _) = self.said(&pointer);
            let others: Vec<Other> = fact
                .others
                .iter()
                .map(|(other, value, at)| Other {
                    value: value.clone(),
                    origin: Origin::new(other.as_ref().unwrap_or(&speaker), at),
                })
                .collect();
            let origin = Origin::new(fact.speaker.as_ref().unwrap_or(&speaker), &fact.at);
            self.values.push(Explained {
                field: format!("facts.{}", fact.name),
                value: Some(fact.value.clone()),
                template: None,
                origin,
                reason: (!others.is_empty()).then(|| match &fact.speaker {
                    None => format!("it is the first place of {speaker} that exists"),
                    Some(_) => "later files count more (Compose, Dockerfile, Blubber, chart), and any of them more \
                                than what is assumed"
                        .to_owned(),
                }),
                instead_of: others,
                uses: Vec::new(),
            });
        }
    }

    fn walk(&mut self, pointer: &str, node: &Node) {
        let entries = node.entries();
        for Entry { key, value, .. } in entries {
            let below = format!("{pointer}/{}", escape(key));
            if below == "/facts" {
                continue;
            }
            match &value.tree {
                Tree::Map(entries) if !entries.is_empty() => self.walk(&below, value),
                _ => self.leaf(&below, value),
            }
        }
    }

    fn leaf(&mut self, pointer: &str, written: &Node) {
        let hide = is_secret(pointer);
        let (speaker, at) = self.said(pointer);
        let plain = shown(written, hide);
        let rendered = self.trace.rendered.pointer(pointer);
        let value = rendered.map_or_else(|| plain.clone(), |node| shown(node, hide));
        let mut uses = Vec::new();
        names(written, &mut uses);
        let others = self.others(pointer, &plain, hide);
        self.values.push(Explained {
            field: field(pointer),
            template: (value != plain).then_some(plain),
            value: Some(value),
            reason: (!others.is_empty()).then(|| format!("{speaker} is laid over what is below")),
            origin: Origin::new(&speaker, &at),
            instead_of: others,
            uses,
        });
    }

    /// Who says what stands at a pointer, and where.
    fn said(&self, pointer: &str) -> (Speaker, At) {
        let layers = self.trace.layers.iter().rev();
        let found = layers.filter_map(|layer| Some((layer, layer.tree.pointer(pointer)?)));
        let mut found = found.filter(|(_, node)| node.tree != Tree::Null || data(pointer));
        found.next().map_or_else(
            || (Speaker::Default, self.trace.spec.place(pointer).clone()),
            |(layer, node)| (layer.speaker.clone(), node.at.clone()),
        )
    }

    /// What the layers below the one that counts say about the same key.
    fn others(&self, pointer: &str, plain: &Value, hide: bool) -> Vec<Other> {
        let layers = self.trace.layers.iter().rev();
        let said = layers.filter_map(|layer| Some((layer, layer.tree.pointer(pointer)?)));
        said.filter(|(_, node)| node.tree != Tree::Null)
            .skip(1)
            .map(|(layer, node)| Other {
                value: shown(node, hide),
                origin: Origin::new(&layer.speaker, &node.at),
            })
            .filter(|other| hide || other.value != *plain)
            .collect()
    }

    /// What some layer says and a layer above it takes away.
    fn taken(&mut self) {
        let mut pointers = Vec::new();
        for layer in &self.trace.layers {
            leaves("", &layer.tree, &mut pointers);
        }
        pointers.sort();
        pointers.dedup();
        let mut told: Option<String> = None;
        for pointer in pointers {
            let gone = self.trace.spec.pointer(&pointer).is_none();
            let around = told.as_ref().is_some_and(|told| {
                let below = pointer.strip_prefix(told.as_str());
                below.is_some_and(|below| below.starts_with('/'))
            });
            if pointer.starts_with("/facts/") || !gone || around {
                continue;
            }
            let Some((position, reason, origin)) = self.taker(&pointer) else {
                continue;
            };
            let hide = is_secret(&pointer);
            let below = self.trace.layers[..position].iter().rev();
            let others: Vec<Other> = below
                .filter_map(|layer| {
                    let node = layer.tree.pointer(&pointer)?;
                    (node.tree != Tree::Null).then(|| Other {
                        value: shown(node, hide),
                        origin: Origin::new(&layer.speaker, &node.at),
                    })
                })
                .collect();
            if !others.is_empty() {
                told = Some(pointer.clone());
                self.values.push(Explained {
                    field: field(&pointer),
                    value: None,
                    template: None,
                    origin,
                    reason: Some(reason),
                    instead_of: others,
                    uses: Vec::new(),
                });
            }
        }
    }

    /// The uppermost layer that takes a key away, by name, with a map around it, or with a rival.
    fn taker(&self, pointer: &str) -> Option<(usize, String, Origin)> {
        let all: Vec<Cow<'_, str>> = steps(pointer).collect();
        let layers = self.trace.layers.iter().enumerate().rev();
        for (position, layer) in layers {
            let mut node = &*layer.tree;
            for (depth, step) in all.iter().enumerate() {
                let path: Vec<&str> = all[..depth].iter().map(AsRef::as_ref).collect();
                let rival = rivals(&path, step).find_map(|key| {
                    let entry = node.entry(key)?;
                    (entry.value.tree != Tree::Null).then_some(entry)
                });
                if let Some(entry) = rival {
                    let reason = format!("`{}` excludes it", entry.key);
                    return Some((position, reason, Origin::new(&layer.speaker, &entry.at)));
                }
                let Some(entry) = node.entry(step) else { break };
                if !matches!(entry.value.tree, Tree::Map(_)) && depth + 1 < all.len()
                    || entry.value.tree == Tree::Null
                {
                    let reason = "a key without a value takes it away";
                    let reason = match entry.value.tree {
                        Tree::Null => reason.to_owned(),
                        _ => format!("`{}` is replaced as a whole", entry.key),
                    };
                    return Some((position, reason, Origin::new(&layer.speaker, &entry.at)));
                }
                node = &entry.value;
            }
        }
        None
    }
}

fn data(pointer: &str) -> bool {
    is_data(&steps(pointer).take(2).collect::<Vec<_>>())
}

/// The pointers of everything that isn't a map.
fn leaves(pointer: &str, node: &Node, found: &mut Vec<String>) {
    for entry in node.entries() {
        let below = format!("{pointer}/{}", escape(&entry.key));
        match &entry.value.tree {
            Tree::Map(entries) if !entries.is_empty() => leaves(&below, &entry.value, found),
            _ => found.push(below),
        }
    }
}

/// Whether a pointer leads to a secret's own value.
fn is_secret(pointer: &str) -> bool {
    let path: Vec<Cow<'_, str>> = steps(pointer).collect();
    matches!(path.as_slice(), [secrets, _, key, ..] if secrets == "secrets" && key == "value")
}

fn shown(node: &Node, hide: bool) -> Value {
    if hide { json!("…") } else { node.value(true) }
}

fn names(node: &Node, found: &mut Vec<String>) {
    match &node.tree {
        Tree::Text(text) => found.extend(template::names(text)),
        Tree::List(items) => items.iter().for_each(|item| names(item, found)),
        Tree::Map(entries) => entries.iter().for_each(|entry| names(&entry.value, found)),
        _ => {}
    }
    found.sort();
    found.dedup();
}

/// A JSON pointer as it is written for people: `container.build.base`, `files["/etc/x"]`.
fn field(pointer: &str) -> String {
    let mut field = String::new();
    for step in steps(pointer).skip(usize::from(pointer.is_empty())) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !step.is_empty() && step.chars().all(plain) {
            if !field.is_empty() {
                field.push('.');
            }
            field.push_str(&step);
        } else {
            field.push('[');
            field.push_str(&json!(step).to_string());
            field.push(']');
        }
    }
    field
}

/// The steps of a field; `ports[0]`, `ports.0` and `files["/etc/x"]` are all understood.
fn parts(field: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inside) = rest.strip_prefix('[') {
            let end = if inside.starts_with('"') { "\"]" } else { "]" };
            let (step, after) = inside.split_once(end).unwrap_or((inside, ""));
            parts.push(step.trim_start_matches('"').to_owned());
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            parts.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        if rest == "." {
            break;
        }
    }
    parts
}

#[cfg(test)]
mod tests;
