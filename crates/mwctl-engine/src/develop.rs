//! The edit loop's effects: files, the agent's stream, pods and time, around the pure state.

pub mod checkout;
pub mod conduct;
pub mod converge;
pub mod link;
pub mod mount;
pub mod session;
