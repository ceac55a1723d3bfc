//! Whether a cluster with a node works on the machine at hand, from its outside: what most people do first, once, and with what a kernel
//! has to give for it. Not what a pod is in all its parts, which is tested with the node in the same process.
//!
//! `mwctl cluster run --grade node -- cargo test -p mwctl-node --features cluster --test smoke` runs it by hand, as whoever types that.
//! `tests/compat/guest/run` runs it on a machine with another kernel. `MWCTL_SMOKE_IMAGE` is an image with busybox's commands, and a file
//! `/data/old`; `MWCTL_SMOKE_LIMITS` says whether limits must be `enforced`, with control groups of
//! version 2, or must be `lacking` and told.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod files;
mod limits;
mod policy;
mod serving;
mod space;
