//! What a stack is once everything is known: defaults filled in, templates rendered, names checked.
//!
//! These are the values that manifests, plans and the edit loop work on. They are not what a user
//! writes (that is `conventions::wire`), and no `Option` here stands for a default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

pub use self::develop::{Develop, OnChange, Test};
pub use self::engine::{BuildNetwork, Engine};
pub use self::limits::{Admission, Limits, PodSecurity, Quantities};
pub use self::workload::{Concurrency, Run, Workload};
use crate::name::{ServiceName, StackName};

mod develop;
mod engine;
mod limits;
mod workload;

/// Services that are deployed together into one namespace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stack {
    /// Its name.
    pub name: StackName,
    /// The namespace its objects live in.
    pub namespace: String,
    /// The release: objects are called `<service>-<release>`.
    pub release: String,
    /// What its namespace admits.
    pub admission: Admission,
    /// Its services by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// Objects that are described elsewhere and applied as they are.
    pub manifests: Vec<Manifest>,
}

/// An object as somebody else described it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest(pub serde_json::Value);

/// One service: a pod of a main container and its helper containers, and how it is worked on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// The convention it follows.
    pub convention: String,
    /// The service's own version, where its repository states one; goes into the `chart` label.
    pub version: Option<String>,
    /// Where its files come from.
    pub source: Source,
    /// Where its image comes from.
    pub image: Image,
    /// The container that is the service.
    pub main: Container,
    /// Containers beside it, in the order in which they were described.
    pub helpers: Vec<Container>,
    /// What makes its pods.
    pub workload: Workload,
    /// How many pods, where the workload lets one choose.
    pub replicas: u32,
    /// Whether it has an account of its own at the Kubernetes API, with a token in its containers.
    pub account: bool,
    /// Annotations of its pods, beside those that are made.
    pub annotations: BTreeMap<String, String>,
    /// What is merged over its objects in the end.
    pub patches: Vec<Patch>,
    /// Files of configuration, rendered, that are mounted into containers from one ConfigMap.
    pub files: Vec<ConfigFile>,
    /// Private settings: environment variable to value; they go into a Secret and nowhere else.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Its certificates by the volume that they are in, once they have been made or found.
    pub certificates: BTreeMap<String, KeyPair>,
    /// Directories that containers share or that outlive a pod.
    pub volumes: Vec<Volume>,
    /// What may reach it and what it may reach.
    pub network: Network,
    /// Which other services it waits for or talks to.
    pub needs: Vec<Need>,
    /// How it is developed; `None` for a service that has no source.
    pub develop: Option<Develop>,
    /// How it is tested.
    pub test: Option<Test>,
    /// What was concluded about it, and from which line.
    pub evidence: Vec<Evidence>,
}

impl Service {
    /// The port that other services and `forward` use: the main container's first.
    pub fn port(&self) -> Option<&Port> {
        self.main.ports.first()
    }

    /// The service with the image that its tests run in: of the file that it is built from, the stage
    /// or variant for tests.
    #[must_use]
    pub fn tested(&self) -> Self {
        let mut tested = self.clone();
        let variant = self.test.as_ref().and_then(|test| test.variant.clone());
        if let (Image::Build(build), Some(variant)) = (&mut tested.image, variant)
            && let Some(file) = &mut build.file
        {
            file.variant = Some(variant);
        }
        tested
    }
}

/// A value that must never be shown: printed and serialised as `…`.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the Secret object alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

/// Where a private setting comes from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretSource {
    /// It is known.
    Given(Secret),
    /// It is made at random, once.
    Generated {
        /// How many letters and digits.
        length: u32,
    },
    /// It is another service's.
    Of {
        /// The other service.
        service: ServiceName,
        /// The variable under which it has it.
        secret: String,
    },
}

impl SecretSource {
    /// The value itself, or what stands for it before it is known.
    pub fn text(&self) -> &str {
        match self {
            Self::Given(secret) => secret.reveal(),
            Self::Generated { .. } | Self::Of { .. } => "(known when it is deployed)",
        }
    }
}

/// A certificate and its private key, both as PEM.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct KeyPair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: Secret,
}

/// Where a service's files come from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A folder that is there.
    Path(PathBuf),
    /// A git repository, checked out into `directory` when that is missing.
    Git {
        /// What `git clone` takes.
        url: String,
        /// Branch, tag or commit; the remote's default branch where none is named.
        reference: Option<String>,
        /// Where the checkout goes.
        directory: PathBuf,
    },
    /// An npm package, unpacked into `directory` when that is missing.
    Npm {
        /// The package's name.
        package: String,
        /// Its version or range.
        version: String,
        /// Where it is unpacked.
        directory: PathBuf,
    },
    /// The sources of a Python package, unpacked into `directory` when that is missing.
    Pypi {
        /// The package's name.
        package: String,
        /// Its version or range; the newest where none is wanted.
        version: Option<String>,
        /// Where they are unpacked.
        directory: PathBuf,
    },
    /// No files of its own: an image somebody else made.
    None,
}

impl Source {
    /// The folder with the service's files, also when it has yet to be fetched.
    pub fn directory(&self) -> Option<&PathBuf> {
        match self {
            Self::Path(directory)
            | Self::Git { directory, .. }
            | Self::Npm { directory, .. }
            | Self::Pypi { directory, .. } => Some(directory),
            Self::None => None,
        }
    }
}

/// Where a service's image comes from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::large_enum_variant,
    reason = "one per service; a box would be in every match"
)]
pub enum Image {
    /// Made by us: a base and one layer of the service's files and dependencies.
    Build(Build),
    /// Used as it is.
    Reference(String),
}

/// How an image is made from a base and the service's files.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Build {
    /// The base image's reference.
    pub base: String,
    /// The absolute directory in the image that the files go to; also its working directory.
    pub directory: String,
    /// The numeric user that the image runs as; files belong to `owner`.
    pub user: u32,
    /// The numeric owner of the files.
    pub owner: u32,
    /// The command the image runs by itself.
    pub entrypoint: Vec<String>,
    /// Variables set in the image.
    pub environment: BTreeMap<String, String>,
    /// Files left out, in gitignore syntax.
    pub exclude: Vec<String>,
    /// The step that installs dependencies before the layer is made.
    pub dependencies: Option<Dependencies>,
    /// The file that the image is built from. Then that says what is in it, and `base`,
    /// `environment`, `exclude` and `dependencies` have no say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<BuildFile>,
}

/// A Dockerfile or Blubber file, and what is built of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct BuildFile {
    /// Its path, relative to the service's directory, which is what it is built from.
    pub path: String,
    /// The stage or variant; `None` for the file's usual one.
    pub variant: Option<String>,
    /// Values of its arguments.
    pub arguments: BTreeMap<String, String>,
    /// Who builds it; `None` for mwctl itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// The network of the programs that it runs; `None` for whatever the builder gives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<BuildNetwork>,
}

/// The step that brings a service's dependencies.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Dependencies {
    /// The command, run in the service's directory.
    pub command: Vec<String>,
    /// Variables it gets.
    pub environment: BTreeMap<String, String>,
    /// Files whose change means that the command must run again.
    pub inputs: Vec<String>,
    /// Directories it fills, relative to the service's directory.
    pub directories: Vec<String>,
    /// Files it may change that belong into the checkout.
    pub lock_files: Vec<String>,
}

/// What is merged over one of a service's objects.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Patch {
    /// The object's kind, as in `Deployment`.
    pub kind: String,
    /// Its name; any of that kind where none is given.
    pub name: Option<String>,
    /// What is merged: maps by key, lists of named things by name, anything else replaced; a null
    /// takes away.
    pub merge: serde_json::Value,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Container {
    /// Its name in the pod, without the release.
    pub name: String,
    /// Whether the release is left out of its name in the pod.
    pub plain_name: bool,
    /// Its image; `None` in the main container, which runs the service's own.
    pub image: Option<String>,
    /// The command; empty where the image's own is to run.
    pub command: Vec<String>,
    /// Where it runs; `None` for the image's own directory.
    pub working_directory: Option<String>,
    /// Its ports, the most important first.
    pub ports: Vec<Port>,
    /// Variables, in order.
    pub environment: Vec<(String, String)>,
    /// When it counts as able to answer.
    pub readiness: Option<Probe>,
    /// When it counts as stuck.
    pub liveness: Option<Probe>,
    /// When it counts as started.
    pub startup: Option<Probe>,
    /// What it asks for and what it may have at most.
    pub resources: Resources,
    /// Which volumes it sees, where.
    pub mounts: Vec<Mount>,
    /// The numeric user, where the image's own is not to be used.
    pub user: Option<u32>,
    /// Whether the root filesystem is read-only.
    pub read_only: bool,
}

/// A port a container listens on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Port {
    /// Its name, at most 15 characters.
    pub name: String,
    /// Its number.
    pub number: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// From where it can be reached.
    pub reach: Reach,
}

/// From where a port can be reached.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// By the service's name.
    Service,
    /// By a name of its own: the service's with this behind it, as in `tls-service`.
    Named(String),
    /// By the pod's address alone, as whoever collects metrics does.
    Cluster,
    /// From within the pod.
    Pod,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A check that the kubelet makes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Probe {
    /// What is checked.
    pub check: Check,
    /// Seconds between two checks.
    pub period_seconds: u32,
    /// Seconds after which a check has failed.
    pub timeout_seconds: u32,
    /// Seconds before the first check.
    pub initial_delay_seconds: u32,
    /// How many failures in a row count.
    pub failure_threshold: u32,
}

/// What a probe checks; ports by number.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// An HTTP GET answers 200 to 399.
    Http {
        /// The path with its query.
        path: String,
        /// The port.
        port: u16,
    },
    /// A TCP connection is accepted.
    Tcp {
        /// The port.
        port: u16,
    },
    /// A command exits with 0.
    Exec {
        /// The command.
        command: Vec<String>,
    },
}

/// Requests and limits, as canonical Kubernetes quantities.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Resources {
    /// What the scheduler reserves: `cpu`, `memory` → quantity.
    pub requests: BTreeMap<String, String>,
    /// What it may use at most.
    pub limits: BTreeMap<String, String>,
}

/// A volume in a container.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mount {
    /// The volume's name.
    pub volume: String,
    /// The absolute path in the container.
    pub path: String,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// A directory beside the image.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// What holds it.
    pub kind: VolumeKind,
}

/// What holds a volume.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeKind {
    /// Gone with the pod.
    Temporary,
    /// A certificate of the service's own and its key, as `tls.crt` and `tls.key`.
    Certificate,
    /// Kept when the pod goes, until `down --volumes`: a claim of this size.
    Persistent {
        /// A Kubernetes quantity.
        size: String,
    },
}

/// A configuration file that is mounted into containers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConfigFile {
    /// The absolute path in the container.
    pub path: String,
    /// Its rendered text.
    pub text: String,
    /// The container (by name) that sees it.
    pub container: String,
    /// The ConfigMap it is kept in, as what stands behind the service's name.
    pub map: String,
}

/// What may reach a service and what it may reach.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Network {
    /// Whether outgoing connections are limited to what the service needs and to `egress`.
    pub restrict_egress: bool,
    /// Whether the service itself says that they aren't, whatever the stack says.
    pub open: bool,
    /// Outgoing connections that are allowed; only used with `restrict_egress`.
    pub egress: Vec<Egress>,
    /// How the service is reached.
    pub address: Address,
}

/// How a service is reached by its name.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Address {
    /// By an address of the cluster that stands for all of its pods.
    #[default]
    ClusterIp,
    /// By a port of each node too.
    NodePort {
        /// Its number; the cluster chooses where none is given.
        port: Option<u16>,
    },
    /// By the addresses of the pods themselves.
    Headless,
}

/// One allowed outgoing connection.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Egress {
    /// Pods of another service of the stack, on its ports.
    Service(ServiceName),
    /// An address range; never empty, since an empty `to` would allow everything.
    Cidr {
        /// As in `10.64.0.0/12`.
        cidr: String,
        /// The ports; all where empty.
        ports: Vec<u16>,
    },
}

/// A service that another one needs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Need {
    /// The needed service.
    pub service: ServiceName,
    /// What it must have reached before the needing one is deployed.
    pub condition: Condition,
}

/// What a needed service must have reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// Its pods are ready.
    Ready,
    /// Its containers run.
    Started,
    /// Its pod has run to its end, successfully.
    Completed,
    /// Nothing: it is only talked to, so that cycles are legal.
    Eventually,
}

/// One conclusion and the line it was drawn from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Evidence {
    /// What was concluded, as in `port 10044`.
    pub conclusion: String,
    /// The file, relative to the service's directory.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}
