//! Real containers, as root and as an ordinary user. What this machine lacks is expected to be told, and nothing is skipped silently.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod identity;
mod isolation;
mod lifetime;
mod resources;
mod stage;
mod streams;
mod volumes;
