//! Reads a checkout: its tree by content, its ignore files, and files for the way into a container.
//!
//! Symbolic links are taken as links and never followed, so nothing outside of the checkout is read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mwctl_core::develop::Rules;
use mwctl_core::tree::{Node, Tree};

/// A checkout can't be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`", path.display())]
pub struct ReadCheckout {
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReadCheckout + '_ {
    move |source| ReadCheckout {
        path: path.to_owned(),
        source,
    }
}

/// One file or link as it stands, with its bytes (none for a link).
#[derive(Clone, Debug)]
pub struct Content {
    /// What it is.
    pub node: Node,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Reads what stands at `path` beneath `root`; `None` for a folder, a device or nothing.
///
/// A file that vanishes while it is read counts as nothing: its removal is reported soon.
pub fn read(root: &Path, path: &str) -> Option<Content> {
    let full = root.join(path);
    let metadata = fs::symlink_metadata(&full).ok()?;
    if metadata.is_symlink() {
        let target = fs::read_link(&full).ok()?.to_string_lossy().into_owned();
        return Some(Content {
            node: Node::Symlink { target },
            bytes: Vec::new(),
        });
    }
    if !metadata.is_file() {
        return None;
    }
    let bytes = fs::read(&full).ok()?;
    let node = Node::File {
        hash: *blake3::hash(&bytes).as_bytes(),
        size: bytes.len() as u64,
        executable: is_executable(&metadata),
    };
    Some(Content { node, bytes })
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &fs::Metadata) -> bool {
    false
}

/// Everything that a walk over a checkout found.
#[derive(Debug, Default)]
pub struct Walk {
    /// Files and links that the rules include.
    pub tree: Tree,
    /// Folders that the rules enter, relative; the root is the empty path.
    pub folders: Vec<String>,
}

/// The paths that a walk over a checkout found, relative to it.
#[derive(Debug, Default)]
pub struct Paths {
    /// Whatever isn't a folder and is included by the rules.
    pub files: Vec<String>,
    /// Folders that the rules enter; the root is the empty path.
    pub folders: Vec<String>,
}

/// Walks the folder `start` (relative; empty for the whole checkout) by `rules`, and reads what it finds.
pub fn walk(root: &Path, start: &str, rules: &Rules) -> Result<Walk, ReadCheckout> {
    let Paths { files, folders } = paths(root, start, rules)?;
    let read = |path: String| Some((path.clone(), read(root, &path)?.node));
    Ok(Walk {
        tree: files.into_iter().filter_map(read).collect(),
        folders,
    })
}

/// Walks a folder as [`walk`] does, and reads no file.
pub fn paths(root: &Path, start: &str, rules: &Rules) -> Result<Paths, ReadCheckout> {
    let mut found = Paths::default();
    let mut open = vec![start.to_owned()];
    while let Some(folder) = open.pop() {
        let full = root.join(&folder);
        let entries = match fs::read_dir(&full) {
            Ok(entries) => entries,
            // Gone meanwhile, or never a folder: for anything but the start that is no news.
            Err(_) if folder != start => continue,
            Err(error) => return Err(failed(&full)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed(&full))?;
            let Some(name) = entry.file_name().to_str().map(ToOwned::to_owned) else {
                tracing::warn!("skipped a name that is not UTF-8 in {}", full.display());
                continue;
            };
            let path = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                if rules.enters(&path) {
                    open.push(path);
                }
            } else if rules.includes(&path) {
                found.files.push(path);
            }
        }
        found.folders.push(folder);
    }
    Ok(found)
}

/// The lines of every `.gitignore` of a checkout, rewritten as if they stood in the root's.
///
/// Folders that an outer file ignores are not searched for further ones.
pub fn ignore_lines(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let walker = ignore::WalkBuilder::new(root)
        .hidden(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .parents(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    for entry in walker.flatten() {
        if entry.file_name() != ".gitignore" {
            continue;
        }
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        let folder = entry
            .path()
            .parent()
            .and_then(|folder| folder.strip_prefix(root).ok());
        let folder = folder
            .map(|folder| folder.to_string_lossy().into_owned())
            .unwrap_or_default();
        lines.extend(text.lines().filter_map(|line| from_root(&folder, line)));
    }
    lines
}

/// What a line of `folder/.gitignore` means for the root; `None` for comments and empty lines.
fn from_root(folder: &str, line: &str) -> Option<String> {
    if line.trim().is_empty() || line.starts_with('#') {
        return None;
    }
    if folder.is_empty() {
        return Some(line.to_owned());
    }
    let (negation, pattern) = match line.strip_prefix('!') {
        Some(pattern) => ("!", pattern),
        None => ("", line),
    };
    let anchored = pattern.trim_end_matches('/').contains('/');
    let pattern = pattern.trim_start_matches('/');
    Some(if anchored {
        format!("{negation}/{folder}/{pattern}")
    } else {
        format!("{negation}/{folder}/**/{pattern}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_ignore_line_keeps_its_meaning() {
        for (line, expected) in [
            ("*.log", "/lib/**/*.log"),
            ("build/", "/lib/**/build/"),
            ("/out", "/lib/out"),
            ("a/b", "/lib/a/b"),
            ("!keep.log", "!/lib/**/keep.log"),
        ] {
            assert_eq!(from_root("lib", line).as_deref(), Some(expected));
        }
        assert_eq!(from_root("lib", "# comment"), None);
        assert_eq!(from_root("", "*.log").as_deref(), Some("*.log"));
    }

    #[test]
    fn a_link_is_read_as_a_link_and_a_folder_as_nothing() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(root.path().join("lib")).expect("a folder");
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("link")).expect("a link");
        let link = read(root.path(), "link").expect("the link is there");
        assert_eq!(
            link.node,
            Node::Symlink {
                target: "/etc/passwd".into()
            }
        );
        assert!(read(root.path(), "lib").is_none());
        assert!(read(root.path(), "missing").is_none());
    }
}
