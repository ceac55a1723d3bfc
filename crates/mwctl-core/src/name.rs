//! Names as types, so that a service's name can't be passed where a stack's is meant.
//!
//! Both end up in labels and host names, so both follow RFC 1123's label rule.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name accepted: object names are `<service>-<release>`, and a label holds 63.
pub const MAX_LENGTH: usize = 40;

/// Why a text can't be a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing was given.
    #[error("a name can't be empty")]
    Empty,
    /// Longer than [`MAX_LENGTH`].
    #[error("`{0}` is longer than {MAX_LENGTH} characters")]
    TooLong(String),
    /// A character that RFC 1123 doesn't allow in a label, or a hyphen at an end.
    #[error(
        "`{0}` can't be a name: use lower-case letters, digits and hyphens, starting with a letter"
    )]
    Characters(String),
}

fn check(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(InvalidName::TooLong(text.to_owned()));
    }
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    let legal = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if starts && legal && !text.ends_with('-') {
        Ok(())
    } else {
        Err(InvalidName::Characters(text.to_owned()))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks `text` and wraps it.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A service's name, as in `mwctl develop NAME`.
    ServiceName
}
name! {
    /// A stack's name; by default also its namespace.
    StackName
}

/// Turns any text (a folder, an npm package) into a name, or `None` where nothing usable is left.
///
/// `@scope/My_Service.js` becomes `my-service-js`.
pub fn slug(text: &str) -> Option<String> {
    let last = text.rsplit('/').next().unwrap_or(text);
    let mut slug = String::with_capacity(last.len());
    for character in last.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let slug: String = slug.chars().take(MAX_LENGTH).collect();
    let slug = slug.trim_end_matches('-').to_owned();
    (!slug.is_empty()).then_some(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label_that_starts_with_a_letter() {
        assert!(ServiceName::new("mathoid").is_ok());
        assert!(ServiceName::new("media-wiki2").is_ok());
        for bad in [
            "",
            "2fast",
            "Mathoid",
            "a_b",
            "a-",
            "-a",
            "a.b",
            &"a".repeat(41),
        ] {
            assert!(ServiceName::new(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_slug_is_always_a_name() {
        assert_eq!(
            slug("@scope/My_Service.js").as_deref(),
            Some("my-service-js")
        );
        assert_eq!(slug("__9lives--"), Some("lives".to_owned()));
        assert_eq!(slug("123"), None);
    }
}
