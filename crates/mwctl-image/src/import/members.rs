//! The files within a layout: in a folder, or in an archive that is read by seeking.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;

use super::ImportError;
use crate::layer::{Extended, Limits};
use crate::oci::Packing;
use crate::store::{DOCUMENT_LIMIT, Store, Work};

/// More than any archive of images has.
const MOST: usize = 500_000;

/// What an archive has under a name.
#[derive(Clone, Debug)]
enum Member {
    At {
        position: u64,
        length: u64,
    },
    /// Old archives of docker have a layer once, and links to it.
    Link(PathBuf),
}

enum Place {
    Folder,
    Archive {
        file: PathBuf,
        members: BTreeMap<PathBuf, Member>,
        /// Holds the archive's plain form.
        _spooled: Option<Work>,
    },
}

pub(super) struct Members {
    /// For people.
    path: PathBuf,
    place: Place,
}

impl Members {
    /// Opens a folder or an archive, which may be packed.
    pub(super) fn open(store: &Store, path: &Path) -> Result<Self, ImportError> {
        let failed = |source| ImportError::Read {
            path: path.to_path_buf(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let data = file.metadata().map_err(failed)?;
        if data.is_dir() {
            if !path.join("index.json").is_file() {
                let path = path.to_path_buf();
                return Err(ImportError::Unknown { path });
            }
            return Ok(Self {
                path: path.to_path_buf(),
                place: Place::Folder,
            });
        }
        let mut start = [0; 6];
        let length = read_start(&mut file, &mut start).map_err(failed)?;
        unpacked(path, &start[..length])?;
        if !data.is_file() || Packing::guess(&start[..length]) != Packing::Plain {
            let start = io::Cursor::new(start[..length].to_vec());
            return Self::spooled(store, path, start.chain(file));
        }
        let place = archive(path.to_path_buf(), None, store.limits()).map_err(failed)?;
        Self::checked(path, place)
    }

    /// Reads an archive from a stream.
    pub(super) fn spool(store: &Store, stream: impl Read) -> Result<Self, ImportError> {
        Self::spooled(store, Path::new("-"), stream)
    }

    fn spooled(store: &Store, path: &Path, mut stream: impl Read) -> Result<Self, ImportError> {
        let failed = |source| ImportError::Read {
            path: path.to_path_buf(),
            source,
        };
        let work = store.work()?;
        let file = work.path().join("archive");
        let mut start = [0; 6];
        let length = read_start(&mut stream, &mut start).map_err(failed)?;
        unpacked(path, &start[..length])?;
        let packing = Packing::guess(&start[..length]);
        let packed = BufReader::with_capacity(
            1 << 18,
            io::Cursor::new(start[..length].to_vec()).chain(stream),
        );
        let plain = packing.open(packed).map_err(failed)?;
        let most = store.limits().bytes;
        let mut into = File::create(&file).map_err(failed)?;
        let copied = io::copy(&mut plain.take(most + 1), &mut into).map_err(failed)?;
        if copied > most {
            let why = format!("it has more than {most} bytes");
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        let place = archive(file, Some(work), store.limits()).map_err(failed)?;
        Self::checked(path, place)
    }

    fn checked(path: &Path, place: Place) -> Result<Self, ImportError> {
        let path = path.to_path_buf();
        match &place {
            Place::Archive { members, .. } if members.is_empty() => {
                Err(ImportError::Unknown { path })
            }
            _ => Ok(Self { path, place }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The archive itself, where it is one.
    pub(super) fn archive(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder => None,
            Place::Archive { file, .. } => Some(file),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match &self.place {
            Place::Folder => self.path.join(name).is_file(),
            Place::Archive { members, .. } => members.contains_key(Path::new(name)),
        }
    }

    /// Opens one; `name` must lead nowhere else.
    pub(super) fn member(&self, name: &str) -> Result<Box<dyn Read>, ImportError> {
        let failed = |source| ImportError::Read {
            path: self.path.clone(),
            source,
        };
        let missing = || ImportError::Incomplete {
            path: self.path.clone(),
            member: name.to_owned(),
        };
        match &self.place {
            Place::Folder => match File::open(self.path.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                other => Ok(Box::new(other.map_err(failed)?)),
            },
            Place::Archive { file, members, .. } => {
                let mut name = PathBuf::from(name);
                // Links to links: more than a few are a circle.
                for _ in 0..8 {
                    match members.get(&name).ok_or_else(missing)? {
                        Member::At { position, length } => {
                            let mut file = File::open(file).map_err(failed)?;
                            file.seek(SeekFrom::Start(*position)).map_err(failed)?;
                            return Ok(Box::new(file.take(*length)));
                        }
                        Member::Link(target) => name.clone_from(target),
                    }
                }
                Err(missing())
            }
        }
    }

    /// A small one, whole.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, ImportError> {
        let mut bytes = Vec::new();
        let read = self
            .member(name)?
            .take(DOCUMENT_LIMIT)
            .read_to_end(&mut bytes);
        read.map_err(|source| ImportError::Read {
            path: self.path.clone(),
            source,
        })?;
        Ok(bytes)
    }

    /// A document.
    pub(super) fn document<T: DeserializeOwned>(&self, name: &str) -> Result<T, ImportError> {
        serde_json::from_slice(&self.bytes(name)?).map_err(|source| ImportError::Document {
            path: self.path.clone(),
            member: name.to_owned(),
            source,
        })
    }
}

/// Refuses what is packed in a way that isn't read here, by how it begins.
fn unpacked(path: &Path, start: &[u8]) -> Result<(), ImportError> {
    let (packing, program) = match start {
        [b'B', b'Z', b'h', ..] => ("bzip2", "bunzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("xz", "unxz"),
        _ => return Ok(()),
    };
    Err(ImportError::Packed {
        path: path.to_path_buf(),
        packing,
        program,
    })
}

fn read_start(from: &mut impl Read, start: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < start.len() {
        match from.read(&mut start[length..])? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

/// Where everything is in an archive.
fn archive(file: PathBuf, spooled: Option<Work>, limits: Limits) -> io::Result<Place> {
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut archive = tar::Archive::new(File::open(&file)?);
    let mut members = BTreeMap::new();
    let mut extended = Extended::default();
    for entry in archive.entries_with_seek()?.raw(true) {
        let mut entry = match entry {
            // It doesn't even begin like an archive.
            Err(_) if members.is_empty() => break,
            other => other?,
        };
        if extended.take(&mut entry)? {
            continue;
        }
        let extended = std::mem::take(&mut extended);
        extended.check_length(&entry)?;
        let Some(name) = plain(&path(extended.name(&entry))) else {
            continue;
        };
        // Whoever looks for the next entry behind it is told less by the kernel.
        if entry.size() > limits.bytes {
            let (name, size, most) = (name.display(), entry.size(), limits.bytes);
            let why = format!("`{name}` claims {size} bytes, and a layer has at most {most}");
            return Err(invalid(why));
        }
        let kind = entry.header().entry_type();
        let member = if kind.is_file() {
            Member::At {
                position: entry.raw_file_position(),
                length: entry.size(),
            }
        } else if kind.is_symlink() || kind.is_hard_link() {
            let target = path(extended.target(&entry).unwrap_or_default());
            let beside = name.parent().unwrap_or(Path::new(""));
            let from = if kind.is_symlink() {
                beside
            } else {
                Path::new("")
            };
            match plain(&from.join(target)) {
                Some(target) => Member::Link(target),
                None => continue,
            }
        } else {
            continue;
        };
        members.insert(name, member);
        if members.len() > MOST {
            return Err(invalid(format!("it has more than {MOST} entries")));
        }
    }
    Ok(Place::Archive {
        file,
        members,
        _spooled: spooled,
    })
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

/// The name without `.` and `..`; `None` where it leads out.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => plain.push(part),
            Component::ParentDir if !plain.pop() => return None,
            _ => {}
        }
    }
    Some(plain)
}
