//! What a tree consists of: paths with contents by hash, and what was refused about one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The blake3 hash of a file's contents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One path of a tree. Directories are not listed: they exist while something is in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the target, parts separated by `/`, never with `.`, `..` or an empty part.
    pub path: String,
    /// What is there.
    pub kind: EntryKind,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Of its contents.
        hash: Hash,
        /// In bytes.
        size: u64,
        /// Whether it is written with mode 0755 instead of 0644.
        executable: bool,
    },
    /// A symbolic link. The agent creates it and never follows it.
    Symlink {
        /// Where it points, as written.
        target: String,
    },
}

impl Entry {
    /// Describes a file that holds `contents`.
    pub fn file(path: impl Into<String>, contents: &[u8], executable: bool) -> Self {
        let (hash, size) = (Hash::of(contents), contents.len() as u64);
        Self {
            path: path.into(),
            kind: EntryKind::File {
                hash,
                size,
                executable,
            },
        }
    }

    /// Describes a symbolic link.
    pub fn symlink(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            kind: EntryKind::Symlink {
                target: target.into(),
            },
        }
    }
}

/// A path with which the agent did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPath {
    /// As it was asked for.
    pub path: String,
    /// Why, as a fragment that follows the path in a sentence.
    pub reason: String,
}
