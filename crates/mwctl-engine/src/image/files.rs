//! The service's own files: which of a checkout's files go into the image, and what they contain.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::cache::Cache;
use super::exclude::Exclude;
use super::stat::StatCache;

/// A file, relative to the checkout's root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) content: Content,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Content {
    File {
        hash: blake3::Hash,
        executable: bool,
    },
    Link {
        target: PathBuf,
    },
}

/// A file or folder of the checkout couldn't be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`", path.display())]
pub struct ReadSource {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl ReadSource {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self { path, source }
    }
}

/// Lists and hashes the files, sorted by path.
pub(super) fn select(
    root: &Path,
    exclude: Exclude,
    cache: &Cache,
) -> Result<Vec<SourceFile>, ReadSource> {
    std::fs::read_dir(root).map_err(ReadSource::at(root))?;
    let mut stat = StatCache::open(cache, root);
    let base = root.to_path_buf();
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .git_ignore(true)
        .parents(true)
        .require_git(false)
        .filter_entry(move |entry| {
            let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
            entry
                .path()
                .strip_prefix(&base)
                .is_ok_and(|path| !exclude.prunes(path, is_directory))
        })
        .build();
    let mut files = Vec::new();
    for entry in walk {
        let entry = entry.map_err(|error| ReadSource {
            path: root.to_path_buf(),
            source: error
                .into_io_error()
                .unwrap_or_else(|| io::ErrorKind::Other.into()),
        })?;
        let path = entry.path();
        let Some(kind) = entry.file_type() else {
            continue;
        };
        let Ok(relative) = path.strip_prefix(root) else {
            continue;
        };
        let content = if kind.is_symlink() {
            let target = std::fs::read_link(path).map_err(ReadSource::at(path))?;
            Content::Link { target }
        } else if kind.is_file() {
            let data = std::fs::symlink_metadata(path).map_err(ReadSource::at(path))?;
            Content::File {
                hash: stat
                    .hash(path, relative, &data)
                    .map_err(ReadSource::at(path))?,
                executable: data.permissions().mode() & 0o111 != 0,
            }
        } else {
            // Folders come with their files; sockets and pipes are no part of an image.
            continue;
        };
        files.push(SourceFile {
            path: relative.to_path_buf(),
            content,
        });
    }
    files.sort_by(|a, b| {
        a.path
            .as_os_str()
            .as_bytes()
            .cmp(b.path.as_os_str().as_bytes())
    });
    let folder = cache.folder("stat");
    stat.close(cache).map_err(ReadSource::at(&folder))?;
    Ok(files)
}
