//! Extended attributes: those of the overlay form, and those that an archive carries.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};
use rustix::io::Errno;

/// A mount that root makes reads the first, one within a user namespace the second.
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];
/// Longer ones no filesystem keeps.
const LONGEST: usize = 1 << 16;

/// Whether a folder hides those below it.
pub(crate) fn is_opaque(folder: &Path) -> bool {
    let mut value = [0_u8; 2];
    OPAQUE.iter().any(|name| {
        lgetxattr(folder, *name, &mut value).is_ok_and(|length| value[..length] == *b"y")
    })
}

/// Lets a folder hide those below it.
pub(super) fn set_opaque(folder: &Path) -> io::Result<()> {
    let set = |name| lsetxattr(folder, name, b"y", XattrFlags::empty());
    // Only the machine's root may set the first, and only its mounts read it.
    match set(OPAQUE[0]) {
        Ok(()) | Err(Errno::PERM | Errno::NOTSUP) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(set(OPAQUE[1])?)
}

/// Whether an attribute is a matter of the machine or of the union, and no content of an image.
fn is_foreign(name: &[u8]) -> bool {
    // An archive that could set the overlay's own could redirect names anywhere.
    name.starts_with(b"trusted.")
        || name.starts_with(b"user.overlay.")
        || name.starts_with(b"system.nfs4_acl")
        || name == b"security.selinux"
        || name == b"security.ima"
        || name == b"security.evm"
}

/// Gives a file an attribute from an archive. What this user or this filesystem can't keep is
/// left out, as other programs that unpack do.
pub(super) fn set(path: &Path, name: &[u8], value: &[u8]) -> io::Result<()> {
    if is_foreign(name) {
        return Ok(());
    }
    let Ok(name) = CString::new(name) else {
        return Ok(());
    };
    match lsetxattr(path, &name, value, XattrFlags::empty()) {
        Ok(()) | Err(Errno::PERM | Errno::NOTSUP | Errno::ACCESS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The attributes of a file that belong into an archive, sorted.
pub(super) fn list(path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // Nearly no file has any: a small buffer saves the question for the length.
    let mut names = vec![0; 1024];
    let names = loop {
        match llistxattr(path, names.as_mut_slice()) {
            Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Ok(length) => {
                names.truncate(length);
                break names;
            }
            Err(Errno::RANGE) if names.len() < LONGEST => names.resize(LONGEST, 0),
            Err(error) => return Err(error.into()),
        }
    };
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0) {
        if name.is_empty() || is_foreign(name) {
            continue;
        }
        let mut value = vec![0; LONGEST];
        let length = lgetxattr(path, OsStr::from_bytes(name), value.as_mut_slice())?;
        value.truncate(length);
        found.push((name.to_vec(), value));
    }
    found.sort();
    Ok(found)
}
