//! Makes the place of a mount below a root, of which no symbolic link leads out.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use mwctl_zygote::protocol::{Entry, Mount, Step};
use mwctl_zygote::resolve::open_below;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, readlinkat};

use super::error::{At, Outcome, failure};
use super::scratch;

/// As many symbolic links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Makes sure that a directory or file is at `path`, and gives its place without symbolic links.
pub(crate) fn make(path: &Path, directory: bool) -> Outcome<PathBuf> {
    make_below(Path::new("/"), &Layers::default(), path, directory)
}

/// As [`make`], as if `root` were the root, and had the symbolic links of these layers.
fn make_below(root: &Path, layers: &Layers, path: &Path, directory: bool) -> Outcome<PathBuf> {
    let mut left: Vec<OsString> = components(path);
    left.reverse();
    let mut place = root.to_owned();
    let mut links = 0;
    while let Some(next) = left.pop() {
        if next == ".." {
            if place != root {
                place.pop();
            }
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
                    root.clone_into(&mut place);
                }
                left.extend(components(&text).into_iter().rev());
            }
            Ok(_) => place = here,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if let Some(text) = here.strip_prefix(root).ok().and_then(|it| layers.link(it)) {
                    symlink(text, &here).at(Step::Mount, path.display())?;
                    left.push(next);
                } else {
                    create(&here, directory || !left.is_empty())?;
                    place = here;
                }
            }
            Err(error) => return Err(error).at(Step::Mount, here.display()),
        }
    }
    Ok(place)
}

/// Makes the places of all mounts below an empty root, as far as they are made at all: where they are when the layers lie over it.
pub(crate) fn make_all(root: &Path, layers: &[String], mounts: &[Mount]) -> Outcome<()> {
    let layers = Layers::open(layers)?;
    for mount in mounts {
        match &mount.entry {
            Entry::Hidden | Entry::ReadOnly => {}
            Entry::Link(text) => link_below(root, &layers, &mount.target, text)?,
            Entry::Bind(bind) => {
                make_below(root, &layers, &mount.target, bind.directory)?;
            }
            Entry::Memory { .. } | Entry::Processes | Entry::Devices { .. } | Entry::System => {
                make_below(root, &layers, &mount.target, true)?;
            }
        }
    }
    Ok(())
}

/// Makes a symbolic link, where nothing is.
pub(crate) fn link(path: &Path, text: &Path) -> Outcome<()> {
    link_below(Path::new("/"), &Layers::default(), path, text)
}

fn link_below(root: &Path, layers: &Layers, path: &Path, text: &Path) -> Outcome<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let link = make_below(root, layers, parent, true)?.join(name);
    if fs::symlink_metadata(&link).is_ok() {
        return Ok(());
    }
    symlink(text, &link).at(Step::Mount, path.display())
}

/// The directories that will lie over a root, the topmost first.
#[derive(Default)]
struct Layers(Vec<OwnedFd>);

impl Layers {
    fn open(names: &[String]) -> Outcome<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |name: &String| {
            let path = Path::new(scratch::LAYERS).join(name);
            openat(CWD, &path, flags, Mode::empty()).at(Step::Mount, path.display())
        };
        names.iter().map(open).collect::<Outcome<_>>().map(Self)
    }

    /// The text of the symbolic link that is seen at a path, which has none on the way.
    fn link(&self, path: &Path) -> Option<PathBuf> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let mut seen = (self.0.iter()).filter_map(|it| open_below(it, path, flags, resolve).ok());
        let text = readlinkat(seen.next()?, "", Vec::new()).ok()?;
        Some(OsString::from_vec(text.into_bytes()).into())
    }
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
        symlink("real/below", folder.join("link")).unwrap();
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
        symlink("loop", folder.join("loop")).unwrap();
        assert_eq!(
            make(&folder.join("loop/x"), true).unwrap_err().errno,
            Some(libc::ELOOP)
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn places_are_where_the_links_of_the_layers_lead() {
        let folder = std::env::temp_dir().join(format!("mwctl-places-{}", std::process::id()));
        let (top, bottom, root) = (folder.join("t"), folder.join("b"), folder.join("r"));
        for made in ["t/var", "b/var/lib", "b/opt", "r"] {
            fs::create_dir_all(folder.join(made)).unwrap();
        }
        symlink("/run", top.join("var/run")).unwrap();
        symlink("../../srv", bottom.join("opt/out")).unwrap();
        // What lies over it isn't a link.
        symlink("elsewhere", bottom.join("var/run")).unwrap();
        let open = |path: &PathBuf| fs::File::open(path).unwrap().into();
        let layers = Layers([top, bottom].iter().map(open).collect());
        let made = |path: &str| {
            let made = make_below(&root, &layers, Path::new(path), true).unwrap();
            assert!(made.is_dir());
            made.strip_prefix(&root).unwrap().display().to_string()
        };
        assert_eq!(made("/var/run/secrets"), "run/secrets");
        assert_eq!(made("/opt/out/data"), "srv/data");
        assert_eq!(made("/var/lib/db"), "var/lib/db");
        fs::remove_dir_all(folder).unwrap();
    }
}
