//! Each shipped convention and helper, run for real by the program as a person would run it: pods that are
//! containers of this machine, a request that is answered, and nothing left afterwards.
//!
//! `tests/shipped/run` makes the images, starts the cluster, and this. What is rendered is checked elsewhere, without one.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod queue;
mod sample;
mod services;
mod sidecars;
mod stores;
mod wiki;
