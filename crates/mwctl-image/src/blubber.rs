//! Blubber v4, Wikimedia's description of images: text → variants → a [`Plan`].
//!
//! ```text
//! text ──tree──→ nodes ──check──→ problems │ ──merge──→ one variant ──phases──→ stage of steps
//! ```
//!
//! Follows the behaviour of Blubber 1.8. Where its documentation says something else, what it
//! does counts:
//!
//! | documented | done, here and there |
//! | --- | --- |
//! | lists of an included variant are added to | only `apt`'s and `copies`; the others are replaced whole |
//! | build arguments become part of the image's configuration | they don't |
//! | `apt.sources[].distribution` may be left out | it is asked for |
//! | `mounts: [local]` mounts the local files | it does here; upstream looks for an image called `local` |
//!
//! What differs here: accounts are written into `passwd` and `group` directly, so that a base needs
//! no `useradd`, and get no line in `shadow`.

mod builders;
mod check;
mod merge;
mod names;
mod phases;
mod policy;
mod tree;

use serde_json::{Map, Value};

use crate::plan::{Plan, Problem};

pub use policy::{Policy, Violation};

/// The variant that is built where none is named.
pub const DEFAULT_VARIANT: &str = "test";

/// A file that was read, and has no problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Blubber {
    document: Map<String, Value>,
}

/// A variant that isn't there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no variant `{name}`")]
pub struct UnknownVariant {
    /// Its name.
    pub name: String,
    /// Those that are there.
    pub known: Vec<String>,
}

impl Blubber {
    /// Reads a file; all of its problems at once.
    pub fn read(text: &str) -> Result<Self, Vec<Problem>> {
        let tree = tree::read(text).map_err(|problem| vec![problem])?;
        let mut problems = check::check(&tree);
        let Value::Object(document) = tree.value() else {
            return Err(vec![Problem::new(1, "a Blubber file is a map of keys")]);
        };
        if problems.is_empty() {
            problems.extend(check::expanded(&tree, &document));
        }
        if problems.is_empty() {
            Ok(Self { document })
        } else {
            problems.sort();
            problems.dedup();
            Err(problems)
        }
    }

    /// The names of its variants.
    pub fn variants(&self) -> Vec<&str> {
        let variants = self.document.get("variants").and_then(Value::as_object);
        variants
            .map(|map| map.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    /// A variant with all that it includes.
    pub fn variant(&self, name: &str) -> Result<Map<String, Value>, UnknownVariant> {
        merge::variant(&self.document, name).ok_or_else(|| UnknownVariant {
            name: name.to_owned(),
            known: self.variants().into_iter().map(str::to_owned).collect(),
        })
    }

    /// What building a variant means.
    pub fn plan(&self, name: &str) -> Result<Plan, UnknownVariant> {
        let mut stages = Vec::new();
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            if stages
                .iter()
                .any(|stage: &crate::plan::Stage| stage.name == name)
            {
                continue;
            }
            let variant = self.variant(&name)?;
            let stage = phases::stage(&variant, &name, &self.variants());
            open.extend(stage.needs().into_iter().map(str::to_owned));
            stages.push(stage);
        }
        // A circle of variants is a problem of the file, so that there is none.
        Ok(Plan::of(&stages, name).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
