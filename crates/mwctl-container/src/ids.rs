//! Which user ids containers get: a decision on what was observed of the machine and its user.
//!
//! Root in a container is never root on the machine. Root gives containers a range of ids that nobody has; an ordinary user
//! gives them its own id as root and a range that the administrator set aside for it, or its own id alone.

use std::fmt;

use crate::subordinate::Range;

/// How many ids containers get: those that images use, `nobody` included.
const COUNT: u32 = 65_536;

/// The first id that root gives away where `/etc/subuid` names none. systemd's table of uses (`UIDS-GIDS.md`) leaves
/// 1879048192–2147352575 to nobody.
const UNUSED: u32 = 0x7100_0000;

/// The ids of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// `0` in a container is `first` on the machine, and so on.
    Range {
        /// The machine's id of the container's root.
        first: u32,
        /// How many.
        count: u32,
    },
    /// `0` in a container is the user itself, and `1` is `first`, and so on.
    Subordinate {
        /// The user.
        user: u32,
        /// The user's group.
        group: u32,
        /// The machine's id of the container's `1`.
        first: u32,
        /// The machine's group of the container's `1`.
        first_group: u32,
        /// How many.
        count: u32,
    },
    /// Those of the user namespace that whoever starts containers is in already, as root of it.
    Inherited,
    /// `0` in a container is the user itself, and there is no other.
    Single {
        /// The user.
        user: u32,
        /// The user's group.
        group: u32,
    },
}

/// What was seen of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// `/proc/self/uid_map`.
    pub(crate) map: String,
    /// What is set aside for the user, as users.
    pub(crate) users: Option<Range>,
    /// As groups.
    pub(crate) groups: Option<Range>,
    /// Whether `newuidmap` and `newgidmap` are there.
    pub(crate) has_helpers: bool,
}

/// Something that this machine doesn't let its user have. Containers run without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lack {
    /// One user id alone: a container runs as the wanted number, but its processes can become nobody else.
    Users {
        /// Whether the programs that map ids are missing, rather than the range.
        helpers: bool,
    },
    /// No limit of memory can be set.
    Memory,
    /// No limit of processes can be set.
    Processes,
    /// No limit of processor time can be set.
    Processor,
}

impl fmt::Display for Lack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Users { .. } => {
                "only one user id: whoever a container runs as owns all its files, and can become nobody else"
            }
            Self::Memory => "limits of memory are not enforced",
            Self::Processes => "limits of processes are not enforced",
            Self::Processor => "limits of processor time are not enforced",
        })
    }
}

impl Lack {
    /// What to do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Users { helpers: true } => {
                "install the package `uidmap` (on Fedora and Arch Linux: `shadow-utils`, `shadow`)"
            }
            Self::Users { helpers: false } => {
                "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER"
            }
            Self::Memory | Self::Processes | Self::Processor => {
                "run as root, or with cgroup v2 under `systemd-run --user --scope --property=Delegate=yes`"
            }
        }
    }
}

/// Chooses the ids, and says what lacks.
pub(crate) fn choose(seen: &Seen) -> (Ids, Option<Lack>) {
    let single = Ids::Single {
        user: seen.user,
        group: seen.group,
    };
    if seen.user == 0 && !is_the_machines_own(&seen.map) {
        let lack = (ids_in(&seen.map) < 2).then_some(Lack::Users { helpers: false });
        return (Ids::Inherited, lack);
    }
    if seen.user == 0 {
        let enough = seen.users.filter(|range| range.count >= COUNT);
        let first = enough.map_or(UNUSED, |range| range.first);
        let count = COUNT;
        return (Ids::Range { first, count }, None);
    }
    if !seen.has_helpers {
        return (single, Some(Lack::Users { helpers: true }));
    }
    let Some((users, groups)) = seen.users.zip(seen.groups) else {
        return (single, Some(Lack::Users { helpers: false }));
    };
    let ids = Ids::Subordinate {
        user: seen.user,
        group: seen.group,
        first: users.first,
        first_group: groups.first,
        count: users.count.min(groups.count).min(COUNT - 1),
    };
    (ids, None)
}

/// Whether a map (`/proc/self/uid_map`) is that of the machine's first user namespace.
fn is_the_machines_own(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn ids_in(map: &str) -> u64 {
    let counts = map
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "         0          0 4294967295\n";

    fn range(first: u32, count: u32) -> Range {
        Range { first, count }
    }

    fn root(map: &str, users: Option<Range>) -> (Ids, Option<Lack>) {
        choose(&Seen {
            map: map.to_owned(),
            users,
            ..Seen::default()
        })
    }

    fn user(users: Option<Range>, groups: Option<Range>, has_helpers: bool) -> (Ids, Option<Lack>) {
        choose(&Seen {
            user: 1000,
            group: 1001,
            map: WHOLE.to_owned(),
            users,
            groups,
            has_helpers,
        })
    }

    #[test]
    fn root_gives_a_range_that_nobody_has() {
        for (users, first) in [
            (None, UNUSED),
            (Some(range(500_000, COUNT)), 500_000),
            (Some(range(500_000, 10)), UNUSED),
        ] {
            let count = COUNT;
            assert_eq!(root(WHOLE, users), (Ids::Range { first, count }, None));
        }
    }

    #[test]
    fn root_of_a_user_namespace_shares_it() {
        assert_eq!(root("0 100000 65536", None), (Ids::Inherited, None));
        let two = root("0 1000 1\n1 100000 65536", None);
        assert_eq!(two, (Ids::Inherited, None));
        let lack = Some(Lack::Users { helpers: false });
        assert_eq!(root("0 1000 1", None), (Ids::Inherited, lack));
    }

    #[test]
    fn a_user_gives_itself_and_its_subordinates() {
        let ids = |count| Ids::Subordinate {
            user: 1000,
            group: 1001,
            first: 100_000,
            first_group: 200_000,
            count,
        };
        let users = Some(range(100_000, 65_536));
        let given = user(users, Some(range(200_000, 65_536)), true);
        assert_eq!(given, (ids(65_535), None));
        assert_eq!(user(users, Some(range(200_000, 7)), true), (ids(7), None));
    }

    #[test]
    fn a_user_without_a_range_or_the_programs_gives_itself_alone() {
        let single = Ids::Single {
            user: 1000,
            group: 1001,
        };
        let lacks = |helpers| Some(Lack::Users { helpers });
        let there = Some(range(100_000, 65_536));
        assert_eq!(user(there, None, true), (single, lacks(false)));
        assert_eq!(user(None, there, true), (single, lacks(false)));
        assert_eq!(user(there, there, false), (single, lacks(true)));
    }
}
