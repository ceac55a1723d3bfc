//! Images made in this process: a base, a layer of dependencies where a step brings some, and a
//! layer of the service's own files.
//!
//! Everything is named by what went into it. The reference of an image is made of its key (base,
//! parameters, contents), so the same inputs are never built twice and a tag never changes its
//! content. Dependencies have a layer of their own because they change seldom and weigh most: an
//! edit packs and delivers the service's own files alone.
//!
//! Where a service has a Dockerfile or Blubber file of its own that is to be built, [`mod@file`] does
//! that, or [`foreign`], where another engine is to. Bringing an image onto a node is [`crate::delivery`]'s work.

pub mod archive;
mod assemble;
pub mod base;
mod builder;
mod built;
mod cache;
mod dependencies;
mod digest;
mod document;
pub mod engine;
mod exclude;
pub mod file;
mod files;
pub mod foreign;
pub mod gate;
mod key;
mod layer;
pub(crate) mod local;
mod prune;
mod stat;

pub use base::{Base, BaseError, BaseSource, Bases, Defaults, pinned, whole};
pub use builder::{BuildError, Builder, Planned, Request};
pub use built::Built;
pub use cache::Cache;
pub(crate) use dependencies::QUIET;
pub use document::{BlobDescriptor, chain};

/// Where the list of the service's own files is in the image: one path a line, relative to the
/// application's directory. The agent takes ownership of exactly these.
pub const SOURCE_FILES: &str = "/usr/lib/mwctl/source-files";

#[cfg(test)]
pub(crate) mod tests;
