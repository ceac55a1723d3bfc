//! How much an archive may ask for. Archives are untrusted: a few bytes can claim terabytes.

/// What one layer may be at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How many entries it may have.
    pub entries: u64,
    /// How many bytes its files may have together.
    pub bytes: u64,
}

impl Default for Limits {
    /// Far above the largest images that are known to be used (CUDA's have 10 GB).
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            bytes: 64 << 30,
        }
    }
}
