//! Reads a text into nodes: YAML with several documents, or JSON.
//!
//! Whatever is wrong with the text as such (syntax, a key given twice, an alias that explodes) becomes a
//! located problem here. It never panics and its work is bounded whatever the text.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_yaml::{DuplicateKeyPolicy, Error, MessageFormatter, Spanned, UserMessageFormatter};

use super::node::{At, Entry, Node, Source, Tree};
use crate::problem::{Problem, Rule};

/// The largest text that is read; a configuration that is larger is a mistake.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// How many nodes aliases may add.
const MAX_ALIAS_NODES: usize = 100_000;

/// Reads all documents of a YAML text. A syntax error ends the reading; what stood before it counts.
pub(crate) fn documents(file: &Path, text: &str) -> (Vec<Node>, Vec<Problem>) {
    let source = Source::new(file, text.trim_start_matches('\u{feff}'));
    let mut problems = Vec::new();
    let mut nodes = Vec::new();
    if text.len() > MAX_BYTES {
        problems.push(too_large(text.len()).at(At::start(&source).location()));
        return (nodes, problems);
    }
    let options = serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: MAX_ALIAS_NODES },
    };
    let mut bytes = source.text.as_bytes();
    for document in serde_yaml::read_with_options::<_, Spanned<Raw>>(&mut bytes, options) {
        match document {
            Ok(raw) => nodes.push(node(raw, &source, &mut problems)),
            Err(error) => problems.push(syntax(&error, &source)),
        }
    }
    (nodes, problems)
}

pub(crate) fn too_large(bytes: usize) -> Problem {
    Problem::new(format!(
        "the file has {} MiB; at most 16 are read",
        bytes >> 20
    ))
    .rule(Rule::TooLarge)
}

/// Reads one value of JSON or YAML, told apart by the file's name. An empty text is an empty map.
pub(crate) fn single(file: &Path, text: &str) -> Result<Node, Vec<Problem>> {
    let text = text.trim_start_matches('\u{feff}');
    if file
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        return json(file, text).map_err(|problem| vec![problem]);
    }
    let (mut nodes, mut problems) = documents(file, text);
    if let Some(second) = nodes.get(1) {
        let problem =
            Problem::new("only one document is expected in this file").rule(Rule::Document);
        problems.push(problem.at(second.at.location()));
    }
    if problems.is_empty() {
        let start = At::start(&Source::new(file, text));
        Ok(nodes.pop().unwrap_or_else(|| Node::empty(start)))
    } else {
        Err(problems)
    }
}

fn json(file: &Path, text: &str) -> Result<Node, Problem> {
    let source = Source::new(file, text);
    let mut at = At::start(&source);
    let value: Value = serde_json::from_str(text).map_err(|error| {
        (at.line, at.column) = (error.line().max(1), error.column().max(1));
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        Problem::new(format!("not valid JSON: {message}"))
            .rule(Rule::Syntax)
            .at(at.location())
    })?;
    // JSON is YAML but for tabs between its tokens; inside its strings a tab is illegal. Only this
    // reading knows places, and where it fails after all, the value is what matters.
    let (mut nodes, problems) = documents(file, &text.replace('\t', " "));
    match nodes.pop() {
        Some(node) if problems.is_empty() => Ok(node),
        _ => Ok(Node::from_value(&value, &At::start(&source))),
    }
}

fn place(location: serde_yaml::Location, source: &Arc<Source>) -> At {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).max(1);
    At {
        source: Arc::clone(source),
        line: number(location.line()),
        column: number(location.column()),
        length: usize::try_from(location.span().len()).unwrap_or(0),
    }
}

fn syntax(error: &Error, source: &Arc<Source>) -> Problem {
    let mut error = error.without_snippet();
    let mut location = error.location();
    while let Error::AliasError { error: inner, .. } = error {
        error = inner.without_snippet();
        location = location.or_else(|| error.location());
    }
    let mut at = location.map_or_else(|| At::start(source), |it| place(it, source));
    at.length = 0;
    let line = source.text.lines().nth(at.line - 1).unwrap_or_default();
    let indent = line.len() - line.trim_start().len();
    let (rule, message, hint) = match error {
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => (
            Rule::TooLarge,
            "the document grows too large or too deep to be read".to_owned(),
            Some("write out what the anchors stand for, or use fewer of them"),
        ),
        Error::UnknownAnchor { .. } => (
            Rule::UnknownName,
            "the alias names an anchor that isn't defined above it".to_owned(),
            Some("define it with `&name` first, or quote a text that starts with `*`"),
        ),
        _ if line[..indent].contains('\t') => (
            Rule::Syntax,
            "a tab can't indent YAML".to_owned(),
            Some("indent with spaces"),
        ),
        other
            if UserMessageFormatter
                .format_message(other)
                .contains("recursion limit") =>
        {
            (
                Rule::TooLarge,
                "the document is nested too deep to be read".to_owned(),
                None,
            )
        }
        other => {
            let message = UserMessageFormatter.format_message(other);
            (
                Rule::Syntax,
                format!("not valid YAML: {}", message.escape_debug()),
                None,
            )
        }
    };
    let problem = Problem::new(message).rule(rule).at(at.location());
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

fn node(raw: Spanned<Raw>, source: &Arc<Source>, problems: &mut Vec<Problem>) -> Node {
    let at = place(raw.referenced, source);
    let tree = match raw.value {
        Raw::Scalar(tree) => tree,
        Raw::List(items) => Tree::List(
            items
                .into_iter()
                .map(|item| node(item, source, problems))
                .collect(),
        ),
        Raw::Map(pairs) => match entries(pairs, source, problems) {
            Some(entries) => Tree::Map(entries),
            // A template without quotes was meant: it is reported once, and then taken as one.
            None => Tree::Text("{{ }}".to_owned()),
        },
    };
    Node { at, tree }
}

fn entries(
    pairs: Vec<(Spanned<Key>, Spanned<Raw>)>,
    source: &Arc<Source>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::with_capacity(pairs.len());
    let mut lines = std::collections::HashMap::new();
    for (key, value) in pairs {
        let (key_at, referenced) = (key.defined, key.referenced);
        let at = place(referenced, source);
        let Key::Text(key) = key.value else {
            let problem = Problem::new("a key must be a text, not a map or list")
                .rule(Rule::WrongType)
                .hint("put a template into quotes: `\"{{ … }}\"`");
            problems.push(problem.at(at.location()));
            return None;
        };
        let value = node(value, source, problems);
        if let Some(line) = lines.insert(key.clone(), at.line) {
            // Through an alias it is the same mistake once more.
            if key_at != referenced {
                continue;
            }
            let message = format!("the key `{key}` is given twice");
            let hint = format!("it stands first in line {line}");
            problems.push(
                Problem::new(message)
                    .rule(Rule::DuplicateKey)
                    .hint(hint)
                    .at(at.location()),
            );
            continue;
        }
        entries.push(Entry { key, at, value });
    }
    Some(entries)
}

/// A value as the parser gives it, before its place is worked out.
enum Raw {
    Scalar(Tree),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Key>, Spanned<Raw>)>),
}

enum Key {
    Text(String),
    Other,
}

struct RawVisitor;

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Tree::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Tree::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Tree::Number(value.into())))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Scalar(Tree::Text(value.to_string())))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Scalar(Tree::Text(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        let number = Number::from_f64(value).map(Tree::Number);
        Ok(Raw::Scalar(
            number.unwrap_or_else(|| Tree::Text(value.to_string())),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Tree::Text(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Tree::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Tree::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = access.next_entry()? {
            pairs.push(pair);
        }
        Ok(Raw::Map(pairs))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(RawVisitor)? {
            Raw::Scalar(Tree::Text(text)) => Self::Text(text),
            Raw::Scalar(Tree::Bool(value)) => Self::Text(value.to_string()),
            Raw::Scalar(Tree::Number(value)) => Self::Text(value.to_string()),
            Raw::Scalar(Tree::Null) => Self::Text("null".to_owned()),
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests;
