//! Fetches an npm package and unpacks it.
//!
//! The archive is a stranger's: nothing of it is written outside its folder, links are refused,
//! and there is an end to its size.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::{FetchError, argument, write};
use crate::command::{Command, CommandRunner, Line};
use crate::progress::{Progress, Report};

/// No package that a person works on is larger than this unpacked.
const BYTES: u64 = 1 << 30;
/// Nor has it more entries.
const ENTRIES: usize = 200_000;

/// Why an archive can't be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// An entry's name leads out of the folder.
    #[error("its entry `{}` leads out of the package", path.display())]
    Escape {
        /// The entry.
        path: PathBuf,
    },
    /// An entry is neither a file nor a folder.
    #[error("its entry `{}` is neither a file nor a folder", path.display())]
    Kind {
        /// The entry.
        path: PathBuf,
    },
    /// It is larger than any package should be.
    #[error("it is too large: more than {ENTRIES} entries or 1 GiB")]
    TooLarge,
    /// It is damaged, or can't be written.
    #[error("it can't be read or written")]
    Io(#[source] io::Error),
}

/// Fetches `package` at `version` into `into`, using `folder` for the archive.
pub(super) async fn fetch(
    package: &str,
    version: &str,
    folder: &Path,
    into: &Path,
    runner: &dyn CommandRunner,
    report: Report<'_>,
) -> Result<(), FetchError> {
    let what = format!("{}@{version}", argument(package)?);
    let destination = folder.to_string_lossy().into_owned();
    let on_line = |line: Line<'_>| {
        report(Progress::Line {
            text: line.text().to_owned(),
        });
    };
    Command::new([
        "npm",
        "pack",
        "--loglevel=warn",
        &what,
        "--pack-destination",
        &destination,
    ])
    .directory(folder)
    .variable("npm_config_update_notifier", "false")
    .succeed(runner, &on_line)
    .await
    .map_err(|source| FetchError::Command {
        what: what.clone(),
        source,
    })?;
    let archive = archive_in(folder).map_err(write(folder))?;
    let unpacked = File::open(archive)
        .map_err(UnpackError::Io)
        .and_then(|file| unpack(flate2::read::GzDecoder::new(file), into));
    unpacked.map_err(|source| FetchError::Unpack { what, source })
}

fn archive_in(folder: &Path) -> io::Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tgz") {
            return Ok(path);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        "npm wrote no archive",
    ))
}

/// Unpacks below `into`, without the folder that all of a package's entries are in.
pub(super) fn unpack(archive: impl io::Read, into: &Path) -> Result<(), UnpackError> {
    let failed = UnpackError::Io;
    std::fs::create_dir(into).map_err(failed)?;
    let mut archive = tar::Archive::new(archive);
    let mut bytes = 0_u64;
    for (count, entry) in archive.entries().map_err(failed)?.enumerate() {
        let mut entry = entry.map_err(failed)?;
        let name = entry.path().map_err(failed)?.into_owned();
        bytes = bytes.saturating_add(entry.size());
        if bytes > BYTES || count >= ENTRIES {
            return Err(UnpackError::TooLarge);
        }
        let mut parts = Vec::new();
        for part in name.components() {
            match part {
                Component::Normal(part) => parts.push(part.to_owned()),
                Component::CurDir => {}
                _ => return Err(UnpackError::Escape { path: name }),
            }
        }
        let path: PathBuf = parts.iter().skip(1).collect();
        if path.as_os_str().is_empty() {
            continue;
        }
        // No link is ever made, so a path below `into` stays below it.
        let to = into.join(&path);
        match entry.header().entry_type() {
            EntryType::Directory => std::fs::create_dir_all(&to).map_err(failed)?,
            EntryType::Regular | EntryType::Continuous => {
                if let Some(parent) = to.parent() {
                    std::fs::create_dir_all(parent).map_err(failed)?;
                }
                let mut file = File::create(&to).map_err(failed)?;
                io::copy(&mut entry, &mut file).map_err(failed)?;
                let executable = entry.header().mode().map_err(failed)? & 0o111 != 0;
                let mode = if executable { 0o755 } else { 0o644 };
                let permissions = std::fs::Permissions::from_mode(mode);
                file.set_permissions(permissions).map_err(failed)?;
            }
            EntryType::XGlobalHeader => {}
            _ => return Err(UnpackError::Kind { path: name }),
        }
    }
    Ok(())
}
