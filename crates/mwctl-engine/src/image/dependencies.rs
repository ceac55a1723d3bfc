//! The step that brings dependencies: run in a folder that holds its inputs alone, kept for all
//! builds with the same inputs.
//!
//! It runs on this machine, so what it compiles is made for this machine's libraries.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use globset::Glob;
use mwctl_core::model::Dependencies;

use super::cache::{Cache, create_parent};
use super::files::{ReadSource, SourceFile};
use super::layer::{Entry, What};
use super::stat::hash_file;
use crate::command::{Command, CommandError, CommandRunner, Line};
use crate::progress::{Progress, Report, Step};

/// What npm would say and ask beside its work, here and in a container. Set where the convention
/// doesn't set them.
pub(crate) const QUIET: [(&str, &str); 4] = [
    ("NO_UPDATE_NOTIFIER", "1"),
    ("npm_config_update_notifier", "false"),
    ("npm_config_audit", "false"),
    ("npm_config_fund", "false"),
];

/// Why dependencies couldn't be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The command failed, or isn't there.
    #[error("dependencies can't be installed")]
    Command {
        /// What it said.
        source: CommandError,
    },
    /// The folder it works in can't be prepared or kept.
    #[error("cannot keep the dependencies in `{}`", path.display())]
    Staging {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InstallError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Staging { .. } => Vec::new(),
            Self::Command { source } => {
                let mut hints = source.hints();
                let said = source.tail();
                let offline = ["ENOTFOUND", "ETIMEDOUT", "ECONNREFUSED", "EAI_AGAIN"];
                if offline.iter().any(|code| said.contains(code)) {
                    hints.push(
                        "check the connection to the package registry, or the proxy's settings"
                            .to_owned(),
                    );
                }
                if said.contains("SELF_SIGNED_CERT_IN_CHAIN") {
                    hints.push(
                        "a proxy replaces certificates: point NODE_EXTRA_CA_CERTS at its authority"
                            .to_owned(),
                    );
                }
                hints
            }
        }
    }
}

/// The files that decide whether the step has to run again, with their contents. A plain name
/// counts even where the file is ignored: lock files sometimes are.
pub(super) fn inputs(
    root: &Path,
    step: &Dependencies,
    files: &[SourceFile],
) -> Result<Vec<(String, blake3::Hash)>, ReadSource> {
    let mut found = std::collections::BTreeMap::new();
    for input in &step.inputs {
        let plain = Path::new(input);
        let mut names = vec![plain.to_path_buf()];
        if let Ok(glob) = Glob::new(input) {
            let glob = glob.compile_matcher();
            names.extend(
                files
                    .iter()
                    .map(|file| file.path.clone())
                    .filter(|path| path != plain && glob.is_match(path)),
            );
        }
        for name in names {
            let path = root.join(&name);
            if path.is_file() {
                let hash = hash_file(&path).map_err(ReadSource::at(&path))?;
                found.insert(name.to_string_lossy().into_owned(), hash);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Where the installed dependencies of that key are or would be.
pub(super) fn folder(cache: &Cache, key: &str) -> PathBuf {
    cache.folder("dependencies").join(&key[..32])
}

/// Installs, unless it was done before.
pub(super) async fn install(
    cache: &Cache,
    root: &Path,
    step: &Dependencies,
    (key, inputs): (&str, &[(String, blake3::Hash)]),
    runner: &dyn CommandRunner,
    report: Report<'_>,
) -> Result<PathBuf, InstallError> {
    let kept = folder(cache, key);
    if kept.is_dir() {
        return Ok(kept);
    }
    let staging = |source| InstallError::Staging {
        path: kept.clone(),
        source,
    };
    let workspace = cache.workspace().map_err(staging)?;
    let work = workspace.path().join("work");
    std::fs::create_dir(&work).map_err(staging)?;
    for (name, _) in inputs {
        let to = work.join(name);
        create_parent(&to).map_err(staging)?;
        std::fs::copy(root.join(name), to).map_err(staging)?;
    }
    let mut command = Command::new(step.command.iter().map(String::as_str)).directory(&work);
    for (name, value) in QUIET {
        command = command.variable(name, value);
    }
    for (name, value) in &step.environment {
        command = command.variable(name, value);
    }
    let what = Step::start(report, step.command.join(" "));
    let on_line = |line: Line<'_>| {
        report(Progress::Line {
            text: line.text().to_owned(),
        });
    };
    command
        .succeed(runner, &on_line)
        .await
        .map_err(|source| InstallError::Command { source })?;
    what.finish();
    let tree = workspace.path().join("tree");
    std::fs::create_dir(&tree).map_err(staging)?;
    for directory in &step.directories {
        let from = work.join(directory);
        if from.is_dir() {
            let to = tree.join(directory);
            create_parent(&to).map_err(staging)?;
            std::fs::rename(from, to).map_err(staging)?;
        }
    }
    create_parent(&kept).map_err(staging)?;
    match std::fs::rename(&tree, &kept) {
        // Another run was faster; its result is as good.
        Err(_) if kept.is_dir() => Ok(kept),
        Err(error) => Err(staging(error)),
        Ok(()) => Ok(kept),
    }
}

/// The layer's entries: everything the step made, below the application's directory.
pub(super) fn entries(tree: &Path, directory: &Path, owner: u32) -> Result<Vec<Entry>, ReadSource> {
    let mut entries = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let place = tree.join(&folder);
        entries.push(Entry {
            path: directory.join(&folder),
            owner,
            what: What::Folder,
        });
        for entry in std::fs::read_dir(&place).map_err(ReadSource::at(&place))? {
            let entry = entry.map_err(ReadSource::at(&place))?;
            let from = entry.path();
            let relative = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(ReadSource::at(&from))?;
            let what = if kind.is_dir() {
                folders.push(relative);
                continue;
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&from).map_err(ReadSource::at(&from))?;
                What::Link { target }
            } else if kind.is_file() {
                let data = entry.metadata().map_err(ReadSource::at(&from))?;
                What::File {
                    executable: data.permissions().mode() & 0o111 != 0,
                    from,
                    hash: None,
                }
            } else {
                continue;
            };
            entries.push(Entry {
                path: directory.join(relative),
                owner,
                what,
            });
        }
    }
    Ok(entries)
}
