//! Unpacks a package's archive.
//!
//! The archive is a stranger's: nothing of it is written outside its folder, links are refused,
//! and there is an end to its size.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

/// No package that a person works on is larger than this unpacked.
const BYTES: u64 = 1 << 30;
/// Nor has it more entries.
const ENTRIES: usize = 200_000;

/// Why an archive can't be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// An entry's name leads out of the folder.
    #[error("its entry `{}` leads out of the package", path.display())]
    Escape {
        /// The entry.
        path: PathBuf,
    },
    /// An entry is neither a file nor a folder.
    #[error("its entry `{}` is neither a file nor a folder", path.display())]
    Kind {
        /// The entry.
        path: PathBuf,
    },
    /// It is larger than any package should be.
    #[error("it is too large: more than {ENTRIES} entries or 1 GiB")]
    TooLarge,
    /// There is none.
    #[error("no `{0}` was written")]
    Nothing(String),
    /// It is damaged, or can't be written.
    #[error("it can't be read or written")]
    Io(#[source] io::Error),
}

/// Unpacks the one archive in `folder` whose name ends in `suffix` into `into`.
pub(super) fn archive_in(folder: &Path, suffix: &str, into: &Path) -> Result<(), UnpackError> {
    let mut entries = std::fs::read_dir(folder).map_err(UnpackError::Io)?;
    let archive = entries.find_map(|entry| {
        let path = entry.ok()?.path();
        path.to_str()?.ends_with(suffix).then_some(path)
    });
    let archive = archive.ok_or(UnpackError::Nothing(suffix.to_owned()))?;
    let file = File::open(archive).map_err(UnpackError::Io)?;
    unpack(flate2::read::GzDecoder::new(file), into)
}

/// Unpacks below `into`, without the folder that all of a package's entries are in.
pub(super) fn unpack(archive: impl io::Read, into: &Path) -> Result<(), UnpackError> {
    let failed = UnpackError::Io;
    std::fs::create_dir(into).map_err(failed)?;
    let mut archive = tar::Archive::new(archive);
    let mut bytes = 0_u64;
    for (count, entry) in archive.entries().map_err(failed)?.enumerate() {
        let mut entry = entry.map_err(failed)?;
        let name = entry.path().map_err(failed)?.into_owned();
        bytes = bytes.saturating_add(entry.size());
        if bytes > BYTES || count >= ENTRIES {
            return Err(UnpackError::TooLarge);
        }
        let mut parts = Vec::new();
        for part in name.components() {
            match part {
                Component::Normal(part) => parts.push(part.to_owned()),
                Component::CurDir => {}
                _ => return Err(UnpackError::Escape { path: name }),
            }
        }
        let path: PathBuf = parts.iter().skip(1).collect();
        if path.as_os_str().is_empty() {
            continue;
        }
        // No link is ever made, so a path below `into` stays below it.
        let to = into.join(&path);
        match entry.header().entry_type() {
            EntryType::Directory => std::fs::create_dir_all(&to).map_err(failed)?,
            EntryType::Regular | EntryType::Continuous => {
                if let Some(parent) = to.parent() {
                    std::fs::create_dir_all(parent).map_err(failed)?;
                }
                let mut file = File::create(&to).map_err(failed)?;
                io::copy(&mut entry, &mut file).map_err(failed)?;
                let executable = entry.header().mode().map_err(failed)? & 0o111 != 0;
                let mode = if executable { 0o755 } else { 0o644 };
                let permissions = std::fs::Permissions::from_mode(mode);
                file.set_permissions(permissions).map_err(failed)?;
            }
            EntryType::XGlobalHeader => {}
            _ => return Err(UnpackError::Kind { path: name }),
        }
    }
    Ok(())
}
