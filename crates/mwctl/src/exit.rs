//! Exit codes: part of the interface, listed in `docs/reference/exit-codes.md`.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Success,
    /// What was asked for failed: a deployment, a user's tests.
    Failure,
    /// The command line makes no sense.
    Usage,
    /// What the user's files say has problems.
    Invalid,
    /// The environment isn't ready: no cluster, one that may not be used, a missing program.
    Environment,
    /// A bug in `mwctl`.
    Internal,
    /// Interrupted by the user.
    Interrupted,
    /// The code of a command that was run for the user.
    Child(u8),
}

impl Exit {
    /// The code itself.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::Environment => 4,
            Self::Internal => 70,
            Self::Interrupted => 130,
            Self::Child(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
