//! A Kubernetes node on this machine, as a client like any kubelet: it knows no particular server.
//!
//! [`Node`] makes itself known to a cluster, and runs the pods that are bound to it as containers of `mwctl-container`. Where images
//! come from and which network pods are on is given to it ([`images::Images`], [`attachment::PodNetworks`]). What the API server asks
//! nodes for, it asks [`streams::NodeStreams`] and [`meter::NodeMeter`].
//!
//! [`network`] gives pods addresses, services, names, policies and a way out, in a namespace of its own.

pub mod attachment;
mod context;
mod events;
pub mod images;
pub mod log;
mod machine;
pub mod meter;
pub mod network;
mod node;
mod pod;
mod quantity;
pub mod streams;

pub use context::Options;
pub use node::{Node, StartError};

/// Why this node would never run such a pod: what it asks for would make it part of the machine. `None` where it asks for nothing of the
/// kind. A server that knows can refuse it before whoever makes it tries again and again.
pub fn never_runs(pod: &k8s_openapi::api::core::v1::Pod) -> Option<String> {
    pod::security::never(pod)
}
