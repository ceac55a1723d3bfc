//! What this machine says of a user: its name, and the ids that the administrator set aside for it (`passwd(5)`, `subuid(5)`).
//!
//! The one reader of these files. What becomes of it is decided elsewhere.

use std::fs;

/// Ids that follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    /// The first. Never root.
    pub first: u32,
    /// How many; one at least.
    pub count: u32,
}

/// A user as this machine knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// The name. None where the machine has none for it.
    pub name: Option<String>,
    /// Its largest range of users.
    pub users: Option<Range>,
    /// Its largest range of groups.
    pub groups: Option<Range>,
}

impl User {
    /// Looks at this machine's files. What can't be read says nothing.
    pub fn look(id: u32) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let name = name_of(id, &read("/etc/passwd"));
        let largest = |text: &str| largest(text, name.as_deref(), id);
        Self {
            users: largest(&read("/etc/subuid")),
            groups: largest(&read("/etc/subgid")),
            name,
        }
    }

    /// How many ids it has as users and as groups beside its own.
    pub fn count(&self) -> u32 {
        let ranges = self.users.zip(self.groups);
        ranges.map_or(0, |(users, groups)| users.count.min(groups.count))
    }
}

fn name_of(id: u32, passwd: &str) -> Option<String> {
    let id = id.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}

/// The largest range of those for a user, by name or number. Ranges aren't joined: containers have one.
fn largest(text: &str, name: Option<&str>, id: u32) -> Option<Range> {
    let id = id.to_string();
    let ranges = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [who, first, count] = fields[..] else {
            return None;
        };
        let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
        let theirs = Some(who) == name || who == id;
        let sound = first > 0 && count > 0 && first.checked_add(count).is_some();
        (theirs && sound).then_some(Range { first, count })
    });
    ranges.max_by_key(|range| range.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_that_the_file_gives() {
        let passwd = "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbroken\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("ann"));
        assert_eq!(name_of(7, passwd), None);
    }

    #[test]
    fn the_largest_range_by_name_or_number_counts() {
        let text = "bob:1:2\nann:100000:65536\n1000:5:70000\nann:x:99999\nann:7\nann:0:99999\n";
        let range = |first, count| Some(Range { first, count });
        assert_eq!(largest(text, Some("ann"), 1000), range(5, 70_000));
        assert_eq!(largest(text, Some("ann"), 7), range(100_000, 65_536));
        assert_eq!(largest(text, None, 65_534), None);
        // Nobody is called so.
        assert_eq!(largest(":1:2\n", None, 7), None);
        assert_eq!(largest("ann:4294967295:2\n", Some("ann"), 7), None);
    }

    #[test]
    fn who_has_users_but_no_groups_has_none() {
        let range = Some(Range { first: 1, count: 9 });
        let user = |groups| User {
            name: None,
            users: range,
            groups,
        };
        assert_eq!((user(range).count(), user(None).count()), (9, 0));
    }
}
