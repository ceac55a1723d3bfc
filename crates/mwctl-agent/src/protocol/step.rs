//! What happens after files are in place: the dependency step and the restart.

use serde::{Deserialize, Serialize};

/// Ends an update: from here on its files count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The session's number of this update; it rises.
    pub update: u64,
    /// The dependency step. It runs when one of its inputs changed, or is forced.
    pub step: Option<Step>,
    /// Whether the process is restarted. A process that isn't running is started in any case when
    /// something changed.
    pub restart: Restart,
    /// Writes into existing files instead of renaming over them: some watchers go deaf on a rename.
    pub in_place: bool,
}

/// When to restart the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// Leave it: it reads its files anew, or watches them itself.
    Never,
    /// If this update wrote or deleted something, or its dependency step ran.
    IfChanged,
    /// In any case.
    Always,
}

/// A command that brings dependencies up to date, such as `npm install`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Program and arguments, started in the working directory of the process.
    pub command: Vec<String>,
    /// Set in addition to the container's environment.
    pub environment: Vec<(String, String)>,
    /// Paths whose change makes the step necessary, relative to the target.
    pub inputs: Vec<String>,
    /// Paths that the step may change and that are offered back, such as lock files.
    pub outputs: Vec<String>,
    /// Runs it although nothing changed.
    pub force: bool,
}
