//! Merging lists: items by the field they are named by, or bare values as a set.

use super::order::Order;
use super::{DIRECTIVE, internal, item_shape, key_of, merge_object, taken, unknown_directive};
use crate::patch::go;
use crate::schema::{PatchStrategy, Schema, Shape};
use crate::status::Status;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// How the items of one list merge.
pub(super) struct Merge<'s> {
    schema: &'s Schema,
    item: &'s Shape,
    key: Option<&'s str>,
}

/// What an item of the patch asks for.
enum Wish<'p> {
    Merge(&'p Map<String, Value>),
    Delete(&'p Map<String, Value>),
    ReplaceList,
}

impl<'s> Merge<'s> {
    pub(super) fn new(schema: &'s Schema, list: &'s Shape, strategy: &'s PatchStrategy) -> Self {
        Self {
            schema,
            item: item_shape(list),
            key: strategy.merge_key.as_deref(),
        }
    }

    /// Merges `patch` into `live`, arranged by `order` or else as the patch itself has its items.
    pub(super) fn run(
        &self,
        live: &mut Vec<Value>,
        patch: &[Value],
        order: Option<Order<'_>>,
    ) -> Result<(), Status> {
        let Some(key) = self.key else {
            return bare(live, patch, order);
        };
        self.keyed(key, live, patch, order)
    }

    fn keyed(
        &self,
        key: &str,
        live: &mut Vec<Value>,
        patch: &[Value],
        order: Option<Order<'_>>,
    ) -> Result<(), Status> {
        let mut wanted = Vec::with_capacity(patch.len());
        let mut deleted = HashSet::new();
        let mut replaces = false;
        for item in patch {
            match wish(item, live, patch)? {
                Wish::Merge(item) => wanted.push(item),
                Wish::Delete(item) => {
                    deleted.insert(key_of(key, item)?);
                }
                Wish::ReplaceList => replaces = true,
            }
        }
        if replaces {
            *live = wanted
                .into_iter()
                .map(|item| taken(&Value::Object(item.clone())))
                .collect();
            return Ok(());
        }
        if !deleted.is_empty() {
            live.retain(|item| !item.get(key).is_some_and(|key| deleted.contains(key)));
        }
        let before = live.len();
        // Two items may share a key (TCP and UDP of one port): the first is meant.
        let mut places: HashMap<Value, usize> = HashMap::new();
        for (place, item) in live.iter().enumerate() {
            if let Some(key) = item.get(key) {
                places.entry(key.clone()).or_insert(place);
            }
        }
        for item in &wanted {
            let name = key_of(key, item)?;
            if let Some(place) = places.get(name) {
                merge_object(self.schema, self.item, &mut live[*place], item)?;
            } else {
                places.insert(name.clone(), live.len());
                live.push(taken(&Value::Object((*item).clone())));
            }
        }
        let order = order.map_or_else(|| Order::of_items(key, wanted.into_iter()), Ok)?;
        order.arrange(live, before);
        Ok(())
    }
}

/// Bare values are known by themselves.
fn bare(live: &mut Vec<Value>, patch: &[Value], order: Option<Order<'_>>) -> Result<(), Status> {
    let before = live.len();
    let known: HashSet<&Value> = live.iter().collect();
    let unknown = patch.iter().filter(|item| !known.contains(item));
    let new: Vec<Value> = unknown.cloned().collect();
    live.extend(new);
    let order = order.map_or_else(|| Order::new(None, patch), Ok)?;
    order.arrange(live, before);
    Ok(())
}

fn wish<'p>(item: &'p Value, live: &[Value], patch: &[Value]) -> Result<Wish<'p>, Status> {
    let Value::Object(item) = item else {
        return Err(internal(format!(
            "list element types are not identical: {}",
            go::text(&Value::from(vec![live.to_vec(), patch.to_vec()]))
        )));
    };
    match item.get(DIRECTIVE) {
        None => Ok(Wish::Merge(item)),
        Some(Value::String(directive)) if directive == "delete" => Ok(Wish::Delete(item)),
        Some(Value::String(directive)) if directive == "replace" => Ok(Wish::ReplaceList),
        Some(Value::String(directive)) if directive == "merge" => Err(internal(
            "merging lists cannot yet be specified in the patch".to_owned(),
        )),
        Some(other) => Err(unknown_directive(other, item)),
    }
}
