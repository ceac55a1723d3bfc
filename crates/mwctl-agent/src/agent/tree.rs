//! The target directory: everything is opened beneath it and nothing through a symbolic link.
//!
//! The only place where the agent touches the application's files. It knows neither updates nor
//! manifests. A container's own process may rename things meanwhile: at worst a file is then written
//! to where a directory went, which that process could have done itself.

mod beneath;
mod inspect;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use thiserror::Error;

use super::relative::RelativePath;
pub(crate) use inspect::Found;

/// Begins every temporary name, so that leftovers of a killed agent are recognised.
pub(crate) const TEMPORARY: &str = ".mwctl-tmp-";

/// A container may allow no more than 1024 open files to each process.
const OPEN_DIRECTORIES: usize = 256;

/// Why a path was not changed or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum TreeError {
    #[error("a symbolic link or a file is in the way of its directory")]
    InTheWay,
    #[error("a directory with files of the container is in the way")]
    DirectoryInTheWay,
    #[error("is not a regular file")]
    NotAFile,
    #[error("cannot be accessed: {0}")]
    System(Errno),
}

impl From<Errno> for TreeError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV => Self::InTheWay,
            errno => Self::System(errno),
        }
    }
}

/// The target directory.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Rc<OwnedFd>,
    /// Off once the system refused `openat2`, as old kernels and some seccomp profiles do.
    openat2: Cell<bool>,
    /// Directories opened during one update, not more than [`OPEN_DIRECTORIES`].
    directories: RefCell<HashMap<String, Rc<OwnedFd>>>,
    hashes: inspect::Hashes,
    temporaries: Cell<u64>,
}

impl Tree {
    /// Opens the target.
    pub(crate) fn open(target: &Path) -> io::Result<Rc<Self>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(target, flags, Mode::empty())?;
        Ok(Rc::new(Self {
            root: Rc::new(root),
            openat2: Cell::new(true),
            directories: RefCell::default(),
            hashes: inspect::Hashes::default(),
            temporaries: Cell::new(0),
        }))
    }

    /// Forgets opened directories. Called between updates, since the container may replace them.
    pub(crate) fn forget_directories(&self) {
        self.directories.borrow_mut().clear();
    }

    /// Creates a temporary file in the nearest existing directory above `path`: always on the file
    /// system of the place that it will move to.
    pub(crate) fn create_temporary(
        self: &Rc<Self>,
        path: &RelativePath,
        executable: bool,
    ) -> Result<(File, Temporary), TreeError> {
        let (directory, temporary) = self.name_temporary(path)?;
        let mode = mode(executable);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = retry_without_leftover(&directory, &temporary.name, || {
            rustix::fs::openat(&*directory, &temporary.name, flags | OFlags::CLOEXEC, mode)
        })?;
        // The mode of `open` is subject to the umask.
        rustix::fs::fchmod(&file, mode)?;
        Ok((File::from(file), temporary))
    }

    /// Creates a temporary symbolic link, as [`Tree::create_temporary`] does a file.
    pub(crate) fn create_temporary_link(
        self: &Rc<Self>,
        path: &RelativePath,
        target: &str,
    ) -> Result<Temporary, TreeError> {
        let (directory, temporary) = self.name_temporary(path)?;
        retry_without_leftover(&directory, &temporary.name, || {
            rustix::fs::symlinkat(target, &*directory, &temporary.name)
        })?;
        Ok(temporary)
    }

    fn name_temporary(
        self: &Rc<Self>,
        path: &RelativePath,
    ) -> Result<(Rc<OwnedFd>, Temporary), TreeError> {
        let mut directory = path.split().0;
        let opened = loop {
            match self.directory(directory) {
                Ok(found) => break found,
                Err(_) if !directory.is_empty() => {
                    directory = super::relative::parent(directory).unwrap_or("");
                }
                Err(error) => return Err(error),
            }
        };
        let number = self.temporaries.get();
        self.temporaries.set(number + 1);
        let name = format!("{TEMPORARY}{:x}-{number:x}", std::process::id());
        Ok((
            opened,
            Temporary {
                tree: self.clone(),
                directory: directory.to_owned(),
                name,
            },
        ))
    }

    /// Moves a temporary file or link to its place, whatever file or link is there. Adds the
    /// directories that it had to make to `made`.
    pub(crate) fn place(
        &self,
        temporary: &Temporary,
        path: &RelativePath,
        made: &mut Vec<String>,
    ) -> Result<(), TreeError> {
        let (parent, name) = path.split();
        let to = self.make_directory(parent, made)?;
        let from = self.directory(&temporary.directory)?;
        // A file system such as ext4 writes a file to the disk when it is renamed over another, for
        // milliseconds; it doesn't when two files change places. The old one then has the temporary
        // name and goes with it. Where this can't be done the rename below can.
        let is_file = |stat: Stat| FileType::from_raw_mode(stat.st_mode).is_file();
        if rustix::fs::statat(&*to, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(is_file) {
            let exchange = RenameFlags::EXCHANGE;
            if rustix::fs::renameat_with(&*from, &temporary.name, &*to, name, exchange).is_ok() {
                return Ok(());
            }
        }
        let rename = || rustix::fs::renameat(&*from, &temporary.name, &*to, name);
        match rename() {
            Err(Errno::ISDIR) => {
                self.remove_empty(path)?;
                Ok(rename()?)
            }
            result => Ok(result?),
        }
    }

    /// Opens an existing regular file to write into it; nothing if there is none that can be.
    pub(crate) fn open_in_place(&self, path: &RelativePath) -> Option<File> {
        let (parent, name) = path.split();
        let directory = self.directory(parent).ok()?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&*directory, name, flags, Mode::empty()).ok()?;
        let stat = rustix::fs::fstat(&file).ok()?;
        rustix::fs::FileType::from_raw_mode(stat.st_mode)
            .is_file()
            .then(|| File::from(file))
    }

    /// Removes a file or link.
    pub(crate) fn remove(&self, path: &RelativePath) -> Result<(), TreeError> {
        let (parent, name) = path.split();
        let directory = self.directory(parent)?;
        self.hashes.forget(path.as_str());
        Ok(rustix::fs::unlinkat(&*directory, name, AtFlags::empty())?)
    }

    /// Removes a directory if nothing is in it. Returns whether it is gone.
    pub(crate) fn remove_if_empty(&self, path: &RelativePath) -> bool {
        let (parent, name) = path.split();
        self.directories.borrow_mut().remove(path.as_str());
        self.directory(parent).is_ok_and(|directory| {
            match rustix::fs::unlinkat(&*directory, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => true,
                Err(_) => false,
            }
        })
    }

    /// Removes a directory that holds nothing but empty directories.
    fn remove_empty(&self, path: &RelativePath) -> Result<(), TreeError> {
        for name in self.names(path.as_str())? {
            let child = RelativePath::parse(&format!("{path}/{name}"))
                .map_err(|_| TreeError::DirectoryInTheWay)?;
            match self.found(&child)? {
                Some(Found::Directory) => self.remove_empty(&child)?,
                _ => return Err(TreeError::DirectoryInTheWay),
            }
        }
        if self.remove_if_empty(path) {
            Ok(())
        } else {
            Err(TreeError::DirectoryInTheWay)
        }
    }

    /// Removes what a killed agent left in `directory`.
    pub(crate) fn remove_leftovers(&self, directory: &str) {
        let Ok(opened) = self.directory(directory) else {
            return;
        };
        for name in self.names(directory).unwrap_or_default() {
            if name.starts_with(TEMPORARY) {
                // Whoever removed it first is welcome.
                let _gone = rustix::fs::unlinkat(&*opened, &name, AtFlags::empty());
            }
        }
    }
}

/// A temporary file or link, or the old file that changed places with it. Removed when dropped,
/// unless it was moved away by then.
#[derive(Debug)]
pub(crate) struct Temporary {
    tree: Rc<Tree>,
    directory: String,
    name: String,
}

impl Temporary {
    /// Reads the file.
    pub(crate) fn open(&self) -> Result<File, TreeError> {
        let directory = self.tree.directory(&self.directory)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&*directory, &self.name, flags, Mode::empty())?.into())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Ok(directory) = self.tree.directory(&self.directory) {
            let _moved = rustix::fs::unlinkat(&*directory, &self.name, AtFlags::empty());
        }
    }
}

/// The mode of a file that the agent writes.
pub(crate) fn mode(executable: bool) -> Mode {
    Mode::from_raw_mode(if executable { 0o755 } else { 0o644 })
}

/// Creates something that may be left over from a killed agent with the same process id.
fn retry_without_leftover<T>(
    directory: &OwnedFd,
    name: &str,
    create: impl Fn() -> Result<T, Errno>,
) -> Result<T, TreeError> {
    match create() {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
            Ok(create()?)
        }
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests;
