//! How a service is worked on: what becomes of its checkout in a container, and how its tests run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Dependencies;

/// How a service is developed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Develop {
    /// The directory in the container that the checkout is brought to.
    pub directory: String,
    /// Files left out, in gitignore syntax, beside the checkout's own ignore files.
    pub exclude: Vec<String>,
    /// The dependency step; its directories get a volume of their own.
    pub dependencies: Option<Dependencies>,
    /// Which files' changes restart the process, as globs; the others are only copied.
    pub restart: Vec<String>,
    /// Which files' changes need a new image, as globs.
    pub rebuild: Vec<String>,
    /// The command while developing; empty where it is the planned one.
    pub command: Vec<String>,
    /// Variables on top of the planned ones.
    pub environment: BTreeMap<String, String>,
    /// Whether files are written in place rather than renamed over, for a process that watches
    /// its files itself.
    pub in_place: bool,
    /// Whether the checkout itself is mounted, for reading only, where the cluster runs on this machine.
    pub mount: bool,
    /// Milliseconds between TERM and KILL at a restart.
    pub stop_timeout_ms: u64,
    /// What runs on this machine when files change.
    pub on_change: Vec<OnChange>,
}

/// A command that runs on this machine, in the checkout, when files of it change.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct OnChange {
    /// Which files, as globs.
    pub files: Vec<String>,
    /// The command.
    pub command: Vec<String>,
    /// Variables beside those that mwctl itself has.
    pub environment: BTreeMap<String, String>,
}

/// How a service is tested.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Test {
    /// The command.
    pub command: Vec<String>,
    /// The stage or variant of the build's file that they run in; `None` for the service's own image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Variables on top of the planned ones.
    pub environment: BTreeMap<String, String>,
    /// The dependency step for tests (with development dependencies).
    pub dependencies: Option<Dependencies>,
}
