//! Opening directories beneath the target: `openat2` in one call, or part by part without it.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use super::{OPEN_DIRECTORIES, Tree, TreeError};

const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Tree {
    /// Opens an existing directory; the empty path is the target.
    pub(super) fn directory(&self, path: &str) -> Result<Rc<OwnedFd>, TreeError> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        if let Some(known) = self.directories.borrow().get(path) {
            return Ok(known.clone());
        }
        let opened = Rc::new(self.open_beneath(path)?);
        let mut directories = self.directories.borrow_mut();
        if directories.len() >= OPEN_DIRECTORIES {
            directories.clear();
        }
        directories.insert(path.to_owned(), opened.clone());
        Ok(opened)
    }

    fn open_beneath(&self, path: &str) -> Result<OwnedFd, TreeError> {
        if self.openat2.get() {
            let resolve =
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            match rustix::fs::openat2(&*self.root, path, DIRECTORY, Mode::empty(), resolve) {
                // A seccomp profile that doesn't know the call answers EPERM.
                Err(Errno::NOSYS | Errno::PERM) => self.openat2.set(false),
                // A rename elsewhere raced with the walk; the slow way has no such answer.
                Err(Errno::AGAIN) => {}
                result => return Ok(result?),
            }
        }
        self.walk(path)
    }

    /// Opens part by part, each without following links.
    fn walk(&self, path: &str) -> Result<OwnedFd, TreeError> {
        let mut opened: Option<OwnedFd> = None;
        for part in path.split('/') {
            let at = opened.as_ref().unwrap_or(&self.root);
            opened = Some(rustix::fs::openat(at, part, DIRECTORY, Mode::empty())?);
        }
        opened.ok_or(TreeError::System(Errno::NOENT))
    }

    /// Opens a directory and makes what is missing of it. Adds what it made to `made`.
    pub(super) fn make_directory(
        &self,
        path: &str,
        made: &mut Vec<String>,
    ) -> Result<Rc<OwnedFd>, TreeError> {
        match self.directory(path) {
            Err(TreeError::System(Errno::NOENT)) => {}
            result => return result,
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = self.make_directory(parent, made)?;
        match rustix::fs::mkdirat(&*above, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => made.push(path.to_owned()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.directory(path)
    }

    /// The names in a directory. Names that are not UTF-8 are never ours: they end the reading.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, TreeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = self.directory(path)?;
        let opened = rustix::fs::openat(&*opened, ".", flags, Mode::empty())?;
        let mut buffer = Vec::with_capacity(8192);
        let mut entries = RawDir::new(&opened, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry
                .file_name()
                .to_str()
                .map_err(|_| TreeError::DirectoryInTheWay)?;
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Goes on without `openat2`, as on a system that lacks it.
    #[cfg(test)]
    pub(crate) fn forgo_openat2(&self) {
        self.openat2.set(false);
    }
}
