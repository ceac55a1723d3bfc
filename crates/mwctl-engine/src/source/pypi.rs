//! Fetches the sources of a Python package with pip, and unpacks them.
//!
//! pip asks the package for its metadata, which may run a part of it, as installing it would.

use std::path::Path;

use super::unpack::archive_in;
use super::{FetchError, argument};
use crate::command::{Command, CommandRunner, Line};
use crate::progress::{Progress, Report};

/// How pip is told of a package: a version is that version, a range stays one, without either it is
/// the newest.
pub(super) fn requirement(package: &str, version: Option<&str>) -> Result<String, FetchError> {
    let package = argument(package)?;
    Ok(match version {
        None | Some("latest") => package.to_owned(),
        Some(range) if range.starts_with(['=', '<', '>', '~', '!']) => format!("{package}{range}"),
        Some(version) => format!("{package}=={version}"),
    })
}

/// Fetches what is `wanted` into `into`, using `folder` for the archive.
pub(super) async fn fetch(
    wanted: &str,
    folder: &Path,
    into: &Path,
    runner: &dyn CommandRunner,
    report: Report<'_>,
) -> Result<(), FetchError> {
    let destination = folder.to_string_lossy().into_owned();
    let on_line = |line: Line<'_>| {
        report(Progress::Line {
            text: line.text().to_owned(),
        });
    };
    let words = ["python3", "-m", "pip", "download", "--quiet"];
    let options = ["--no-deps", "--no-binary=:all:", "--dest", &destination];
    Command::new(words.into_iter().chain(options).chain([wanted]))
        .directory(folder)
        .variable("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .succeed(runner, &on_line)
        .await
        .map_err(|source| FetchError::Command {
            what: wanted.to_owned(),
            source,
        })?;
    archive_in(folder, ".tar.gz", into).map_err(|source| FetchError::Unpack {
        what: wanted.to_owned(),
        source,
    })
}
