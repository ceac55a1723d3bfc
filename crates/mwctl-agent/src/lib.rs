//! The agent: the first process inside a developed container, and what the engine says to it.
//!
//! A session (the engine) opens one streamed exec of `agent connect`, which joins the stream to the
//! agent that runs as the container's first process. Over it go length-prefixed frames ([`frame`])
//! that hold the messages of [`protocol`]. The agent keeps the application directory equal to the
//! checkout, runs the dependency step, restarts the process in place and reports each phase.
//!
//! The library without the feature `agent` is the protocol alone: pure, portable and without any
//! runtime, so that both a thread and an async task can use it. Nothing here knows Kubernetes.
//!
//! Invariants: the agent opens files beneath its target only; it deletes only what its own manifest
//! says that it wrote; one session owns it at a time; a crash of the process never ends the container.

#[cfg(all(feature = "agent", target_os = "linux"))]
pub mod agent;
pub mod frame;
pub mod protocol;
