//! Pods as containers of this machine, bound by a scheduler and told of in a cluster: the API server and the controllers are those of
//! `mwctl-testing`, the node is a client of them.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod configuration;
mod ephemeral;
mod lifecycle;
mod messages;
mod parts;
mod probes;
mod refusals;
mod stage;
mod streams;
mod tokens;
