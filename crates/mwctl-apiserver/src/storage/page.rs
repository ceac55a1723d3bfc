//! Lists: which objects, how many at once, and where the next page begins.

use super::collection::Objects;
use super::{Key, Object};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::ops::Bound;
use std::sync::Arc;

/// What a list is to hold.
pub struct Query<'a> {
    /// Only this namespace.
    pub namespace: Option<&'a str>,
    /// Only what this picks; none for all.
    pub wanted: Option<&'a (dyn Fn(&Object) -> bool + Sync)>,
    /// As it was at this revision; none for now.
    pub revision: Option<u64>,
    /// Only what follows this key.
    pub after: Option<Key>,
    /// At most this many; none for all.
    pub limit: Option<usize>,
}

/// Objects of one revision.
#[derive(Debug)]
pub struct Page {
    /// The objects in the order of their keys.
    pub objects: Vec<Arc<Object>>,
    /// The revision at which these were all.
    pub revision: u64,
    /// Where the next page begins, if there is one.
    pub next: Option<Continue>,
    /// How many objects follow; unknown when only some of them are wanted.
    pub remaining: Option<usize>,
}

/// The place between two pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continue {
    /// The revision of the first page; none goes on in the present.
    pub revision: Option<u64>,
    /// The last key of the page before.
    pub after: Key,
}

impl Query<'_> {
    /// Everything, now.
    pub fn all() -> Self {
        Self {
            namespace: None,
            wanted: None,
            revision: None,
            after: None,
            limit: None,
        }
    }
}

impl Page {
    pub(super) fn empty(revision: u64) -> Self {
        Self {
            objects: Vec::new(),
            revision,
            next: None,
            remaining: None,
        }
    }
}

impl Continue {
    /// The token that a client hands back.
    pub fn token(&self) -> String {
        let revision = self.revision.map_or(-1, |revision| revision as i64);
        let start = [&self.after.namespace, &self.after.name];
        URL_SAFE_NO_PAD.encode(json!({"v": "mwctl/v1", "rv": revision, "start": start}).to_string())
    }

    /// Reads a token; none if it is not one of ours.
    pub fn parse(token: &str) -> Option<Self> {
        let text = URL_SAFE_NO_PAD.decode(token).ok()?;
        let token: Value = serde_json::from_slice(&text).ok()?;
        Some(Self {
            revision: u64::try_from(token["rv"].as_i64()?).ok(),
            after: Key::new(token["start"][0].as_str()?, token["start"][1].as_str()?),
        })
    }
}

/// One page of `objects`, which are those of `revision`.
pub(super) fn cut(objects: &Objects, revision: u64, query: &Query<'_>) -> Page {
    let first = match (&query.after, query.namespace) {
        (Some(key), _) => Bound::Excluded(key.clone()),
        (None, Some(namespace)) => Bound::Included(Key::new(namespace, "")),
        (None, None) => Bound::Unbounded,
    };
    let mut rest = objects
        .range((first, Bound::Unbounded))
        .take_while(|(key, _)| query.namespace.is_none_or(|only| key.namespace == only))
        .map(|(_, object)| object)
        .filter(|object| query.wanted.is_none_or(|wanted| wanted(object)));
    let limit = query.limit.unwrap_or(usize::MAX);
    let objects: Vec<_> = rest.by_ref().take(limit).cloned().collect();
    let more = rest.next().is_some();
    let remaining = (more && query.wanted.is_none()).then(|| 1 + rest.count());
    let next = objects.last().filter(|_| more).map(|last| Continue {
        revision: Some(revision),
        after: Key::new(last.namespace(), last.name()),
    });
    Page {
        objects,
        revision,
        next,
        remaining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_journey_and_nonsense_is_none() {
        let place = Continue {
            revision: Some(9),
            after: Key::new("n", "a\"b"),
        };
        assert_eq!(Continue::parse(&place.token()), Some(place));
        assert_eq!(Continue::parse("nonsense"), None);
        assert_eq!(Continue::parse(""), None);
    }
}
