//! Reads the `mwctl.lock` of a folder.

use std::io::{self, Write as _};
use std::path::Path;

use mwctl_core::lock::{FILE, Lock};
use mwctl_core::problem::{Problem, Rule};

use super::{Load, root};
use crate::image::whole;
use crate::repository::{self, ReadError};

/// What is recorded for the folder that `start` belongs to; nothing where there is no lock.
pub fn lock(start: &Path) -> Result<Lock, Load> {
    let (lock, problems) = read(&root(start)?)?;
    if problems.is_empty() {
        Ok(lock)
    } else {
        Err(Load::Problems(problems))
    }
}

/// Writes the lock of a folder by a rename: whole, or not at all.
pub fn write_lock(root: &Path, lock: &Lock) -> io::Result<()> {
    let mut new = tempfile::Builder::new()
        .prefix(".mwctl-")
        .tempfile_in(root)?;
    new.write_all(lock.to_string().as_bytes())?;
    // As other files of a checkout are, which everybody may read.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    new.as_file().set_permissions(readable)?;
    new.persist(root.join(FILE))?;
    Ok(())
}

/// The lock of a folder, and what is wrong with it: an empty one then.
pub(super) fn read(root: &Path) -> Result<(Lock, Vec<Problem>), ReadError> {
    let file = Path::new(FILE);
    let mut read = repository::read(root, &[file.to_owned()])?;
    let Some(text) = read.texts.remove(file) else {
        return Ok((Lock::default(), read.problems));
    };
    Ok(match Lock::parse(file, &text) {
        Ok(lock) => match short(&lock) {
            problems if problems.is_empty() => (lock, problems),
            problems => (Lock::default(), problems),
        },
        Err(problems) => (Lock::default(), problems),
    })
}

/// Names that somebody wrote as they are typed: they would be found by nobody.
fn short(lock: &Lock) -> Vec<Problem> {
    let wrong = lock.bases().filter_map(|base| {
        let whole = whole(&base.reference).unwrap_or_default();
        if whole == base.reference {
            return None;
        }
        let message = format!("`{}` is no whole image reference", base.reference);
        let mut problem = Problem::new(message).rule(Rule::Name);
        problem.location.clone_from(&base.place);
        if !whole.is_empty() {
            problem.hint = Some(format!("write `{whole}`"));
        }
        Some(problem)
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "version: 1\nbases:\n- ref: debian:12\n  source: {kind: store}\n  \
        digest: sha256:0000000000000000000000000000000000000000000000000000000000000000\n  \
        platform: linux/amd64\n  checked: 2026-11-23T19:00:00Z\n";

    #[test]
    fn a_short_name_is_told_with_the_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mwctl.yaml"), "").unwrap();
        let write = |text: &str| std::fs::write(folder.path().join(FILE), text).unwrap();
        assert!(lock(folder.path()).unwrap().is_empty());
        write(ENTRY);
        let Err(Load::Problems(problems)) = lock(folder.path()) else {
            panic!("it was taken");
        };
        assert_eq!(
            problems[0].to_string(),
            "mwctl.lock:5:11: `debian:12` is no whole image reference (write `docker.io/library/debian:12`)"
        );
        write(&ENTRY.replace("debian:12", "docker.io/library/debian:12"));
        let read = lock(folder.path()).unwrap();
        assert!(
            read.get("docker.io/library/debian:12", "linux/amd64")
                .is_some()
        );
    }
}
