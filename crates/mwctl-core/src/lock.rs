//! `mwctl.lock`: what the names of a stack's bases meant when they were last looked up.
//!
//! It stands beside `mwctl.yaml` and is committed with it, so that everybody builds upon the same bases. Reading is
//! strict: a lock that was damaged by hand or by a merge must not lead to other bases unnoticed. Looking names
//! up is the engine's work.

mod read;
mod write;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::problem::Location;

/// The file's name.
pub const FILE: &str = "mwctl.lock";

/// A whole lock: each base by its reference and platform.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    bases: BTreeMap<(String, String), LockedBase>,
}

/// What one name means on one platform.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockedBase {
    /// The name, whole: `docker.io/library/node:20`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Where it was found.
    pub source: Source,
    /// The digest of the image's manifest.
    pub digest: String,
    /// The digest of the index that the name led to, where its registry has the image for several platforms.
    pub index: Option<String>,
    /// As in `linux/amd64`.
    pub platform: String,
    /// The packages of its distribution, by name: the installed version.
    pub packages: BTreeMap<String, String>,
    /// When the name came to mean this digest for us, as in `2026-11-23T19:00:00Z`.
    pub checked: String,
    /// Where the file says so; `None` for what isn't written yet.
    #[serde(skip)]
    pub place: Option<Location>,
}

/// Where a base was found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Source {
    /// What kind of place it is.
    pub kind: SourceKind,
    /// Which one: a registry's name, a file; empty where the kind says it all.
    pub from: String,
}

/// The kinds of places.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A registry.
    Registry,
    /// The image store of one machine, into which somebody imported or built it.
    Store,
    /// An archive of an OCI layout.
    Archive,
    /// A folder with an OCI layout.
    Layout,
    /// The packages of a distribution, of which one machine made it.
    Bootstrap,
}

impl SourceKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Registry,
        Self::Store,
        Self::Archive,
        Self::Layout,
        Self::Bootstrap,
    ];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Store => "store",
            Self::Archive => "archive",
            Self::Layout => "layout",
            Self::Bootstrap => "bootstrap",
        }
    }
}

impl LockedBase {
    /// Whether it says the same as another entry, whenever that was found out.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.index == other.index
            && self.source == other.source
            && self.packages == other.packages
    }
}

impl Lock {
    /// Whether it says nothing of any base.
    pub fn is_empty(&self) -> bool {
        self.bases.is_empty()
    }

    /// What a whole reference means on a platform, if that is recorded.
    pub fn get(&self, reference: &str, platform: &str) -> Option<&LockedBase> {
        let key = (reference.to_owned(), platform.to_owned());
        self.bases.get(&key)
    }

    /// Records a base, in the place of what was recorded of it before.
    pub fn set(&mut self, base: LockedBase) {
        let key = (base.reference.clone(), base.platform.clone());
        self.bases.insert(key, base);
    }

    /// Forgets a base that nothing is built upon any more.
    pub fn remove(&mut self, reference: &str, platform: &str) {
        self.bases
            .remove(&(reference.to_owned(), platform.to_owned()));
    }

    /// All of them, sorted.
    pub fn bases(&self) -> impl Iterator<Item = &LockedBase> {
        self.bases.values()
    }
}

#[cfg(test)]
mod tests;
