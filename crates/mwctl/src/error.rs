//! What a command ends with when it doesn't succeed: the kind decides the exit code.

use std::error::Error;

use mwctl_core::problem::Problem;

use crate::exit::Exit;

/// A command failed.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// Decides the exit code.
    pub kind: Kind,
    /// What failed, with its causes; `None` where everything has been told already.
    pub error: Option<Box<dyn Error + Send + Sync>>,
    /// What to type or to open.
    pub hints: Vec<String>,
}

/// What kind of failure it was.
#[derive(Debug)]
pub(crate) enum Kind {
    /// What was asked for failed.
    Failure,
    /// The command line makes no sense together with what is there.
    Usage,
    /// The user's files have these problems.
    Problems(Vec<Problem>),
    /// The environment isn't ready.
    Environment,
    /// Interrupted.
    Interrupted,
    /// A bug.
    Internal,
}

impl CommandError {
    /// Whose failure events have told already.
    pub(crate) fn told() -> Self {
        Self {
            kind: Kind::Failure,
            error: None,
            hints: Vec::new(),
        }
    }

    /// The user's files have problems.
    pub(crate) fn problems(problems: Vec<Problem>) -> Self {
        Self {
            kind: Kind::Problems(problems),
            error: None,
            hints: Vec::new(),
        }
    }

    /// Interrupted by the user.
    pub(crate) fn interrupted() -> Self {
        Self {
            kind: Kind::Interrupted,
            error: None,
            hints: Vec::new(),
        }
    }

    fn new(kind: Kind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            error: Some(error.into()),
            hints: Vec::new(),
        }
    }

    /// What was asked for failed.
    pub(crate) fn failure(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Failure, error)
    }

    /// The command line makes no sense here.
    pub(crate) fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Usage, error)
    }

    /// The environment isn't ready.
    pub(crate) fn environment(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Environment, error)
    }

    /// A bug.
    pub(crate) fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, error)
    }

    /// The same, with one thing to type.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The exit code's meaning.
    pub(crate) fn exit(&self) -> Exit {
        match self.kind {
            Kind::Failure => Exit::Failure,
            Kind::Usage => Exit::Usage,
            Kind::Problems(_) => Exit::Invalid,
            Kind::Environment => Exit::Environment,
            Kind::Interrupted => Exit::Interrupted,
            Kind::Internal => Exit::Internal,
        }
    }
}

/// The causes of an error, without those whose text their parent contains.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !last.contains(&text) {
            texts.push(text.clone());
        }
        last = text;
        source = cause.source();
    }
    texts
}
