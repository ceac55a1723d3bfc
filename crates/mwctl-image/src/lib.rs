//! Images on this machine: one content-addressed store per user, the layers in it, and the ways
//! images come into it.
//!
//! ```text
//! file, folder ──import──┐
//! registry ─────registry─┴─→ blobs ──layer::unpack──→ layers ──Store::resolve──→ Image
//!                                                       ↑          this machine ──→ Image
//! Blubber file ──blubber──┐                             │
//! Dockerfile ──dockerfile─┴recipe→ plan::Plan ─build────┘ └─export─→ folder
//!                                   Store::packages ──debian──→ what is newer
//! ```
//!
//! An [`Image`] is a list of folders that are mounted as they lie. Knows no Kubernetes and no
//! terminal; mounting and running is another crate's work.
//!
//! **Invariants.** Nothing is changed under its name: what has a name is whole. Archives are
//! untrusted: no name leads out of a layer, no size is believed, no digest is taken on trust.
//! Original archives and digests are kept and never packed again.

pub mod blubber;
pub mod build;
pub mod debian;
pub mod digest;
pub mod dockerfile;
mod export;
#[cfg(test)]
mod fuzz;
mod host;
mod image;
mod import;
pub mod layer;
pub mod oci;
mod owners;
mod packages;
mod parallel;
pub mod plan;
pub mod recipe;
mod reference;
mod registry;
mod store;
pub mod user_namespace;
mod view;

pub use export::ExportError;
pub use host::HOST;
pub use image::{Config, Image, Port, Root};
pub use import::{ImportError, ImportOptions};
pub use owners::{Owners, UnknownOwner};
pub use packages::Packages;
pub use reference::{InvalidReference, Reference};
pub use registry::{Credentials, Progress, PullError, Push, PushError, Registry, Remote};
pub use store::{Collected, Details, Layer, Originals, Pin, Record, Store, StoreError};
