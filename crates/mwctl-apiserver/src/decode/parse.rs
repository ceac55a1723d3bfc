//! Bodies as they are written: keys that stand there twice are kept, so that they can be told of. Nothing is known of kinds here but
//! where an object writes its own.

use std::collections::HashSet;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::syntax;
use crate::schema::Gvk;

/// A value as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Neither a list nor an object.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// An object in the order of writing, doubled keys and all.
    Object(Vec<(String, Node)>),
}

/// Parses JSON; the error is Go's.
pub(super) fn json(text: &[u8]) -> Result<Node, String> {
    serde_json::from_slice(text)
        .map_err(|error| syntax::complaint(text).unwrap_or_else(|| error.to_string()))
}

impl Node {
    /// What Go calls it in `cannot unmarshal array`.
    pub(super) fn json_name(&self) -> &'static str {
        match self {
            Self::Scalar(Value::Null) => "null",
            Self::Scalar(Value::Bool(_)) => "bool",
            Self::Scalar(Value::Number(_)) => "number",
            Self::Scalar(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Tells of keys that are there twice, wherever they are.
    pub(super) fn doubled(&self, path: &str, complaints: &mut Vec<String>) {
        match self {
            Self::Scalar(_) => {}
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.doubled(&format!("{path}[{index}]"), complaints);
                }
            }
            Self::Object(entries) => {
                let mut seen = HashSet::new();
                for (key, value) in entries {
                    let below = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    if !seen.insert(key) && complaints.len() < super::MOST_COMPLAINTS {
                        complaints.push(format!("duplicate field \"{below}\""));
                    }
                    value.doubled(&below, complaints);
                }
            }
        }
    }

    /// The same without doubled keys: the last one counts.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Scalar(value) => value,
            Self::List(items) => items.into_iter().map(Self::into_value).collect(),
            Self::Object(entries) => entries
                .into_iter()
                .map(|(key, value)| (key, value.into_value()))
                .collect(),
        }
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(map) => Self::Object(
                map.into_iter()
                    .map(|(key, value)| (key, Self::from(value)))
                    .collect(),
            ),
            scalar => Self::Scalar(scalar),
        }
    }
}

/// What an object says of itself.
#[derive(Debug, Default)]
pub(super) struct Meta {
    api_version: String,
    kind: String,
}

impl Meta {
    /// Reads `apiVersion` and `kind`; the error is Go's.
    pub(super) fn of(node: &Node) -> Result<Self, String> {
        let mut meta = Self::default();
        let entries = match node {
            Node::Object(entries) => entries,
            Node::Scalar(Value::Null) => return Ok(meta),
            other => {
                return Err(format!(
                    r#"json: cannot unmarshal {} into Go value of type struct {{ APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }}"#,
                    other.json_name()
                ));
            }
        };
        for (key, value) in entries {
            let place = match key.as_str() {
                "apiVersion" => &mut meta.api_version,
                "kind" => &mut meta.kind,
                _ => continue,
            };
            match value {
                Node::Scalar(Value::String(text)) => place.clone_from(text),
                Node::Scalar(Value::Null) => {}
                other => {
                    return Err(format!(
                        "json: cannot unmarshal {} into Go struct field .{key} of type string",
                        other.json_name()
                    ));
                }
            }
        }
        Ok(meta)
    }

    /// The kind, with the expected one's parts where something is left out.
    pub(super) fn gvk(self, expected: &Gvk) -> Result<Gvk, String> {
        let kind = if self.kind.is_empty() {
            expected.kind.clone()
        } else {
            self.kind
        };
        let mut parts = self.api_version.split('/');
        let (group, version) = match (parts.next(), parts.next(), parts.next()) {
            (Some("") | None, None, _) => (expected.group.as_str(), expected.version.as_str()),
            (Some(version), None, _) => ("", version),
            (Some(group), Some(version), None) => (group, version),
            _ => {
                return Err(format!(
                    "unexpected GroupVersion string: {}",
                    self.api_version
                ));
            }
        };
        Ok(Gvk {
            group: group.to_owned(),
            version: version.to_owned(),
            kind,
        })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Node;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(
            Number::from_f64(value).map_or(Value::Null, Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Scalar(Value::String(value)))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Object(entries))
    }
}
