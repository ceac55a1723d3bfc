//! Paths as they come from a session: checked once, safe to walk part by part afterwards.

use std::fmt;

use thiserror::Error;

/// The longest path that the system takes.
const LONGEST: usize = 4095;
/// The longest name that file systems take.
const LONGEST_PART: usize = 255;

/// A path beneath the target: not empty, not absolute, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RelativePath(String);

/// A path that is not one beneath the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum BadPath {
    /// Nothing, `/x`, `x//y` or `x/`.
    #[error("is not a relative path")]
    NotRelative,
    /// `.` or `..` somewhere in it.
    #[error("has a part `.` or `..`")]
    Dots,
    /// No system can have it.
    #[error("is longer than a path can be")]
    TooLong,
    /// A zero byte.
    #[error("has a zero byte")]
    Zero,
}

impl RelativePath {
    pub(crate) fn parse(path: &str) -> Result<Self, BadPath> {
        if path.len() > LONGEST || path.split('/').any(|part| part.len() > LONGEST_PART) {
            return Err(BadPath::TooLong);
        }
        if path.contains('\0') {
            return Err(BadPath::Zero);
        }
        if path.split('/').any(str::is_empty) {
            return Err(BadPath::NotRelative);
        }
        if path.split('/').any(|part| part == "." || part == "..") {
            return Err(BadPath::Dots);
        }
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory (empty for the target itself) and the name in it.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The directory of `path`, unless that is the target itself.
pub(crate) fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_beneath_the_target_are_taken() {
        for path in ["a", "a/b", "...", "a/..b", ".npmrc", "with space/ü"] {
            assert_eq!(RelativePath::parse(path).unwrap().as_str(), path);
        }
        assert_eq!(RelativePath::parse("a/b/c").unwrap().split(), ("a/b", "c"));
        assert_eq!(RelativePath::parse("c").unwrap().split(), ("", "c"));
    }

    #[test]
    fn everything_else_is_refused() {
        for (path, problem) in [
            ("", BadPath::NotRelative),
            ("/etc/passwd", BadPath::NotRelative),
            ("a//b", BadPath::NotRelative),
            ("a/", BadPath::NotRelative),
            ("..", BadPath::Dots),
            ("a/../../b", BadPath::Dots),
            ("./a", BadPath::Dots),
            ("a\0b", BadPath::Zero),
        ] {
            assert_eq!(RelativePath::parse(path), Err(problem), "{path:?}");
        }
        assert_eq!(RelativePath::parse(&"x".repeat(256)), Err(BadPath::TooLong));
        assert_eq!(
            RelativePath::parse(&"x/".repeat(2500)),
            Err(BadPath::TooLong)
        );
    }
}
