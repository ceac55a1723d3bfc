//! Which hierarchies of control groups this process may make groups in, and which it can only show.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::places::{self, Choice};
use super::writable;

/// What limits something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Processes,
    Processor,
    /// What was used of the processor, which version 1 counts apart.
    Usage,
}

pub(super) const CONTROLLERS: [(Controller, &str); 4] = [
    (Controller::Memory, "memory"),
    (Controller::Processes, "pids"),
    (Controller::Processor, "cpu"),
    (Controller::Usage, "cpuacct"),
];

/// Which processors may be used: limited by nobody here, and asked for by Java, which else believes in no limit at all.
const PROCESSORS: &str = "cpuset";

/// A folder in which groups can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) folder: PathBuf,
    /// How its mount is called, which is how those who read it find it.
    pub(super) name: OsString,
    /// Version 2.
    pub(super) unified: bool,
    controllers: Vec<Controller>,
}

/// What this process finds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Where it may make groups.
    pub(super) hierarchies: Vec<Hierarchy>,
    /// Where it makes none, since nothing is limited there: containers are in its own group.
    pub(super) shown: Vec<(OsString, PathBuf)>,
}

/// A mounted hierarchy and where in it this process is.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    place: PathBuf,
    unified: bool,
    controllers: Vec<Controller>,
    /// Whether it has nothing that is limited here, and is worth being seen.
    shown: bool,
    /// The group of this process, below `place`.
    own: PathBuf,
}

impl Hierarchy {
    pub(super) fn new(folder: PathBuf, unified: bool, controllers: &[Controller]) -> Self {
        Self {
            name: folder.file_name().unwrap_or_default().to_owned(),
            folder,
            unified,
            controllers: controllers.to_vec(),
        }
    }

    pub(super) fn controls(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }

    /// Makes the folder of a runtime, with the controllers that its groups need.
    pub(super) fn ready(&self, folder: &Path) -> io::Result<()> {
        let control = folder.join("cgroup.subtree_control");
        if folder.is_dir() && (!self.unified || are_enabled(&control, &self.controllers)) {
            return Ok(());
        }
        // Whoever removes the folder of all when it is empty may do so between our two steps.
        fs::create_dir_all(folder).or_else(|_| fs::create_dir_all(folder))?;
        if self.unified {
            for above in [folder.parent(), Some(folder)].into_iter().flatten() {
                enable(above, &self.controllers);
            }
        }
        Ok(())
    }
}

/// The hierarchies of this machine that this process may use.
pub(super) fn find() -> Found {
    let mut found = Found::default();
    for mounted in mounted() {
        let name = mounted.place.file_name().unwrap_or_default().to_owned();
        if mounted.shown {
            found.shown.push((name, mounted.place.join(&mounted.own)));
            continue;
        }
        let usable = if mounted.unified {
            unified(&mounted)
        } else {
            divided(&mounted)
        };
        let named = usable.map(|hierarchy| Hierarchy { name, ..hierarchy });
        found.hierarchies.extend(named);
    }
    found
}

fn mounted() -> Vec<Mounted> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

/// Below our own group, so that what limits us limits containers, too.
fn divided(mounted: &Mounted) -> Option<Hierarchy> {
    let own = mounted.place.join(&mounted.own);
    let folder = [own, mounted.place.clone()]
        .into_iter()
        .find(|folder| can_make_groups(folder))?;
    (!mounted.controllers.is_empty()).then(|| Hierarchy::new(folder, false, &mounted.controllers))
}

/// The folders in which somebody like us may have made groups.
pub(super) fn folders() -> Vec<PathBuf> {
    let all = mounted().into_iter().filter(|mounted| !mounted.shown);
    all.flat_map(|mounted| places::folders(&mounted.place, &mounted.own))
        .collect()
}

/// What groups of version 2 could be limited by. Nothing is changed.
pub(super) fn possible() -> Vec<&'static str> {
    let mut choices = mounted().into_iter().filter(|mounted| mounted.unified);
    let best = choices.find_map(|mounted| usable(&mounted).next());
    let Some(Choice::Free(place) | Choice::Occupied(place)) = best else {
        return Vec::new();
    };
    let named = CONTROLLERS
        .iter()
        .filter(|(controller, _)| place.controllers.contains(controller));
    named.map(|(_, name)| *name).collect()
}

fn usable(mounted: &Mounted) -> impl Iterator<Item = Choice> {
    let folders = places::folders(&mounted.place, &mounted.own);
    let seen = folders.into_iter().map(places::look).collect();
    places::choose(seen, std::process::id())
}

fn unified(mounted: &Mounted) -> Option<Hierarchy> {
    usable(mounted).find_map(|choice| {
        let place = match choice {
            Choice::Free(place) => place,
            Choice::Occupied(place) => {
                make_room(&place.folder).ok()?;
                place
            }
        };
        let enabled = enable(&place.folder, &place.controllers);
        (!enabled.is_empty()).then(|| Hierarchy::new(place.folder, true, &enabled))
    })
}

/// Whether the groups below a folder have these controllers already.
fn are_enabled(control: &Path, controllers: &[Controller]) -> bool {
    let there = fs::read_to_string(control).unwrap_or_default();
    let mut wanted = CONTROLLERS
        .iter()
        .filter(|(controller, _)| controllers.contains(controller));
    wanted.all(|(_, name)| there.split_whitespace().any(|it| it == *name))
}

/// Gives the groups below a folder these controllers, and says which they got: one that is refused takes none of the others along.
fn enable(folder: &Path, controllers: &[Controller]) -> Vec<Controller> {
    let control = folder.join("cgroup.subtree_control");
    let named = CONTROLLERS
        .iter()
        .filter(|(controller, _)| controllers.contains(controller));
    named
        .filter(|(_, name)| fs::write(&control, format!("+{name}")).is_ok())
        .map(|(controller, _)| *controller)
        .collect()
}

/// Moves this process, which is alone in a group, out of the way: the group is ours alone then.
fn make_room(folder: &Path) -> io::Result<()> {
    let aside = folder.join(places::ITSELF);
    fs::create_dir_all(&aside)?;
    fs::write(aside.join("cgroup.procs"), "0")
}

fn can_make_groups(folder: &Path) -> bool {
    // Asked of a file, since who has the machine's root needs no permission.
    writable(&folder.join("cgroup.procs"))
}

/// Reads `proc_pid_mountinfo(5)` and `/proc/self/cgroup` (`cgroups(7)`).
fn parse(mountinfo: &str, own: &str) -> Vec<Mounted> {
    let mut found: Vec<Mounted> = Vec::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        let before: Vec<&str> = before.split(' ').collect();
        let after: Vec<&str> = after.split(' ').collect();
        let ([_, _, _, root, place, ..], [kind, _, options]) = (&before[..], &after[..]) else {
            continue;
        };
        let unified = *kind == "cgroup2";
        if !unified && *kind != "cgroup" {
            continue;
        }
        let has = |name: &str| options.split(',').any(|option| option == name);
        let controllers: Vec<Controller> = CONTROLLERS
            .iter()
            .filter(|(_, name)| has(name))
            .map(|(controller, _)| *controller)
            .collect();
        let shown = !unified && controllers.is_empty() && has(PROCESSORS);
        if !unified && controllers.is_empty() && !shown {
            continue;
        }
        let ours = own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (names, path) = (fields.next()?, fields.next()?);
            let same = if unified {
                names.is_empty()
            } else {
                names.split(',').any(|name| has(name) && !name.is_empty())
            };
            same.then_some(path)
        });
        // Seen from the mount's own root; elsewhere we have no place in it.
        let own = ours
            .and_then(|path| Path::new(path).strip_prefix(root).ok())
            .unwrap_or(Path::new(""))
            .to_owned();
        let place = PathBuf::from(place);
        if found.iter().all(|other| other.place != place) {
            found.push(Mounted {
                place,
                unified,
                controllers,
                shown,
                own,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_side_by_side() {
        let mountinfo = "\
25 20 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro
26 25 0:23 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
27 25 0:24 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
28 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
30 25 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
29 25 0:26 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
nonsense";
        let own =
            "5:cpuset:/c\n4:memory:/a/b\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/user.slice\n";
        let found = parse(mountinfo, own);
        let mounted = |place: &str, unified, controllers: &[Controller], own: &str| Mounted {
            place: place.into(),
            unified,
            controllers: controllers.to_vec(),
            shown: place.ends_with("cpuset"),
            own: own.into(),
        };
        assert_eq!(
            found,
            [
                mounted("/sys/fs/cgroup/unified", true, &[], "user.slice"),
                mounted("/sys/fs/cgroup/memory", false, &[Controller::Memory], "a/b"),
                mounted(
                    "/sys/fs/cgroup/cpu,cpuacct",
                    false,
                    &[Controller::Processor, Controller::Usage],
                    ""
                ),
                mounted("/sys/fs/cgroup/cpuset", false, &[], "c"),
            ]
        );
    }
}
