//! The keys of a Stack, without its services.
//!
//! Nothing is decided here; these are the shapes and their documentation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Isolation, Scalar};

/// Services that are deployed together into one namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Stack {
    /// The stack's name. Lower-case letters, digits and hyphens.
    pub(crate) name: String,
    /// One sentence on what the stack is for.
    #[serde(default)]
    #[expect(dead_code, reason = "documentation that only people read")]
    pub(crate) description: Option<String>,
    /// The namespace its objects live in. Default: the stack's name.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    /// The release: objects are called `<service>-<release>`. Default: `local`.
    #[serde(default)]
    pub(crate) release: Option<String>,
    /// Whether its services' outgoing connections are limited to what they need, as in production:
    /// `strict` or `open`. Default: `open`.
    #[serde(default)]
    pub(crate) isolation: Option<Isolation>,
    /// The level of the Pod Security standards that the namespace enforces. Default: `restricted`.
    #[serde(default)]
    pub(crate) pod_security: Option<PodSecurity>,
    /// What all of its pods together may ask for and use: `cpu` (as in `90`), `memory` (as in
    /// `100Gi`). Default: no limit.
    #[serde(default)]
    pub(crate) quota: BTreeMap<String, Scalar>,
    /// What each container and each pod may ask for and use. Default: no limit.
    #[serde(default)]
    pub(crate) limits: Option<Limits>,
    /// Files whose documents belong to this stack too, relative to this one: the services of other
    /// Stacks, over which this one's are merged, their conventions and helpers.
    #[serde(default)]
    #[expect(dead_code, reason = "read from the tree, before anything is resolved")]
    pub(crate) include: Vec<String>,
    /// Files with Kubernetes objects that are applied as they are, in the stack's namespace where
    /// they name none; relative to this one. A folder stands for its `.yaml` and `.yml` files.
    #[serde(default)]
    #[expect(dead_code, reason = "read from the tree, before anything is resolved")]
    pub(crate) manifests: Vec<String>,
}

/// What one person wants otherwise, in `mwctl.local.yaml` beside `mwctl.yaml`; not for the
/// repository. It is laid over everything else.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Overrides {}

/// A level of the Pod Security standards.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum PodSecurity {
    Restricted,
    Baseline,
    Privileged,
}

/// What each container and each pod may ask for and use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// For each container.
    pub(crate) container: ContainerLimits,
    /// The most that a pod may use: `cpu`, `memory`.
    pub(crate) pod: BTreeMap<String, Scalar>,
}

/// What each container may ask for and use, as Kubernetes quantities of `cpu` and `memory`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ContainerLimits {
    /// The least that it asks for.
    pub(crate) min: BTreeMap<String, Scalar>,
    /// The most that it may use.
    pub(crate) max: BTreeMap<String, Scalar>,
    /// What it may use at most where it says nothing.
    pub(crate) default_limit: BTreeMap<String, Scalar>,
    /// What it asks for where it says nothing.
    pub(crate) default_request: BTreeMap<String, Scalar>,
}
