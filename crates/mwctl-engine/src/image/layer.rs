//! A layer: the same files always give the same bytes.
//!
//! Sorted, without times, with numeric owners, and with two modes only. Folders that lead to the
//! application's directory are left to the base: it may have made one of them a symbolic link,
//! which an entry of ours would replace by a folder. Unpackers make those that are missing.

use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::cache::Cache;
use super::digest::Hashing;
use super::document::BlobDescriptor;

/// One entry, by its path in the image without the leading slash.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) owner: u32,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Folder,
    Bytes(Vec<u8>),
    File {
        from: PathBuf,
        executable: bool,
        /// What the file contained when the image's key was made.
        hash: Option<blake3::Hash>,
    },
    Link {
        target: PathBuf,
    },
}

/// Why a layer couldn't be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Something couldn't be read or written.
    #[error("cannot pack `{}`", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file isn't any more what it was when the key was made.
    #[error("`{}` changed while it was packed", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// Packs the entries into the cache.
pub(super) fn pack(cache: &Cache, mut entries: Vec<Entry>) -> Result<BlobDescriptor, PackError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| PackError::Io { path, source }
    };
    entries.sort_by(|a, b| {
        a.path
            .as_os_str()
            .as_bytes()
            .cmp(b.path.as_os_str().as_bytes())
    });
    let workspace = cache.workspace().map_err(at(Path::new("layer")))?;
    let spool = workspace.path().join("layer.tar");
    let file = std::fs::File::create(&spool).map_err(at(&spool))?;
    let out = Hashing::new(BufWriter::with_capacity(1 << 18, file));
    let mut builder = tar::Builder::new(out);
    for entry in &entries {
        append(&mut builder, entry)?;
    }
    let out = builder.into_inner().map_err(at(&spool))?;
    let (mut file, digest, size) = out.finish();
    file.flush().map_err(at(&spool))?;
    drop(file);
    cache.adopt(&spool, &digest).map_err(at(&spool))?;
    Ok(BlobDescriptor::layer(digest, size))
}

fn append(builder: &mut tar::Builder<impl io::Write>, entry: &Entry) -> Result<(), PackError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| PackError::Io { path, source }
    };
    let mut header = Header::new_gnu();
    header.set_uid(u64::from(entry.owner));
    header.set_gid(u64::from(entry.owner));
    header.set_mtime(0);
    header.set_size(0);
    let path = &entry.path;
    match &entry.what {
        What::Folder => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            builder
                .append_data(&mut header, path.join(""), io::empty())
                .map_err(at(path))
        }
        What::Link { target } => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            builder
                .append_link(&mut header, path, target)
                .map_err(at(path))
        }
        What::Bytes(bytes) => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o644);
            header.set_size(bytes.len() as u64);
            builder
                .append_data(&mut header, path, bytes.as_slice())
                .map_err(at(path))
        }
        What::File {
            from,
            executable,
            hash,
        } => {
            let file = std::fs::File::open(from).map_err(at(from))?;
            let size = file.metadata().map_err(at(from))?.len();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if *executable { 0o755 } else { 0o644 });
            header.set_size(size);
            let mut reader = Watched {
                file: file.take(size),
                count: 0,
                hasher: hash.map(|_| blake3::Hasher::new()),
            };
            builder
                .append_data(&mut header, path, &mut reader)
                .map_err(at(from))?;
            // A shorter file would have shifted all that follows in the archive.
            let same =
                reader.count == size && reader.hasher.map(|hasher| hasher.finalize()) == *hash;
            if same {
                Ok(())
            } else {
                Err(PackError::Changed { path: from.clone() })
            }
        }
    }
}

struct Watched<R> {
    file: R,
    count: u64,
    hasher: Option<blake3::Hasher>,
}

impl<R: io::Read> io::Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.count += count as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}
