//! What is mounted over the root. Sources are opened while the node's files can be seen, and mounted when they no longer can.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use mwctl_zygote::protocol::{Bind, Entry, Mount, Source, Step};
use mwctl_zygote::resolve::open_or_make_below;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
    fsconfig_create, fsmount, fsopen, mount, move_mount, open_tree,
};

use super::devices::{self, Devices};
use super::error::{At, Outcome, failure};
use super::order::file;
use super::{place, scratch, system};

const QUIET: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// What had to be opened before the root was entered.
pub(crate) enum Opened {
    Tree(OwnedFd),
    Devices(Devices),
    Nothing,
}

pub(crate) fn prepare(mounts: &[Mount], files: &[OwnedFd]) -> Outcome<Vec<Opened>> {
    mounts
        .iter()
        .map(|mount| open(&mount.entry, files))
        .collect()
}

fn open(entry: &Entry, files: &[OwnedFd]) -> Outcome<Opened> {
    Ok(match entry {
        Entry::Bind(bind) => Opened::Tree(open_bind(bind, files)?),
        Entry::Processes => {
            Opened::Tree(file_system("proc", MountAttrFlags::empty()).at(Step::Mount, "/proc")?)
        }
        Entry::System => system_objects(),
        Entry::Devices { .. } => Opened::Devices(Devices::open()?),
        Entry::Hidden => Opened::Tree(clone("/host/dev/null").at(Step::Mount, "/dev/null")?),
        Entry::Memory { .. } | Entry::ReadOnly | Entry::Link(_) => Opened::Nothing,
    })
}

fn open_bind(bind: &Bind, files: &[OwnedFd]) -> Outcome<OwnedFd> {
    let tree = match &bind.below {
        Some(below) => below_source(&bind.source, below, bind.directory)?,
        None => tree(&bind.source, files)?,
    };
    // Devices may come from outside only as the container's own `/dev`.
    let mut attributes = QUIET;
    if bind.read_only && !sealed_last(bind) {
        attributes |= libc::MOUNT_ATTR_RDONLY;
    }
    system::set_attributes(tree.as_fd(), attributes).at(Step::Mount, "attributes")?;
    Ok(tree)
}

/// Whether it becomes read-only when everything is in its place: a volume of the node's may get the places of what is
/// mounted within it. Nothing is ever made in a folder of the machine that is read-only.
fn sealed_last(bind: &Bind) -> bool {
    bind.read_only && matches!(bind.source, Source::Volume(_))
}

/// A mount of its own of a source, not yet anywhere.
pub(crate) fn tree(source: &Source, files: &[OwnedFd]) -> Outcome<OwnedFd> {
    match source {
        Source::Path(path) => {
            clone_opened(&scratch::of_host(path)?).at(Step::Mount, path.display())
        }
        Source::Volume(name) => clone(&scratch::volume(name)?).at(Step::Mount, name),
        Source::Tree(passed) => {
            let tree = file(files, *passed)?;
            tree.try_clone_to_owned().at(Step::Mount, "tree")
        }
    }
}

fn clone(path: impl AsRef<Path>) -> rustix::io::Result<OwnedFd> {
    open_tree(CWD, path.as_ref(), clone_flags())
}

fn clone_flags() -> OpenTreeFlags {
    OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE
}

/// A part of a source. Where it isn't there it is made; where it would lead out, the kernel refuses.
fn below_source(source: &Source, below: &Path, directory: bool) -> Outcome<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let start = match source {
        Source::Path(path) => scratch::of_host(path)?,
        Source::Volume(name) => {
            openat(CWD, scratch::volume(name)?, flags, Mode::empty()).at(Step::Mount, name)?
        }
        Source::Tree(_) => return Err(failure(Step::Order, below.display(), None)),
    };
    let here = open_or_make_below(&start, below, directory).map_err(|(path, error)| {
        failure(Step::Mount, path.display(), Some(error.raw_os_error()))
    })?;
    clone_opened(&here).at(Step::Mount, below.display())
}

fn clone_opened(opened: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    open_tree(opened, "", clone_flags() | OpenTreeFlags::AT_EMPTY_PATH)
}

/// The kernel's objects as this network sees them, or as the machine does where the network belongs to somebody else.
fn system_objects() -> Opened {
    let own = file_system("sysfs", MountAttrFlags::MOUNT_ATTR_RDONLY);
    match own.or_else(|_| clone("/host/sys")) {
        Ok(tree) => {
            let read_only = system::set_attributes(tree.as_fd(), QUIET | libc::MOUNT_ATTR_RDONLY);
            if read_only.is_ok() {
                Opened::Tree(tree)
            } else {
                Opened::Nothing
            }
        }
        Err(_) => Opened::Nothing,
    }
}

fn file_system(kind: &str, more: MountAttrFlags) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | more;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Mounts what was opened. The root has been entered.
pub(crate) fn attach(mounts: &[Mount], opened: Vec<Opened>) -> Outcome<()> {
    let mut unsealed = Vec::new();
    for (mount, opened) in mounts.iter().zip(opened) {
        if let (Entry::Bind(bind), Opened::Tree(tree)) = (&mount.entry, &opened)
            && sealed_last(bind)
        {
            let tree = tree.try_clone();
            unsealed.push((mount, tree.at(Step::Mount, mount.target.display())?));
        }
        attach_one(mount, opened)?;
    }
    for (mount, tree) in unsealed {
        let attributes = QUIET | libc::MOUNT_ATTR_RDONLY;
        system::set_attributes(tree.as_fd(), attributes).at(Step::Mount, mount.target.display())?;
    }
    Ok(())
}

fn attach_one(wanted: &Mount, opened: Opened) -> Outcome<()> {
    let target = &wanted.target;
    match (&wanted.entry, opened) {
        (Entry::Hidden, Opened::Tree(null)) => hide(target, &null),
        (Entry::Bind(bind), Opened::Tree(tree)) => {
            move_to(&tree, &place::make(target, bind.directory)?)
        }
        (_, Opened::Tree(tree)) => move_to(&tree, &place::make(target, true)?),
        (Entry::Devices { shared_memory }, Opened::Devices(devices)) => {
            devices::attach(devices, &place::make(target, true)?, *shared_memory)
        }
        (
            Entry::Memory {
                size,
                mode,
                executable,
            },
            _,
        ) => {
            let size = size.map(|size| format!(",size={size}")).unwrap_or_default();
            let options = format!("mode={mode:o}{size}");
            let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
            flags.set(MountFlags::NOEXEC, !executable);
            memory(&place::make(target, true)?, flags, &options)
        }
        (Entry::ReadOnly, _) => read_only(target),
        (Entry::Link(text), _) => place::link(target, text),
        _ => Ok(()),
    }
}

/// A file system in memory.
pub(crate) fn memory(place: &Path, flags: MountFlags, options: &str) -> Outcome<()> {
    let options = CString::new(options).map_err(|_| failure(Step::Order, options, None))?;
    mount("tmpfs", place, "tmpfs", flags, options.as_c_str()).at(Step::Mount, place.display())
}

/// Moves a mount that is nowhere yet.
pub(crate) fn move_to(tree: &OwnedFd, place: &Path) -> Outcome<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(tree.as_fd(), "", CWD, place, flags).at(Step::Mount, place.display())
}

/// A kernel without the thing to hide has nothing to hide.
fn hide(target: &Path, null: &OwnedFd) -> Outcome<()> {
    match fs::metadata(target) {
        Ok(found) if found.is_dir() => {
            let flags =
                MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
            memory(target, flags, "size=0,mode=0755")
        }
        Ok(_) => move_to(null, target),
        Err(_) => Ok(()),
    }
}

fn read_only(target: &Path) -> Outcome<()> {
    if !target.exists() {
        return Ok(());
    }
    let attributes = libc::MOUNT_ATTR_RDONLY | QUIET;
    // What is a mount already needs no other over it: whoever reads the list of mounts finds each thing once.
    let opened = openat(CWD, target, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let itself = opened.at(Step::Mount, target.display())?;
    if system::set_attributes(itself.as_fd(), attributes).is_ok() {
        return Ok(());
    }
    let tree = clone(target).at(Step::Mount, target.display())?;
    system::set_attributes(tree.as_fd(), attributes).at(Step::Mount, target.display())?;
    move_to(&tree, target)
}
