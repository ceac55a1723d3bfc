//! Images under the real program: builds that run programs, and a store whose users are killed at random moments.
//!
//! What archives may contain and what becomes of it is tested beside the code.
//! `MWCTL_KILLS` says how often to kill; `.ci/full` asks for more than every change does.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod archive;
mod build;
mod engine;
mod kill;
mod program;
mod push;
mod registry;
mod service;
