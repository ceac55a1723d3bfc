//! What the zygote is told and what it answers.
//!
//! The zygote is the first process of a node's containers: a small static program with one thread, PID 1 of the PID
//! namespace in which every container of a node lives. It takes [`protocol::Order`]s over one socket, carries each out in
//! a forked process of its own, and tells every end. Where its socket closes, or its owner dies in any way, it ends, and
//! the kernel ends all that is left with it.
//!
//! This library is what both sides share: the protocol, and how paths are opened. `mwctl-container` starts the program and speaks to it; whoever
//! wants containers uses that.

pub mod protocol;
pub mod resolve;
pub mod socket;
