//! What an object becomes when another one is applied to it, before anybody's fields are taken away.
//!
//! Maps merge by field, sets and keyed lists by item, everything else is the applied value. Nothing that is only in the live object goes.

use super::item;
use super::typed::{Class, Type};
use serde_json::Value;
use std::collections::HashMap;

/// Merges `applied` into `live`.
pub(super) fn merge(ty: Type<'_>, live: &mut Value, applied: &Value) {
    match (ty.class(applied), &mut *live, applied) {
        (Class::Map, Value::Object(live), Value::Object(applied)) => {
            for (name, value) in applied {
                match live.get_mut(name) {
                    Some(live) => merge(ty.field_or_any(name), live, value),
                    None => {
                        live.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (class @ (Class::Set | Class::Keyed(_)), Value::Array(live), Value::Array(applied)) => {
            merge_items(ty, class, live, applied);
        }
        _ => applied.clone_into(live),
    }
}

fn merge_items(ty: Type<'_>, class: Class<'_>, live: &mut Vec<Value>, applied: &[Value]) {
    let name = |item: &Value| item::name(ty, class, item).unwrap_or_default();
    // An item that is applied too is taken out of its place, which stays and shows where it stood.
    let mut present: Vec<(String, Option<Value>)> = std::mem::take(live)
        .into_iter()
        .map(|item| (name(&item), Some(item)))
        .collect();
    let mut places: HashMap<&str, Vec<usize>> = HashMap::with_capacity(present.len());
    for (place, (name, _)) in present.iter().enumerate() {
        places.entry(name).or_default().push(place);
    }
    let names: Vec<String> = applied.iter().map(name).collect();
    let shared: Vec<Vec<usize>> = names
        .iter()
        .map(|name| places.remove(name.as_str()).unwrap_or_default())
        .collect();
    let wanted: Vec<Wanted<'_>> = names
        .iter()
        .zip(applied)
        .zip(shared)
        .map(|((name, value), places)| {
            // Only other writes than an apply make two items of one name; the first is the one that is meant, and the others go.
            let mut there = places.iter().filter_map(|place| present[*place].1.take());
            let first = there.next();
            there.for_each(drop);
            Wanted {
                name,
                shared: first.is_some(),
                value: match first {
                    Some(mut item) if class != Class::Set => {
                        merge(ty.item(), &mut item, value);
                        item
                    }
                    _ => value.clone(),
                },
            }
        })
        .collect();
    *live = weave(present, wanted);
}

/// An applied item, merged with what was there.
struct Wanted<'n> {
    name: &'n str,
    /// It was there.
    shared: bool,
    value: Value,
}

/// Brings two lists in one order: applied items in the applied order, and live ones that nobody applied where they stood among them.
///
/// A cursor walks what was there. Before an applied item is placed, the cursor goes on to where the next shared one stood.
fn weave(present: Vec<(String, Option<Value>)>, wanted: Vec<Wanted<'_>>) -> Vec<Value> {
    let mut woven = Vec::with_capacity(present.len() + wanted.len());
    let turns: Vec<&str> = wanted
        .iter()
        .filter(|item| item.shared)
        .map(|item| item.name)
        .collect();
    let mut turns = turns.into_iter().peekable();
    let mut present = present.into_iter().peekable();
    for item in wanted {
        let turn = turns.peek().copied();
        while let Some((_, unapplied)) = present.next_if(|(name, _)| Some(name.as_str()) != turn) {
            woven.extend(unapplied);
        }
        if item.shared {
            turns.next();
            present.next();
        }
        woven.push(item.value);
    }
    woven.extend(present.filter_map(|(_, unapplied)| unapplied));
    woven
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Field, ListKind, Schema, Shape, Struct, StructId};
    use serde_json::json;

    fn schema() -> Schema {
        let list = |kind| Field {
            shape: Shape::List {
                item: Box::new(Shape::Any),
                kind,
            },
            ..Field::default()
        };
        let fields = [
            ("set", list(ListKind::Set)),
            ("keyed", list(ListKind::Map(vec!["k".to_owned()]))),
            ("whole", list(ListKind::Atomic)),
        ];
        let fields = fields
            .into_iter()
            .map(|(name, field)| (name.to_owned(), field));
        Schema {
            structs: vec![Struct {
                fields: fields.collect(),
                ..Struct::default()
            }],
            ..Schema::default()
        }
    }

    fn merged(mut live: Value, applied: &Value) -> Value {
        let schema = schema();
        merge(Type::root(&schema, Some(StructId(0))), &mut live, applied);
        live
    }

    #[test]
    fn the_applied_order_wins_and_the_rest_keeps_its_place() {
        for (live, applied, expected) in [
            ("abc", "cxa", "bcxa"),
            ("abcd", "cax", "bcdax"),
            ("abc", "xb", "axbc"),
            ("abc", "x", "abcx"),
            ("abc", "cba", "cba"),
            ("", "ab", "ab"),
            ("abc", "", "abc"),
        ] {
            let list = |text: &str| text.chars().map(|c| json!(c)).collect::<Value>();
            let set = merged(json!({"set": list(live)}), &json!({"set": list(applied)}));
            assert_eq!(set, json!({"set": list(expected)}), "{live} + {applied}");
        }
    }

    #[test]
    fn items_merge_by_their_key_and_second_ones_of_a_name_go() {
        let live = json!({"keyed": [{"k": 1, "a": 1}, {"k": 1, "a": 2}, {"k": 2}]});
        assert_eq!(
            merged(live, &json!({"keyed": [{"k": 1, "b": 1}]})),
            json!({"keyed": [{"k": 1, "a": 1, "b": 1}, {"k": 2}]})
        );
    }

    #[test]
    fn whole_values_are_the_applied_ones() {
        let live = json!({"whole": [1, 2], "set": null});
        assert_eq!(
            merged(live, &json!({"whole": [3], "set": ["a"]})),
            json!({"whole": [3], "set": ["a"]})
        );
    }
}
