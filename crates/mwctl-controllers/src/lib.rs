//! Kubernetes' own controllers: Deployments get their ReplicaSets, those their pods, pods their nodes.
//!
//! A controller is two pure functions ([`controller::Controller`]): which keys a change concerns, and what is to be done about a key, given
//! everything that is [`observed`]. What is to be done is a list of [`action`]s. One loop with one ordinary [`kube::Client`] watches, asks
//! and acts; it needs no particular server, so it runs against the embedded API as well as beside a real one.
//!
//! Invariants: nothing polls and nothing is resynchronised; only `driver::effects` and `driver::run` change anything in the cluster; a
//! controller that is stopped at any point decides the same anew.

pub mod action;
mod claim;
mod cluster_roles;
pub mod controller;
mod cron_job;
mod daemon_set;
mod deployment;
mod discovery;
mod disruption;
mod driver;
mod endpoints;
mod garbage;
mod hash;
mod job;
mod namespace;
mod node_taints;
pub mod observed;
mod options;
mod pods;
mod queue;
mod recorder;
mod replica_set;
mod replication_controller;
mod revisions;
mod scheduler;
mod service_account;
pub mod simulate;
mod stateful_set;
mod taint_eviction;
mod volumes;
#[cfg(test)]
mod world;

use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::controller::Controller;
use self::driver::run::Run;
pub use self::options::{Options, Settings};

/// All controllers.
pub static CONTROLLERS: &[&Controller] = &[
    &cluster_roles::CONTROLLER,
    &cron_job::CONTROLLER,
    &daemon_set::CONTROLLER,
    &deployment::CONTROLLER,
    &disruption::CONTROLLER,
    &endpoints::LEGACY_CONTROLLER,
    &endpoints::MIRRORING_CONTROLLER,
    &endpoints::SLICE_CONTROLLER,
    &garbage::CONTROLLER,
    &job::CONTROLLER,
    &namespace::CONTROLLER,
    &node_taints::CONTROLLER,
    &replica_set::CONTROLLER,
    &replication_controller::CONTROLLER,
    &scheduler::CONTROLLER,
    &service_account::CONTROLLER,
    &simulate::CONTROLLER,
    &stateful_set::CONTROLLER,
    &taint_eviction::CONTROLLER,
    &volumes::CONTROLLER,
];

/// Why the controllers don't run.
#[derive(Debug, thiserror::Error)]
#[error("cannot ask the server which kinds it has")]
pub struct StartError(#[source] kube::Error);

/// The controllers, as something that can be started.
#[derive(Clone, Copy, Debug)]
pub struct Controllers;

impl Controllers {
    /// Starts the chosen controllers. They run until the handle is dropped or shut down.
    pub async fn start(client: Client, options: Options) -> Result<Handle, StartError> {
        let run = Run::begin(client, options).await.map_err(StartError)?;
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(run.until(cancel.clone()));
        Ok(Handle { cancel, tasks })
    }
}

/// Running controllers. Dropping it stops them at once.
#[derive(Debug)]
pub struct Handle {
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Handle {
    /// Stops them and waits until they have stopped.
    pub async fn shutdown(mut self) {
        self.cancel.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
