//! What the tests share.

#[cfg(feature = "cluster")]
pub mod cluster;
