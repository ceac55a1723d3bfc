//! Contents in messages: plain bytes, or one lz4 block when that is smaller.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::frame::MAX_FRAME;

/// Bytes that are encoded in one piece. (A `Vec<u8>` would be encoded number by number.)
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        if bytes.len() > MAX_FRAME {
            return Err(E::invalid_length(bytes.len(), &self));
        }
        Ok(Bytes(bytes.to_vec()))
    }
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// The bytes themselves.
    Plain(Bytes),
    /// One lz4 block.
    Lz4 {
        /// The number of bytes that it unpacks to.
        size: u32,
        /// The block.
        bytes: Bytes,
    },
}

/// A message held data that cannot be unpacked.
#[derive(Debug, Error)]
pub enum UnpackData {
    /// The block says that it is larger than any message may be.
    #[error("a packed piece says that it holds {size} bytes, more than {MAX_FRAME}")]
    TooLarge {
        /// What it says.
        size: u32,
    },
    /// The block is broken.
    #[error("a packed piece cannot be unpacked")]
    Broken(#[source] lz4_flex::block::DecompressError),
    /// The block holds another number of bytes than it says.
    #[error("a packed piece says that it holds {said} bytes but holds {found}")]
    Length {
        /// What it says.
        said: u32,
        /// What it holds.
        found: usize,
    },
}

impl Data {
    /// Packs `bytes` when that makes them smaller by more than an eighth.
    pub fn pack(bytes: &[u8]) -> Self {
        // Below this a block rarely wins, and a save is worth more than 100 bytes.
        const WORTH_PACKING: usize = 512;
        if bytes.len() >= WORTH_PACKING
            && let Ok(size) = u32::try_from(bytes.len())
        {
            let packed = lz4_flex::block::compress(bytes);
            if packed.len() < bytes.len() - bytes.len() / 8 {
                return Self::Lz4 {
                    size,
                    bytes: Bytes(packed),
                };
            }
        }
        Self::Plain(Bytes(bytes.to_vec()))
    }

    /// Returns the bytes themselves.
    pub fn unpack(self) -> Result<Vec<u8>, UnpackData> {
        match self {
            Self::Plain(bytes) => Ok(bytes.0),
            Self::Lz4 { size, bytes } => {
                if size as usize > MAX_FRAME {
                    return Err(UnpackData::TooLarge { size });
                }
                let unpacked = lz4_flex::block::decompress(&bytes.0, size as usize)
                    .map_err(UnpackData::Broken)?;
                if unpacked.len() != size as usize {
                    return Err(UnpackData::Length {
                        said: size,
                        found: unpacked.len(),
                    });
                }
                Ok(unpacked)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_packed_and_comes_back() {
        let text = "const express = require('express');\n"
            .repeat(200)
            .into_bytes();
        let data = Data::pack(&text);
        assert!(matches!(data, Data::Lz4 { .. }));
        assert_eq!(data.unpack().unwrap(), text);
    }

    #[test]
    fn short_and_incompressible_bytes_stay_plain() {
        assert_eq!(Data::pack(b"x"), Data::Plain(Bytes(b"x".to_vec())));
        let mut noise = Vec::new();
        for seed in 0..64_u8 {
            noise.extend_from_slice(blake3::hash(&[seed]).as_bytes());
        }
        assert_eq!(Data::pack(&noise), Data::Plain(Bytes(noise)));
    }

    #[test]
    fn a_block_that_lies_about_its_size_is_refused() {
        let packed = lz4_flex::block::compress(&[7; 1000]);
        let short = Data::Lz4 {
            size: 10,
            bytes: Bytes(packed.clone()),
        };
        assert!(short.unpack().is_err());
        let long = Data::Lz4 {
            size: 2000,
            bytes: Bytes(packed.clone()),
        };
        assert!(matches!(
            long.unpack(),
            Err(UnpackData::Length {
                said: 2000,
                found: 1000
            })
        ));
        let huge = Data::Lz4 {
            size: u32::MAX,
            bytes: Bytes(packed),
        };
        assert!(matches!(huge.unpack(), Err(UnpackData::TooLarge { .. })));
    }
}
