//! Which numbers a user and its groups have, as the files of the container say.

use mwctl_zygote::protocol::{Identity, Step};

use super::error::{Outcome, failure};

/// As whom a process runs, in numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// Sorted, without doubles and without the first group.
    pub(crate) groups: Vec<u32>,
}

/// Looks names up in the calling process's files.
pub(crate) fn resolve(identity: &Identity) -> Outcome<Ids> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    ids(identity, &read("/etc/passwd"), &read("/etc/group"))
}

/// Where the calling process is at home.
pub(crate) fn home() -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = rustix::process::geteuid().as_raw().to_string();
    let found = lines(&passwd).find(|fields| fields.get(2) == Some(&&*user));
    let home = found
        .and_then(|fields| fields.get(5).copied())
        .filter(|home| !home.is_empty());
    home.unwrap_or("/").to_owned()
}

fn ids(identity: &Identity, passwd: &str, group: &str) -> Outcome<Ids> {
    let unknown = |name: &str| failure(Step::User, name, None);
    let (user, own_group) = match identity.user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (&*identity.user, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse().ok();
    let entry = lines(passwd).find(|fields| {
        fields.first() == Some(&user) || (number.is_some() && field(fields, 2) == number)
    });
    let number = number
        .or_else(|| field(entry.as_ref()?, 2))
        .ok_or_else(|| unknown(user))?;
    let first = match (identity.group, own_group) {
        (Some(group), _) => group,
        (None, Some(name)) => group_number(name, group).ok_or_else(|| unknown(name))?,
        (None, None) => entry
            .as_ref()
            .and_then(|fields| field(fields, 3))
            .unwrap_or(0),
    };
    let mut groups = identity.groups.clone();
    // A group that was named takes the place of those the user is a member of, as in `docker run`.
    if let (Some(name), None) = (entry.as_ref().and_then(|fields| fields.first()), own_group) {
        let member = |fields: &Vec<&str>| {
            fields
                .get(3)
                .is_some_and(|list| list.split(',').any(|it| it == *name))
        };
        groups.extend(
            lines(group)
                .filter(member)
                .filter_map(|fields| field(&fields, 2)),
        );
    }
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|group| *group != first);
    Ok(Ids {
        user: number,
        group: first,
        groups,
    })
}

fn group_number(name: &str, group: &str) -> Option<u32> {
    let by_name = || {
        field(
            &lines(group).find(|fields| fields.first() == Some(&name))?,
            2,
        )
    };
    name.parse().ok().or_else(by_name)
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(':').collect())
}

fn field(fields: &[&str], index: usize) -> Option<u32> {
    fields.get(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\napp:x:900:901::/srv:/bin/sh\n# a remark\nbroken\n";
    const GROUP: &str = "root:x:0:\nweb:x:33:app,other\nlog:x:4:app\n";

    fn of(user: &str, group: Option<u32>, groups: &[u32]) -> Ids {
        let identity = Identity {
            user: user.to_owned(),
            group,
            groups: groups.to_vec(),
        };
        ids(&identity, PASSWD, GROUP).unwrap()
    }

    fn expect(user: u32, group: u32, groups: &[u32]) -> Ids {
        Ids {
            user,
            group,
            groups: groups.to_vec(),
        }
    }

    #[test]
    fn names_and_numbers_are_looked_up() {
        assert_eq!(of("", None, &[]), expect(0, 0, &[]));
        assert_eq!(of("app", None, &[]), expect(900, 901, &[4, 33]));
        assert_eq!(of("900", None, &[7, 4]), expect(900, 901, &[4, 7, 33]));
        assert_eq!(of("app:web", None, &[]), expect(900, 33, &[]));
        assert_eq!(of("5:6", None, &[]), expect(5, 6, &[]));
        assert_eq!(of("1234", None, &[]), expect(1234, 0, &[]));
        assert_eq!(of("app", Some(33), &[]), expect(900, 33, &[4]));
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        for user in ["nobody", "app:nobody"] {
            let identity = Identity {
                user: user.to_owned(),
                ..Identity::default()
            };
            assert!(ids(&identity, PASSWD, GROUP).is_err());
        }
    }
}
