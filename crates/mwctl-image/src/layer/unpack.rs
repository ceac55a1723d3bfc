//! From an archive to a folder in overlay form.
//!
//! The archive is untrusted. Every folder is opened by the kernel beneath the layer's own root
//! (`openat2`, `RESOLVE_IN_ROOT`): links lead to where they would in the container, never out of
//! the folder, also while the archive replaces folders by links. Devices are left out in all
//! modes: a container has its own, and whoever isn't root can't make them.

mod way;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, chmodat,
    chownat, linkat, mkdirat, mknodat, openat, openat2, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use tar::{Entry, EntryType};

use super::{Extended, FOREIGN, Limits, OPAQUE, WHITEOUT, sparse, xattr};
use crate::owners::{Owners, UnknownOwner};
use crate::view::View;
use mwctl_container::tree;

/// Why an archive can't be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It ends too early, or is none.
    #[error("the layer's archive can't be read")]
    Read(#[source] io::Error),
    /// An entry can't be made.
    #[error("cannot unpack `{name}`")]
    Entry {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// An entry asks for what no image needs.
    #[error("`{name}` is refused: {why}")]
    Refused {
        /// Its name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// An entry's owner has no id here.
    #[error("cannot unpack `{name}`")]
    Owner {
        /// Its name.
        name: String,
        /// Why.
        source: UnknownOwner,
    },
    /// It is larger than any real layer.
    #[error("the layer has more than {most} {what}")]
    TooLarge {
        /// How many it may have.
        most: u64,
        /// Of what.
        what: &'static str,
    },
}

/// Whether an entry of a folder in overlay form says that its name is deleted.
pub(crate) fn is_whiteout(data: &std::fs::Metadata) -> bool {
    data.file_type().is_char_device() && data.rdev() == 0
}

/// Unpacks a plain archive into an empty folder, as if nothing lay below it.
pub fn unpack(
    archive: impl Read,
    into: &Path,
    owners: Owners,
    limits: Limits,
) -> Result<(), UnpackError> {
    let nothing = View::new(Vec::new());
    unpack_upon(archive, into, owners, limits, &nothing).map(drop)
}

/// The same where `lower` lies below it: a folder that leads to an entry and has none of its own is the one that is
/// there, also through links. Gives the folders of that kind, those above before those in them.
pub(crate) fn unpack_upon(
    archive: impl Read,
    into: &Path,
    owners: Owners,
    limits: Limits,
    lower: &View,
) -> Result<Vec<PathBuf>, UnpackError> {
    let mut archive = tar::Archive::new(archive);
    let root = File::open(into).map_err(|source| UnpackError::Entry {
        name: into.display().to_string(),
        source,
    })?;
    let mut target = Target {
        root: root.into(),
        owners,
        lower,
        parent: None,
        folders: BTreeMap::new(),
    };
    // Where the archive says nothing of its root. The image's own is made by whoever runs it.
    let root = Folder {
        implied: false,
        ..Folder::new()
    };
    target.folders.insert(PathBuf::new(), root);
    let (mut entries, mut bytes) = (0_u64, 0_u64);
    let mut extended = Extended::default();
    for entry in archive.entries().map_err(UnpackError::Read)?.raw(true) {
        let mut entry = entry.map_err(UnpackError::Read)?;
        entries += 1;
        bytes = bytes.saturating_add(entry.size());
        if entries > limits.entries {
            return Err(UnpackError::TooLarge {
                most: limits.entries,
                what: "entries",
            });
        }
        if bytes > limits.bytes {
            return Err(UnpackError::TooLarge {
                most: limits.bytes,
                what: "bytes",
            });
        }
        if !extended.take(&mut entry).map_err(UnpackError::Read)? {
            target.add(&mut entry, &std::mem::take(&mut extended))?;
        }
    }
    target.finish()
}

/// A folder whose mode and times are set at the end: until then it is written to.
struct Folder {
    /// Whether no entry says what it is.
    implied: bool,
    mode: u32,
    uid: u64,
    gid: u64,
    time: i64,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Folder {
    /// One of which nothing is known.
    fn new() -> Self {
        Self {
            implied: true,
            mode: 0o755,
            uid: 0,
            gid: 0,
            time: 0,
            xattrs: Vec::new(),
        }
    }
}

struct Target<'a> {
    root: OwnedFd,
    owners: Owners,
    lower: &'a View,
    /// The folder that was opened last, by its name and its place: archives are sorted.
    parent: Option<(PathBuf, PathBuf, OwnedFd)>,
    folders: BTreeMap<PathBuf, Folder>,
}

/// What an entry says of itself.
struct Facts {
    name: String,
    mode: u32,
    uid: u64,
    gid: u64,
    time: i64,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Facts {
    fn read<R: Read>(entry: &Entry<'_, R>, extended: &Extended) -> Result<Self, UnpackError> {
        extended.check_length(entry).map_err(UnpackError::Read)?;
        let name = String::from_utf8_lossy(&extended.name(entry)).into_owned();
        let xattrs = extended.beginning(b"SCHILY.xattr.");
        let xattrs = xattrs.map(|(key, value)| (key.to_vec(), value.to_vec()));
        let xattrs = xattrs.collect();
        let is_sparse = extended.beginning(b"GNU.sparse.").next().is_some();
        if is_sparse || entry.header().entry_type().is_gnu_sparse() {
            let why = "its holes are described in a way that no image builder uses";
            return Err(UnpackError::Refused { name, why });
        }
        let header = entry.header();
        let old = header.as_old();
        let number = |field: &[u8], value: io::Result<u64>| {
            // Nothing is zero to most who read archives.
            if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
                return Ok(0);
            }
            value.map_err(UnpackError::Read)
        };
        let long = |key: &[u8], short| extended.number(key).map_or(short, Ok);
        let mode = number(&old.mode, header.mode().map(u64::from))?;
        Ok(Self {
            mode: mode as u32 & 0o7777,
            uid: long(b"uid", number(&old.uid, header.uid()))?,
            gid: long(b"gid", number(&old.gid, header.gid()))?,
            time: i64::try_from(number(&old.mtime, header.mtime())?).unwrap_or(i64::MAX),
            name,
            xattrs,
        })
    }

    fn failed(&self, source: impl Into<io::Error>) -> UnpackError {
        UnpackError::Entry {
            name: self.name.clone(),
            source: source.into(),
        }
    }

    fn refused(&self, why: &'static str) -> UnpackError {
        UnpackError::Refused {
            name: self.name.clone(),
            why,
        }
    }
}

/// The plain components of a name; `None` where it leaves the archive.
fn plain(name: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

impl Target<'_> {
    fn add<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        extended: &Extended,
    ) -> Result<(), UnpackError> {
        let facts = Facts::read(entry, extended)?;
        let given = PathBuf::from(OsString::from_vec(extended.name(entry)));
        let path = plain(&given).ok_or_else(|| facts.refused("its name leads out of the layer"))?;
        let kind = entry.header().entry_type();
        let Some(name) = path.file_name().map(OsStr::to_owned) else {
            if kind.is_dir() {
                self.later(path, facts);
            }
            return Ok(());
        };
        let parent = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let has = |path: &Path, prefix| path.iter().any(|part| part.as_bytes().starts_with(prefix));
        if has(&parent, FOREIGN) {
            return Ok(());
        }
        let opened = self.open(&parent);
        let (above, place) = opened.map_err(|error| facts.failed(error))?;
        // Where it really lies: a link leads there as well as a name.
        if has(&above, WHITEOUT) {
            return Err(facts.refused("it lies in a folder whose name deletes another"));
        }
        let failed = |error: Errno| facts.failed(error);
        let bytes = name.as_bytes();
        if bytes == OPAQUE {
            let folder = through(&place, OsStr::new("."));
            return xattr::set_opaque(&folder).map_err(|error| facts.failed(error));
        }
        if bytes.starts_with(FOREIGN) {
            return Ok(());
        }
        if let Some(deleted) = bytes.strip_prefix(WHITEOUT) {
            let deleted = OsStr::from_bytes(deleted);
            if matches!(deleted.as_bytes(), b"" | b"." | b"..") {
                return Err(facts.refused("it deletes no name"));
            }
            return delete(&place, deleted).map_err(|error| facts.failed(error));
        }
        match kind {
            EntryType::Directory => {
                self.folder(&place, &name).map_err(failed)?;
                self.later(above.join(name), facts);
                return Ok(());
            }
            EntryType::Regular | EntryType::Continuous => {
                self.clear(&place, &name).map_err(failed)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = openat(&place, &name, flags, Mode::from_raw_mode(0o600));
                let mut file = File::from(file.map_err(failed)?);
                let length = entry.size();
                let copied = sparse::copy(entry, &mut file);
                let copied = copied.map_err(|error| facts.failed(error))?;
                if copied != length {
                    return Err(UnpackError::Read(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            EntryType::Symlink => {
                let target = extended.target(entry);
                let target = target.ok_or_else(|| facts.refused("it is a link to nothing"))?;
                self.clear(&place, &name).map_err(failed)?;
                symlinkat(OsStr::from_bytes(&target), &place, &name).map_err(failed)?;
            }
            EntryType::Link => {
                let target = extended.target(entry);
                let target = target.ok_or_else(|| facts.refused("it is a link to nothing"))?;
                return self.link(&facts, OsStr::from_bytes(&target), &place, &name);
            }
            EntryType::Fifo => {
                self.clear(&place, &name).map_err(failed)?;
                mknodat(&place, &name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
                    .map_err(failed)?;
            }
            // Devices, and what is no part of a file tree.
            _ => return Ok(()),
        }
        self.dress(&place, &name, &facts, kind.is_symlink())
    }

    /// Owner, mode, attributes and time, in the order in which the kernel keeps all of them.
    fn dress(
        &self,
        place: &OwnedFd,
        name: &OsStr,
        facts: &Facts,
        is_link: bool,
    ) -> Result<(), UnpackError> {
        let id = |id| {
            self.owners
                .on_disk(id)
                .map_err(|source| UnpackError::Owner {
                    name: facts.name.clone(),
                    source,
                })
        };
        let (uid, gid) = (id(facts.uid)?, id(facts.gid)?);
        let failed = |error: Errno| facts.failed(error);
        if let (Some(uid), Some(gid)) = (uid, gid) {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            chownat(place, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed)?;
        }
        if !facts.xattrs.is_empty() {
            let path = through(place, name);
            for (key, value) in &facts.xattrs {
                xattr::set(&path, key, value).map_err(|error| facts.failed(error))?;
            }
        }
        // Before this its owner may write it, and so give it attributes.
        if !is_link {
            let mode = Mode::from_raw_mode(facts.mode);
            chmodat(place, name, mode, AtFlags::empty()).map_err(failed)?;
        }
        set_time(place, name, facts.time).map_err(failed)
    }

    fn beneath(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        loop {
            match openat2(&self.root, path, flags, Mode::empty(), resolve) {
                // The kernel couldn't tell whether a concurrent rename led outside: once more.
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
    }

    /// Makes a folder, or keeps the one that is there.
    fn folder(&mut self, place: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(0o700);
        match mkdirat(place, name, mode) {
            Err(Errno::EXIST) => {
                let there = statat(place, name, AtFlags::SYMLINK_NOFOLLOW)?;
                let kind = FileType::from_raw_mode(there.st_mode);
                if kind == FileType::Directory {
                    return Ok(());
                }
                let deleted = kind == FileType::CharacterDevice;
                self.clear(place, name)?;
                mkdirat(place, name, mode)?;
                if deleted {
                    // Deleted and made anew: nothing of the old one shows through.
                    let path = through(place, name);
                    xattr::set_opaque(&path)
                        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                }
                Ok(())
            }
            other => other,
        }
    }

    fn later(&mut self, path: PathBuf, facts: Facts) {
        let folder = Folder {
            implied: false,
            mode: facts.mode,
            uid: facts.uid,
            gid: facts.gid,
            time: facts.time,
            xattrs: facts.xattrs,
        };
        self.folders.insert(path, folder);
    }

    fn link(
        &mut self,
        facts: &Facts,
        target: &OsStr,
        place: &OwnedFd,
        name: &OsStr,
    ) -> Result<(), UnpackError> {
        let target = plain(Path::new(target))
            .ok_or_else(|| facts.refused("it links to a name that leads out of the layer"))?;
        let Some(last) = target.file_name() else {
            return Err(facts.refused("it links to a folder"));
        };
        let above = target.parent().unwrap_or(Path::new(""));
        let folder = match self.beneath(above) {
            Err(Errno::NOENT) => self.way(above, false).and_then(|way| self.beneath(&way)),
            other => other,
        };
        let missing = "it links to a file that the layer doesn't have";
        let folder = match folder {
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(facts.refused(missing)),
            other => other.map_err(|error| facts.failed(error))?,
        };
        let there = match statat(&folder, last, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Err(facts.refused(missing)),
            other => other.map_err(|error| facts.failed(error))?,
        };
        match FileType::from_raw_mode(there.st_mode) {
            FileType::Directory => return Err(facts.refused("it links to a folder")),
            FileType::CharacterDevice => return Err(facts.refused(missing)),
            _ => {}
        }
        if let Ok(same) = statat(place, name, AtFlags::SYMLINK_NOFOLLOW)
            && (same.st_dev, same.st_ino) == (there.st_dev, there.st_ino)
        {
            return Ok(());
        }
        self.clear(place, name)
            .and_then(|()| linkat(&folder, last, place, name, AtFlags::empty()))
            .map_err(|error| facts.failed(error))
    }

    /// Removes what has a name, whatever it is.
    fn clear(&mut self, place: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        match unlinkat(place, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => {
                // The folder that is kept open may be this one.
                self.parent = None;
                tree::remove(&through(place, name))
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
            }
            Err(error) => Err(error),
        }
    }

    /// What is said of folders, the deepest first. Gives those that no entry said anything of.
    fn finish(mut self) -> Result<Vec<PathBuf>, UnpackError> {
        self.parent = None;
        let mut implied = Vec::new();
        for (path, folder) in std::mem::take(&mut self.folders).into_iter().rev() {
            let facts = Facts {
                name: path.display().to_string(),
                mode: folder.mode,
                uid: folder.uid,
                gid: folder.gid,
                time: folder.time,
                xattrs: folder.xattrs,
            };
            let (above, name) = match (path.parent(), path.file_name()) {
                (Some(above), Some(name)) => (above.to_path_buf(), name.to_owned()),
                _ => (PathBuf::new(), OsString::from(".")),
            };
            let place = match self.beneath(&above) {
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                other => other.map_err(|error| facts.failed(error))?,
            };
            // It may have been replaced later in the archive.
            let there = statat(&place, &name, AtFlags::SYMLINK_NOFOLLOW);
            if !there
                .is_ok_and(|there| FileType::from_raw_mode(there.st_mode) == FileType::Directory)
            {
                continue;
            }
            self.dress(&place, &name, &facts, false)?;
            if folder.implied {
                implied.push(path);
            }
        }
        implied.reverse();
        Ok(implied)
    }
}

/// Marks a name as deleted. What the layer itself has of that name stays: it came after.
fn delete(place: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match statat(place, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) if FileType::from_raw_mode(there.st_mode) == FileType::Directory => {
            xattr::set_opaque(&through(place, name))
        }
        Ok(_) => Ok(()),
        Err(Errno::NOENT) => Ok(whiteout(place, name)?),
        Err(error) => Err(error.into()),
    }
}

fn whiteout(place: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    mknodat(place, name, FileType::CharacterDevice, Mode::empty(), 0)
}

fn set_time(place: &OwnedFd, name: &OsStr, seconds: i64) -> Result<(), Errno> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(place, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// A path to a name in an opened folder, for calls that take none.
fn through(place: &OwnedFd, name: &OsStr) -> PathBuf {
    let number = place.as_fd().as_raw_fd();
    Path::new("/proc/self/fd")
        .join(number.to_string())
        .join(name)
}
