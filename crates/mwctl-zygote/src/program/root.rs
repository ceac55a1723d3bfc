//! The root file system: layers over each other or an empty directory, and the move into it.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use mwctl_zygote::protocol::{Root, Step, Upper};
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount,
};
use rustix::process::pivot_root;

use super::error::{At, Outcome, failure};
use super::{mounts, scratch, system};

/// Makes the root and moves into it. The old one can't be seen any more.
pub(crate) fn enter(root: &Root, name: &str, files: &[OwnedFd]) -> Outcome<()> {
    let own = scratch::container(name)?;
    let (place, data) = (own.join("root"), own.join("data"));
    for folder in [&own, &place, &data] {
        if !folder.exists() {
            fs::create_dir(folder).at(Step::Root, folder.display())?;
        }
    }
    if let Upper::Directory(source) = &root.upper {
        attach(&mounts::tree(source, files)?, &data)?;
    }
    let upper = data.join("upper");
    make(&upper)?;
    if root.layers.is_empty() {
        attach(&clone(&upper)?, &place)?;
    } else {
        let work = data.join("work");
        make(&work)?;
        overlay(root, &upper, &work, &place)?;
    }
    std::env::set_current_dir(&place).at(Step::Root, place.display())?;
    pivot_root(".", ".").at(Step::Root, "pivot_root")?;
    unmount(".", UnmountFlags::DETACH).at(Step::Root, "the old one")?;
    std::env::set_current_dir("/").at(Step::Root, "/")
}

/// The root can be read only, other than what is mounted over it.
pub(crate) fn make_read_only() -> Outcome<()> {
    let flags = MountFlags::BIND | MountFlags::RDONLY;
    rustix::mount::mount_remount("/", flags, c"").at(Step::Root, "read-only")
}

fn make(folder: &Path) -> Outcome<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.at(Step::Root, folder.display()),
    }
}

fn clone(path: &Path) -> Outcome<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, path, flags).at(Step::Root, path.display())
}

fn attach(tree: &OwnedFd, place: &Path) -> Outcome<()> {
    move_mount(
        tree.as_fd(),
        "",
        CWD,
        place,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .at(Step::Root, place.display())
}

fn overlay(root: &Root, upper: &Path, work: &Path, place: &Path) -> Outcome<()> {
    // The options must fit into one page, so that layers are named from their common directory.
    std::env::set_current_dir(scratch::LAYERS).at(Step::Root, "layers")?;
    let lower: Vec<&str> = root
        .layers
        .iter()
        .map(|layer| scratch::component(&layer.name))
        .collect::<Outcome<_>>()?;
    let mut options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        upper.display(),
        work.display()
    );
    if system::in_user_namespace() {
        options.push_str(",userxattr");
    }
    let page = rustix::param::page_size();
    if options.len() >= page {
        return Err(failure(
            Step::Root,
            format!("{} layers are too many", lower.len()),
            None,
        ));
    }
    let options = CString::new(options).map_err(|_| failure(Step::Order, "layers", None))?;
    mount(
        "overlay",
        place,
        "overlay",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .at(Step::Root, "overlay")
}
