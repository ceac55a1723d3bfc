//! TOML as a tree with places.

use std::path::Path;

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::node::{Entry, Node, Tree};
use super::offset::Offsets;
use crate::problem::{Problem, Rule};

pub(super) fn read(file: &Path, text: &str) -> Result<Node, Problem> {
    let offsets = Offsets::new(file, text);
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let message = error.message().replace('\n', ", ");
        Problem::new(format!("not valid TOML: {message}"))
            .rule(Rule::Syntax)
            .at(offsets.at(&span).location())
    })?;
    let at = offsets.at(&(0..0));
    Ok(Node {
        at,
        tree: map(table.get_ref(), &offsets),
    })
}

fn map(table: &DeTable<'_>, offsets: &Offsets) -> Tree {
    let entries = table.iter().map(|(key, value)| {
        let at = offsets.at(&key.span());
        let mut value = node(value, offsets);
        // A table's own span is its header's, or all of it: its key says better where it begins.
        if matches!(value.tree, Tree::Map(_)) {
            value.at = at.clone();
        }
        Entry {
            key: key.get_ref().to_string(),
            at,
            value,
        }
    });
    Tree::Map(entries.collect())
}

fn node(value: &Spanned<DeValue<'_>>, offsets: &Offsets) -> Node {
    let tree = match value.get_ref() {
        DeValue::String(text) => Tree::Text(text.to_string()),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            number.map_or_else(
                |_| Tree::Text(integer.as_str().to_owned()),
                |number| Tree::Number(number.into()),
            )
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(Number::from_f64);
            number.map_or_else(|| Tree::Text(float.as_str().to_owned()), Tree::Number)
        }
        DeValue::Boolean(value) => Tree::Bool(*value),
        DeValue::Datetime(time) => Tree::Text(time.to_string()),
        DeValue::Array(items) => Tree::List(items.iter().map(|item| node(item, offsets)).collect()),
        DeValue::Table(table) => map(table, offsets),
    };
    Node {
        at: offsets.at(&value.span()),
        tree,
    }
}
