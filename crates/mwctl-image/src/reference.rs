//! References: the names of images, with everything that is usually left out.

mod grammar;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A whole reference: `node` is `docker.io/library/node:latest`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    whole: String,
    /// Up to the tag or digest.
    repository: usize,
}

/// A text that is no reference.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no image reference")]
pub struct InvalidReference {
    /// The text.
    pub text: String,
    /// Why.
    source: oci_client::ParseError,
}

impl Reference {
    /// Reads a reference as people write it.
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let parts = grammar::parts(text).map_err(|source| InvalidReference {
            text: text.to_owned(),
            source,
        })?;
        let mut whole = format!("{}/{}", parts.registry, parts.repository);
        let repository = whole.len();
        for (sign, part) in [(':', parts.tag), ('@', parts.digest)] {
            if let Some(part) = part {
                whole.push(sign);
                whole.push_str(&part);
            }
        }
        Ok(Self { whole, repository })
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.whole
    }

    /// Without tag and digest.
    pub fn repository(&self) -> &str {
        &self.whole[..self.repository]
    }

    /// The digest that it names.
    pub fn digest(&self) -> Option<&str> {
        self.whole.split_once('@').map(|(_, digest)| digest)
    }

    /// The same, for the client of registries.
    pub(crate) fn for_registry(&self) -> oci_client::Reference {
        let parts = grammar::parts(&self.whole).expect("it was parsed before");
        let (registry, repository) = (parts.registry, parts.repository);
        match (parts.tag, parts.digest) {
            (Some(tag), None) => oci_client::Reference::with_tag(registry, repository, tag),
            (None, Some(digest)) => {
                oci_client::Reference::with_digest(registry, repository, digest)
            }
            (tag, digest) => oci_client::Reference::with_tag_and_digest(
                registry,
                repository,
                tag.unwrap_or_default(),
                digest.unwrap_or_default(),
            ),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, InvalidReference> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.whole
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_added() {
        for (text, whole, repository) in [
            (
                "node",
                "docker.io/library/node:latest",
                "docker.io/library/node",
            ),
            (
                "localhost:5000/a/b:1",
                "localhost:5000/a/b:1",
                "localhost:5000/a/b",
            ),
            (
                "mwctl.local/host",
                "mwctl.local/host:latest",
                "mwctl.local/host",
            ),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.as_str(), whole);
            assert_eq!(reference.repository(), repository);
            assert_eq!(Reference::parse(whole).unwrap(), reference);
        }
        let digest = format!("a@sha256:{}", "0".repeat(64));
        let reference = Reference::parse(&digest).unwrap();
        assert_eq!(reference.digest(), Some(&digest[2..]));
        for bad in ["", "A B", "../x", "x:"] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }
}
