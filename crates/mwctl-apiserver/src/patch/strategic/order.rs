//! The order of a merged list: what the patch names stands as the patch says, everything else where it stood relative to that.

use super::{DIRECTIVE, internal, key_of};
use crate::patch::go;
use crate::status::Status;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The order that a patch wants, by `$setElementOrder` or by its own items.
pub(super) struct Order<'p> {
    key: Option<&'p str>,
    /// The place of each name; the first where one is given twice.
    ranks: HashMap<&'p Value, usize>,
    /// As given, for complaints.
    names: Vec<&'p Value>,
    given: &'p [Value],
}

impl<'p> Order<'p> {
    /// The order of these items: values, or objects known by `key`.
    pub(super) fn new(key: Option<&'p str>, given: &'p [Value]) -> Result<Self, Status> {
        let names = given
            .iter()
            .enumerate()
            .map(|(at, item)| match (key, item) {
                (None, value) => Ok(value),
                (Some(key), Value::Object(item)) => key_of(key, item),
                (Some(_), _) => Err(internal(format!("value for key {at} is not a map"))),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::of_names(key, names, given))
    }

    /// The order of these objects.
    pub(super) fn of_items(
        key: &'p str,
        items: impl Iterator<Item = &'p Map<String, Value>>,
    ) -> Result<Self, Status> {
        let names = items
            .map(|item| key_of(key, item))
            .collect::<Result<_, _>>()?;
        Ok(Self::of_names(Some(key), names, &[]))
    }

    fn of_names(key: Option<&'p str>, names: Vec<&'p Value>, given: &'p [Value]) -> Self {
        let mut ranks = HashMap::with_capacity(names.len());
        for (rank, name) in names.iter().enumerate() {
            ranks.entry(*name).or_insert(rank);
        }
        Self {
            key,
            ranks,
            names,
            given,
        }
    }

    /// Refuses a patch whose own items stand in another order.
    pub(super) fn check(&self, patch: &[Value]) -> Result<(), Status> {
        let kept: Vec<&Value> = patch
            .iter()
            .filter(|item| {
                item.get(DIRECTIVE)
                    .is_none_or(|directive| directive != "delete")
            })
            .collect();
        let mut rest = self.names.iter();
        let agrees = kept.iter().all(|item| {
            let name = self.name(item);
            name.is_some_and(|name| rest.any(|other| **other == *name))
        });
        if agrees {
            return Ok(());
        }
        let kept: Value = kept.into_iter().cloned().collect();
        Err(internal(format!(
            "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
            go::text(&kept),
            go::text(&Value::from(self.given.to_vec()))
        )))
    }

    /// Arranges a list, the first `before` items of which were there before.
    ///
    /// An item that isn't named comes once it stood before the next named one. A new one stood nowhere, so nothing waits for it.
    pub(super) fn arrange(&self, list: &mut Vec<Value>, before: usize) {
        let mut named = Vec::new();
        let mut others = Vec::new();
        for (place, item) in std::mem::take(list).into_iter().enumerate() {
            match self.name(&item).and_then(|name| self.ranks.get(name)) {
                Some(rank) => named.push((*rank, (place < before).then_some(place), item)),
                None => others.push((place, item)),
            }
        }
        named.sort_by_key(|(rank, _, _)| *rank);
        let mut others = others.into_iter().peekable();
        for (_, stood, item) in named {
            if let Some(stood) = stood {
                while let Some((_, other)) = others.next_if(|(place, _)| *place < stood) {
                    list.push(other);
                }
            }
            list.push(item);
        }
        list.extend(others.map(|(_, item)| item));
    }

    fn name<'v>(&self, item: &'v Value) -> Option<&'v Value> {
        match self.key {
            Some(key) => item.get(key),
            None => Some(item),
        }
    }
}
