//! Requests and answers recorded from a real kube-apiserver 1.34, replayed against the pure parts of this server.
//!
//! The recordings are in `tests/vectors`; times, uids and revisions in them are placeholders. What a real server adds after a patch (defaults)
//! is not judged here: an answer must have everything that we computed, in our order, and nothing that we removed.

#![allow(
    clippy::unwrap_used,
    reason = "a recording that isn't as it was made fails the test"
)]

mod applies;
mod patches;
mod pod_security;
mod vectors;
