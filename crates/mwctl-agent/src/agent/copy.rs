//! The init container: copies the image's application directory into a volume that the unprivileged
//! user may write, and dependency directories into volumes of their own. Where the checkout itself is
//! mounted, these alone.
//!
//! Files, directories and symbolic links with their modes and times; sockets, pipes and devices are
//! left out, set-id bits dropped. Done once for a volume: a container that starts again finds the
//! record in the manifest and leaves what sessions have changed since.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use thiserror::Error;

use super::manifest::{KeepManifest, Manifest, Record};
use super::process::note;
use super::relative::RelativePath;
use super::tree::{Found, Tree};

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) from: PathBuf,
    /// Nothing where the application's directory isn't copied.
    pub(crate) to: Option<PathBuf>,
    /// Names left out at any depth, or paths relative to `from`.
    pub(crate) exclude: Vec<String>,
    /// Directories relative to `from`, and the volumes that take them.
    pub(crate) volumes: Vec<(String, PathBuf)>,
    pub(crate) run: PathBuf,
    /// Names the files that come from the service's own source, one in each line.
    pub(crate) sources: PathBuf,
}

/// The copy failed.
#[derive(Debug, Error)]
pub(crate) enum CopyError {
    #[error("cannot read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write `{path}`")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot remember what was copied")]
    Manifest(#[source] KeepManifest),
}

/// A file to copy.
struct Job {
    from: PathBuf,
    to: PathBuf,
    metadata: fs::Metadata,
}

/// Copies everything, unless that was done before.
pub(crate) fn copy(options: &Options) -> Result<(), CopyError> {
    let mut manifest = Manifest::open(&options.run).map_err(CopyError::Manifest)?;
    let description = [&options.from]
        .into_iter()
        .chain(&options.to)
        .chain(options.volumes.iter().map(|(_, volume)| volume))
        .map(|path| path.to_string_lossy())
        .collect::<Vec<_>>()
        .join("\n");
    if manifest.state.copied.as_ref() == Some(&description) {
        return Ok(());
    }
    let mut exclude = options.exclude.clone();
    exclude.extend(options.volumes.iter().map(|(inner, _)| inner.clone()));
    with_workers(|jobs| {
        if let Some(to) = &options.to {
            copy_tree(&options.from, to, &exclude, jobs)?;
        }
        for (inner, volume) in &options.volumes {
            if let Some(to) = &options.to {
                let mount_point = to.join(inner);
                fs::create_dir_all(&mount_point).map_err(write(&mount_point))?;
            }
            let from = options.from.join(inner);
            if from.is_dir() {
                copy_tree(&from, volume, &options.exclude, jobs)?;
            }
        }
        Ok(())
    })?;
    let mut records = sources(options)?;
    records.push(Record::Copied { copy: description });
    manifest.append(records).map_err(CopyError::Manifest)
}

/// The records of the files that come from the service's source and are still what the image has. Where the checkout itself is mounted they
/// are what the image's dependencies were made for.
fn sources(options: &Options) -> Result<Vec<Record>, CopyError> {
    let to = options.to.as_ref().unwrap_or(&options.from);
    let list = match fs::read_to_string(&options.sources) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(CopyError::Read {
                path: options.sources.clone(),
                source,
            });
        }
    };
    let tree = Tree::open(to).map_err(write(to))?;
    let record = |line: &str| match tree.found(&RelativePath::parse(line).ok()?) {
        Ok(Some(Found::Entry(kind))) => Some(Record::Has {
            path: line.to_owned(),
            kind,
        }),
        _ => None,
    };
    Ok(list.lines().filter_map(record).collect())
}

/// Copies files side by side: most of the time goes into opening and closing them.
fn with_workers(
    walk: impl FnOnce(&mpsc::SyncSender<Job>) -> Result<(), CopyError>,
) -> Result<(), CopyError> {
    let workers = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .clamp(2, 8);
    let (jobs, queue) = mpsc::sync_channel::<Job>(1024);
    let queue = Mutex::new(queue);
    let take = || {
        queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv()
            .ok()
    };
    let work = || -> Result<(), CopyError> {
        let mut result = Ok(());
        // After a failure the queue is still emptied, so that the walk doesn't wait for ever.
        while let Some(job) = take() {
            result = result.and_then(|()| copy_file(&job));
        }
        result
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let walked = walk(&jobs);
        drop(jobs);
        let lost = || io::Error::other("a worker of the copy was lost");
        workers.into_iter().fold(walked, |result, worker| {
            let worked = worker
                .join()
                .unwrap_or_else(|_| Err(write(Path::new("."))(lost())));
            result.and(worked)
        })
    })
}

fn copy_tree(
    from: &Path,
    to: &Path,
    exclude: &[String],
    jobs: &mpsc::SyncSender<Job>,
) -> Result<(), CopyError> {
    let mut directories = vec![PathBuf::new()];
    while let Some(relative) = directories.pop() {
        // Joined with nothing a path would end with a slash, and problems would show it.
        let at = |base: &Path| {
            if relative.as_os_str().is_empty() {
                base.to_owned()
            } else {
                base.join(&relative)
            }
        };
        let (from, to) = (at(from), at(to));
        for entry in fs::read_dir(&from).map_err(read(&from))? {
            let entry = entry.map_err(read(&from))?;
            let (name, path) = (entry.file_name(), relative.join(entry.file_name()));
            if exclude
                .iter()
                .any(|exclude| name == **exclude || path == Path::new(exclude))
            {
                continue;
            }
            let metadata = entry.metadata().map_err(read(&entry.path()))?;
            let to = to.join(&name);
            if metadata.is_dir() {
                make_directory(&to, &metadata)?;
                directories.push(path);
            } else if metadata.is_symlink() {
                copy_link(&entry.path(), &to)?;
            } else if metadata.is_file() {
                // The workers live as long as this sender.
                let _sent = jobs.send(Job {
                    from: entry.path(),
                    to,
                    metadata,
                });
            }
        }
    }
    Ok(())
}

fn make_directory(to: &Path, metadata: &fs::Metadata) -> Result<(), CopyError> {
    match fs::create_dir(to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(write(to)(error)),
        _ => {}
    }
    let mode = metadata.mode() & 0o777 | 0o700;
    fs::set_permissions(to, PermissionsExt::from_mode(mode)).map_err(write(to))
}

fn copy_link(from: &Path, to: &Path) -> Result<(), CopyError> {
    let target = fs::read_link(from).map_err(read(from))?;
    match std::os::unix::fs::symlink(&target, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(to).map_err(write(to))?;
            std::os::unix::fs::symlink(&target, to).map_err(write(to))
        }
        result => result.map_err(write(to)),
    }
}

fn copy_file(job: &Job) -> Result<(), CopyError> {
    let mut from = match File::open(&job.from) {
        Ok(from) => from,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // This user's process couldn't have read it in the image either.
            note(&format!("`{}` is left out: {error}", job.from.display()));
            return Ok(());
        }
        Err(error) => return Err(read(&job.from)(error)),
    };
    let failed = write(&job.to);
    let mode = job.metadata.mode() & 0o777 | 0o600;
    // A copy that was cut short before left a part of it.
    let open = || {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&job.to)
    };
    let mut to = match open() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&job.to).and_then(|()| open())
        }
        result => result,
    }
    .map_err(&failed)?;
    // Copies within the kernel where that is possible.
    io::copy(&mut from, &mut to).map_err(&failed)?;
    to.set_permissions(PermissionsExt::from_mode(mode))
        .map_err(&failed)?;
    // Python compares a module's time with that in its compiled form.
    let time = |seconds, nanoseconds: i64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time(job.metadata.atime(), job.metadata.atime_nsec()),
        last_modification: time(job.metadata.mtime(), job.metadata.mtime_nsec()),
    };
    rustix::fs::utimensat(CWD, &job.to, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| failed(errno.into()))
}

fn read(path: &Path) -> impl Fn(io::Error) -> CopyError {
    let path = path.to_owned();
    move |source| CopyError::Read {
        path: path.clone(),
        source,
    }
}

fn write(path: &Path) -> impl Fn(io::Error) -> CopyError {
    let path = path.to_owned();
    move |source| CopyError::Write {
        path: path.clone(),
        source,
    }
}
