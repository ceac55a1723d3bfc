//! Sets of fields, as `managedFields` keeps them: which places of an object somebody owns.
//!
//! A set is a trie. A node is a member, or leads to members, or both; nodes that do neither are never kept, so that equal sets are equal
//! values and `no node` means `nothing here or below`. [`encoding`] is its form in JSON; what the places mean is known elsewhere.

mod encoding;

use super::item;
use super::typed::{Class, Type};
use serde_json::Value;
use std::collections::BTreeMap;

/// A set of places in an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// This place itself is in the set.
    member: bool,
    /// Places below named fields.
    fields: BTreeMap<String, FieldSet>,
    /// Places below the items of a list, by the name that `fieldsV1` gives an item (`k:…`, `v:…`, `i:…`).
    items: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The set of one place: here.
    pub(super) fn here() -> Self {
        Self {
            member: true,
            ..Self::default()
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        !self.member && self.is_leaf()
    }

    /// Whether this place itself is in it.
    pub(super) fn is_member(&self) -> bool {
        self.member
    }

    /// Whether nothing below is in it.
    pub(super) fn is_leaf(&self) -> bool {
        self.fields.is_empty() && self.items.is_empty()
    }

    /// Adds this place itself.
    pub(super) fn own(&mut self) {
        self.member = true;
    }

    /// Takes this place itself out.
    pub(super) fn disown(&mut self) {
        self.member = false;
    }

    /// The places below a field.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        self.fields.get(name)
    }

    /// The places below each field.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&String, &Self)> {
        self.fields.iter()
    }

    /// The places below an item.
    pub(super) fn item(&self, name: &str) -> Option<&Self> {
        self.items.get(name)
    }

    /// The places below each item.
    pub(super) fn items(&self) -> impl Iterator<Item = (&String, &Self)> {
        self.items.iter()
    }

    /// Adds places below a field.
    pub(super) fn add_field(&mut self, name: &str, below: Self) {
        add(&mut self.fields, name.to_owned(), below);
    }

    /// Adds places below an item.
    pub(super) fn add_item(&mut self, name: String, below: Self) {
        add(&mut self.items, name, below);
    }

    /// Takes out a field and everything below.
    pub(super) fn remove_field(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// Takes out everything but a field and what is below it.
    pub(super) fn keep_field(&mut self, name: &str) {
        self.member = false;
        self.items.clear();
        self.fields.retain(|other, _| other == name);
    }

    /// Changes what is below a field.
    pub(super) fn edit_field(&mut self, name: &str, edit: impl FnOnce(&mut Self)) {
        if let Some(below) = self.fields.get_mut(name) {
            edit(below);
            if below.is_empty() {
                self.fields.remove(name);
            }
        }
    }

    /// Adds everything that is in `other`.
    pub fn union(&mut self, other: &Self) {
        self.member |= other.member;
        for (mine, theirs) in [
            (&mut self.fields, &other.fields),
            (&mut self.items, &other.items),
        ] {
            for (name, below) in theirs {
                match mine.get_mut(name) {
                    Some(mine) => mine.union(below),
                    None => {
                        mine.insert(name.clone(), below.clone());
                    }
                }
            }
        }
    }

    /// Takes out everything that is in `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (mine, theirs) in [
            (&mut self.fields, &other.fields),
            (&mut self.items, &other.items),
        ] {
            for (name, below) in theirs {
                if let Some(left) = mine.get_mut(name) {
                    left.subtract(below);
                    if left.is_empty() {
                        mine.remove(name);
                    }
                }
            }
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let both = |mine: &BTreeMap<String, Self>, theirs: &BTreeMap<String, Self>| {
            let common = mine.iter().filter_map(|(name, mine)| {
                let common = mine.intersection(theirs.get(name)?);
                (!common.is_empty()).then(|| (name.clone(), common))
            });
            common.collect()
        };
        Self {
            member: self.member && other.member,
            fields: both(&self.fields, &other.fields),
            items: both(&self.items, &other.items),
        }
    }

    /// The members below which there are no others.
    #[must_use]
    pub fn leaves(&self) -> Self {
        let below = |children: &BTreeMap<String, Self>| {
            let leaves = children
                .iter()
                .map(|(name, below)| (name.clone(), below.leaves()));
            leaves.collect()
        };
        Self {
            member: self.member && self.is_leaf(),
            fields: below(&self.fields),
            items: below(&self.items),
        }
    }

    /// The places, members or ways to some, where none of `others` has anything, neither there nor below.
    #[must_use]
    pub fn members_beyond(&self, others: &[&Self]) -> Self {
        let mut beyond = Self {
            member: others.is_empty(),
            ..Self::default()
        };
        for (name, below) in &self.fields {
            let there: Vec<&Self> = others
                .iter()
                .filter_map(|other| other.field(name))
                .collect();
            beyond.add_field(name, below.members_beyond(&there));
        }
        for (name, below) in &self.items {
            let there: Vec<&Self> = others.iter().filter_map(|other| other.item(name)).collect();
            beyond.add_item(name.clone(), below.members_beyond(&there));
        }
        beyond
    }

    /// Takes out the places that `value` doesn't have.
    pub(super) fn retain_existing(&mut self, ty: Type<'_>, value: &Value) {
        self.fields.retain(|name, below| {
            let Some(value) = value.get(name) else {
                return false;
            };
            below.retain_existing(ty.field_or_any(name), value);
            !below.is_empty()
        });
        if self.items.is_empty() {
            return;
        }
        let class = ty.class(value);
        let there = item::index(ty, class, Some(value));
        self.items.retain(|name, below| {
            let Some(value) = there.get(name) else {
                return false;
            };
            if class != Class::Set {
                below.retain_existing(ty.item(), value);
            }
            !below.is_empty()
        });
    }

    /// Every member as people write a path, `.spec.containers[name="m"].args`, in the order of the trie.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths(&mut String::new(), &mut paths);
        paths
    }

    fn collect_paths(&self, here: &mut String, paths: &mut Vec<String>) {
        if self.member {
            paths.push(here.clone());
        }
        let length = here.len();
        for (name, below) in &self.fields {
            here.push('.');
            here.push_str(name);
            below.collect_paths(here, paths);
            here.truncate(length);
        }
        for (name, below) in &self.items {
            here.push_str(&item::pretty(name));
            below.collect_paths(here, paths);
            here.truncate(length);
        }
    }
}

fn add(children: &mut BTreeMap<String, FieldSet>, name: String, below: FieldSet) {
    if below.is_empty() {
        return;
    }
    match children.get_mut(&name) {
        Some(present) => present.union(&below),
        None => {
            children.insert(name, below);
        }
    }
}

#[cfg(test)]
mod tests;
