//! Frames: four bytes of length (little-endian), then one postcard value.
//!
//! [`encode`] and [`Decoder`] are pure, for whoever reads and writes asynchronously; [`write_frame`]
//! and [`read_frame`] block. Nothing here knows what the values mean.

use std::io::{self, Read, Write};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The most bytes that a frame's value may have. A longer one is refused before it is read.
pub const MAX_FRAME: usize = 4 << 20;

/// The bytes of the length.
const LENGTH: usize = 4;

/// A frame is wrong or could not be carried.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The length is over the limit: a bug, or not our protocol at all.
    #[error("a frame of {length} bytes is longer than the limit of {MAX_FRAME}")]
    TooLong {
        /// What was stated or needed.
        length: usize,
    },
    /// The bytes are no such value.
    #[error("a frame of {length} bytes is not understood")]
    Malformed {
        /// Of the frame.
        length: usize,
        /// What postcard says.
        #[source]
        source: Option<postcard::Error>,
    },
    /// The stream ended inside of a frame.
    #[error("the stream ended inside of a frame")]
    Truncated,
    /// The stream failed.
    #[error("the stream failed")]
    Stream(#[source] io::Error),
}

/// Encodes a value as one frame.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    let malformed = |source| FrameError::Malformed {
        length: 0,
        source: Some(source),
    };
    let mut frame = postcard::to_extend(value, vec![0; LENGTH]).map_err(malformed)?;
    let length = frame.len() - LENGTH;
    match u32::try_from(length) {
        Ok(prefix) if length <= MAX_FRAME => {
            frame[..LENGTH].copy_from_slice(&prefix.to_le_bytes());
            Ok(frame)
        }
        _ => Err(FrameError::TooLong { length }),
    }
}

/// Writes a value as one frame in one call, and flushes.
pub fn write_frame<T: Serialize>(stream: &mut impl Write, value: &T) -> Result<(), FrameError> {
    let frame = encode(value)?;
    stream
        .write_all(&frame)
        .and_then(|()| stream.flush())
        .map_err(FrameError::Stream)
}

/// Reads one frame; nothing if the stream ends between frames.
pub fn read_frame<T: DeserializeOwned>(stream: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut prefix = [0; LENGTH];
    let mut filled = 0;
    while filled < LENGTH {
        match stream.read(&mut prefix[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(FrameError::Truncated),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameError::Stream(error)),
        }
    }
    let mut value = vec![0; checked_length(prefix)?];
    stream
        .read_exact(&mut value)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => FrameError::Truncated,
            _ => FrameError::Stream(error),
        })?;
    decode(&value).map(Some)
}

/// Collects bytes as they come and gives the frames that are complete.
#[derive(Debug)]
pub struct Decoder<T> {
    bytes: Vec<u8>,
    start: usize,
    value: PhantomData<fn() -> T>,
}

impl<T> Default for Decoder<T> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            value: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Decoder<T> {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next complete frame, if there is one. After an error the stream is useless, because
    /// nobody knows where the next frame begins.
    pub fn next_frame(&mut self) -> Result<Option<T>, FrameError> {
        let pending = &self.bytes[self.start..];
        let Some((prefix, rest)) = pending.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = checked_length(*prefix)?;
        let Some(value) = rest.get(..length) else {
            return Ok(None);
        };
        let value = decode(value)?;
        self.start += LENGTH + length;
        Ok(Some(value))
    }

    /// Whether the bytes so far end between frames, as they must when the stream ends.
    pub fn is_between_frames(&self) -> bool {
        self.start == self.bytes.len()
    }
}

fn checked_length(prefix: [u8; LENGTH]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX_FRAME {
        Err(FrameError::TooLong { length })
    } else {
        Ok(length)
    }
}

fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, FrameError> {
    let length = value.len();
    match postcard::take_from_bytes(value) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(FrameError::Malformed {
            length,
            source: None,
        }),
        Err(error) => Err(FrameError::Malformed {
            length,
            source: Some(error),
        }),
    }
}

#[cfg(test)]
mod tests;
