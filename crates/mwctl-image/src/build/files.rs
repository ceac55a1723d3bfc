//! A layer that is filled without a mount: what is written goes into its folder, with the folders
//! on the way as the layers below have them.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use super::StepError;
use crate::owners::Owners;
use crate::store::Store;
use crate::view::{Found, View};

/// A layer in the making.
pub(super) struct Layer<'a> {
    folder: PathBuf,
    work: &'a Path,
    owners: Owners,
    /// Folders that were made, whose times are set at the end.
    made: Vec<PathBuf>,
}

/// The owner of folders that nobody said anything of.
pub(super) fn absent_owner() -> (u32, u32) {
    (0, 0)
}

impl<'a> Layer<'a> {
    pub(super) fn new(work: &'a Path, store: &Store) -> Result<Self, StepError> {
        let folder = work.join("upper");
        fs::create_dir(&folder).map_err(StepError::io(&folder))?;
        fs::set_permissions(&folder, Permissions::from_mode(0o755))
            .map_err(StepError::io(&folder))?;
        Ok(Self {
            folder,
            work,
            owners: store.owners(),
            made: Vec::new(),
        })
    }

    /// The folder of work, of which the layer's own is a part.
    pub(super) fn work(&self) -> &Path {
        self.work
    }

    /// The layer's own folder.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    pub(super) fn finish(self) -> Result<PathBuf, StepError> {
        for folder in self.made.iter().rev() {
            set_begin(folder).map_err(StepError::io(folder))?;
        }
        Ok(self.folder)
    }

    /// Gives an owner to a file, where owners can be given.
    pub(super) fn own(&self, path: &Path, (uid, gid): (u32, u32)) -> Result<(), StepError> {
        let id = |id: u32| {
            let on_disk = self.owners.on_disk(id.into());
            on_disk.map_err(|error| StepError::io(path)(io::Error::other(error)))
        };
        if let (Some(uid), Some(gid)) = (id(uid)?, id(gid)?) {
            lchown(path, Some(uid), Some(gid)).map_err(StepError::io(path))?;
        }
        Ok(())
    }

    /// Makes a folder of the image, and those that lead to it; gives its place in the layer.
    /// Links of the image are followed. Those that are new belong to `owner`.
    pub(super) fn folder(
        &mut self,
        view: &View,
        path: &Path,
        owner: (u32, u32),
    ) -> Result<PathBuf, StepError> {
        let (real, _) = view.find(path);
        let mut place = self.folder.clone();
        let mut so_far = PathBuf::from("/");
        for component in real.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            place.push(name);
            so_far.push(name);
            match fs::symlink_metadata(&place) {
                Ok(data) if data.is_dir() => continue,
                Ok(_) => fs::remove_file(&place).map_err(StepError::io(&place))?,
                Err(_) => {}
            }
            fs::create_dir(&place).map_err(StepError::io(&place))?;
            match view.find(&so_far).1 {
                Found::Folder(folders) if !folders.is_empty() => {
                    let data = fs::metadata(&folders[0]).map_err(StepError::io(&folders[0]))?;
                    self.like(&place, &data)?;
                }
                _ => {
                    self.own(&place, owner)?;
                    fs::set_permissions(&place, Permissions::from_mode(0o755))
                        .map_err(StepError::io(&place))?;
                    self.made.push(place.clone());
                }
            }
        }
        Ok(place)
    }

    /// Owner, mode and time of another file of the store.
    fn like(&self, place: &Path, data: &Metadata) -> Result<(), StepError> {
        if self.owners != Owners::Single {
            lchown(place, Some(data.uid()), Some(data.gid())).map_err(StepError::io(place))?;
        }
        fs::set_permissions(place, data.permissions()).map_err(StepError::io(place))?;
        set_time(place, data.mtime()).map_err(StepError::io(place))
    }

    /// Writes a file.
    pub(super) fn file(
        &mut self,
        view: &View,
        path: &Path,
        content: &[u8],
        owner: (u32, u32),
        mode: u32,
    ) -> Result<(), StepError> {
        let name = path.file_name().unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new("/"));
        let place = self.folder(view, folder, absent_owner())?.join(name);
        fs::write(&place, content).map_err(StepError::io(&place))?;
        self.own(&place, owner)?;
        fs::set_permissions(&place, Permissions::from_mode(mode)).map_err(StepError::io(&place))?;
        set_begin(&place).map_err(StepError::io(&place))
    }

    /// Copies a file or a link to a place in the layer. Its time is that of all copies, or two
    /// checkouts would give two images.
    pub(super) fn copy(
        &self,
        from: &Path,
        data: &Metadata,
        place: &Path,
        owner: (u32, u32),
        mode: Option<u32>,
    ) -> Result<(), StepError> {
        mwctl_container::tree::remove(place).map_err(StepError::io(place))?;
        if data.is_symlink() {
            let target = fs::read_link(from).map_err(StepError::io(from))?;
            symlink(target, place).map_err(StepError::io(place))?;
            self.own(place, owner)?;
        } else if data.is_file() {
            fs::copy(from, place).map_err(StepError::io(from))?;
            self.own(place, owner)?;
            let mode = mode.unwrap_or(data.mode() & 0o7777);
            fs::set_permissions(place, Permissions::from_mode(mode))
                .map_err(StepError::io(place))?;
        } else if data.file_type().is_fifo() {
            let mode = mode.unwrap_or(data.mode() & 0o7777);
            let pipe = mknodat(CWD, place, FileType::Fifo, Mode::from_raw_mode(mode), 0);
            pipe.map_err(|error| StepError::io(place)(error.into()))?;
            self.own(place, owner)?;
            fs::set_permissions(place, Permissions::from_mode(mode))
                .map_err(StepError::io(place))?;
        } else {
            // Sockets mean nothing without who listens, and devices are no part of an image.
            return Ok(());
        }
        set_begin(place).map_err(StepError::io(place))
    }

    /// Makes or keeps a folder that is copied.
    pub(super) fn copy_folder(
        &mut self,
        place: &Path,
        owner: (u32, u32),
        mode: u32,
    ) -> Result<(), StepError> {
        match fs::symlink_metadata(place) {
            Ok(data) if data.is_dir() => {}
            Ok(_) => {
                fs::remove_file(place).map_err(StepError::io(place))?;
                fs::create_dir(place).map_err(StepError::io(place))?;
            }
            Err(_) => fs::create_dir(place).map_err(StepError::io(place))?,
        }
        self.own(place, owner)?;
        fs::set_permissions(place, Permissions::from_mode(mode)).map_err(StepError::io(place))?;
        self.made.push(place.to_path_buf());
        Ok(())
    }
}

/// The time of all that a build copies.
fn set_begin(path: &Path) -> io::Result<()> {
    set_time(path, 0)
}

fn set_time(path: &Path, seconds: i64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
