//! What people write: the documents of `apiVersion: mwctl/v1`, key by key.
//!
//! The doc comments here are the reference: they go into the JSON Schema and into
//! `docs/reference/conventions.md`. A Convention and a Service share the keys of [`Spec`], all
//! optional, so that a Service overrides its convention key by key. Defaults and checks are not
//! here, they belong to the conversion.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(crate) use container::{
    Build, BuildNetwork, Container, Engine, Mount, Port, Probe, Protocol, Reach, Resources,
};
pub(crate) use scalar::{Condition, Need, PortReference, Scalar, Whole};
pub(crate) use secret::Secret;
pub(crate) use sidecar::{Helper, HelperContainer};
pub(crate) use stack::{Overrides, PodSecurity, Stack};
pub(crate) use work::{Dependencies, Develop, OnChange, Source, Test};
pub(crate) use workload::{Address, Concurrency, Isolation, Patch, Workload, WorkloadKind};

mod container;
mod scalar;
mod secret;
mod sidecar;
mod stack;
mod work;
mod workload;

/// A kind of service, which services follow: how it is recognised, how its pod is built, how it is
/// developed and tested.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Convention {
    /// The name by which services choose it. Lower-case letters, digits and hyphens.
    pub(crate) name: String,
    /// One sentence on what kind of service this is.
    #[serde(default)]
    #[expect(dead_code, reason = "documentation that only people read")]
    pub(crate) description: Option<String>,
    /// The convention that this one builds on; what stands here is merged over it.
    #[serde(default)]
    pub(crate) extends: Option<String>,
    /// How a repository of this kind is recognised. Without it the convention must be named.
    #[serde(default)]
    pub(crate) recognise: Option<Recognise>,
    /// Whether it takes the place of the shipped convention of its name. Default: false.
    #[serde(default, rename = "override")]
    pub(crate) replaces: bool,
}

/// One service in its repository, usually in `mwctl.yaml`: its name, the convention it follows, and
/// what differs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Service {
    /// The service's name. Default: the `name` fact, which is the package's name for Node.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// One sentence on what the service does.
    #[serde(default)]
    #[expect(dead_code, reason = "documentation that only people read")]
    pub(crate) description: Option<String>,
    /// The convention it follows. Default: the one that recognises the repository.
    #[serde(default)]
    pub(crate) convention: Option<String>,
}

/// One service of a stack. Its keys are a Service's; what stands here is merged over the Service
/// that the repository describes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Member {
    /// The convention it follows. Default: with a `source`, what its `mwctl.yaml` says or else the
    /// convention that recognises it; without one, the convention of the service's name.
    #[serde(default)]
    #[expect(dead_code, reason = "read as a Service's, which has this key too")]
    pub(crate) convention: Option<String>,
    /// The profiles that it belongs to: it is left out unless one of them is asked for, with
    /// `--profile`. Default: it is always there.
    #[serde(default)]
    #[expect(dead_code, reason = "read from the tree, before its keys are merged")]
    pub(crate) profiles: Vec<String>,
}

/// The keys that a Convention, a Service and a service of a Stack share. Maps are merged key by key,
/// lists and single values are replaced, and a key without a value (`liveness:`) takes away what the
/// convention says. Texts may hold templates: `{{ service.name }}`, `{{ service.host }}`,
/// `{{ facts.port }}`, `{{ services.redis.url }}`, `{{ stack.namespace }}`, `{{ release }}`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Spec {
    /// Where the service's files come from. Default: the folder of the document.
    pub(crate) source: Option<Source>,
    /// Named values read from the repository, for templates. The first of the list that exists
    /// counts. `name`, `version` and `port` are used by mwctl itself.
    pub(crate) facts: BTreeMap<String, Vec<Candidate>>,
    /// The container that is the service.
    pub(crate) container: Container,
    /// Containers beside it in the same pod, by name. One with the name of a known helper, such as
    /// `statsd-exporter: {}`, is that helper; what stands here is merged over it.
    pub(crate) helpers: BTreeMap<String, HelperContainer>,
    /// What makes its pods. Default: a Deployment.
    pub(crate) workload: Workload,
    /// How many pods, for a Deployment and a StatefulSet. Default: 1.
    pub(crate) replicas: Option<Whole>,
    /// Whether it speaks to the Kubernetes API, and gets an account and a token for that. What the
    /// account may do is described under the stack's `manifests`. Default: false.
    pub(crate) service_account: Option<bool>,
    /// Annotations of its pods.
    pub(crate) annotations: BTreeMap<String, Scalar>,
    /// What is merged over its Kubernetes objects in the end, for what no key here says.
    pub(crate) patches: Vec<Patch>,
    /// The service's own configuration file.
    pub(crate) config: Option<Config>,
    /// Other files that the container sees: absolute path to text. Templates are rendered.
    pub(crate) files: BTreeMap<String, String>,
    /// Public settings. They go into the configuration file at `config.settingsAt`, or else become
    /// environment variables with upper-case names.
    #[schemars(with = "BTreeMap<String, Anything>")]
    pub(crate) settings: BTreeMap<String, Value>,
    /// Private settings: environment variable to where its value comes from. They are kept in a
    /// Secret and never shown.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// Volumes by name, for `mounts`.
    pub(crate) volumes: BTreeMap<String, Volume>,
    /// How it is reached, and what it may reach.
    pub(crate) network: Option<Network>,
    /// The services it needs, as names or as `{service, condition}`. A need that the stack doesn't
    /// define is added when a convention of that name needs no source, such as `redis`.
    pub(crate) needs: Vec<Need>,
    /// How it is developed.
    pub(crate) develop: Option<Develop>,
    /// How it is tested.
    pub(crate) test: Option<Test>,
}

/// Anything at all.
pub(crate) struct Anything;

impl JsonSchema for Anything {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Anything".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({})
    }
}

/// How a repository of this kind is recognised: every condition of `all`, one of `any` if there are
/// any, and none of `none`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Recognise {
    /// Conditions that must all hold.
    pub(crate) all: Vec<Sign>,
    /// Conditions of which one must hold.
    pub(crate) any: Vec<Sign>,
    /// Conditions that speak against it.
    pub(crate) none: Vec<Sign>,
}

/// Something that a repository of this kind has.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sign {
    /// A file, relative to the repository.
    pub(crate) file: String,
    /// A key in it, as a JSON pointer such as `/dependencies/express`. Without it the file's
    /// existence is enough.
    #[serde(default)]
    pub(crate) key: Option<String>,
    /// What may stand in its place.
    #[serde(default)]
    pub(crate) or: Vec<Sign>,
}

impl Sign {
    /// Itself, and whatever may stand in its place.
    pub(crate) fn all(&self) -> Vec<&Self> {
        let others = self.or.iter().flat_map(Self::all);
        std::iter::once(self).chain(others).collect()
    }
}

/// One place a fact may come from: a key of a file, a fixed value if a file exists, or a fixed value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read from the tree, which knows the lines")]
pub(crate) struct Candidate {
    /// A file, relative to the repository.
    #[serde(default)]
    pub(crate) file: Option<String>,
    /// A key in the file, as a JSON pointer such as `/services/0/conf/port`.
    #[serde(default)]
    pub(crate) key: Option<String>,
    /// The value: where there is no `file`, or where `file` exists.
    #[serde(default)]
    pub(crate) value: Option<Scalar>,
}

/// The service's configuration file: the repository's own with values merged over it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The absolute path in the container. `.json` is written as JSON, anything else as YAML.
    pub(crate) path: Option<String>,
    /// Files of the repository to start from; the first that exists counts.
    pub(crate) from: Vec<String>,
    /// Values merged over it. A key without a value removes the key.
    #[schemars(with = "BTreeMap<String, Anything>")]
    pub(crate) values: BTreeMap<String, Value>,
    /// Where `settings` are merged in, as a JSON pointer such as `/services/0/conf`. Without it
    /// they become environment variables.
    pub(crate) settings_at: Option<String>,
}

/// A directory beside the image.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Volume {
    /// How much it may hold, as in `1Gi`. With a size it is kept when the pod goes, until
    /// `mwctl down --volumes`; without one it goes with the pod.
    pub(crate) size: Option<Scalar>,
    /// Whether it holds a certificate for the service's names and its key, as `tls.crt` and
    /// `tls.key`. They are made at the first deployment and kept in a Secret. Default: false.
    pub(crate) certificate: Option<bool>,
}

/// How the service is reached, and what it may reach.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Network {
    /// `clusterIP`: by an address of the cluster; `nodePort`: by a port of each node too; `headless`:
    /// by the addresses of its pods. Default: `clusterIP`.
    pub(crate) address: Address,
    /// The port of the nodes, with `address: nodePort`. Default: the cluster chooses.
    pub(crate) node_port: Option<Whole>,
    /// `strict`: outgoing connections are limited to name resolution, what `needs` names, and
    /// `egress`; `open`: they aren't. Default: the stack's; `strict` where `egress` is given.
    pub(crate) isolation: Option<Isolation>,
    /// Outgoing connections that are allowed beside name resolution and what `needs` names.
    pub(crate) egress: Option<Vec<Egress>>,
}

/// One allowed outgoing connection: a service of the stack, or an address range.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Egress {
    /// A service of the stack.
    #[serde(default)]
    pub(crate) service: Option<String>,
    /// An address range, as in `10.64.0.0/12`.
    #[serde(default)]
    pub(crate) cidr: Option<String>,
    /// The ports of the range that are allowed. Default: all.
    #[serde(default)]
    pub(crate) ports: Vec<Whole>,
}
