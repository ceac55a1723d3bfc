//! Makes the place of a mount. Works below the root of the calling process, so no symbolic link leads out of it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use mwctl_zygote::protocol::Step;

use super::error::{At, Outcome, failure};

/// As many symbolic links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Makes sure that a directory or file is at `path`, and gives its place without symbolic links.
pub(crate) fn make(path: &Path, directory: bool) -> Outcome<PathBuf> {
    let mut left: Vec<OsString> = components(path);
    left.reverse();
    let mut place = PathBuf::from("/");
    let mut links = 0;
    while let Some(next) = left.pop() {
        if next == ".." {
            place.pop();
            continue;
        }
        let here = place.join(&next);
        match fs::symlink_metadata(&here) {
            Ok(found) if found.is_symlink() => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(failure(Step::Mount, path.display(), Some(libc::ELOOP)));
                }
                let text = fs::read_link(&here).at(Step::Mount, here.display())?;
                if text.is_absolute() {
                    place = PathBuf::from("/");
                }
                left.extend(components(&text).into_iter().rev());
            }
            Ok(_) => place = here,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                create(&here, directory || !left.is_empty())?;
                place = here;
            }
            Err(error) => return Err(error).at(Step::Mount, here.display()),
        }
    }
    Ok(place)
}

fn create(place: &Path, directory: bool) -> Outcome<()> {
    let created = if directory {
        fs::DirBuilder::new().mode(0o755).create(place)
    } else {
        let mut options = fs::OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(place)
            .map(drop)
    };
    created.at(Step::Mount, place.display())
}

fn components(path: &Path) -> Vec<OsString> {
    let named = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        _ => None,
    });
    named.map(OsStr::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_made_and_links_are_followed() {
        let folder = std::env::temp_dir().join(format!("mwctl-place-{}", std::process::id()));
        fs::create_dir_all(folder.join("real")).unwrap();
        std::os::unix::fs::symlink("real/below", folder.join("link")).unwrap();
        let made = make(&folder.join("link/file"), false).unwrap();
        assert_eq!(
            made,
            fs::canonicalize(&folder).unwrap().join("real/below/file")
        );
        assert!(made.is_file());
        assert_eq!(
            make(&folder.join("link/../x"), true).unwrap(),
            folder.join("real/x")
        );
        std::os::unix::fs::symlink("loop", folder.join("loop")).unwrap();
        assert_eq!(
            make(&folder.join("loop/x"), true).unwrap_err().errno,
            Some(libc::ELOOP)
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
