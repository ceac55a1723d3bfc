//! Users and groups of an image, from its own `passwd` and `group`.

use crate::view::View;

/// A name that the image doesn't know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the image has no {kind} `{name}`")]
pub struct UnknownAccount {
    kind: &'static str,
    name: String,
}

/// The lines of both files.
pub(super) struct Accounts {
    pub passwd: String,
    pub group: String,
}

fn field(line: &str, index: usize) -> Option<&str> {
    line.split(':').nth(index)
}

fn id(text: &str, name: &str) -> Option<u32> {
    let by_name = text.lines().find(|line| field(line, 0) == Some(name));
    let known = by_name.and_then(|line| field(line, 2)?.parse().ok());
    known.or_else(|| name.parse().ok())
}

impl Accounts {
    pub(super) fn of(view: &View) -> Self {
        Self {
            passwd: view.read("/etc/passwd").unwrap_or_default(),
            group: view.read("/etc/group").unwrap_or_default(),
        }
    }

    /// The ids of a user and a group, by name or number. The name of a user alone means its group, too; a
    /// number alone means the group of the same number, as `COPY --chown` has it.
    pub(super) fn owner(
        &self,
        user: &str,
        group: Option<&str>,
    ) -> Result<(u32, u32), UnknownAccount> {
        let unknown = |kind, name: &str| UnknownAccount {
            kind,
            name: name.to_owned(),
        };
        let uid = id(&self.passwd, user).ok_or_else(|| unknown("user", user))?;
        let gid = if let Some(group) = group {
            id(&self.group, group).ok_or_else(|| unknown("group", group))?
        } else {
            let mut lines = self.passwd.lines();
            let known = lines.find(|line| field(line, 0) == Some(user));
            let group = known.and_then(|line| field(line, 3)?.parse().ok());
            group.unwrap_or(uid)
        };
        Ok((uid, gid))
    }

    /// The same files with an account, unless its ids have one; and whether there is a new user.
    pub(super) fn with(&self, name: &str, uid: &str, gid: &str) -> (Self, bool) {
        let has = |text: &str, id: &str| text.lines().any(|line| field(line, 2) == Some(id));
        let mut group = self.group.clone();
        if !has(&group, gid) {
            end_line(&mut group);
            group = format!("{group}{name}:x:{gid}:\n");
        }
        let mut passwd = self.passwd.clone();
        let is_new = !has(&passwd, uid);
        if is_new {
            end_line(&mut passwd);
            passwd = format!("{passwd}{name}:x:{uid}:{gid}::/home/{name}:/bin/sh\n");
        }
        (Self { passwd, group }, is_new)
    }
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/x".to_owned(),
            group: "root:x:0:\nstaff:x:50:\n".to_owned(),
        }
    }

    #[test]
    fn owners_are_names_or_numbers() {
        let accounts = accounts();
        assert_eq!(accounts.owner("web", Some("staff")), Ok((33, 50)));
        assert_eq!(accounts.owner("7", None), Ok((7, 7)));
        assert_eq!(accounts.owner("33", None), Ok((33, 33)));
        assert_eq!(accounts.owner("web", None), Ok((33, 34)));
        assert!(accounts.owner("nobody", None).is_err());
        assert!(accounts.owner("0", Some("none")).is_err());
    }

    #[test]
    fn an_account_is_added_once() {
        let (with, is_new) = accounts().with("app", "900", "900");
        assert!(is_new);
        assert!(
            with.passwd
                .ends_with("/x\napp:x:900:900::/home/app:/bin/sh\n")
        );
        let (again, is_new) = with.with("other", "900", "50");
        assert!(!is_new);
        assert_eq!(again.passwd, with.passwd);
        assert_eq!(again.group, with.group);
    }
}
