//! The keys of containers: the service's own and its helpers.
//!
//! Nothing is decided here; these are the shapes and their documentation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Dependencies, PortReference, Scalar, Whole};

/// The container that is the service. Its image is either named (`image`) or made (`build`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Container {
    /// An image that is used as it is.
    pub(crate) image: Option<String>,
    /// How the image is made from a base and the service's files.
    pub(crate) build: Option<Build>,
    /// The command with its arguments. Default: the image's own.
    pub(crate) command: Vec<Scalar>,
    /// The absolute directory it runs in. Default: the image's own.
    pub(crate) working_directory: Option<String>,
    /// The ports it listens on; the first is the one that other services use.
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
}

/// How the service's image is made: a base, and one layer of its files and dependencies; or what a
/// Dockerfile or Blubber file says (`file`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Build {
    /// A Dockerfile or Blubber file of the service, as in `Dockerfile` or `.pipeline/blubber.yaml`:
    /// the image is what it says, and `base`, `environment`, `exclude` and `dependencies` have no
    /// say in it.
    pub(crate) file: Option<String>,
    /// Which of the file's stages or variants is built. Default: the last stage, or `production`.
    pub(crate) variant: Option<String>,
    /// Values of the file's arguments.
    pub(crate) arguments: BTreeMap<String, Scalar>,
    /// Who builds the file. All but `mwctl` are programs that must be installed: `buildkit` (`buildctl`, which honours
    /// a `# syntax=` line), `docker`, `podman`, `buildah`. Default: `mwctl`.
    pub(crate) engine: Option<Engine>,
    /// The network of the programs that the file runs: `host`, the machine's; `none`; or `relay`, a way out through a proxy that
    /// leads neither to this machine nor to clusters. The last two go before what the file says. Default: `host`; an engine's own where
    /// there is an `engine`.
    pub(crate) network: Option<BuildNetwork>,
    /// The base image.
    pub(crate) base: Option<String>,
    /// The absolute directory in the image that the files go to. Default: `/srv/app`.
    pub(crate) directory: Option<String>,
    /// The numeric user that the image runs as. Default: 900.
    pub(crate) user: Option<Whole>,
    /// The numeric owner of the files. Default: 65533.
    pub(crate) owner: Option<Whole>,
    /// The step that installs dependencies before the layer is made.
    pub(crate) dependencies: Option<Dependencies>,
    /// Files left out, as in `.gitignore`.
    pub(crate) exclude: Vec<String>,
    /// Environment variables that are set in the image.
    pub(crate) environment: BTreeMap<String, Scalar>,
}

/// Who builds an image from a file.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum Engine {
    Mwctl,
    Buildkit,
    Docker,
    Podman,
    Buildah,
}

/// The network of the programs that a build runs.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum BuildNetwork {
    Host,
    None,
    Relay,
}

/// A port that a container listens on.
#[expect(
    clippy::struct_field_names,
    reason = "`port: 8080` is what people write"
)]
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Port {
    /// Its name, at most 15 lower-case letters, digits and hyphens; also the scheme of the
    /// service's URL. Default: `http`.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Its number.
    pub(crate) port: Whole,
    /// `tcp` or `udp`. Default: `tcp`.
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// From where it can be reached. `service`: by the service's name; `cluster`: by the pod's
    /// address alone, as whoever collects metrics does; `pod`: from within the pod. Default:
    /// `service` for the service's own container, `cluster` for a helper's.
    #[serde(default)]
    pub(crate) reach: Option<Reach>,
    /// A name of its own that it is reached by: with `tls-service` it is
    /// `<service>-<release>-tls-service`.
    #[serde(default)]
    pub(crate) address: Option<String>,
}

/// From where a port can be reached.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum Reach {
    Service,
    Cluster,
    Pod,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum Protocol {
    #[default]
    Tcp,
    Udp,
}

/// When a container counts as started, as able to answer, and as stuck.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Probes {
    /// Succeeds while the container can answer; until then nothing is sent to it.
    pub(crate) readiness: Option<Probe>,
    /// Fails when the container is stuck; it is then restarted.
    pub(crate) liveness: Option<Probe>,
    /// Succeeds when the container has started; the other probes wait for it.
    pub(crate) startup: Option<Probe>,
}

/// A check that is made again and again: exactly one of `http`, `tcp` and `exec`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Probe {
    /// An HTTP GET answers 200 to 399.
    pub(crate) http: Option<HttpCheck>,
    /// A TCP connection is accepted.
    pub(crate) tcp: Option<TcpCheck>,
    /// A command exits with 0.
    pub(crate) exec: Option<ExecCheck>,
    /// The time between two checks, in whole seconds. Default: `10s`.
    pub(crate) period: Option<String>,
    /// The time after which a check has failed, in whole seconds. Default: `1s`.
    pub(crate) timeout: Option<String>,
    /// The time before the first check, in whole seconds. Default: `0s`.
    pub(crate) initial_delay: Option<String>,
    /// How many failures in a row count. Default: 3.
    pub(crate) failure_threshold: Option<Whole>,
}

/// An HTTP GET.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpCheck {
    /// The path with its query.
    pub(crate) path: String,
    /// The port, by name or number. Default: the container's first.
    #[serde(default)]
    pub(crate) port: Option<PortReference>,
}

/// A TCP connection.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct TcpCheck {
    /// The port, by name or number. Default: the container's first.
    pub(crate) port: Option<PortReference>,
}

/// A command in the container.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExecCheck {
    /// The command with its arguments.
    pub(crate) command: Vec<Scalar>,
}

/// What a container asks for and what it may have at most, as Kubernetes quantities.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Resources {
    /// What is reserved for it: `cpu` (as in `100m`), `memory` (as in `200Mi`).
    pub(crate) requests: BTreeMap<String, Scalar>,
    /// What it may use at most.
    pub(crate) limits: BTreeMap<String, Scalar>,
}

/// A volume in a container.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Mount {
    /// The volume, by its name under `volumes`.
    pub(crate) volume: String,
    /// The absolute path in the container.
    pub(crate) path: String,
    /// Whether it can only be read. Default: false.
    #[serde(default)]
    pub(crate) read_only: bool,
}
