//! How a container sees its own control group: what is mounted at `/sys/fs/cgroup`, as container runtimes have it. A decision on names
//! and folders.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mwctl_zygote::protocol::{Bind, Entry, Mount, Source};

/// Where programs look.
const PLACE: &str = "/sys/fs/cgroup";

/// The name of a hierarchy, and the folder of the group in it.
pub(super) type Shown = Vec<(OsString, PathBuf)>;

/// One hierarchy for everything (version 2): its group is all there is.
pub(super) fn whole(shown: Shown) -> Vec<Mount> {
    let own = shown.into_iter().take(1);
    own.map(|(_, folder)| bind(PLACE.into(), folder)).collect()
}

/// A hierarchy for each controller (version 1). One that has several is found by the name of each.
pub(super) fn parts(shown: Shown) -> Vec<Mount> {
    let place = Path::new(PLACE);
    let memory = Entry::Memory {
        size: None,
        mode: 0o755,
        executable: false,
    };
    let mut mounts = vec![mount(place.into(), memory)];
    for (name, folder) in shown {
        let several = name.to_str().filter(|name| name.contains(','));
        for one in several.into_iter().flat_map(|name| name.split(',')) {
            mounts.push(mount(place.join(one), Entry::Link(PathBuf::from(&name))));
        }
        mounts.push(bind(place.join(&name), folder));
    }
    mounts.push(mount(place.into(), Entry::ReadOnly));
    mounts
}

/// Brings a view to the place where the kernel's objects are. Who doesn't see those doesn't look there.
pub(super) fn insert(mut mounts: Vec<Mount>, view: Vec<Mount>) -> Vec<Mount> {
    let system = mounts
        .iter()
        .position(|mount| mount.entry == Entry::System && mount.target == Path::new("/sys"));
    if let Some(system) = system {
        mounts.splice(system + 1..=system, view);
    }
    mounts
}

fn bind(target: PathBuf, folder: PathBuf) -> Mount {
    let bind = Bind {
        source: Source::Path(folder),
        directory: true,
        read_only: true,
        below: None,
    };
    mount(target, Entry::Bind(bind))
}

fn mount(target: PathBuf, entry: Entry) -> Mount {
    Mount { target, entry }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(mounts: &[Mount]) -> Vec<&str> {
        let targets = mounts.iter().map(|mount| mount.target.to_str());
        targets.map(Option::unwrap).collect()
    }

    #[test]
    fn controllers_of_one_hierarchy_are_found_by_each_name() {
        let shown = vec![
            ("memory".into(), "/m/own".into()),
            ("cpu,cpuacct".into(), "/c/own".into()),
        ];
        let mounts = parts(shown);
        let expected = [
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/memory",
            "/sys/fs/cgroup/cpu",
            "/sys/fs/cgroup/cpuacct",
            "/sys/fs/cgroup/cpu,cpuacct",
            "/sys/fs/cgroup",
        ];
        assert_eq!(targets(&mounts), expected);
        assert_eq!(mounts[2].entry, Entry::Link("cpu,cpuacct".into()));
        assert_eq!(mounts[4], bind(expected[4].into(), "/c/own".into()));
        assert_eq!(mounts[5].entry, Entry::ReadOnly);
    }

    #[test]
    fn one_hierarchy_for_all_is_its_group() {
        let mounts = whole(vec![("cgroup".into(), "/own".into())]);
        assert_eq!(mounts, [bind(PLACE.into(), "/own".into())]);
    }

    #[test]
    fn it_lies_on_the_kernels_objects_and_below_what_comes_later() {
        let mounts = crate::host::usual_mounts;
        let view = whole(vec![("cgroup".into(), "/own".into())]);
        let seen = insert(mounts(), view.clone());
        let place = seen.iter().position(|it| it.entry == Entry::System);
        assert_eq!(seen[place.unwrap() + 1], view[0]);
        assert_eq!(seen.len(), mounts().len() + 1);
        assert_eq!(insert(Vec::new(), view), []);
    }
}
