//! The root file system: layers over each other or an empty directory, and the move into it.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use mwctl_zygote::protocol::{Container, Step, Upper};
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, open_tree, unmount,
};
use rustix::process::pivot_root;

use super::error::{At, Outcome, failure};
use super::{mounts, place, scratch, system};

/// Makes the root and moves into it. The old one can't be seen any more.
pub(crate) fn enter(container: &Container, files: &[OwnedFd]) -> Outcome<()> {
    let root = &container.root;
    let own = scratch::container(&container.name)?;
    let (place, data) = (own.join("root"), own.join("data"));
    for folder in [&own, &place, &data] {
        make(folder)?;
    }
    if let Upper::Directory(source) = &root.upper {
        attach(&mounts::tree(source, files)?, &data)?;
    }
    let upper = data.join("upper");
    make(&upper)?;
    let names = (root.layers.iter()).map(|layer| Ok(scratch::component(&layer.name)?.to_owned()));
    let mut lower: Vec<String> = names.collect::<Outcome<_>>()?;
    if let Upper::Directory(_) = &root.upper {
        // On a disk the places of its mounts would cost more, at the beginning and at the end, than all the rest of a container.
        let places = own.join("places");
        make(&places)?;
        place::make_all(&places, &lower, &container.mounts)?;
        lower.push(places.display().to_string());
    }
    if lower.is_empty() {
        attach(&clone(&upper)?, &place)?;
    } else {
        let work = data.join("work");
        make(&work)?;
        overlay(&lower, &upper, &work, &place)?;
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

/// Makes a folder, unless it is there: it is that of a container of the same name, which has ended.
fn make(folder: &Path) -> Outcome<()> {
    // What is written to becomes the root itself: as in every other runtime, only its owner may write there.
    match fs::DirBuilder::new().mode(0o755).create(folder) {
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

/// The layers are named from their common directory, or from the root.
fn overlay(lower: &[String], upper: &Path, work: &Path, place: &Path) -> Outcome<()> {
    // The options must fit into one page, so that names are short.
    std::env::set_current_dir(scratch::LAYERS).at(Step::Root, "layers")?;
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
