//! The notation of shapes in the table of kinds. Only the reader is here: the generator writes it, and whatever it writes wrongly cannot be
//! read.

use std::collections::HashMap;

use crate::schema::{ListKind, Shape, StructId};

/// Reads a shape; `None` when it is none.
///
/// A word (`string`, `int32` …), `+Type`, `[item]` an atomic list, `[item]=` a set, `[item]=a,b` a list keyed by these fields, `{value}` a
/// map, `{value}!` an atomic one.
pub(super) fn parse(text: &str, types: &HashMap<String, StructId>) -> Option<Shape> {
    if let Some(name) = text.strip_prefix('+') {
        return types.get(name).copied().map(Shape::Struct);
    }
    if let Some(list) = text.strip_prefix('[') {
        let (item, keys) = list.rsplit_once(']')?;
        return Some(Shape::List {
            item: Box::new(parse(item, types)?),
            kind: list_kind(keys)?,
        });
    }
    if let Some(map) = text.strip_prefix('{') {
        let (value, mark) = map.rsplit_once('}')?;
        return Some(Shape::Map {
            value: Box::new(parse(value, types)?),
            atomic: match mark {
                "" => false,
                "!" => true,
                _ => return None,
            },
        });
    }
    Some(match text {
        "any" => Shape::Any,
        "string" => Shape::String,
        "bytes" => Shape::Bytes,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "float" => Shape::Float,
        "bool" => Shape::Bool,
        "int-or-string" => Shape::IntOrString,
        "quantity" => Shape::Quantity,
        "time" => Shape::Time,
        "micro-time" => Shape::MicroTime,
        _ => return None,
    })
}

fn list_kind(keys: &str) -> Option<ListKind> {
    if keys.is_empty() {
        return Some(ListKind::Atomic);
    }
    let keys = keys.strip_prefix('=')?;
    Some(if keys.is_empty() {
        ListKind::Set
    } else {
        ListKind::Map(keys.split(',').map(str::to_owned).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Shape> {
        parse(text, &HashMap::from([("a.B".to_owned(), StructId(7))]))
    }

    #[test]
    fn a_list_of_a_type_is_keyed_by_what_follows_the_bracket() {
        let Some(Shape::List { item, kind }) = read("[+a.B]=port,protocol") else {
            panic!("it is a list");
        };
        assert!(matches!(*item, Shape::Struct(StructId(7))));
        assert_eq!(
            kind,
            ListKind::Map(vec!["port".to_owned(), "protocol".to_owned()])
        );
    }

    #[test]
    fn a_map_of_lists_nests() {
        let Some(Shape::Map {
            value,
            atomic: true,
        }) = read("{[string]=}!")
        else {
            panic!("it is an atomic map");
        };
        assert!(matches!(
            *value,
            Shape::List {
                kind: ListKind::Set,
                ..
            }
        ));
    }

    #[test]
    fn what_is_no_shape_is_refused() {
        for text in [
            "",
            "strin",
            "+a.C",
            "[string",
            "{int32",
            "{string}?",
            "[string]x",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
