//! What a stack's namespace admits: how much in all, how much for one container, and how privileged.

use std::collections::BTreeMap;

use serde::Serialize;

/// Resources by name, as canonical Kubernetes quantities.
pub type Quantities = BTreeMap<String, String>;

/// What a namespace admits.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Admission {
    /// The level of the Pod Security standards that pods must keep.
    pub pod_security: PodSecurity,
    /// What all pods together may ask for and use; no limit where it is empty.
    pub quota: Quantities,
    /// What each container and each pod may ask for and use.
    pub limits: Option<Limits>,
}

/// A level of the Pod Security standards.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PodSecurity {
    /// What production asks for.
    #[default]
    Restricted,
    /// Known escalations are refused.
    Baseline,
    /// Anything goes.
    Privileged,
}

impl PodSecurity {
    /// The value of the namespace's labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
            Self::Privileged => "privileged",
        }
    }
}

/// What each container and each pod may ask for and use.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Limits {
    /// The least that a container asks for.
    pub min: Quantities,
    /// The most that a container uses.
    pub max: Quantities,
    /// The limit of a container that states none.
    pub default: Quantities,
    /// The request of a container that states none.
    pub default_request: Quantities,
    /// The most that a pod uses.
    pub pod_max: Quantities,
}
