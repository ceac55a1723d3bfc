//! From the text of a lock to its value: whatever isn't as this program writes it is a problem with its place.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Lock, LockedBase, Source, SourceKind};
use crate::conventions::{nearest, node::Entry, node::Node, node::Tree, text};
use crate::problem::{Problem, Rule};

/// The version of the form.
pub(super) const VERSION: u64 = 1;

const KEYS: [&str; 7] = [
    "ref", "source", "digest", "index", "platform", "packages", "checked",
];

impl Lock {
    /// Reads a lock; all problems at once.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        let root = text::single(file, text)?;
        let mut reader = Reader::default();
        reader.keys(&root, &["version", "bases"]);
        let version = reader.needed(&root, "version");
        if let Some(version) = version
            && version.value(false) != VERSION
        {
            let message = format!("this `mwctl` knows version {VERSION} of the lock");
            let problem = Problem::new(message).at(version.at.location());
            reader
                .problems
                .push(problem.hint("use the newer `mwctl` that wrote it"));
        }
        let mut lock = Self::default();
        for node in root.get("bases").map(Node::items).unwrap_or_default() {
            let Some(base) = reader.base(node) else {
                continue;
            };
            if lock.get(&base.reference, &base.platform).is_some() {
                let (name, platform) = (&base.reference, &base.platform);
                let message = format!("`{name}` stands twice for {platform}");
                let problem = Problem::new(message).rule(Rule::DuplicateName);
                reader.problems.push(problem.at(node.at.location()));
            }
            lock.set(base);
        }
        if let Some(bases) = root.get("bases")
            && !matches!(bases.tree, Tree::List(_))
        {
            reader.wrong(bases, "`bases` is a list");
        }
        if reader.problems.is_empty() {
            Ok(lock)
        } else {
            Err(reader.problems)
        }
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn wrong(&mut self, node: &Node, message: &str) {
        let problem = Problem::new(message).rule(Rule::WrongType);
        self.problems.push(problem.at(node.at.location()));
    }

    /// Tells of keys that aren't known.
    fn keys(&mut self, node: &Node, known: &[&str]) {
        if !matches!(node.tree, Tree::Map(_)) {
            self.wrong(node, "this is a map");
        }
        for Entry { key, at, .. } in node.entries() {
            if !known.contains(&key.as_str()) {
                let mut problem = Problem::new(format!("unknown key `{key}`"));
                problem.hint = nearest::hint(key, known.iter().copied());
                let problem = problem.rule(Rule::UnknownKey).at(at.location());
                self.problems.push(problem);
            }
        }
    }

    fn needed<'a>(&mut self, node: &'a Node, key: &str) -> Option<&'a Node> {
        let found = node.get(key);
        if found.is_none() {
            let problem = Problem::new(format!("`{key}` is missing"));
            let problem = problem.rule(Rule::MissingKey).at(node.at.location());
            self.problems.push(problem);
        }
        found
    }

    /// A text that keeps a rule.
    fn text(
        &mut self,
        node: &Node,
        key: &str,
        fits: impl Fn(&str) -> bool,
        what: &str,
    ) -> Option<String> {
        let value = self.needed(node, key)?;
        match value.text() {
            Some(text) if fits(text) => Some(text.to_owned()),
            _ => {
                let message = format!("`{key}` is no {what}");
                self.problems
                    .push(Problem::new(message).at(value.at.location()));
                None
            }
        }
    }

    fn base(&mut self, node: &Node) -> Option<LockedBase> {
        self.keys(node, &KEYS);
        let reference = self.text(node, "ref", |it| !it.is_empty(), "image reference");
        let source = self.source(node);
        let digest = self.text(node, "digest", is_digest, "SHA-256 digest");
        let index = match node.get("index") {
            Some(_) => self.text(node, "index", is_digest, "SHA-256 digest"),
            None => None,
        };
        let platform = self.text(node, "platform", is_platform, "platform like `linux/amd64`");
        let packages = self.packages(node);
        let checked = self.text(node, "checked", is_time, "time like `2026-11-23T19:00:00Z`");
        Some(LockedBase {
            reference: reference?,
            source: source?,
            digest: digest?,
            index,
            platform: platform?,
            packages,
            checked: checked?,
            place: node.get("digest").map(|digest| digest.at.location()),
        })
    }

    fn source(&mut self, node: &Node) -> Option<Source> {
        let source = self.needed(node, "source")?;
        self.keys(source, &["kind", "from"]);
        let named = |name: &str| SourceKind::ALL.into_iter().find(|it| it.name() == name);
        let kind = self.text(source, "kind", |it| named(it).is_some(), "kind of source")?;
        let from = match source.get("from") {
            Some(_) => self.text(source, "from", |_| true, "text")?,
            None => String::new(),
        };
        Some(Source {
            kind: named(&kind)?,
            from,
        })
    }

    fn packages(&mut self, node: &Node) -> BTreeMap<String, String> {
        let Some(packages) = node.get("packages") else {
            return BTreeMap::new();
        };
        if !matches!(packages.tree, Tree::Map(_)) {
            self.wrong(packages, "`packages` is a map of names to versions");
        }
        let mut found = BTreeMap::new();
        for entry in packages.entries() {
            match entry.value.text() {
                Some(version) => drop(found.insert(entry.key.clone(), version.to_owned())),
                None => self.wrong(&entry.value, "a version is a text in quotes"),
            }
        }
        found
    }
}

fn is_digest(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:")
        .is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex))
}

fn is_platform(text: &str) -> bool {
    text.strip_prefix("linux/").is_some_and(|architecture| {
        !architecture.is_empty() && architecture.bytes().all(|it| it.is_ascii_alphanumeric())
    })
}

/// By its form alone: nothing depends on the time.
fn is_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00Z";
    text.len() == form.len()
        && text
            .bytes()
            .zip(form.bytes())
            .all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == form,
            })
}
