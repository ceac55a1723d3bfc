//! Finds the folder a command is about and reads the documents in it.
//!
//! It knows names and sizes, nothing of contents: what the texts mean is `mwctl_core`'s business.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mwctl_core::problem::Problem;

/// A document larger than this is no document: 1 MiB, far above any convention or `package.json`.
const LIMIT: u64 = 1 << 20;

/// The folder a command is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Root {
    /// The folder.
    pub directory: PathBuf,
    /// What marks it.
    pub marker: Marker,
}

/// What marks a folder as one to work in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Marker {
    /// It has an `mwctl.yaml`.
    Conventions,
    /// It has a `package.json`.
    Package,
    /// It is the root of a git checkout.
    Checkout,
}

/// Documents by the paths they were asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Documents {
    /// The texts of those that are there.
    pub texts: BTreeMap<PathBuf, String>,
    /// Those that are there and can't be documents.
    pub problems: Vec<Problem>,
}

/// A file or folder couldn't be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`", path.display())]
pub struct ReadError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// Looks from `start` upwards, not beyond the git checkout: the nearest folder with an
/// `mwctl.yaml`, else the nearest with a `package.json`, else the checkout itself.
pub fn find(start: &Path) -> Result<Option<Root>, ReadError> {
    let error = |source| ReadError {
        path: start.to_path_buf(),
        source,
    };
    let start = std::fs::canonicalize(start).map_err(error)?;
    let mut package = None;
    for directory in start.ancestors() {
        let root = |marker| Root {
            directory: directory.to_path_buf(),
            marker,
        };
        if directory.join("mwctl.yaml").is_file() {
            return Ok(Some(root(Marker::Conventions)));
        }
        if package.is_none() && directory.join("package.json").is_file() {
            package = Some(root(Marker::Package));
        }
        // In a worktree and in a submodule, `.git` is a file.
        if directory.join(".git").exists() {
            return Ok(Some(package.unwrap_or_else(|| root(Marker::Checkout))));
        }
    }
    Ok(package)
}

/// Reads files below `directory`. One that isn't there is left out.
pub fn read(directory: &Path, paths: &[PathBuf]) -> Result<Documents, ReadError> {
    let mut documents = Documents::default();
    for path in paths {
        let file = directory.join(path);
        let error = |source| ReadError {
            path: file.clone(),
            source,
        };
        let opened = match std::fs::File::open(&file) {
            Ok(opened) => opened,
            Err(e) if is_absent(&e) => continue,
            Err(e) => return Err(error(e)),
        };
        if opened.metadata().map_err(error)?.is_dir() {
            continue;
        }
        let mut bytes = Vec::new();
        opened
            .take(LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(error)?;
        if bytes.len() as u64 > LIMIT {
            let message = format!("`{}` is larger than 1 MiB", path.display());
            documents.problems.push(Problem::new(message));
            continue;
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                documents.texts.insert(path.clone(), text);
            }
            Err(e) => documents.problems.push(
                Problem::new(format!(
                    "`{}` is not UTF-8: byte {} can't be read",
                    path.display(),
                    e.utf8_error().valid_up_to()
                ))
                .hint("save it as UTF-8"),
            ),
        }
    }
    Ok(documents)
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for file in files {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        (folder, root)
    }

    #[test]
    fn the_nearest_conventions_win_over_a_nearer_package() {
        let (_keep, root) = folder(&["mwctl.yaml", "a/package.json", "a/b/x"]);
        let found = find(&root.join("a/b")).unwrap().unwrap();
        assert_eq!(found.directory, root);
        assert_eq!(found.marker, Marker::Conventions);
    }

    #[test]
    fn the_search_ends_at_the_checkout() {
        let (_keep, root) = folder(&[
            "mwctl.yaml",
            "c/.git",
            "c/d/x",
            "e/.git",
            "e/f/package.json",
        ]);
        let found = find(&root.join("c/d")).unwrap().unwrap();
        assert_eq!(found.directory, root.join("c"));
        assert_eq!(found.marker, Marker::Checkout);
        let found = find(&root.join("e/f")).unwrap().unwrap();
        assert_eq!(found.marker, Marker::Package);
    }

    #[test]
    fn missing_documents_are_left_out_and_impossible_ones_are_problems() {
        let (_keep, root) = folder(&["here", "folder/x"]);
        std::fs::write(root.join("latin"), b"a\xe4").unwrap();
        std::fs::write(root.join("large"), vec![b'a'; (LIMIT + 1) as usize]).unwrap();
        let paths =
            ["here", "missing", "folder", "latin", "large", "here/below"].map(PathBuf::from);
        let documents = read(&root, &paths).unwrap();
        assert_eq!(documents.texts.len(), 1);
        assert_eq!(documents.problems.len(), 2, "{:?}", documents.problems);
        assert!(documents.problems[0].message.contains("byte 1"));
    }

    #[test]
    fn an_unreadable_document_is_an_error_that_names_it() {
        let (_keep, root) = folder(&[]);
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let error = read(&root, &[PathBuf::from("loop")]).unwrap_err();
        assert!(error.to_string().ends_with("loop`"), "{error}");
    }
}
