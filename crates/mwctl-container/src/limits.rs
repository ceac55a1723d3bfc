//! What a container may use of memory, processes and processor time: control groups, of either version, as far as this machine lets
//! its user have them.
//!
//! Each runtime has a group named after its process, so that whoever comes later can tell whose it was and remove it.

mod files;
mod hierarchy;
mod places;
mod view;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::ids::Lack;
use files::Setting;
pub(crate) use files::count;
use hierarchy::{Controller, Found};
use mwctl_zygote::protocol::Mount;

/// What a container may use. What isn't said isn't limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Processor time, in thousandths of one processor.
    pub processor: Option<u64>,
    /// Its part of the processors where they are fought for, in thousandths of one.
    pub processor_share: Option<u64>,
}

/// Where groups are made.
#[derive(Debug)]
pub(crate) struct Groups {
    found: Found,
    name: String,
    /// Whether they have been removed: nothing is made any more, which nobody would remove.
    gone: RwLock<bool>,
}

/// The groups of one container.
#[derive(Debug)]
pub struct Group {
    folders: Vec<PathBuf>,
}

/// The folder in which the groups of all runtimes are.
const ALL: &str = "mwctl";

impl Groups {
    pub(crate) fn find() -> Self {
        Self {
            found: hierarchy::find(),
            name: new_name(),
            gone: RwLock::default(),
        }
    }

    /// Which limits can't be set.
    pub(crate) fn lacks(&self) -> Vec<Lack> {
        let lacks = [
            (Controller::Memory, Lack::Memory),
            (Controller::Processes, Lack::Processes),
            (Controller::Processor, Lack::Processor),
        ];
        let has = |controller| {
            self.found
                .hierarchies
                .iter()
                .any(|hierarchy| hierarchy.controls(controller))
        };
        lacks
            .into_iter()
            .filter(|(controller, _)| !has(*controller))
            .map(|(_, lack)| lack)
            .collect()
    }

    /// Makes the groups of a container, and gives the files through which its process enters them.
    pub(crate) fn make(
        &self,
        container: &str,
        limits: &Limits,
    ) -> io::Result<(Group, Vec<OwnedFd>)> {
        let gone = self.gone.read().unwrap_or_else(PoisonError::into_inner);
        if *gone {
            // The kind tells it from a group that can't be made.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut group = Group {
            folders: Vec::new(),
        };
        let mut doors = Vec::new();
        for hierarchy in &self.found.hierarchies {
            let folder = hierarchy.folder.join(ALL).join(&self.name);
            hierarchy.ready(&folder)?;
            let folder = folder.join(container);
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => group.folders.push(folder.clone()),
            }
            for Setting { file, value } in files::settings(hierarchy, limits) {
                let path = folder.join(file);
                match fs::write(&path, value) {
                    Err(error)
                        if file == files::SWAP && error.kind() == io::ErrorKind::NotFound => {}
                    written => written.map_err(|error| {
                        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                    })?,
                }
            }
            doors.push(door(&folder)?);
        }
        Ok((group, doors))
    }

    /// What a container mounts, with its own group to be seen at the usual place: programs size themselves by it.
    pub(crate) fn seen_by(&self, group: &Group, mounts: Vec<Mount>) -> Vec<Mount> {
        let folders = group.folders.iter().cloned();
        let own = self.found.hierarchies.iter().zip(folders);
        let own = own.map(|(hierarchy, folder)| (hierarchy.name.clone(), folder));
        let alone = match &*self.found.hierarchies {
            [] => return mounts,
            [only] => only.unified,
            _ => false,
        };
        let shown = own.chain(self.found.shown.iter().cloned()).collect();
        view::insert(
            mounts,
            if alone {
                view::whole(shown)
            } else {
                view::parts(shown)
            },
        )
    }
}

impl Groups {
    /// Removes all that were made, when nothing is in them any more. Whoever waits for the end may leave as soon as this is done, so that
    /// it can't be left to whoever happens to have the last copy.
    pub(crate) fn remove(&self) {
        let mut gone = self.gone.write().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *gone, true) {
            return;
        }
        for hierarchy in &self.found.hierarchies {
            let all = hierarchy.folder.join(ALL);
            remove(&all.join(&self.name));
            remove_if_empty(&all);
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Group {
    /// A folder for each hierarchy.
    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// How often the kernel ended a process of the container since it wanted more memory than it may have.
    pub fn out_of_memory(&self) -> u64 {
        let counts = self.folders.iter().filter_map(|folder| {
            let events = fs::read_to_string(folder.join("memory.events"))
                .or_else(|_| fs::read_to_string(folder.join("memory.oom_control")));
            files::count(&events.ok()?, "oom_kill")
        });
        counts.max().unwrap_or(0)
    }

    /// How often the container was held back, since it wanted more of the processor than it may have. None where that isn't limited.
    pub fn throttled(&self) -> Option<u64> {
        self.folders.iter().find_map(|folder| {
            files::count(
                &fs::read_to_string(folder.join("cpu.stat")).ok()?,
                "nr_throttled",
            )
        })
    }

    /// The files through which a further process enters.
    pub(crate) fn doors(&self) -> io::Result<Vec<OwnedFd>> {
        self.folders.iter().map(|folder| door(folder)).collect()
    }
}

/// The file through which a process of one thread enters a group.
///
/// Version 1 has one for threads. Through the one for processes the kernel first waits until no processor is in the middle of a fork
/// or an exit, which takes longer than all the rest of a container's beginning; version 2 lets a thread not leave its process.
fn door(folder: &Path) -> io::Result<OwnedFd> {
    let open = |name| OpenOptions::new().write(true).open(folder.join(name));
    let file = match open("tasks") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => open("cgroup.procs"),
        opened => opened,
    };
    Ok(file?.into())
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            remove(folder);
        }
    }
}

/// Removes the groups of runtimes that are no more, and says how many there were.
pub fn sweep() -> usize {
    let mut removed = 0;
    for folder in hierarchy::folders() {
        let all = folder.join(ALL);
        let Ok(entries) = fs::read_dir(&all) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let lives = name.to_str().is_none_or(lives);
            if !lives && entry.path().is_dir() {
                removed += 1;
                remove(&entry.path());
            }
        }
        remove_if_empty(&all);
    }
    removed
}

/// By which of the kernel's controllers containers could be limited where this machine's control groups are of version 2. Nothing is
/// changed for the answer.
pub fn possible() -> Vec<&'static str> {
    hierarchy::possible()
}

/// Another runtime may be making its group there at this moment, which then makes the folder again.
fn remove_if_empty(folder: &Path) {
    if let Err(error) = fs::remove_dir(folder) {
        tracing::trace!(folder = %folder.display(), "stays: {error}");
    }
}

/// A group with those in it. What still has processes stays, and is swept by whoever comes later.
fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    if let Err(error) = fs::remove_dir(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(folder = %folder.display(), "a control group stays: {error}");
    }
}

/// The process's number and when it began, which together name one process only, and a number of its own for each runtime of it.
fn new_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let pid = std::process::id();
    let started = started(&pid.to_string()).unwrap_or_default();
    format!("{pid}.{started}.{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn lives(name: &str) -> bool {
    let mut parts = name.split('.');
    let (Some(pid), Some(start), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return true; // Not ours.
    };
    started(pid).as_deref() == Some(start)
}

/// The 22nd field of `proc_pid_stat(5)`; the second may hold anything, and ends with the last bracket.
fn started(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(str::to_owned)
}

/// Whether a file can be written to by us.
fn writable(path: &Path) -> bool {
    File::options().write(true).open(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_end_no_group_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let hierarchy = hierarchy::Hierarchy::new(folder.path().to_owned(), false, &[]);
        let groups = Groups {
            found: Found {
                hierarchies: vec![hierarchy],
                ..Found::default()
            },
            name: new_name(),
            gone: RwLock::default(),
        };
        groups.remove();
        groups.make("late", &Limits::default()).unwrap_err();
        assert!(!folder.path().join(ALL).exists());
    }

    #[test]
    fn a_group_is_known_by_the_process_it_belongs_to() {
        assert!(lives(&new_name()));
        assert!(!lives(&format!("{}.1.1", std::process::id())));
        assert!(!lives("4194304.17.1"));
        assert!(lives("somebody-elses"));
    }
}
