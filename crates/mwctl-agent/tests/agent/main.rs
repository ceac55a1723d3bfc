//! The built agent as child processes: `run` in a directory of the test, sessions through `connect`.
#![expect(
    clippy::unwrap_used,
    reason = "a test says by its panic what went wrong"
)]

mod conversation;
mod copying;
mod edits;
mod ownership;
mod processes;
mod stage;
mod steps;
