//! The effects of `mwctl`: carries out what `mwctl-core` decided, and speaks in events.
//!
//! | module | the effect it owns |
//! |---|---|
//! | [`kube`] | requests, watches and streams of the Kubernetes API |
//! | [`develop`] | the edit loop: files, the agent's stream, time |
//! | [`watch`] | notices changed files |
//! | [`event`] | what is told to whoever listens |
//!
//! Nothing here prints, reads the environment, or ends the process.

pub mod develop;
pub mod event;
pub mod execute;
pub mod kube;
pub mod test;
pub mod watch;
