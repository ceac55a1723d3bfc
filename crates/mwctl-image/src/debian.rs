//! What Debian's archives have for an image: newer versions of its packages, by the archives' signed indices.
//!
//! ```text
//! image ──sources──→ Source, keyrings ──archive──→ InRelease ──keyring──→ Release ──→ Packages ──index──→ versions
//! ```
//!
//! Where to look and whose signature counts is taken from the image itself. Nothing of the image is run, and nothing
//! is installed: updating is building anew upon a newer base.

mod archive;
mod index;
mod keyring;
mod release;
mod sources;
mod version;

pub use archive::{ArchiveError, Archives, Update};
pub use sources::{Debian, Source};
pub use version::compare;

/// Debian's name of an architecture of images.
pub(crate) fn architecture(image: &str) -> &str {
    match image {
        "arm" => "armhf",
        "386" => "i386",
        "ppc64le" => "ppc64el",
        other => other,
    }
}
