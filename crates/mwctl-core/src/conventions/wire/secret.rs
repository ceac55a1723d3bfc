//! The keys of private settings.
//!
//! Nothing is decided here; these are the shapes and their documentation.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Scalar, Whole};

/// Where a private setting comes from: exactly one of `value`, `environment`, `generate` and `from`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Secret {
    /// The value itself; for local throw-away values only.
    #[serde(default)]
    pub(crate) value: Option<Scalar>,
    /// The environment variable that holds it where mwctl runs.
    #[serde(default)]
    pub(crate) environment: Option<String>,
    /// It is made at random at the first deployment, and kept in the cluster from then on.
    #[serde(default)]
    pub(crate) generate: Option<Generate>,
    /// It is another service's.
    #[serde(default)]
    pub(crate) from: Option<From>,
}

/// How a private setting is made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Generate {
    /// How many letters and digits, 8 to 256. Default: 24.
    pub(crate) length: Option<Whole>,
}

/// A private setting of another service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct From {
    /// The other service.
    pub(crate) service: String,
    /// The variable under which it has it.
    pub(crate) secret: String,
}
