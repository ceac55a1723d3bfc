//! The effects of `mwctl`: carries out what `mwctl-core` decided, and speaks in events.
//!
//! | module | the effect it owns |
//! |---|---|
//! | [`kube`] | requests, watches and streams of the Kubernetes API |
//! | [`develop`] | the edit loop: files, the agent's stream, time |
//! | [`watch`] | notices changed files |
//! | [`repository`] | finds and reads the documents a user wrote |
//! | [`bases`] | looks up what a stack's bases mean now, and what is newer |
//! | [`command`] | starts external programs |
//! | [`source`] | fetches a service's files when they aren't there |
//! | [`image`] | makes images, in the cache |
//! | [`delivery`] | brings images onto nodes |
//! | [`cluster`] | finds, starts and stops clusters |
//! | [`machine`] | reads what this machine gives to containers |
//! | [`progress`] | signs of life of long work |
//! | [`event`] | what is told to whoever listens |
//!
//! Nothing here prints, reads the environment, or ends the process.

pub mod bases;
pub mod clock;
pub mod cluster;
pub mod command;
pub mod delivery;
pub mod deploy;
pub mod develop;
pub mod embedded;
pub mod event;
pub mod execute;
pub mod image;
pub mod kube;
pub mod machine;
pub mod made;
pub mod progress;
pub mod repository;
pub mod source;
pub mod test;
pub mod tls;
pub mod watch;
pub mod workshop;
pub mod workspace;

/// Images on this machine: the store, the ways into it, and builds.
pub use mwctl_image as images;
