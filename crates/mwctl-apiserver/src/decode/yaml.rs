//! YAML as Go reads it: of keys that stand there twice the last one counts, and a strict reader names the line of every value after the first.
//! Nothing is known of kinds here.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Spanned};

use super::MOST_COMPLAINTS;
use super::parse::Node;

/// What a complaint about doubled keys begins with.
pub(super) const DOUBLED: &str = "yaml: unmarshal errors:";

/// What a text in YAML, or in JSON, which is a part of it, says.
#[derive(Debug)]
pub(super) struct Read {
    /// Its value, without doubled keys.
    pub(super) node: Node,
    /// What a strict reader complains of.
    pub(super) doubled: Option<String>,
}

/// Reads one document; the error is what Go would begin its own with.
pub(super) fn read(text: &[u8]) -> Result<Read, String> {
    // Nearly all that comes is JSON, which is read much faster.
    let json = serde_json::from_slice::<Node>(text).ok();
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let node = json.map_or_else(|| parse(text), Ok)?;
    let mut paths = Vec::new();
    node.doubled("", &mut paths);
    if paths.is_empty() {
        let doubled = None;
        return Ok(Read { node, doubled });
    }
    Ok(Read {
        doubled: Some(complaint(&parse::<Doubled>(text)?.0)),
        node: Node::from(node.into_value()),
    })
}

fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, String> {
    let options = serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| format!("yaml: {error}"))
}

fn complaint(doubled: &[(u64, String)]) -> String {
    let mut told = DOUBLED.to_owned();
    for (line, key) in doubled.iter().take(MOST_COMPLAINTS) {
        // Writing to a text doesn't fail.
        let _ = write!(told, "\n  line {line}: key {key:?} already set in map");
    }
    told
}

/// The keys that were there before, with the lines of their values, inner ones first.
struct Doubled(Vec<(u64, String)>);

impl<'de> Deserialize<'de> for Doubled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Collector)
    }
}

struct Collector;

impl<'de> Visitor<'de> for Collector {
    type Value = Doubled;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Doubled, E> {
        Ok(Doubled(Vec::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Doubled, E> {
        Ok(Doubled(Vec::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Doubled, E> {
        Ok(Doubled(Vec::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Doubled, E> {
        Ok(Doubled(Vec::new()))
    }

    fn visit_str<E>(self, _: &str) -> Result<Doubled, E> {
        Ok(Doubled(Vec::new()))
    }

    fn visit_unit<E>(self) -> Result<Doubled, E> {
        Ok(Doubled(Vec::new()))
    }

    fn visit_none<E>(self) -> Result<Doubled, E> {
        Ok(Doubled(Vec::new()))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Doubled, D::Error> {
        Doubled::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Doubled, A::Error> {
        let mut all = Vec::new();
        while let Some(below) = access.next_element::<Doubled>()? {
            all.extend(below.0);
        }
        Ok(Doubled(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Doubled, A::Error> {
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        while let Some((key, below)) = access.next_entry::<String, Spanned<Doubled>>()? {
            all.extend(below.value.0);
            if seen.contains(&key) {
                all.push((below.referenced.line(), key));
            } else {
                seen.insert(key);
            }
        }
        Ok(Doubled(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_doubled_keys_the_last_one_counts_and_each_is_told_with_its_line() {
        let text =
            b"data:\n  a: 1\n  b: 1\n  a: 2\n  b:\n    c: 1\n    c: 2\nlist:\n- x: 1\n  x: 2\n";
        let read = read(text).unwrap();
        let expected = json!({"data": {"a": 2, "b": {"c": 2}}, "list": [{"x": 2}]});
        assert_eq!(read.node.into_value(), expected);
        assert_eq!(
            read.doubled.unwrap(),
            "yaml: unmarshal errors:\n  line 4: key \"a\" already set in map\n  line 7: key \"c\" already set in map\
             \n  line 6: key \"b\" already set in map\n  line 10: key \"x\" already set in map"
        );
    }

    #[test]
    fn what_is_there_once_is_no_complaint() {
        assert_eq!(
            read(b"{\"a\": {\"a\": [1, null, true]}}").unwrap().doubled,
            None
        );
        assert!(read(b"a: [").is_err());
    }
}
