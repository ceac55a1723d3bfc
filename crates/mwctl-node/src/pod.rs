//! A pod on this node.
//!
//! ```text
//! the cluster, tasks, time ──event──→ actor ──handle, decide (pure)──→ effects ──→ tasks: sandbox, begin, stop, ask
//!                                       └──status (pure)──→ the cluster
//! ```

pub(crate) mod actor;
mod backoff;
pub(crate) mod begin;
pub(crate) mod checkout;
pub(crate) mod decide;
mod describe;
pub(crate) mod environment;
mod failing;
mod fields;
mod grpc;
mod hooks;
pub(crate) mod live;
mod message;
mod owners;
pub(crate) mod ports;
mod probes;
mod remembered;
mod sandbox;
pub(crate) mod security;
pub(crate) mod sources;
pub(crate) mod state;
mod status;
mod stop;
mod tls;
mod tokens;
mod volumes;
mod written;
