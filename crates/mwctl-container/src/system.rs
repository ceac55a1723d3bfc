//! The calls that rustix hasn't got.

#![expect(unsafe_code, reason = "the kernel is spoken to")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Lets a detached mount show its files' owners as this user namespace numbers them.
pub(crate) fn translate_owners(
    mount: BorrowedFd<'_>,
    user_namespace: BorrowedFd<'_>,
    recursive: bool,
) -> io::Result<()> {
    let wanted = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::from(user_namespace.as_raw_fd().cast_unsigned()),
    };
    set(mount, &wanted, recursive)
}

/// Parts a detached mount and all below it from the machine's: what is mounted on either is not seen on the other.
pub(crate) fn make_private(mount: BorrowedFd<'_>) -> io::Result<()> {
    let wanted = libc::mount_attr {
        attr_set: 0,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    set(mount, &wanted, true)
}

fn set(mount: BorrowedFd<'_>, wanted: &libc::mount_attr, recursive: bool) -> io::Result<()> {
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the structure has the size that is told, and its files are open.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(wanted),
            size_of_val(wanted),
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
