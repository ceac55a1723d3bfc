//! Finds the folder a command is about and reads the documents in it.
//!
//! It knows names and sizes, nothing of contents: what the texts mean is `mwctl_core`'s business.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mwctl_core::conventions::part_fits;
use mwctl_core::problem::{Location, Problem, Rule};

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

/// The most files that one pattern may stand for.
const MATCHES: usize = 100;

/// Those of `paths` that exist below `directory`.
pub fn present(directory: &Path, paths: &[PathBuf]) -> Vec<PathBuf> {
    let exists = |path: &&PathBuf| directory.join(path).exists();
    paths.iter().filter(exists).cloned().collect()
}

/// The paths that a path with `*` stands for; any other one stands for itself.
fn expanded(directory: &Path, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy();
        if !name.contains('*') {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let below = found.iter().flat_map(|path| {
            // A folder that can't be listed has nothing that fits.
            let entries = std::fs::read_dir(directory.join(path))
                .into_iter()
                .flatten();
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let mut names: Vec<String> = names.filter(|it| part_fits(&name, it)).collect();
            names.sort();
            names.truncate(MATCHES);
            names
                .into_iter()
                .map(|name| path.join(name))
                .collect::<Vec<_>>()
        });
        found = below.collect();
    }
    found.truncate(MATCHES);
    found
}

/// Reads files below `directory`; `*` in a path stands for any part of a name. One that isn't there is left
/// out.
pub fn read(directory: &Path, paths: &[PathBuf]) -> Result<Documents, ReadError> {
    let mut documents = Documents::default();
    let mut all: Vec<PathBuf> = paths
        .iter()
        .flat_map(|path| expanded(directory, path))
        .collect();
    all.sort();
    all.dedup();
    for path in &all {
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
            documents
                .problems
                .push(Problem::new(message).rule(Rule::TooLarge));
            continue;
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                documents.texts.insert(path.clone(), text);
            }
            Err(e) => documents.problems.push(not_text(path, &e)),
        }
    }
    Ok(documents)
}

/// The name of the linked worktree of git that a folder is in; `None` in the main one, and outside of
/// git.
pub fn linked_worktree(folder: &Path) -> Option<String> {
    let git = folder
        .ancestors()
        .map(|it| it.join(".git"))
        .find(|it| it.exists())?;
    if git.is_dir() {
        return None;
    }
    let text = std::fs::read_to_string(git).ok()?;
    let place = Path::new(text.strip_prefix("gitdir:")?.trim());
    // A submodule has such a file too, which leads into `modules`.
    let within = place.parent()?.file_name()? == "worktrees";
    let name = place.file_name().filter(|_| within)?;
    mwctl_core::name::slug(&name.to_string_lossy())
}

/// The files with these endings directly in a folder below `directory`, sorted; none where it isn't
/// there.
pub fn list(directory: &Path, folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory.join(folder)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(folder.join(entry.ok()?.file_name())))
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            ending.is_some_and(|ending| endings.contains(&ending))
        })
        .collect();
    files.sort();
    files
}

/// The problem of a file that isn't UTF-8, at the first byte that can't be read.
fn not_text(path: &Path, error: &std::string::FromUtf8Error) -> Problem {
    let valid = error.utf8_error().valid_up_to();
    let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Problem::new("the file is not UTF-8: from here on it can't be read")
        .rule(Rule::Encoding)
        .hint("save it as UTF-8")
        .at(Location {
            file: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            length: 1,
            text: line.to_owned(),
        })
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
        let place = documents.problems[1].location.as_ref().unwrap();
        assert_eq!((place.line, place.column), (1, 2));
    }

    #[test]
    fn a_star_stands_for_any_part_of_a_name_that_isn_t_hidden() {
        let (_keep, root) = folder(&[
            "charts/b/v.yaml",
            "charts/a/v.yaml",
            "charts/.c/v.yaml",
            "charts/x",
        ]);
        let read = read(&root, &["charts/*/v.yaml".into(), "none/*/x".into()]).unwrap();
        let names: Vec<_> = read.texts.keys().map(|it| it.to_str().unwrap()).collect();
        assert_eq!(names, ["charts/a/v.yaml", "charts/b/v.yaml"]);
        let there = present(&root, &["charts/x".into(), "y".into()]);
        assert_eq!(there, [PathBuf::from("charts/x")]);
    }

    #[test]
    fn a_linked_worktree_has_a_name_and_a_submodule_has_none() {
        let (_keep, root) = folder(&["main/.git/HEAD", "linked/.git", "linked/a/b", "sub/.git"]);
        let write = |path: &str, text: &str| std::fs::write(root.join(path), text).unwrap();
        write("linked/.git", "gitdir: /src/main/.git/worktrees/My_Fix\n");
        write("sub/.git", "gitdir: ../.git/modules/sub\n");
        let name = |path: &str| linked_worktree(&root.join(path));
        assert_eq!(name("linked/a").as_deref(), Some("my-fix"));
        assert_eq!(name("main"), None);
        assert_eq!(name("sub"), None);
    }

    #[test]
    fn an_unreadable_document_is_an_error_that_names_it() {
        let (_keep, root) = folder(&[]);
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let error = read(&root, &[PathBuf::from("loop")]).unwrap_err();
        assert!(error.to_string().ends_with("loop`"), "{error}");
    }
}
