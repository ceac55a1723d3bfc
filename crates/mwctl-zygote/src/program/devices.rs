//! A container's `/dev`: the harmless devices of the machine, terminals and shared memory of its own.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use mwctl_zygote::protocol::Step;
use rustix::fs::CWD;
use rustix::mount::{MountFlags, OpenTreeFlags, mount, open_tree};

use super::error::{At, Outcome};
use super::mounts;

const NAMES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: [(&str, &str); 5] = [
    ("pts/ptmx", "ptmx"),
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// The machine's devices, by their names.
pub(crate) struct Devices(Vec<(&'static str, OwnedFd)>);

impl Devices {
    /// One that this machine lacks, the container lacks, too; but without `null` nothing works.
    pub(crate) fn open() -> Outcome<Self> {
        let mut found = Vec::new();
        for name in NAMES {
            let path = format!("/host/dev/{name}");
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            match open_tree(CWD, &path, flags) {
                Ok(device) => found.push((name, device)),
                Err(error) if name == "null" => return Err(error).at(Step::Mount, path),
                Err(_) => {}
            }
        }
        Ok(Self(found))
    }
}

pub(crate) fn attach(devices: Devices, place: &Path, shared_memory: u64) -> Outcome<()> {
    mounts::memory(
        place,
        MountFlags::NOSUID | MountFlags::NOEXEC,
        "mode=0755,size=64k",
    )?;
    for (name, device) in devices.0 {
        let file = place.join(name);
        fs::File::create(&file).at(Step::Mount, file.display())?;
        mounts::move_to(&device, &file)?;
    }
    for (text, name) in LINKS {
        symlink(text, place.join(name)).at(Step::Mount, name)?;
    }
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let memory = folder(place, "shm")?;
    mounts::memory(&memory, quiet, &format!("mode=1777,size={shared_memory}"))?;
    let terminals = folder(place, "pts")?;
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("devpts", &terminals, "devpts", flags, options).at(Step::Mount, terminals.display())?;
    let messages = folder(place, "mqueue")?;
    mount("mqueue", &messages, "mqueue", quiet, None).at(Step::Mount, messages.display())
}

fn folder(place: &Path, name: &str) -> Outcome<std::path::PathBuf> {
    let folder = place.join(name);
    fs::create_dir(&folder).at(Step::Mount, folder.display())?;
    Ok(folder)
}
