//! The keys of what makes a service's pods, of its address, and of patches.
//!
//! Nothing is decided here; these are the shapes and their documentation.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Anything, Whole};

/// What makes a service's pods.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Workload {
    /// `deployment`: a number of equal pods; `statefulSet`: numbered pods with volumes of their own;
    /// `daemonSet`: a pod on each node; `job`: a pod that runs to its end, once for each
    /// description; `cronJob`: one that does so again and again. Default: `deployment`.
    pub(crate) kind: WorkloadKind,
    /// When a `cronJob` runs: five fields as in `*/5 * * * *`, or `@hourly`, `@daily`, `@weekly`,
    /// `@monthly`, `@yearly`. Default: `@daily`.
    pub(crate) schedule: Option<String>,
    /// What happens when a `cronJob` is due and its last run goes on: `allow` both, `forbid` the new
    /// one, or `replace` the old one. Default: `forbid`.
    pub(crate) concurrency: Option<Concurrency>,
    /// How often a `job` or a run of a `cronJob` is tried again after a failure. Default: 1.
    pub(crate) retries: Option<Whole>,
    /// The time after which it has failed, as in `10m`. Default: no limit.
    pub(crate) deadline: Option<String>,
}

/// What makes the pods.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum WorkloadKind {
    #[default]
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
}

/// What happens when a run is due and the last one goes on.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum Concurrency {
    Allow,
    Forbid,
    Replace,
}

/// How a service is reached.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum Address {
    #[default]
    #[serde(rename = "clusterIP")]
    ClusterIp,
    NodePort,
    Headless,
}

/// Whether outgoing connections are limited.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) enum Isolation {
    Open,
    Strict,
}

/// What is merged over one of the service's Kubernetes objects: maps by key, lists of named things
/// by name, anything else replaced; a key without a value takes the field away.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Patch {
    /// The object's kind, as in `Deployment`.
    pub(crate) kind: String,
    /// The object's name. Default: all of the service's objects of that kind.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// What is merged.
    #[schemars(with = "Anything")]
    pub(crate) merge: Value,
}
