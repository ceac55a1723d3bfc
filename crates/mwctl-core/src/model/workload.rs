//! What keeps a service's pods running, or runs them to their end.

use serde::Serialize;

/// What makes a service's pods.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Workload {
    /// A number of equal pods.
    #[default]
    Deployment,
    /// Numbered pods, each with volumes of its own.
    StatefulSet,
    /// One pod on each node.
    DaemonSet,
    /// A pod that runs to its end, once for each description.
    Job(Run),
    /// A pod that runs to its end, again and again.
    CronJob {
        /// When: five fields, or a word such as `@daily`.
        schedule: String,
        /// What happens when the one before is still running.
        concurrency: Concurrency,
        /// How each run goes.
        run: Run,
    },
}

/// How a pod runs to its end.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Run {
    /// How often it is tried again after a failure.
    pub retries: u32,
    /// Seconds after which it has failed.
    pub deadline_seconds: Option<u32>,
}

/// What happens when a run is due and the one before still goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Concurrency {
    /// Both run.
    Allow,
    /// The new one is left out.
    Forbid,
    /// The old one is ended.
    Replace,
}

impl Workload {
    /// The kind of the object, as Kubernetes calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job(_) => "Job",
            Self::CronJob { .. } => "CronJob",
        }
    }

    /// The group and version of the object.
    pub fn api_version(&self) -> &'static str {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps/v1",
            Self::Job(_) | Self::CronJob { .. } => "batch/v1",
        }
    }

    /// Whether its pods run to their end, instead of running on.
    pub fn ends(&self) -> bool {
        matches!(self, Self::Job(_) | Self::CronJob { .. })
    }
}
