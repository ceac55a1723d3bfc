//! Brings lock files that a dependency step changed in the container back into the checkout.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use mwctl_agent::protocol::{Data, Entry, EntryKind};
use mwctl_core::tree::Node;

use super::wire;

/// A lock file is text of at most some megabytes; more is not one.
const MAX_SIZE: u64 = 32 << 20;

/// The lock files that were announced or are on their way.
#[derive(Debug, Default)]
pub(super) struct LockFiles {
    announced: BTreeSet<String>,
    arriving: Option<LockFile>,
}

/// A lock file of the container.
#[derive(Debug)]
pub(super) struct LockFile {
    /// Relative to the checkout.
    pub(super) path: String,
    entry: Entry,
    bytes: Vec<u8>,
}

impl LockFiles {
    /// Notes which files changed; returns their paths.
    pub(super) fn changed(&mut self, entries: &[Entry]) -> Vec<String> {
        let paths: Vec<String> = entries
            .iter()
            .filter(|entry| matches!(entry.kind, EntryKind::File { size, .. } if size <= MAX_SIZE))
            .map(|entry| entry.path.clone())
            .collect();
        self.announced.extend(paths.iter().cloned());
        paths
    }

    /// A file that was asked for begins to arrive; returned at once where it is empty.
    pub(super) fn fetched(&mut self, path: String, entry: Option<Entry>) -> Option<LockFile> {
        // Only what was asked for is written, whatever the container sends.
        let asked = self.announced.remove(&path);
        let entry = entry.filter(|_| asked)?;
        self.arriving = Some(LockFile {
            path,
            entry,
            bytes: Vec::new(),
        });
        self.complete()
    }

    /// A piece of it arrives; the whole is returned with the last one.
    pub(super) fn contents(&mut self, data: Data) -> Option<LockFile> {
        let arriving = self.arriving.as_mut()?;
        arriving.bytes.extend(data.unpack().ok()?);
        self.complete()
    }

    fn complete(&mut self) -> Option<LockFile> {
        self.arriving.take_if(|file| match file.entry.kind {
            EntryKind::File { size, .. } => file.bytes.len() as u64 >= size,
            EntryKind::Symlink { .. } => false,
        })
    }
}

/// Writes a lock file into the checkout by a rename, if its content is what was announced.
pub(super) fn write(root: &Path, file: &LockFile) -> io::Result<Node> {
    let node = wire::node(&file.entry);
    let hash = *blake3::hash(&file.bytes).as_bytes();
    if !matches!(node, Node::File { hash: expected, .. } if expected == hash) {
        return Err(io::Error::other("its content arrived damaged"));
    }
    let target = root.join(&file.path);
    let folder = target.parent().unwrap_or(root);
    // A link on the way could lead out of the checkout.
    if !folder.canonicalize()?.starts_with(root.canonicalize()?) {
        return Err(io::Error::other("its folder is outside of the checkout"));
    }
    let mut temporary = tempfile::Builder::new()
        .prefix(".mwctl-")
        .tempfile_in(folder)?;
    temporary.write_all(&file.bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let executable = matches!(
            node,
            Node::File {
                executable: true,
                ..
            }
        );
        let mode = if executable { 0o755 } else { 0o644 };
        temporary
            .as_file()
            .set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    temporary.persist(&target).map_err(|error| error.error)?;
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_announced_file_with_the_announced_content_is_written() {
        let root = tempfile::tempdir().expect("a folder");
        let mut files = LockFiles::default();
        let entry = Entry::file("package-lock.json", b"{}", false);
        assert!(
            files
                .fetched("package-lock.json".into(), Some(entry.clone()))
                .is_none()
        );
        assert!(
            files.contents(Data::pack(b"{}")).is_none(),
            "it was never announced"
        );

        assert_eq!(
            files.changed(std::slice::from_ref(&entry)),
            ["package-lock.json"]
        );
        assert!(
            files
                .fetched("package-lock.json".into(), Some(entry))
                .is_none()
        );
        let mut file = files.contents(Data::pack(b"{}")).expect("it is complete");
        write(root.path(), &file).expect("it is written");
        let written = std::fs::read(root.path().join("package-lock.json")).expect("it is there");
        assert_eq!(written, b"{}");
        file.bytes = b"[]".to_vec();
        assert!(write(root.path(), &file).is_err());
    }
}
