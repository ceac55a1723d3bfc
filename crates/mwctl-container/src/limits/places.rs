//! Where groups of version 2 can be made: a decision on what was seen of this process's own group and of those above it.
//!
//! A group has either processes or groups with controllers (`cgroups(7)`, "no internal processes"), only the first of all may have both.
//! So the own group is of use to nobody but who is alone in it. Where systemd runs, all groups of a user from its manager down to the
//! shell are its own, and those between, slices, have no processes: containers go beside the shell. A login session isn't below the
//! manager, and its group is root's.

use std::fs;
use std::path::{Path, PathBuf};

use super::hierarchy::{CONTROLLERS, Controller};
use super::writable;

/// The group of a process that made room for others in its own.
pub(super) const ITSELF: &str = "mwctl-itself";

/// A group as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// Whether we may move processes into it.
    pub(super) writable: bool,
    /// What its groups can be limited by.
    pub(super) controllers: Vec<Controller>,
    /// Who is in it.
    pub(super) processes: Vec<u32>,
    /// Whether it is the machine's first.
    pub(super) first: bool,
}

/// A place, and what is to be done there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Groups can be made at once.
    Free(Place),
    /// This process, which is alone there, must go into a group of its own before.
    Occupied(Place),
}

/// The usable ones, the best first.
pub(super) fn choose(places: Vec<Place>, me: u32) -> impl Iterator<Item = Choice> {
    places.into_iter().filter_map(move |place| {
        if !place.writable || place.controllers.is_empty() {
            return None;
        }
        if place.first || place.processes.is_empty() {
            return Some(Choice::Free(place));
        }
        (place.processes == [me]).then_some(Choice::Occupied(place))
    })
}

/// The groups in question: the first, which is root's, our own, so that what limits us limits containers, and those above it.
pub(super) fn folders(mount: &Path, own: &Path) -> Vec<PathBuf> {
    let mut own = own;
    while own.ends_with(ITSELF) {
        own = own.parent().unwrap_or(Path::new(""));
    }
    let above = own.ancestors().filter(|path| *path != Path::new(""));
    let mut folders = vec![mount.to_owned()];
    folders.extend(above.map(|path| mount.join(path)));
    folders
}

/// Reads what there is to be known of a group.
pub(super) fn look(folder: PathBuf) -> Place {
    let read = |name| fs::read_to_string(folder.join(name));
    let there = read("cgroup.controllers").unwrap_or_default();
    let processes = read("cgroup.procs").unwrap_or_default();
    let known = CONTROLLERS
        .iter()
        .filter(|(_, name)| there.split_whitespace().any(|it| it == *name));
    Place {
        // Asked of a file, since who has the machine's root needs no permission.
        writable: writable(&folder.join("cgroup.procs"))
            && writable(&folder.join("cgroup.subtree_control")),
        controllers: known.map(|(controller, _)| *controller).collect(),
        processes: processes
            .lines()
            .filter_map(|pid| pid.parse().ok())
            .collect(),
        // It alone doesn't tell whether something lives in it.
        first: !folder.join("cgroup.events").exists(),
        folder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u32 = 17;

    fn place(folder: &str, writable: bool, processes: &[u32]) -> Place {
        Place {
            folder: folder.into(),
            writable,
            controllers: vec![Controller::Memory],
            processes: processes.to_vec(),
            first: folder == "/",
        }
    }

    fn chosen(places: &[Place]) -> Vec<(String, bool)> {
        let choices = choose(places.to_vec(), ME);
        let told = choices.map(|choice| match choice {
            Choice::Free(place) => (place.folder.display().to_string(), false),
            Choice::Occupied(place) => (place.folder.display().to_string(), true),
        });
        told.collect()
    }

    fn free(folder: &str) -> (String, bool) {
        (folder.to_owned(), false)
    }

    #[test]
    fn root_makes_groups_in_the_first_whoever_is_in_it() {
        let places = [
            place("/", true, &[1, 2]),
            place("/user/session", true, &[ME, 3]),
        ];
        assert_eq!(chosen(&places), [free("/")]);
    }

    #[test]
    fn a_users_containers_are_beside_its_shell() {
        let places = [
            place("/", false, &[1]),
            place("/user/manager/app/shell", true, &[16, ME]),
            place("/user/manager/app", true, &[]),
            place("/user/manager", true, &[]),
            place("/user", false, &[]),
        ];
        let both = [free("/user/manager/app"), free("/user/manager")];
        assert_eq!(chosen(&places), both);
    }

    #[test]
    fn who_is_alone_makes_room() {
        let places = [
            place("/", false, &[1]),
            place("/user/manager/app/us", true, &[ME]),
            place("/user/manager/app", true, &[]),
        ];
        let own = ("/user/manager/app/us".to_owned(), true);
        assert_eq!(chosen(&places), [own, free("/user/manager/app")]);
    }

    #[test]
    fn a_login_session_and_a_foreign_container_have_none() {
        let session = [
            place("/", false, &[1]),
            place("/user/session", false, &[ME]),
        ];
        assert_eq!(chosen(&session), []);
        let mut crowded = place("/there", true, &[1, ME]);
        assert_eq!(chosen(std::slice::from_ref(&crowded)), []);
        crowded.processes.clear();
        crowded.controllers.clear();
        assert_eq!(chosen(&[crowded]), []);
    }

    #[test]
    fn the_own_group_comes_before_those_above_it() {
        let folders = folders(Path::new("/c"), Path::new("a/b"));
        assert_eq!(folders, ["/c", "/c/a/b", "/c/a"].map(PathBuf::from));
        let after_making_room = super::folders(Path::new("/c"), Path::new("a/b/mwctl-itself"));
        assert_eq!(after_making_room, folders);
        assert_eq!(
            super::folders(Path::new("/c"), Path::new("")),
            [PathBuf::from("/c")]
        );
    }
}
