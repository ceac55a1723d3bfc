//! Turns what the JSON Schema refuses into our own sentences at the right place.
//!
//! An unknown key is reported at the key, a wrong value at the value, a missing key at the map that
//! lacks it.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Violation};
use serde_json::Value;

use super::node::{At, Node, Tree};
use super::{nearest, schema};
use crate::problem::{Problem, Rule};

pub(crate) fn problems(error: &ValidationError<'_>, tree: &Node) -> Vec<Problem> {
    let pointer = error.instance_path().as_str();
    let place = tree.place(pointer).location();
    let subject = subject(pointer);
    let of = |rule, message: String| vec![Problem::new(message).rule(rule).at(place.clone())];
    let problem = |message: String| of(Rule::Value, message);
    match error.kind() {
        Violation::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|key| unknown_key(key, pointer, error, tree))
            .collect(),
        Violation::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            let message = match pointer {
                "" => format!("`{key}` is missing"),
                _ => format!("{subject} lacks `{key}`"),
            };
            of(Rule::MissingKey, message)
        }
        Violation::Type { kind } => {
            let found = tree
                .pointer(pointer)
                .map_or("nothing", |node| kind_of(&node.tree));
            of(
                Rule::WrongType,
                format!("{subject} must be {}, not {found}", expected(kind)),
            )
        }
        Violation::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            one_of(error, &subject, options, &place)
        }
        Violation::OneOfNotValid { .. } | Violation::AnyOf { .. } => {
            let options = constants(error);
            one_of(error, &subject, &options, &place)
        }
        Violation::Constant { expected_value } => {
            problem(format!("{subject} must be `{}`", plain(expected_value)))
        }
        Violation::Pattern { .. } => vec![
            Problem::new(format!("{subject} must be a whole number"))
                .rule(Rule::WrongType)
                .hint("write it without quotes, or as one template such as `\"{{ facts.port }}\"`")
                .at(place.clone()),
        ],
        Violation::Minimum { limit } => problem(format!("{subject} must be at least {limit}")),
        Violation::Maximum { limit } => problem(format!("{subject} must be at most {limit}")),
        other => problem(format!("{subject} isn't valid here: {}", other.keyword())),
    }
}

/// A key that isn't known.
pub(crate) struct Misspelt {
    /// The map it stands in, as a JSON pointer.
    pub(crate) map: String,
    /// The key as it is written.
    pub(crate) key: String,
    /// The key that was probably meant.
    pub(crate) meant: Option<String>,
}

/// The keys that a violation is about, if it is about unknown ones.
pub(crate) fn misspelt(error: &ValidationError<'_>, tree: &Node) -> Vec<Misspelt> {
    let Violation::AdditionalProperties { unexpected } = error.kind() else {
        return Vec::new();
    };
    let pointer = error.instance_path().as_str();
    let known = vacant(pointer, error, tree);
    let meant = |key: &str| nearest::nearest(key, &known).map(ToOwned::to_owned);
    let keys = unexpected.iter().map(|key| Misspelt {
        map: pointer.to_owned(),
        key: key.clone(),
        meant: meant(key),
    });
    keys.collect()
}

fn unknown_key(key: &str, pointer: &str, error: &ValidationError<'_>, tree: &Node) -> Problem {
    let map = tree.pointer(pointer).unwrap_or(tree);
    let at: &At = map.entry(key).map_or(&map.at, |entry| &entry.at);
    let mut problem = Problem::new(format!("unknown key `{key}`"))
        .rule(Rule::UnknownKey)
        .at(at.location());
    problem.hint = nearest::hint(key, vacant(pointer, error, tree));
    problem
}

/// The keys that the map at `pointer` may have and doesn't.
fn vacant(pointer: &str, error: &ValidationError<'_>, tree: &Node) -> Vec<&'static str> {
    let map = tree.pointer(pointer).unwrap_or(tree);
    let refused = error.schema_path().as_str();
    let parent = refused.rsplit_once('/').map_or("", |(parent, _)| parent);
    let known = schema::root()
        .pointer(&format!("{parent}/properties"))
        .and_then(Value::as_object);
    let keys = known.into_iter().flat_map(serde_json::Map::keys);
    keys.map(String::as_str)
        .filter(|word| map.entry(word).is_none())
        .collect()
}

fn one_of(
    error: &ValidationError<'_>,
    subject: &str,
    options: &[Value],
    place: &crate::problem::Location,
) -> Vec<Problem> {
    let found = plain(error.instance());
    let mut problem = Problem::new(format!("{subject} can't be `{found}`")).at(place.clone());
    problem.hint = nearest::hint(&found, options.iter().filter_map(Value::as_str));
    vec![problem]
}

/// The fixed values among the alternatives at the place of the schema that refused.
fn constants(error: &ValidationError<'_>) -> Vec<Value> {
    let branches = schema::root().pointer(error.schema_path().as_str());
    let branches = branches
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    branches
        .iter()
        .filter_map(|branch| branch.get("const").cloned())
        .collect()
}

/// The last step of a pointer as a person would name it: the key, or which item of which list.
fn subject(pointer: &str) -> String {
    let steps: Vec<_> = super::node::steps(pointer).collect();
    match steps.as_slice() {
        [] => "the document".to_owned(),
        [.., list, index] if index.parse::<usize>().is_ok() => {
            let number = index.parse::<usize>().unwrap_or_default() + 1;
            format!("item {number} of `{list}`")
        }
        [.., key] => format!("`{key}`"),
    }
}

fn expected(kind: &TypeKind) -> String {
    let mut words: Vec<&str> = match kind {
        TypeKind::Single(kind) => vec![word(&kind.to_string())],
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| word(&kind.to_string())).collect(),
    };
    if words.contains(&"a text") && words.contains(&"a number") {
        words = vec!["a single value"];
    }
    words.join(" or ")
}

fn word(kind: &str) -> &'static str {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a map",
        _ => "empty",
    }
}

/// What a value is, in the words of a sentence.
pub(crate) fn kind_of(tree: &Tree) -> &'static str {
    match tree {
        Tree::Null => "empty",
        Tree::Bool(_) => "a truth value",
        Tree::Number(number) if number.is_f64() => "a fraction",
        Tree::Number(_) => "a number",
        Tree::Text(_) => "a text",
        Tree::List(_) => "a list",
        Tree::Map(_) => "a map",
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
