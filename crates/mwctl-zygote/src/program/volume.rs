//! Directories in the node's tmpfs that containers mount.
//!
//! Files that are given are replaced as the kubelet does it: they stand in a directory of their own, to which `..data` leads
//! and through which each name is reached, so that one rename replaces all of them and a container's watch sees it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Component, Path};

use mwctl_zygote::protocol::{File, Step, Volume};
use rustix::mount::MountFlags;

use super::error::{At, Outcome, failure};
use super::{mounts, scratch, single_id};

const DATA: &str = "..data";
const NEW: &str = "..data_new";

pub(crate) fn write(wanted: &Volume) -> Outcome<()> {
    write_at(&scratch::volume(&wanted.name)?, wanted)
}

fn write_at(place: &Path, wanted: &Volume) -> Outcome<()> {
    let new = !place.exists();
    if new {
        fs::create_dir(place).at(Step::Volume, &wanted.name)?;
        if let Some(limit) = wanted.limit {
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            mounts::memory(place, flags, &format!("size={limit}"))?;
        }
        give(place, None, wanted.group, wanted.mode)?;
    }
    match &wanted.files {
        Some(files) => replace(place, files, wanted.group),
        None => Ok(()),
    }
}

/// Removes a directory with what is in it, and a mount over it.
pub(crate) fn remove(place: &Path) -> Outcome<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            let flags = rustix::mount::UnmountFlags::DETACH;
            rustix::mount::unmount(place, flags).at(Step::Volume, place.display())?;
            fs::remove_dir_all(place).at(Step::Volume, place.display())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.at(Step::Volume, place.display()),
    }
}

fn give(path: &Path, user: Option<u32>, group: Option<u32>, mode: u32) -> Outcome<()> {
    // Where there is one id, everything is everybody's already.
    if (user.is_some() || group.is_some()) && !single_id::is_all_there_is() {
        chown(path, user, group).at(Step::Volume, path.display())?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).at(Step::Volume, path.display())
}

fn replace(place: &Path, files: &[File], group: Option<u32>) -> Outcome<()> {
    let old = fs::read_link(place.join(DATA)).ok();
    let generation = generation(old.as_deref());
    let folder = place.join(&generation);
    // What an interrupted replacement left.
    remove(&folder)?;
    fs::create_dir(&folder).at(Step::Volume, folder.display())?;
    give(&folder, None, group, 0o755)?;
    for file in files {
        put(&folder, file, group)?;
    }
    let link = place.join(NEW);
    drop(fs::remove_file(&link));
    symlink(&generation, &link).at(Step::Volume, NEW)?;
    fs::rename(&link, place.join(DATA)).at(Step::Volume, DATA)?;
    link_names(place, files)?;
    match old {
        Some(old) => remove(&place.join(old)),
        None => Ok(()),
    }
}

/// Two names suffice: the one that isn't in use is the next.
fn generation(old: Option<&Path>) -> String {
    let first = "..data_1";
    if old == Some(Path::new(first)) {
        "..data_2".to_owned()
    } else {
        first.to_owned()
    }
}

fn put(folder: &Path, file: &File, group: Option<u32>) -> Outcome<()> {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if file.path.as_os_str().is_empty() || !file.path.components().all(plain) {
        return Err(failure(Step::Order, file.path.display(), None));
    }
    let path = folder.join(&file.path);
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        fs::create_dir_all(parent).at(Step::Volume, parent.display())?;
    }
    fs::write(&path, &file.content).at(Step::Volume, file.path.display())?;
    give(&path, file.user, group, file.mode)
}

/// Each first component of a file's path leads through `..data`; those of files that are no more go.
fn link_names(place: &Path, files: &[File]) -> Outcome<()> {
    for file in files {
        let Some(first) = file.path.components().next() else {
            continue;
        };
        let link = place.join(first);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(first), &link).at(Step::Volume, link.display())?;
        }
    }
    for entry in fs::read_dir(place).at(Step::Volume, place.display())? {
        let path = entry.at(Step::Volume, place.display())?.path();
        let leads = fs::read_link(&path).is_ok_and(|text| text.starts_with(DATA));
        // `metadata` follows the link.
        if leads && fs::metadata(&path).is_err() {
            fs::remove_file(&path).at(Step::Volume, path.display())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str) -> File {
        File {
            path: path.into(),
            content: content.into(),
            mode: 0o644,
            user: None,
        }
    }

    fn volume(files: Vec<File>) -> Volume {
        Volume {
            name: "v".into(),
            limit: None,
            mode: 0o755,
            group: None,
            files: Some(files),
        }
    }

    fn place(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("mwctl-volume-{name}-{}", std::process::id()))
    }

    #[test]
    fn files_are_replaced_as_a_whole_and_old_ones_go() {
        let place = place("replaced");
        write_at(&place, &volume(vec![file("a", "1"), file("sub/b", "2")])).unwrap();
        assert_eq!(fs::read_to_string(place.join("a")).unwrap(), "1");
        assert_eq!(fs::read_to_string(place.join("sub/b")).unwrap(), "2");
        write_at(&place, &volume(vec![file("a", "3")])).unwrap();
        assert_eq!(fs::read_to_string(place.join("a")).unwrap(), "3");
        let mut left: Vec<_> = fs::read_dir(&place)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["..data", "..data_2", "a"]);
        remove(&place).unwrap();
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        let place = place("out");
        for path in ["../x", "/x", "", "a/../../x"] {
            assert!(
                write_at(&place, &volume(vec![file(path, "")])).is_err(),
                "{path:?}"
            );
        }
        remove(&place).unwrap();
    }
}
