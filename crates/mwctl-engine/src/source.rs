//! Fetches a service's files when they aren't there, and never touches them when they are.
//!
//! Everything arrives in a folder beside its place and is renamed into it at the end, so that a
//! run that fails or is killed leaves nothing half where a checkout is expected.

use std::io;
use std::path::{Path, PathBuf};

use mwctl_core::model::Source;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::command::{CommandError, CommandRunner};
use crate::progress::{Report, Step};

mod git;
mod npm;
mod pypi;
mod unpack;

pub use unpack::UnpackError;

/// What fetching did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fetched {
    /// The files were there.
    Present(PathBuf),
    /// They were brought.
    Fetched(PathBuf),
    /// The service has none.
    Nothing,
}

/// Why a service's files aren't there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A folder that should be there isn't.
    #[error("there is no folder `{}`", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Something that is no folder is in the way.
    #[error("`{}` is in the way: it is no folder", path.display())]
    InTheWay {
        /// What.
        path: PathBuf,
    },
    /// A name, URL, version or reference would be read as an option by the program that gets it.
    #[error("`{text}` can't be fetched: it starts with a hyphen or is empty")]
    Illegal {
        /// The text.
        text: String,
    },
    /// The program that fetches failed.
    #[error("cannot fetch `{what}`")]
    Command {
        /// What was to be fetched.
        what: String,
        /// Why.
        source: CommandError,
    },
    /// A package's archive can't be used.
    #[error("cannot unpack `{what}`")]
    Unpack {
        /// The package.
        what: String,
        /// Why.
        source: UnpackError,
    },
    /// The folder can't be made.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FetchError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { path } => vec![format!(
                "correct the service's `source`, or make it: `mkdir -p {}`",
                path.display()
            )],
            Self::InTheWay { path } => vec![format!("move `{}` away", path.display())],
            Self::Command { source, .. } => {
                let mut hints = source.hints();
                let said = source.tail();
                if said.contains("Permission denied") || said.contains("could not read Username") {
                    hints.push(
                        "the repository asks for a login: try `git clone` by hand".to_owned(),
                    );
                }
                if said.contains("Could not resolve host") || said.contains("ENOTFOUND") {
                    hints.push(
                        "check the connection to the internet, or the proxy's settings".to_owned(),
                    );
                }
                hints
            }
            _ => Vec::new(),
        }
    }
}

/// Brings the files unless they are there.
pub async fn fetch(
    source: &Source,
    runner: &dyn CommandRunner,
    report: Report<'_>,
) -> Result<Fetched, FetchError> {
    let Some(directory) = source.directory() else {
        return Ok(Fetched::Nothing);
    };
    match std::fs::metadata(directory) {
        Ok(data) if data.is_dir() => return Ok(Fetched::Present(directory.clone())),
        Ok(_) => {
            return Err(FetchError::InTheWay {
                path: directory.clone(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(write(directory)(error)),
    }
    match source {
        Source::Path(path) => Err(FetchError::Missing { path: path.clone() }),
        Source::Git {
            url,
            reference,
            directory,
        } => {
            let place = Place::beside(directory)?;
            let step = Step::start(report, format!("git clone {url}"));
            let checkout = place.new_folder();
            git::clone(url, reference.as_deref(), &checkout, runner, report).await?;
            place.settle()?;
            step.finish();
            Ok(Fetched::Fetched(directory.clone()))
        }
        Source::Npm {
            package,
            version,
            directory,
        } => {
            let place = Place::beside(directory)?;
            let step = Step::start(report, format!("npm pack {package}@{version}"));
            npm::fetch(
                package,
                version,
                place.folder(),
                &place.new_folder(),
                runner,
                report,
            )
            .await?;
            place.settle()?;
            step.finish();
            Ok(Fetched::Fetched(directory.clone()))
        }
        Source::Pypi {
            package,
            version,
            directory,
        } => {
            let place = Place::beside(directory)?;
            let wanted = pypi::requirement(package, version.as_deref())?;
            let step = Step::start(report, format!("pip download {wanted}"));
            let (folder, new) = (place.folder(), place.new_folder());
            pypi::fetch(&wanted, folder, &new, runner, report).await?;
            place.settle()?;
            step.finish();
            Ok(Fetched::Fetched(directory.clone()))
        }
        Source::None => Ok(Fetched::Nothing),
    }
}

fn write(path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_path_buf();
    move |source| FetchError::Write { path, source }
}

/// Refuses what a program would take for an option.
fn argument(text: &str) -> Result<&str, FetchError> {
    if text.is_empty() || text.starts_with('-') {
        return Err(FetchError::Illegal {
            text: text.to_owned(),
        });
    }
    Ok(text)
}

/// How the folders begin that files are fetched into.
const FETCHING: &str = ".mwctl-fetch-";

/// A folder beside the place where the files will be; gone when dropped, or with the next fetch after a kill.
struct Place {
    target: PathBuf,
    folder: tempfile::TempDir,
    /// Locked while this process lives: how another one knows that the folder is in use.
    _lock: std::fs::File,
}

impl Place {
    fn beside(target: &Path) -> Result<Self, FetchError> {
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(write(parent))?;
        sweep(parent);
        loop {
            let folder = tempfile::Builder::new()
                .prefix(FETCHING)
                .tempdir_in(parent)
                .map_err(write(parent))?;
            // Another run may sweep it away in the moment before it is locked: then take the next.
            if let Some(lock) = lock(folder.path()).map_err(write(folder.path()))? {
                return Ok(Self {
                    target: target.to_path_buf(),
                    folder,
                    _lock: lock,
                });
            }
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the files are to be put; not made yet.
    fn new_folder(&self) -> PathBuf {
        self.folder.path().join("new")
    }

    /// Moves the files to their place, unless something came there meanwhile.
    fn settle(self) -> Result<(), FetchError> {
        let from = self.new_folder();
        renameat_with(CWD, &from, CWD, &self.target, RenameFlags::NOREPLACE)
            .map_err(|error| write(&self.target)(error.into()))
    }
}

/// Marks a folder as used for as long as the file is open; `None` where it is no longer there.
fn lock(folder: &Path) -> io::Result<Option<std::fs::File>> {
    let gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    };
    let file = match std::fs::File::open(folder) {
        Ok(file) => file,
        Err(error) => return gone(error),
    };
    file.lock_shared()?;
    // Whoever sweeps holds the lock until the folder is gone.
    Ok(folder.is_dir().then_some(file))
}

/// Removes what a killed process left of a fetch: a folder of ours that nobody has locked.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(FETCHING) {
            continue;
        }
        let Ok(folder) = std::fs::File::open(entry.path()) else {
            continue;
        };
        if folder.try_lock().is_ok()
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!("{} stays: {error}", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests;
