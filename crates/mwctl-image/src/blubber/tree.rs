//! A YAML text as a tree whose nodes know their places.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_yaml::{DuplicateKeyPolicy, Spanned};

use crate::plan::Problem;

/// A configuration that is larger is a mistake.
const MOST: usize = 4 << 20;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub line: usize,
    pub column: usize,
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Null,
    Flag(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A value before its place is known.
enum Raw {
    Scalar(Kind),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(String, Spanned<Raw>)>),
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Node, Problem> {
    if text.len() > MOST {
        return Err(Problem::new(1, "the file has more than 4 MiB"));
    }
    let options = serde_yaml::options! {
        // `y` and `on` are texts.
        strict_booleans: true,
        with_snippet: false,
        // Told in our own words.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
    };
    let raw =
        serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options).map_err(|error| {
            let place = error.location();
            let message = error.without_snippet().to_string();
            let mut problem = Problem::new(1, format!("not valid YAML: {message}"));
            if let Some(place) = place {
                problem.line = usize::try_from(place.line()).unwrap_or(1);
                problem.column = usize::try_from(place.column()).unwrap_or(1);
            }
            problem
        })?;
    let node = node(raw);
    match given_twice(&node) {
        Some(problem) => Err(problem),
        None => Ok(node),
    }
}

/// The first key that a map has twice.
fn given_twice(node: &Node) -> Option<Problem> {
    for (index, (key, value)) in node.entries().iter().enumerate() {
        let mut before = node.entries()[..index].iter();
        if let Some((_, first)) = before.find(|(known, _)| known == key) {
            let mut problem = Problem::new(value.line, format!("`{key}` is given twice"));
            problem.column = value.column;
            return Some(problem.hint(format!(
                "leave one out; the first is in line {}",
                first.line
            )));
        }
    }
    let below = node.entries().iter().map(|(_, value)| value);
    below.chain(node.items()).find_map(given_twice)
}

fn node(raw: Spanned<Raw>) -> Node {
    let number = |value: u64| usize::try_from(value).unwrap_or(0);
    let place = raw.referenced;
    Node {
        line: number(place.line()),
        column: number(place.column()),
        kind: match raw.value {
            Raw::Scalar(kind) => kind,
            Raw::List(items) => Kind::List(items.into_iter().map(node).collect()),
            Raw::Map(pairs) => {
                let pairs = pairs.into_iter().map(|(key, value)| (key, node(value)));
                Kind::Map(pairs.collect())
            }
        },
    }
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Kind::Map(pairs) = &self.kind else {
            return None;
        };
        let (_, value) = pairs.iter().find(|(known, _)| known == key)?;
        Some(value)
    }

    /// The entries of a map; none of anything else.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match &self.kind {
            Kind::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The value without places.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Flag(flag) => Value::Bool(*flag),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Map(pairs) => {
                let pairs = pairs.iter().map(|(key, node)| (key.clone(), node.value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Kind::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Kind::Null))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Kind::Flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Kind::Number(number.into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Kind::Number(number.into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        let number = Number::from_f64(number);
        Ok(Raw::Scalar(number.map_or(Kind::Null, Kind::Number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Kind::Text(text.to_owned())))
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
