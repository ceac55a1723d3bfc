//! The clients on this machine. Nothing is downloaded.

use std::path::{Path, PathBuf};

/// The minor versions of the matrix.
const MINORS: std::ops::RangeInclusive<u32> = 27..=33;

/// A `kubectl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// Such as `1.27`; empty where it doesn't matter.
    pub(crate) version: String,
    pub(crate) path: PathBuf,
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

/// The client that a user gets who types `kubectl`.
pub(crate) fn on_path() -> Option<Client> {
    find(&folders(), "kubectl").map(|path| Client {
        version: String::new(),
        path,
    })
}

/// One client of each version that is found, the oldest first: on PATH, or next to the `kubectl` that is there. `only` names some of them.
pub(crate) fn versions(only: Option<&str>) -> Vec<Client> {
    let wanted: Option<Vec<&str>> = only.map(|only| only.split_whitespace().collect());
    let mut folders = folders();
    if let Some(kubectl) = on_path()
        && let Ok(real) = kubectl.path.canonicalize()
        && let Some(folder) = real.parent()
    {
        folders.push(folder.to_owned());
    }
    MINORS
        .filter_map(|minor| {
            let version = format!("1.{minor}");
            let wanted = wanted.as_ref();
            if wanted.is_some_and(|wanted| !wanted.contains(&version.as_str())) {
                return None;
            }
            let path = find(&folders, &format!("kubectl.{version}"))?;
            Some(Client { version, path })
        })
        .collect()
}

fn find(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    let mut candidates = folders.iter().map(|folder| folder.join(name));
    candidates.find(|path| Path::is_file(path))
}
