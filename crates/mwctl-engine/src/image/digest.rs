//! Digests while bytes pass by.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

/// The digest of some bytes, as OCI writes it.
pub(crate) fn of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Whether a text is a digest that we can check; anything else could be a path.
pub(crate) fn is_legal(text: &str) -> bool {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.strip_prefix("sha256:")
        .is_some_and(|hash| hash.len() == 64 && hash.bytes().all(lower_hex))
}

/// A writer that knows the digest and the number of the bytes that went through.
pub(super) struct Hashing<W> {
    inner: W,
    state: Sha256,
    count: u64,
}

impl<W: Write> Hashing<W> {
    pub(super) fn new(inner: W) -> Self {
        Self {
            inner,
            state: Sha256::new(),
            count: 0,
        }
    }

    pub(super) fn finish(self) -> (W, String, u64) {
        let digest = format!("sha256:{}", hex::encode(self.state.finalize()));
        (self.inner, digest, self.count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.state.update(&bytes[..written]);
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The digest and length of a file.
pub(crate) fn of_file(mut file: impl Read) -> io::Result<(String, u64)> {
    let mut hashing = Hashing::new(io::sink());
    io::copy(&mut file, &mut hashing)?;
    let (_, digest, count) = hashing.finish();
    Ok((digest, count))
}
