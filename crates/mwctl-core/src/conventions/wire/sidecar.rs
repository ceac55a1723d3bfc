//! The keys of helper containers: the known kinds of them, and those of a service.
//!
//! Nothing is decided here; these are the shapes and their documentation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::container::Probes;
use super::{Container, Mount, Port, Resources, Scalar, Volume, Whole};

/// A helper container that services take up by its name, such as a log collector or a metrics
/// exporter. Its keys are those of a service's helper.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "read from the tree, over which a service's own keys are merged"
)]
pub(crate) struct Helper {
    /// The name by which services take it up. Lower-case letters, digits and hyphens.
    pub(crate) name: String,
    /// One sentence on what it does.
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// Whether it takes the place of the shipped helper of its name. Default: false.
    #[serde(default, rename = "override")]
    pub(crate) replaces: bool,
}

/// A container beside the service's own, such as a log collector or a metrics exporter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HelperContainer {
    /// The known helper that it is, where that isn't its own name.
    #[serde(rename = "use")]
    pub(crate) known: Option<String>,
    /// Its image.
    pub(crate) image: Option<String>,
    /// The command with its arguments. Default: the image's own.
    pub(crate) command: Vec<Scalar>,
    /// The absolute directory it runs in. Default: the image's own.
    pub(crate) working_directory: Option<String>,
    /// The ports it listens on.
    pub(crate) ports: Vec<Port>,
    /// When it counts as started, as able to answer, and as stuck.
    pub(crate) probes: Probes,
    /// Environment variables.
    pub(crate) environment: BTreeMap<String, Scalar>,
    /// What it asks for and what it may have at most.
    pub(crate) resources: Resources,
    /// Which volumes it sees.
    pub(crate) mounts: Vec<Mount>,
    /// The numeric user. Default: the image's own.
    pub(crate) user: Option<Whole>,
    /// Whether its root filesystem can only be read. Default: false.
    pub(crate) read_only: Option<bool>,
    /// Whether the container has its own name alone, instead of `<service>-<release>-<name>`.
    /// Default: false.
    pub(crate) plain_name: Option<bool>,
    /// Files that it sees: absolute path to text. Templates are rendered.
    pub(crate) files: BTreeMap<String, String>,
    /// The ConfigMap that keeps its files, as what stands behind `<service>-<release>-`. Default:
    /// the service's.
    pub(crate) config_map: Option<String>,
    /// Volumes by name that it brings into the pod.
    pub(crate) volumes: BTreeMap<String, Volume>,
    /// Annotations that it gives the pod.
    pub(crate) annotations: BTreeMap<String, Scalar>,
    /// What it brings into the service's own container.
    pub(crate) service: Brought,
}

/// What a helper brings into the service's own container.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Brought {
    /// Environment variables; the service's own of the same name win.
    pub(crate) environment: BTreeMap<String, Scalar>,
    /// Which volumes it sees.
    pub(crate) mounts: Vec<Mount>,
}

impl From<HelperContainer> for Container {
    fn from(helper: HelperContainer) -> Self {
        Self {
            image: helper.image,
            build: None,
            command: helper.command,
            working_directory: helper.working_directory,
            ports: helper.ports,
            probes: helper.probes,
            environment: helper.environment,
            resources: helper.resources,
            mounts: helper.mounts,
            user: helper.user,
            read_only: helper.read_only,
        }
    }
}
