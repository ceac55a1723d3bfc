//! A mistake in what the user wrote: what is wrong, where, and what to write instead.
//!
//! Problems are data, reported all at once; they are not Rust errors. How they look on a terminal
//! is the CLI's business.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// A place in a text file; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Location {
    /// The file, as the user would name it.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters the marked text has; 0 where only the start is known.
    pub length: usize,
    /// The whole source line, without its line end.
    pub text: String,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}:{}",
            self.file.display(),
            self.line,
            self.column
        )
    }
}

/// One mistake.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Problem {
    /// Where it stands, unless it concerns no single place.
    pub location: Option<Location>,
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// What to write or type instead.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem that concerns no single place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            location: None,
            message: message.into(),
            hint: None,
        }
    }

    /// The same problem, at `location`.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// The same problem, with its cure.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(formatter, "{location}: ")?;
        }
        formatter.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(formatter, " ({hint})")?;
        }
        Ok(())
    }
}
