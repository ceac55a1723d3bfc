//! From a folder in overlay form to an archive: the same folder always gives the same bytes, on
//! every machine, for every user.
//!
//! Sorted names, numeric owners as the image names them, times cut at an epoch, no device numbers
//! and no names of users.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::xattr;
use super::{OPAQUE, WHITEOUT, is_whiteout};
use crate::digest::{Digest, Hashing};
use crate::owners::Owners;

/// An archive that was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packed {
    /// The digest of the plain archive, which images name their layers by.
    pub diff_id: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// Why a folder can't be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// An entry can't be read.
    #[error("cannot pack `{}`", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive can't be written.
    #[error("cannot write the layer's archive")]
    Write(#[source] io::Error),
}

/// Packs a folder; no time is later than `epoch`, in seconds.
pub fn pack(
    folder: &Path,
    owners: Owners,
    epoch: u64,
    into: impl Write,
) -> Result<Packed, PackError> {
    let mut paths = Vec::new();
    collect(folder, Path::new(""), &mut paths)?;
    paths.sort();
    let mut packer = Packer {
        archive: tar::Builder::new(Hashing::new(into)),
        owners,
        epoch,
        links: HashMap::new(),
    };
    for path in paths {
        let full = folder.join(&path);
        let data = fs::symlink_metadata(&full).map_err(|source| PackError::Read {
            path: full.clone(),
            source,
        })?;
        packer.add(&path, &full, &data)?;
    }
    let hashing = packer.archive.into_inner().map_err(PackError::Write)?;
    let (mut inner, diff_id, size) = hashing.finish();
    inner.flush().map_err(PackError::Write)?;
    Ok(Packed { diff_id, size })
}

fn collect(root: &Path, below: &Path, paths: &mut Vec<PathBuf>) -> Result<(), PackError> {
    let folder = root.join(below);
    let failed = |source| PackError::Read {
        path: folder.clone(),
        source,
    };
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = below.join(entry.file_name());
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        paths.push(path.clone());
        if is_folder {
            collect(root, &path, paths)?;
        }
    }
    Ok(())
}

struct Packer<W: Write> {
    archive: tar::Builder<Hashing<W>>,
    owners: Owners,
    epoch: u64,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packer<W> {
    fn add(&mut self, path: &Path, full: &Path, data: &Metadata) -> Result<(), PackError> {
        let unreadable = |source| PackError::Read {
            path: full.to_path_buf(),
            source,
        };
        let name = path.as_os_str().as_bytes();
        let nothing = io::empty;
        if is_whiteout(data) {
            let header = marker();
            let name = deleted(path);
            return self.entry(header, name.as_os_str().as_bytes(), b"", &[], nothing());
        }
        let kind = data.file_type();
        let mut header = self.header(data);
        if kind.is_symlink() {
            let target = fs::read_link(full).map_err(unreadable)?;
            header.set_entry_type(EntryType::Symlink);
            return self.entry(header, name, target.as_os_str().as_bytes(), &[], nothing());
        }
        if kind.is_file()
            && data.nlink() > 1
            && let Some(first) = self.links.get(&(data.dev(), data.ino()))
        {
            let first = first.clone();
            header.set_entry_type(EntryType::Link);
            return self.entry(header, name, first.as_os_str().as_bytes(), &[], nothing());
        }
        let attributes = xattr::list(full).map_err(unreadable)?;
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            let name = [name, b"/"].concat();
            self.entry(header, &name, b"", &attributes, nothing())?;
            if xattr::is_opaque(full) {
                let name = [&name[..], OPAQUE].concat();
                self.entry(marker(), &name, b"", &[], nothing())?;
            }
        } else if kind.is_file() {
            if data.nlink() > 1 {
                self.links
                    .insert((data.dev(), data.ino()), path.to_path_buf());
            }
            header.set_entry_type(EntryType::Regular);
            header.set_size(data.len());
            let file = File::open(full).map_err(unreadable)?;
            self.entry(header, name, b"", &attributes, file.take(data.len()))?;
        } else if kind.is_fifo() {
            header.set_entry_type(EntryType::Fifo);
            self.entry(header, name, b"", &attributes, nothing())?;
        }
        // Sockets and devices are no part of an image.
        Ok(())
    }

    fn header(&self, data: &Metadata) -> Header {
        let mut header = Header::new_ustar();
        header.set_mode(data.mode() & 0o7777);
        header.set_uid(self.owners.in_image(data.uid()).into());
        header.set_gid(self.owners.in_image(data.gid()).into());
        let time = u64::try_from(data.mtime()).unwrap_or_default();
        header.set_mtime(time.min(self.epoch));
        header.set_size(0);
        header
    }

    /// Writes an entry. What is too long for its header goes before it, in the form of POSIX.
    fn entry(
        &mut self,
        mut header: Header,
        name: &[u8],
        target: &[u8],
        attributes: &[(Vec<u8>, Vec<u8>)],
        content: impl io::Read,
    ) -> Result<(), PackError> {
        let mut records: Vec<(String, &[u8])> = Vec::new();
        let old = header.as_old_mut();
        for (key, value, field) in [
            ("path", name, &mut old.name),
            ("linkpath", target, &mut old.linkname),
        ] {
            let length = value.len().min(field.len());
            field[..length].copy_from_slice(&value[..length]);
            if length < value.len() {
                records.push((key.to_owned(), value));
            }
        }
        for (key, value) in attributes {
            let key = String::from_utf8_lossy(key);
            records.push((format!("SCHILY.xattr.{key}"), value));
        }
        let write = || -> io::Result<()> {
            if !records.is_empty() {
                let records = records.iter().map(|(key, value)| (key.as_str(), *value));
                self.archive.append_pax_extensions(records)?;
            }
            header.set_cksum();
            self.archive.append(&header, content)
        };
        write().map_err(PackError::Write)
    }
}

/// An entry of which only the name counts.
fn marker() -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

/// The name of the entry that deletes a name.
fn deleted(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    path.with_file_name(OsString::from_vec([WHITEOUT, name.as_bytes()].concat()))
}
