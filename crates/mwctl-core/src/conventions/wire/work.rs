//! The keys of working on a service: its source, its dependencies, how it is developed and tested.
//!
//! Nothing is decided here; these are the shapes and their documentation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Scalar;

/// Where a service's files come from: exactly one of `path`, `git`, `npm` and `pypi`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Source {
    /// A folder that is there, relative to the document's.
    pub(crate) path: Option<String>,
    /// A git repository; it is cloned where it isn't there yet.
    pub(crate) git: Option<Git>,
    /// An npm package; it is unpacked where it isn't there yet.
    pub(crate) npm: Option<Package>,
    /// A Python package of PyPI, or of the index that pip is told of; its sources are unpacked where
    /// they aren't there yet.
    pub(crate) pypi: Option<Package>,
}

/// A git repository.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Git {
    /// What `git clone` takes.
    pub(crate) url: String,
    /// A branch, tag or commit. Default: the remote's default branch.
    #[serde(default, rename = "ref")]
    pub(crate) reference: Option<Scalar>,
    /// Where the checkout goes, relative to the document's folder. Default: `src/<service>`.
    #[serde(default)]
    pub(crate) directory: Option<String>,
}

/// A package of a registry.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the key that people write")]
pub(crate) struct Package {
    /// The package's name.
    pub(crate) package: String,
    /// Its version or range. Default: the newest.
    #[serde(default)]
    pub(crate) version: Option<Scalar>,
    /// Where it is unpacked, relative to the document's folder. Default: `src/<service>`.
    #[serde(default)]
    pub(crate) directory: Option<String>,
}

/// The step that brings a service's dependencies.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Dependencies {
    /// The command with its arguments, run in the service's directory.
    pub(crate) command: Vec<Scalar>,
    /// Environment variables it gets.
    pub(crate) environment: BTreeMap<String, Scalar>,
    /// Files whose change means that the command must run again.
    pub(crate) inputs: Vec<String>,
    /// Directories that it fills, relative to the service's directory.
    pub(crate) directories: Vec<String>,
    /// Files that it may change and that belong into the checkout.
    pub(crate) lock_files: Vec<String>,
}

/// How a service is developed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Develop {
    /// The absolute directory in the container that the checkout is brought to. Default: the
    /// build's directory.
    pub(crate) directory: Option<String>,
    /// Files left out, as in `.gitignore`, beside what the checkout itself ignores. Default: what
    /// the build leaves out.
    pub(crate) exclude: Option<Vec<String>>,
    /// The step that brings dependencies. Default: the build's.
    pub(crate) dependencies: Option<Dependencies>,
    /// Globs of files whose change restarts the process; others are only copied. Default: all.
    pub(crate) restart: Option<Vec<String>>,
    /// Globs of files whose change needs a new image.
    pub(crate) rebuild: Vec<String>,
    /// The command while developing. Default: the container's.
    pub(crate) command: Vec<Scalar>,
    /// Environment variables on top of the container's.
    pub(crate) environment: BTreeMap<String, Scalar>,
    /// Whether files are written in place instead of being replaced, for a process that watches its
    /// files itself. Default: false.
    pub(crate) in_place: bool,
    /// Whether the checkout itself is mounted, for reading only, instead of being copied: on the embedded
    /// cluster, which runs on the same machine. Other clusters get a copy. Default: false.
    pub(crate) mount: bool,
    /// How long the process may take to stop before it is killed, as in `5s` or `250ms`. Default:
    /// `5s`.
    pub(crate) stop_timeout: Option<String>,
    /// Commands that run on this machine when files of the checkout change, such as a compiler. What
    /// they write comes into the container as any edit does.
    pub(crate) on_change: Vec<OnChange>,
}

/// A command that runs on this machine when files of the checkout change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct OnChange {
    /// Globs of files, of those that are brought to the container.
    pub(crate) files: Vec<String>,
    /// The command with its arguments, run in the checkout: one at a time, and again where files
    /// changed meanwhile.
    pub(crate) command: Vec<Scalar>,
    /// Environment variables it gets beside your own.
    pub(crate) environment: BTreeMap<String, Scalar>,
}

/// How a service is tested.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Test {
    /// The command with its arguments.
    pub(crate) command: Vec<Scalar>,
    /// The stage or variant of the build's `file` that the tests run in. Default: the image's own; of a
    /// Blubber file, the variant `test` where it has one.
    pub(crate) variant: Option<String>,
    /// The step that brings dependencies for tests. Default: the build's, or none where the tests have a
    /// `variant` of their own.
    pub(crate) dependencies: Option<Dependencies>,
    /// Environment variables on top of the container's.
    pub(crate) environment: BTreeMap<String, Scalar>,
}
