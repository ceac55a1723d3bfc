//! The cluster's name server: its own names from memory, all others by the resolvers of the host.
//!
//! [`zone`] makes the names from what is observed, [`answer`] makes an answer of a question; both are pure. [`server`] listens and
//! [`upstream`] asks the host's resolvers. Names follow the Kubernetes DNS specification 1.1.0.

pub(crate) mod answer;
pub(crate) mod resolvers;
pub(crate) mod server;
pub(crate) mod upstream;
pub(crate) mod zone;
