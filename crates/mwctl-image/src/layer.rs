//! Layers: an archive on one side, a folder in overlay form on the other.
//!
//! In overlay form a deleted name is a character device 0:0, and a folder that hides those below
//! it has an attribute. Any user may make both, so a folder can be mounted as it lies.

mod extended;
mod limits;
mod pack;
mod sparse;
mod unpack;
mod xattr;

pub use limits::Limits;
pub use pack::{PackError, Packed, pack};
pub use unpack::{UnpackError, unpack};

pub(crate) use extended::Extended;
pub(crate) use unpack::{is_whiteout, unpack_upon};
pub(crate) use xattr::is_opaque;

/// A name that is deleted has this before it.
const WHITEOUT: &[u8] = b".wh.";
/// In a folder that hides those below it.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What another union filesystem left behind; it means nothing to anybody else.
const FOREIGN: &[u8] = b".wh..wh.";

#[cfg(test)]
mod tests;
