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

/// What kind of mistake a problem is. Part of the interface: code checkers group and silence by it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The text isn't YAML, JSON, TOML or whatever its file should be.
    Syntax,
    /// The text isn't UTF-8.
    Encoding,
    /// The text is too large, or grows too large or too deep when it is read.
    TooLarge,
    /// A key stands twice in a map.
    DuplicateKey,
    /// A document doesn't say what it is, or has no place here.
    Document,
    /// A key isn't known.
    UnknownKey,
    /// A key that is needed is missing.
    MissingKey,
    /// A value is of another type than its key takes.
    WrongType,
    /// A value can't be used, alone or together with others.
    #[default]
    Value,
    /// Something is called what it can't be called.
    Name,
    /// Two things have the same name.
    DuplicateName,
    /// A name of something that isn't there.
    UnknownName,
    /// Things need, extend or include each other in a circle.
    Cycle,
    /// A template can't be filled in.
    Template,
    /// Nothing says what kind of service it is, or several things do.
    Recognition,
    /// The files of a service aren't where they should be.
    Source,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Syntax,
        Self::Encoding,
        Self::TooLarge,
        Self::DuplicateKey,
        Self::Document,
        Self::UnknownKey,
        Self::MissingKey,
        Self::WrongType,
        Self::Value,
        Self::Name,
        Self::DuplicateName,
        Self::UnknownName,
        Self::Cycle,
        Self::Template,
        Self::Recognition,
        Self::Source,
    ];

    /// Its name for programs, as in `unknown-key`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Encoding => "encoding",
            Self::TooLarge => "too-large",
            Self::DuplicateKey => "duplicate-key",
            Self::Document => "document",
            Self::UnknownKey => "unknown-key",
            Self::MissingKey => "missing-key",
            Self::WrongType => "wrong-type",
            Self::Value => "value",
            Self::Name => "name",
            Self::DuplicateName => "duplicate-name",
            Self::UnknownName => "unknown-name",
            Self::Cycle => "cycle",
            Self::Template => "template",
            Self::Recognition => "recognition",
            Self::Source => "source",
        }
    }

    /// What it is about, in one sentence.
    pub fn description(self) -> &'static str {
        match self {
            Self::Syntax => "the text isn't YAML, JSON, TOML or whatever its file should be",
            Self::Encoding => "the text isn't UTF-8",
            Self::TooLarge => "the text is too large, or grows too large or too deep",
            Self::DuplicateKey => "a key stands twice in a map",
            Self::Document => "a document doesn't say what it is, or has no place here",
            Self::UnknownKey => "a key isn't known",
            Self::MissingKey => "a key that is needed is missing",
            Self::WrongType => "a value is of another type than its key takes",
            Self::Value => "a value can't be used, alone or together with others",
            Self::Name => "something is called what it can't be called",
            Self::DuplicateName => "two things have the same name",
            Self::UnknownName => "a name of something that isn't there",
            Self::Cycle => "things need, extend or include each other in a circle",
            Self::Template => "a template can't be filled in",
            Self::Recognition => "nothing says what kind of service it is, or several things do",
            Self::Source => "the files of a service aren't where they should be",
        }
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
    /// What kind of mistake it is.
    pub rule: Rule,
}

impl Problem {
    /// A problem that concerns no single place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            location: None,
            message: message.into(),
            hint: None,
            rule: Rule::default(),
        }
    }

    /// The same problem, of another kind than [`Rule::Value`].
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
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
