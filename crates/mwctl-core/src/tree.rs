//! What files there are, by content: the value that desired and actual state are compared with.
//!
//! A tree knows no contents and no disk; the engine fills one from a checkout, the agent answers
//! for the container.

use std::collections::BTreeMap;

use serde::Serialize;

/// One path's content.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Node {
    /// A regular file.
    File {
        /// BLAKE3 of its bytes.
        hash: [u8; 32],
        /// Bytes.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to, unread.
        target: String,
    },
}

impl Node {
    /// Whether this is a file without a single byte, as a save in two steps leaves for a moment.
    pub fn is_empty_file(&self) -> bool {
        matches!(self, Self::File { size: 0, .. })
    }
}

/// Paths relative to a root, with `/` between their parts, and what stands there.
pub type Tree = BTreeMap<String, Node>;

/// One hash over a whole tree: equal trees have equal hashes.
pub fn digest(tree: &Tree) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for (path, node) in tree {
        hasher.update(&(path.len() as u64).to_le_bytes());
        hasher.update(path.as_bytes());
        match node {
            Node::File {
                hash,
                size: _,
                executable,
            } => {
                hasher.update(if *executable { b"x" } else { b"f" });
                hasher.update(hash);
            }
            Node::Symlink { target } => {
                hasher.update(b"l");
                hasher.update(&(target.len() as u64).to_le_bytes());
                hasher.update(target.as_bytes());
            }
        }
    }
    *hasher.finalize().as_bytes()
}

/// What must be written and removed to turn one tree into another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Difference {
    /// Paths to write.
    pub put: Vec<String>,
    /// Paths to remove.
    pub delete: Vec<String>,
}

/// Compares two trees.
pub fn difference(actual: &Tree, desired: &Tree) -> Difference {
    Difference {
        put: desired
            .iter()
            .filter(|(path, node)| actual.get(*path) != Some(node))
            .map(|(path, _)| path.clone())
            .collect(),
        delete: actual
            .keys()
            .filter(|path| !desired.contains_key(*path))
            .cloned()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(byte: u8) -> Node {
        Node::File {
            hash: [byte; 32],
            size: 1,
            executable: false,
        }
    }

    #[test]
    fn a_difference_names_what_is_new_changed_or_gone() {
        let actual = Tree::from([("a".into(), file(1)), ("b".into(), file(2))]);
        let desired = Tree::from([("b".into(), file(3)), ("c".into(), file(4))]);
        assert_eq!(
            difference(&actual, &desired),
            Difference {
                put: vec!["b".into(), "c".into()],
                delete: vec!["a".into()]
            }
        );
        assert_eq!(difference(&desired, &desired), Difference::default());
    }

    #[test]
    fn a_digest_depends_on_paths_contents_and_the_executable_bit() {
        let tree = Tree::from([("a".into(), file(1))]);
        let other = Tree::from([("b".into(), file(1))]);
        let executable = Tree::from([(
            "a".into(),
            Node::File {
                hash: [1; 32],
                size: 1,
                executable: true,
            },
        )]);
        let digests = [digest(&tree), digest(&other), digest(&executable)];
        assert_eq!(digests[0], digest(&tree.clone()));
        assert!(digests[0] != digests[1] && digests[0] != digests[2]);
    }
}
