//! Fetches an npm package and unpacks it.

use std::path::Path;

use super::unpack::archive_in;
use super::{FetchError, argument};
use crate::command::{Command, CommandRunner, Line};
use crate::progress::{Progress, Report};

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
    archive_in(folder, ".tgz", into).map_err(|source| FetchError::Unpack { what, source })
}
