//! The bases that a stack's images are built upon: which they are, what their names mean now, and what is newer.
//!
//! ```text
//! Stack ──used──→ names ──look──→ Meaning ──record──→ LockedBase ──→ mwctl.lock
//!                   └────────────news──→ what has moved, which packages are newer
//! ```
//!
//! What builds take is decided in [`crate::image`]; here registries and archives are asked, which building never does
//! for what is recorded.

mod look;
mod news;
mod order;
mod used;

pub use look::{Finder, LookError, Meaning};
pub use news::{News, news};
pub use order::{Circle, Upon, maker, ordered, upon};
pub use used::{Used, used};
