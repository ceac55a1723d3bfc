//! What a Blubber file may say: keys, kinds of values, names. All problems at once, each with the
//! path that Blubber's own messages have.

use serde_json::{Map, Value};

use super::merge;
use super::names::{
    absolute, access, alphanumeric, anything, argument_name, is_variant_name, package_name,
    python_version, release_name, user_name, variable_name, web_address,
};
use super::tree::{Kind, Node};
use crate::plan::Problem;

/// The version that is read.
const VERSION: &str = "v4";

const LIVES: &[(&str, Shape)] = &[
    ("as", Shape::Text(user_name)),
    ("uid", Shape::Whole),
    ("gid", Shape::Whole),
    ("in", Shape::Text(absolute)),
];
const RUNS: &[(&str, Shape)] = &[
    ("as", Shape::Text(user_name)),
    ("uid", Shape::Whole),
    ("gid", Shape::Whole),
    ("in", Shape::Text(absolute)),
    ("environment", Shape::Texts(variable_name)),
    ("insecurely", Shape::Flag),
];
const SOURCE: &[(&str, Shape)] = &[
    ("url", Shape::Text(web_address)),
    ("distribution", Shape::Text(release_name)),
    ("components", Shape::List(&Shape::Text(release_name))),
    ("signed-by", Shape::Text(anything)),
];
const PROXY: &[(&str, Shape)] = &[
    ("url", Shape::Text(web_address)),
    ("source", Shape::Text(web_address)),
];
const APT: &[(&str, Shape)] = &[
    ("packages", Shape::Packages),
    (
        "sources",
        Shape::List(&Shape::Record(SOURCE, &["url", "distribution"])),
    ),
    (
        "proxies",
        Shape::List(&Shape::Or(&[
            Shape::Text(web_address),
            Shape::Record(PROXY, &["url"]),
        ])),
    ),
];
const ARTIFACT: &[(&str, Shape)] = &[
    ("from", Shape::Text(anything)),
    ("source", Shape::Text(anything)),
    ("destination", Shape::Text(anything)),
    ("exclude", Shape::List(&Shape::Text(anything))),
];
const MOUNT: &[(&str, Shape)] = &[
    ("from", Shape::Text(anything)),
    ("destination", Shape::Text(anything)),
    ("source", Shape::Text(anything)),
];
const CACHE: &[(&str, Shape)] = &[
    ("destination", Shape::Text(anything)),
    ("id", Shape::Text(anything)),
    ("access", Shape::Text(access)),
];
const REQUIREMENTS: Shape = Shape::List(&Shape::Or(&[
    Shape::Text(anything),
    Shape::Record(ARTIFACT, &["from"]),
]));
const CUSTOM: &[(&str, Shape)] = &[
    (
        "command",
        Shape::Or(&[Shape::Text(anything), Shape::List(&Shape::Text(anything))]),
    ),
    ("script", Shape::Text(anything)),
    ("requirements", REQUIREMENTS),
    (
        "mounts",
        Shape::List(&Shape::Or(&[
            Shape::Text(anything),
            Shape::Record(MOUNT, &["from"]),
        ])),
    ),
    (
        "caches",
        Shape::List(&Shape::Or(&[
            Shape::Text(anything),
            Shape::Record(CACHE, &["destination"]),
        ])),
    ),
];
const NODE: &[(&str, Shape)] = &[
    ("env", Shape::Text(alphanumeric)),
    ("requirements", REQUIREMENTS),
    ("use-npm-ci", Shape::Flag),
    ("allow-dedupe-failure", Shape::Flag),
];
const PHP: &[(&str, Shape)] = &[("requirements", REQUIREMENTS), ("production", Shape::Flag)];
const POETRY: &[(&str, Shape)] = &[
    ("version", Shape::Text(python_version)),
    ("devel", Shape::Flag),
    ("only", Shape::Text(anything)),
    ("without", Shape::Text(anything)),
];
const PYTHON: &[(&str, Shape)] = &[
    ("version", Shape::Text(anything)),
    ("requirements", REQUIREMENTS),
    ("use-system-site-packages", Shape::Flag),
    ("no-deps", Shape::Flag),
    ("poetry", Shape::Record(POETRY, &[])),
    ("venv", Shape::Text(anything)),
    ("pip-version", Shape::Text(python_version)),
    ("setuptools-version", Shape::Text(python_version)),
    ("tox-version", Shape::Text(python_version)),
    ("wheel-version", Shape::Text(python_version)),
];
const BUILDER: &[(&str, Shape)] = &[
    ("custom", Shape::Record(CUSTOM, &[])),
    ("node", Shape::Record(NODE, &[])),
    ("php", Shape::Record(PHP, &[])),
    ("python", Shape::Record(PYTHON, &[])),
];
/// Keys of the top level and of every variant.
const COMMON: &[(&str, Shape)] = &[
    ("base", Shape::Text(anything)),
    ("arguments", Shape::Texts(argument_name)),
    ("apt", Shape::Record(APT, &[])),
    ("lives", Shape::Record(LIVES, &[])),
    ("runs", Shape::Record(RUNS, &[])),
    ("entrypoint", Shape::List(&Shape::Text(anything))),
    ("builders", Shape::List(&Shape::OneOf(BUILDER))),
    ("builder", Shape::Record(CUSTOM, &[])),
    ("node", Shape::Record(NODE, &[])),
    ("php", Shape::Record(PHP, &[])),
    ("python", Shape::Record(PYTHON, &[])),
];

/// Says what is wrong with a text.
type Check = fn(&str) -> Option<String>;

/// What a value may be.
#[derive(Clone, Copy)]
enum Shape {
    Text(Check),
    Flag,
    /// Not below zero.
    Whole,
    List(&'static Shape),
    /// Texts by name.
    Texts(Check),
    /// Known keys, and those of them that must be there.
    Record(&'static [(&'static str, Shape)], &'static [&'static str]),
    /// Exactly one of these keys.
    OneOf(&'static [(&'static str, Shape)]),
    /// The first for a text, the second for anything else.
    Or(&'static [Shape; 2]),
    /// Names, or names by release.
    Packages,
}

/// What can be said of a file before variants are merged.
pub(super) fn check(tree: &Node) -> Vec<Problem> {
    let mut checker = Checker {
        problems: Vec::new(),
    };
    if !matches!(tree.kind, Kind::Map(_)) {
        return vec![Problem::new(1, "a Blubber file is a map of keys")];
    }
    match tree.get("version") {
        None => {
            let problem = Problem::new(1, "version: is required");
            checker
                .problems
                .push(problem.hint("start with `version: v4`"));
        }
        Some(node) if node.text() == Some(VERSION) => {}
        Some(node) => {
            let shown = node
                .text()
                .map_or_else(|| node.value().to_string(), str::to_owned);
            checker.add(
                node,
                "version",
                &format!("config version \"{shown}\" is unsupported"),
            );
        }
    }
    let extra = [("version", Shape::Text(anything))];
    checker.record(tree, "", COMMON, &extra, &["variants"]);
    let variants = tree.get("variants").map(Node::entries).unwrap_or_default();
    if let Some(node) = tree.get("variants")
        && !matches!(node.kind, Kind::Map(_))
    {
        checker.add(node, "variants", "must be a map");
    }
    let names: Vec<&str> = variants.iter().map(|(name, _)| name.as_str()).collect();
    for (name, node) in variants {
        let path = format!("variants.{name}");
        if !is_variant_name(name) {
            checker.add(node, &path, "contains a bad variant name");
        }
        if node.is_null() {
            continue;
        }
        let includes = [("includes", Shape::List(&Shape::Text(anything)))];
        checker.record(node, &path, COMMON, &includes, &["copies"]);
        for (index, include) in items(node, "includes").iter().enumerate() {
            let path = format!("{path}.includes[{index}]");
            checker.reference(include, &path, include.text(), &names);
        }
        if let Some(copies) = node.get("copies") {
            checker.copies(copies, &format!("{path}.copies"), &names);
        }
    }
    for (place, path) in std::iter::once((tree, String::new())).chain(
        variants
            .iter()
            .map(|(name, node)| (node, format!("variants.{name}."))),
    ) {
        checker.artifacts(place, &path);
    }
    checker.problems
}

fn items<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    node.get(key).map(Node::items).unwrap_or_default()
}

struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    fn add(&mut self, node: &Node, path: &str, message: &str) {
        let mut problem = Problem::new(node.line, format!("{path}: {message}"));
        problem.column = node.column;
        self.problems.push(problem);
    }

    /// `elsewhere` are keys that somebody else checks.
    fn record(
        &mut self,
        node: &Node,
        path: &str,
        known: &[(&'static str, Shape)],
        more: &[(&'static str, Shape)],
        elsewhere: &[&str],
    ) {
        let dot = if path.is_empty() { "" } else { "." };
        if !matches!(node.kind, Kind::Map(_)) {
            self.add(node, path, "must be a map");
            return;
        }
        for (key, value) in node.entries() {
            let path = format!("{path}{dot}{key}");
            let mut all = known.iter().chain(more);
            match all.find(|(name, _)| name == key) {
                Some((_, shape)) => self.shape(value, &path, *shape),
                None if elsewhere.contains(&key.as_str()) => {}
                None => {
                    let names = known.iter().chain(more).map(|(name, _)| *name);
                    let mut nearest = names.chain(elsewhere.iter().copied());
                    let close = nearest.find(|name| is_near(name, key));
                    self.add(value, &path, "is an unknown key");
                    if let (Some(close), Some(problem)) = (close, self.problems.last_mut()) {
                        problem.hint = Some(format!("did you mean `{close}`?"));
                    }
                }
            }
        }
    }

    fn shape(&mut self, node: &Node, path: &str, shape: Shape) {
        if node.is_null() {
            return;
        }
        match (shape, &node.kind) {
            (Shape::Text(check), Kind::Text(text)) => {
                if let Some(wrong) = check(text) {
                    self.add(node, path, &wrong);
                }
            }
            (Shape::Text(_), Kind::Number(_) | Kind::Flag(_)) => {
                self.add(node, path, "must be a text: put it into quotes");
            }
            (Shape::Text(_), _) => self.add(node, path, "must be a text"),
            (Shape::Flag, Kind::Flag(_)) => {}
            (Shape::Flag, _) => self.add(node, path, "must be `true` or `false`"),
            (Shape::Whole, Kind::Number(number))
                if number.as_u64().is_some_and(|id| u32::try_from(id).is_ok()) => {}
            (Shape::Whole, _) => {
                self.add(node, path, "must be a whole number from 0 to 4294967295");
            }
            (Shape::List(item), Kind::List(items)) => {
                for (index, node) in items.iter().enumerate() {
                    self.shape(node, &format!("{path}[{index}]"), *item);
                }
            }
            (Shape::List(_), _) => self.add(node, path, "must be a list"),
            (Shape::Texts(check), Kind::Map(pairs)) => {
                for (key, node) in pairs {
                    if let Some(wrong) = check(key) {
                        self.add(node, path, &wrong);
                    }
                    self.shape(node, &format!("{path}.{key}"), Shape::Text(anything));
                }
            }
            (Shape::Record(known, required), Kind::Map(_)) => {
                self.record(node, path, known, &[], &[]);
                for key in required {
                    if node.get(key).is_none_or(Node::is_null) {
                        self.add(node, &format!("{path}.{key}"), "is required");
                    }
                }
            }
            (Shape::OneOf(known), Kind::Map(pairs)) => {
                self.record(node, path, known, &[], &[]);
                if pairs.len() != 1 {
                    self.add(node, path, "must have exactly one key: the kind of builder");
                }
            }
            (Shape::Texts(_) | Shape::Record(..) | Shape::OneOf(_), _) => {
                self.add(node, path, "must be a map");
            }
            (Shape::Or([text, other]), kind) => {
                let shape = if matches!(kind, Kind::Text(_)) {
                    text
                } else {
                    other
                };
                self.shape(node, path, *shape);
            }
            (Shape::Packages, Kind::Map(pairs)) => {
                for (release, names) in pairs {
                    if let Some(wrong) = release_name(release) {
                        self.add(names, path, &wrong);
                    }
                    let names_of = Shape::List(&Shape::Text(package_name));
                    self.shape(names, &format!("{path}.{release}"), names_of);
                }
            }
            (Shape::Packages, _) => {
                self.shape(node, path, Shape::List(&Shape::Text(package_name)));
            }
        }
    }

    fn reference(&mut self, node: &Node, path: &str, name: Option<&str>, names: &[&str]) {
        if let Some(name) = name
            && !names.contains(&name)
        {
            self.add(
                node,
                path,
                &format!("references an unknown variant \"{name}\""),
            );
        }
    }

    fn copies(&mut self, copies: &Node, path: &str, names: &[&str]) {
        if copies.is_null() {
            return;
        }
        let Kind::List(items) = &copies.kind else {
            self.add(copies, path, "must be a list");
            return;
        };
        let texts = items.iter().filter(|item| item.text().is_some()).count();
        if texts > 0 && texts < items.len() {
            self.add(copies, path, "must have names only, or maps only");
        }
        let values: Vec<Value> = items.iter().map(Node::value).collect();
        if (1..values.len()).any(|index| values[..index].contains(&values[index])) {
            self.add(copies, path, "cannot contain duplicates");
        }
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match item.text() {
                Some("local") => {}
                Some(name) => self.reference(item, &path, Some(name), names),
                None => self.shape(item, &path, Shape::Record(ARTIFACT, &["from"])),
            }
        }
    }

    /// What holds for every artifact of a variant, wherever it stands.
    fn artifacts(&mut self, place: &Node, path: &str) {
        let mut lists = vec![("copies".to_owned(), items(place, "copies"))];
        for kind in ["builder", "node", "php", "python"] {
            if let Some(builder) = place.get(kind) {
                self.builder(builder, &format!("{path}{kind}"));
                lists.push((
                    format!("{kind}.requirements"),
                    items(builder, "requirements"),
                ));
            }
        }
        for (index, listed) in items(place, "builders").iter().enumerate() {
            for (kind, builder) in listed.entries() {
                let name = format!("builders[{index}].{kind}");
                self.builder(builder, &format!("{path}{name}"));
                lists.push((
                    format!("{name}.requirements"),
                    items(builder, "requirements"),
                ));
            }
        }
        for (name, list) in lists {
            for (index, artifact) in list.iter().enumerate() {
                let path = format!("{path}{name}[{index}]");
                let text = |key: &str| artifact.get(key).and_then(Node::text);
                let (from, source) = match artifact.text() {
                    Some(_) if name == "copies" => continue,
                    Some(text) => (Some("local"), Some(text)),
                    None => (text("from"), text("source")),
                };
                let is_outside = |source: &str| source.starts_with('/') || source.starts_with("..");
                if from == Some("local") && source.is_some_and(is_outside) {
                    let message = "path must be relative when \"from\" is \"local\"";
                    self.add(artifact, &format!("{path}.source"), message);
                }
                if text("destination").is_some() && source.is_none() {
                    let message = "is required if \"destination\" is also set";
                    self.add(artifact, &format!("{path}.source"), message);
                }
            }
        }
    }

    fn builder(&mut self, builder: &Node, path: &str) {
        let has = |key: &str| builder.get(key).is_some_and(|node| !node.is_null());
        if has("command") && has("script") {
            self.add(builder, path, "has either a command or a script");
        }
    }
}

/// Whether one was meant where the other was written.
fn is_near(known: &str, written: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let (known, written) = (plain(known), plain(written));
    known == written
        || known.trim_end_matches('s') == written.trim_end_matches('s')
        || known.len().abs_diff(written.len()) < 2
            && known
                .chars()
                .zip(written.chars())
                .filter(|(a, b)| a != b)
                .count()
                < 2
}

/// What can only be said of variants that are merged.
pub(super) fn expanded(tree: &Node, document: &Map<String, Value>) -> Vec<Problem> {
    let mut checker = Checker {
        problems: Vec::new(),
    };
    let variants = tree.get("variants").map(Node::entries).unwrap_or_default();
    for (name, node) in variants {
        let path = format!("variants.{name}");
        if merge::is_circle(document, name) {
            checker.add(node, &format!("{path}.includes"), "is a circle of variants");
            continue;
        }
        let Some(variant) = merge::variant(document, name) else {
            continue;
        };
        let builders = variant.get("builders").and_then(Value::as_array);
        let builders = builders.map(Vec::as_slice).unwrap_or_default();
        if builders.is_empty() {
            continue;
        }
        let singles = ["builder", "node", "php", "python"];
        let declared: Vec<&str> = singles
            .into_iter()
            .filter(|kind| variant.contains_key(*kind))
            .collect();
        if !declared.is_empty() {
            let message = format!(
                "is not allowed if any of these are declared or included: {}",
                declared.join(", ")
            );
            checker.add(node, &format!("{path}.builders"), &message);
        }
        for kind in &singles[1..] {
            let count = builders.iter().filter(|it| it.get(kind).is_some()).count();
            if count > 1 {
                let message = format!("has more than one `{kind}`");
                checker.add(node, &format!("{path}.builders"), &message);
            }
        }
    }
    circles_of_copies(&mut checker, variants, document);
    checker.problems
}

/// Variants that copy from each other can't be built.
fn circles_of_copies(
    checker: &mut Checker,
    variants: &[(String, Node)],
    document: &Map<String, Value>,
) {
    let names: Vec<&str> = variants.iter().map(|(name, _)| name.as_str()).collect();
    let stages: Vec<_> = names
        .iter()
        .filter_map(|name| {
            let variant = merge::variant(document, name)?;
            Some(super::phases::stage(&variant, name, &names))
        })
        .collect();
    for (name, node) in variants {
        let is_built = stages.iter().any(|stage| stage.name == *name);
        if is_built && crate::plan::Plan::of(&stages, name).is_none() {
            let path = format!("variants.{name}.copies");
            checker.add(node, &path, "is a circle of variants");
        }
    }
}
