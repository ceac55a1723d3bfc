//! A structural schema as a tree: the parts that Kubernetes gives a meaning, and nothing else of `OpenAPI`.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Number, Value};

use crate::schema::ListKind;

/// A schema of one value.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a mark of its own in the schema, and none excludes another"
)]
#[derive(Debug, Default, Clone)]
pub(super) struct Node {
    /// `object`, `array`, `string` …; empty where any type will do.
    pub(super) kind: String,
    pub(super) format: String,
    pub(super) nullable: bool,
    pub(super) int_or_string: bool,
    /// Undeclared fields are kept.
    pub(super) open: bool,
    /// A whole object of some kind stands here.
    pub(super) embedded: bool,
    pub(super) default: Option<Value>,
    pub(super) properties: BTreeMap<String, Node>,
    pub(super) required: Vec<String>,
    /// What every undeclared field must be like.
    pub(super) additional: Option<Box<Node>>,
    pub(super) items: Option<Box<Node>>,
    pub(super) list: ListKind,
    /// Owned as a whole.
    pub(super) atomic: bool,
    pub(super) limits: Limits,
    pub(super) all_of: Vec<Node>,
    pub(super) any_of: Vec<Node>,
    pub(super) one_of: Vec<Node>,
    pub(super) not: Option<Box<Node>>,
    rules: bool,
}

/// What a value may be.
#[derive(Debug, Default, Clone)]
pub(super) struct Limits {
    pub(super) values: Vec<Value>,
    pub(super) minimum: Option<Number>,
    pub(super) above_minimum: bool,
    pub(super) maximum: Option<Number>,
    pub(super) below_maximum: bool,
    pub(super) multiple_of: Option<Number>,
    pub(super) length: (Option<u64>, Option<u64>),
    pub(super) count: (Option<u64>, Option<u64>),
    pub(super) fields: (Option<u64>, Option<u64>),
    pub(super) pattern: Option<Regex>,
}

/// The version of a definition that is served.
pub(super) fn served(definition: &Value) -> Option<&Value> {
    let versions = definition["spec"]["versions"].as_array()?;
    versions.iter().find(|version| version["served"] == true)
}

impl Node {
    /// Reads a schema. What isn't understood is no rule.
    pub(super) fn read(schema: &Value) -> Self {
        let text = |field: &str| schema[field].as_str().unwrap_or_default().to_owned();
        let flag = |field: &str| schema[field] == true;
        let one = |field: &str| {
            schema[field]
                .as_object()
                .map(|_| Box::new(Self::read(&schema[field])))
        };
        let many = |field: &str| {
            schema[field]
                .as_array()
                .into_iter()
                .flatten()
                .map(Self::read)
                .collect()
        };
        let properties = schema["properties"].as_object().into_iter().flatten();
        Self {
            kind: text("type"),
            format: text("format"),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            open: flag("x-kubernetes-preserve-unknown-fields")
                || schema["additionalProperties"] == true,
            embedded: flag("x-kubernetes-embedded-resource"),
            default: schema.get("default").cloned(),
            properties: properties
                .map(|(name, schema)| (name.clone(), Self::read(schema)))
                .collect(),
            required: texts(&schema["required"]),
            additional: one("additionalProperties"),
            items: one("items"),
            list: match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => ListKind::Set,
                Some("map") => ListKind::Map(texts(&schema["x-kubernetes-list-map-keys"])),
                _ => ListKind::Atomic,
            },
            atomic: schema["x-kubernetes-map-type"] == "atomic",
            limits: Limits::read(schema),
            all_of: many("allOf"),
            any_of: many("anyOf"),
            one_of: many("oneOf"),
            not: one("not"),
            rules: schema["x-kubernetes-validations"]
                .as_array()
                .is_some_and(|rules| !rules.is_empty()),
        }
    }

    /// Whether it has rules in CEL somewhere.
    pub(super) fn has_rules(&self) -> bool {
        let below = self
            .properties
            .values()
            .chain(self.additional.as_deref())
            .chain(self.items.as_deref());
        self.rules || below.into_iter().any(Self::has_rules)
    }

    /// The schema of a field.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }
}

impl Limits {
    fn read(schema: &Value) -> Self {
        let number = |field: &str| schema[field].as_number().cloned();
        let range = |least: &str, most: &str| (schema[least].as_u64(), schema[most].as_u64());
        Self {
            values: schema["enum"].as_array().cloned().unwrap_or_default(),
            minimum: number("minimum"),
            above_minimum: schema["exclusiveMinimum"] == true,
            maximum: number("maximum"),
            below_maximum: schema["exclusiveMaximum"] == true,
            multiple_of: number("multipleOf"),
            length: range("minLength", "maxLength"),
            count: range("minItems", "maxItems"),
            fields: range("minProperties", "maxProperties"),
            pattern: schema["pattern"]
                .as_str()
                .and_then(|pattern| Regex::new(pattern).ok()),
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
