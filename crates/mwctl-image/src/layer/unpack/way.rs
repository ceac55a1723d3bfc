//! The way to an entry of a layer: folders that it needs and that its archive says nothing of are what the
//! layers below say that they are, links included, as for whoever unpacks one layer over the others.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, mkdirat, readlinkat, statat, unlinkat};
use rustix::io::Errno;

use super::{Folder, Target, through, xattr};
use crate::view::Found;

/// More links on one way are a circle; the kernel's own limit.
const LINKS: usize = 40;

/// What the layers below have in the place of a folder.
enum Below {
    Folder(Folder),
    Link(PathBuf),
    /// Nothing, or what a folder hides.
    Nothing,
}

impl Target<'_> {
    /// Opens a folder of the layer, and makes what is missing on the way; gives its place, too.
    pub(super) fn open(&mut self, path: &Path) -> Result<(PathBuf, OwnedFd), Errno> {
        if let Some((known, place, fd)) = &self.parent
            && known == path
        {
            return Ok((place.clone(), rustix::io::fcntl_dupfd_cloexec(fd, 0)?));
        }
        let (place, opened) = match self.beneath(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let place = self.way(path, true)?;
                let opened = self.beneath(&place)?;
                (place, opened)
            }
            other => (path.to_path_buf(), other?),
        };
        let copy = rustix::io::fcntl_dupfd_cloexec(&opened, 0)?;
        self.parent = Some((path.to_path_buf(), place.clone(), copy));
        Ok((place, opened))
    }

    /// Where a folder really is, through the links of this layer and of those below; makes what is missing where
    /// `makes` says so.
    pub(super) fn way(&mut self, path: &Path, makes: bool) -> Result<PathBuf, Errno> {
        let mut open = parts(path);
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(part) = open.pop() {
            let Some(name) = part else {
                done.pop();
                continue;
            };
            let above = self.beneath(&done)?;
            let there = statat(&above, &name, AtFlags::SYMLINK_NOFOLLOW);
            let there = there.map(|there| FileType::from_raw_mode(there.st_mode));
            let (folder, was_deleted) = match there {
                Ok(FileType::Directory) => {
                    done.push(name);
                    continue;
                }
                Ok(FileType::Symlink) => {
                    let target = readlinkat(&above, &name, Vec::new())?.into_bytes();
                    let target = PathBuf::from(OsString::from_vec(target));
                    follow(&target, &mut links, &mut done, &mut open)?;
                    continue;
                }
                // Deleted by this layer, and there again.
                Ok(FileType::CharacterDevice) => (Folder::new(), true),
                Ok(_) => return Err(Errno::NOTDIR),
                Err(Errno::NOENT) => match self.below(&done.join(&name)) {
                    Below::Folder(folder) => (folder, false),
                    Below::Nothing => (Folder::new(), false),
                    Below::Link(target) => {
                        follow(&target, &mut links, &mut done, &mut open)?;
                        continue;
                    }
                },
                Err(error) => return Err(error),
            };
            if !makes {
                return Err(Errno::NOENT);
            }
            if was_deleted {
                unlinkat(&above, &name, AtFlags::empty())?;
            }
            mkdirat(&above, &name, Mode::from_raw_mode(0o755))?;
            if was_deleted {
                let hides = xattr::set_opaque(&through(&above, &name));
                hides.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            }
            done.push(name);
            self.folders.insert(done.clone(), folder);
        }
        Ok(done)
    }

    fn below(&self, path: &Path) -> Below {
        // A folder of this layer may hide what is below.
        let hides = |above: &Path| {
            let above = Path::new(".").join(above);
            xattr::is_opaque(&through(&self.root, above.as_os_str()))
        };
        if path.ancestors().skip(1).any(hides) {
            return Below::Nothing;
        }
        match self.lower.at(path) {
            Found::Folder(folders) => match folders[0].symlink_metadata() {
                Ok(data) => Below::Folder(Folder {
                    mode: data.mode() & 0o7777,
                    uid: self.owners.in_image(data.uid()).into(),
                    gid: self.owners.in_image(data.gid()).into(),
                    time: data.mtime(),
                    ..Folder::new()
                }),
                Err(_) => Below::Nothing,
            },
            Found::File(file) => file.read_link().map_or(Below::Nothing, Below::Link),
            Found::Missing => Below::Nothing,
        }
    }
}

/// The parts of a path, the last one first; `None` leads up.
fn parts(path: &Path) -> Vec<Option<OsString>> {
    let parts = path.components().rev();
    let parts = parts.filter_map(|component| match component {
        Component::Normal(name) => Some(Some(name.to_owned())),
        Component::ParentDir => Some(None),
        _ => None,
    });
    parts.collect()
}

fn follow(
    target: &Path,
    links: &mut usize,
    done: &mut PathBuf,
    open: &mut Vec<Option<OsString>>,
) -> Result<(), Errno> {
    *links += 1;
    if *links > LINKS {
        return Err(Errno::LOOP);
    }
    if target.is_absolute() {
        done.clear();
    }
    open.extend(parts(target));
    Ok(())
}
