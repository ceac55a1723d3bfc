//! The node's tmpfs, which is the zygote's root, and what is made of a name that came from outside.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use mwctl_zygote::protocol::Step;
use mwctl_zygote::resolve::open_below;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::process::pivot_root;

use super::error::{At, Outcome, failure};

/// Where the machine's own files are seen.
const HOST: &str = "/host";
/// The mounts of layers, whose short names make overlays of many layers possible.
pub(crate) const LAYERS: &str = "/layers";

/// Makes the tmpfs and moves into it. So no path of the node depends on what the machine allows its user to enter, and all are short.
pub(crate) fn enter(size: Option<u64>) -> Outcome<()> {
    let downstream = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
    mount_change("/", downstream).at(Step::Mount, "/")?;
    let size = size.map(|size| format!(",size={size}")).unwrap_or_default();
    let options = std::ffi::CString::new(format!("mode=0755{size}")).unwrap_or_default();
    let quiet = MountFlags::NOSUID | MountFlags::NODEV;
    // A directory that is always there; it is uncovered by the next step but one.
    let new = Path::new("/proc");
    mount("mwctl", new, "tmpfs", quiet, options.as_c_str()).at(Step::Mount, "tmpfs")?;
    for folder in ["host", "proc", "dev", "layers", "containers", "volumes"] {
        fs::create_dir(new.join(folder)).at(Step::Mount, folder)?;
    }
    std::env::set_current_dir(new).at(Step::Mount, "tmpfs")?;
    pivot_root(".", "host").at(Step::Mount, "pivot_root")?;
    std::env::set_current_dir("/").at(Step::Mount, "/")?;
    mount("proc", "/proc", "proc", quiet | MountFlags::NOEXEC, None).at(Step::Mount, "/proc")?;
    mount_bind_recursive("/host/dev", "/dev").at(Step::Mount, "/dev")
}

/// Opens a path of the machine, whose symbolic links mean what they mean there.
pub(crate) fn of_host(path: &Path) -> Outcome<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let host = openat(CWD, HOST, flags, Mode::empty()).at(Step::Mount, HOST)?;
    let relative = path
        .strip_prefix("/")
        .map_err(|_| failure(Step::Order, path.display(), None))?;
    let relative = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    open_below(&host, relative, flags, ResolveFlags::IN_ROOT).at(Step::Mount, path.display())
}

/// The directory of a container.
pub(crate) fn container(name: &str) -> Outcome<PathBuf> {
    Ok(Path::new("/containers").join(component(name)?))
}

/// The directory of a volume.
pub(crate) fn volume(name: &str) -> Outcome<PathBuf> {
    Ok(Path::new("/volumes").join(component(name)?))
}

/// One path component, and nothing that leads elsewhere.
pub(crate) fn component(name: &str) -> Outcome<&str> {
    // A colon would divide an overlay's layers, a comma its options.
    let odd = |letter| matches!(letter, '/' | ':' | ',' | '\\' | '\0');
    if name.is_empty() || name == "." || name == ".." || name.contains(odd) {
        return Err(failure(Step::Order, name, None));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_directory() {
        for wrong in ["", ".", "..", "a/b", "../x", "a:b", "a,b", "a\0"] {
            assert!(component(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(component("web-1.abc_2").unwrap(), "web-1.abc_2");
    }
}
