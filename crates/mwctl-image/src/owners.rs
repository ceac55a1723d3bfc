//! Who owns the files of an image on this machine.
//!
//! An image names its owners by number. Which numbers a process may give to files depends on who
//! it is, and a container sees them through the mapping of its user namespace. So a layer is
//! unpacked for one way of owning, and the store keeps the ways apart: see [`Owners`].

use rustix::process::geteuid;

/// How the owners of an image become owners of files.
///
/// | who | way | what that means |
/// | --- | --- | --- |
/// | root | [`Owners::Kept`], all ids | files have the ids that the image names; a mount translates them for containers, whose root is nobody here. The store's folder is closed to all others, so a setuid program in it gives nobody anything |
/// | a user with a range in `/etc/subuid`, in a user namespace | [`Owners::Kept`], the ids of the range | the namespace translates |
/// | a user without | [`Owners::Single`] | the kernel allows no other owner: who owns what is lost, the modes stay |
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Owners {
    /// Files have the ids of the image, as this process sees them.
    Kept {
        /// How many there are.
        count: u32,
    },
    /// All files belong to whoever writes them.
    Single,
}

/// An owner that can't be given to a file here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("owner {id} is outside of the {count} ids that containers have here")]
pub struct UnknownOwner {
    /// The owner, as the image names it.
    pub id: u64,
    /// How many there are.
    pub count: u32,
}

impl Owners {
    /// What this process can do.
    pub fn of_process() -> Self {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self::of(geteuid().is_root(), &map)
    }

    /// `map` is the process's `uid_map`.
    fn of(root: bool, map: &str) -> Self {
        if !root {
            return Self::Single;
        }
        let mut count: u32 = 0;
        for line in map.lines() {
            let fields: Vec<u32> = line
                .split_whitespace()
                .filter_map(|field| field.parse().ok())
                .collect();
            if let [inside, _, length] = fields[..]
                && inside == count
            {
                count = count.saturating_add(length);
            }
        }
        if count > 1 {
            Self::Kept { count }
        } else {
            Self::Single
        }
    }

    /// The id for a file; `None` where the file keeps the id of whoever writes it.
    pub fn on_disk(self, id: u64) -> Result<Option<u32>, UnknownOwner> {
        match self {
            Self::Single => Ok(None),
            Self::Kept { count } => u32::try_from(id)
                .ok()
                .filter(|id| *id < count)
                .map(Some)
                .ok_or(UnknownOwner { id, count }),
        }
    }

    /// What the image names a file's owner.
    pub fn in_image(self, id: u32) -> u32 {
        match self {
            Self::Single => 0,
            Self::Kept { .. } => id,
        }
    }

    /// The name of the folder with the layers that were unpacked so.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Kept { .. } => "kept",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_user_has_a_way() {
        let all = Owners::Kept { count: u32::MAX };
        assert_eq!(Owners::of(true, "0 0 4294967295"), all);
        assert_eq!(Owners::of(false, "0 0 4294967295"), Owners::Single);
        assert_eq!(Owners::of(true, "0 1000 1"), Owners::Single);
        let mapped = Owners::of(true, "         0       1000          1\n 1 100000 65536\n");
        assert_eq!(mapped, Owners::Kept { count: 65537 });
    }

    #[test]
    fn an_id_that_isnt_there_is_refused() {
        let kept = Owners::Kept { count: 65536 };
        assert_eq!(kept.on_disk(33), Ok(Some(33)));
        assert_eq!(Owners::Single.on_disk(u64::MAX), Ok(None));
        assert!(kept.on_disk(65536).is_err());
        assert!(kept.on_disk(u64::MAX).is_err());
    }
}
