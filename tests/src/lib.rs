//! What the tests share.

#[cfg(feature = "cluster")]
pub mod cluster;
pub mod kinds;
pub mod performance;
pub mod processes;
pub mod registry;
pub mod system;
pub mod web;
