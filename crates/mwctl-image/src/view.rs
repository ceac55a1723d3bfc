//! Looks into a stack of layers as the overlay filesystem would, without mounting anything.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};

use crate::layer::{is_opaque, is_whiteout};

/// More links on one path are a circle; the kernel's own limit.
const LINKS: usize = 40;

/// The largest file that is read whole.
const LARGEST: u64 = 64 << 20;

/// Layers over each other.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The topmost first.
    layers: Vec<PathBuf>,
}

/// What is at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// The folders that together are one, the topmost first.
    Folder(Vec<PathBuf>),
    /// A file, or anything else that is no folder.
    File(PathBuf),
    /// Nothing.
    Missing,
}

impl View {
    pub(crate) fn new(layers: Vec<PathBuf>) -> Self {
        Self { layers }
    }

    /// What is at an absolute path, and that path without links. Links never lead out.
    pub(crate) fn find(&self, path: &Path) -> (PathBuf, Found) {
        let mut open: Vec<Part> = parts(path);
        open.reverse();
        let mut done: Vec<(OsString, Vec<PathBuf>)> = Vec::new();
        let mut links = 0;
        while let Some(part) = open.pop() {
            let name = match part {
                Part::Up => {
                    done.pop();
                    continue;
                }
                Part::Name(name) => name,
            };
            let folders = done.last().map_or(&self.layers, |(_, folders)| folders);
            let mut place: PathBuf = Path::new("/").join(joined(&done)).join(&name);
            match entry(folders, &name) {
                Found::Missing => {
                    for part in open.into_iter().rev() {
                        match part {
                            Part::Up => drop(place.pop()),
                            Part::Name(name) => place.push(name),
                        }
                    }
                    return (place, Found::Missing);
                }
                Found::Folder(folders) => done.push((name, folders)),
                Found::File(file) => {
                    let target = fs::read_link(&file).ok().filter(|_| links < LINKS);
                    let Some(target) = target else {
                        let found = if open.is_empty() {
                            Found::File(file)
                        } else {
                            Found::Missing
                        };
                        return (place, found);
                    };
                    links += 1;
                    if target.is_absolute() {
                        done.clear();
                    }
                    open.extend(parts(&target).into_iter().rev());
                }
            }
        }
        let place = Path::new("/").join(joined(&done));
        let folders = done.pop().map_or_else(|| self.layers.clone(), |(_, it)| it);
        (place, Found::Folder(folders))
    }

    /// What is at a path that leads through no link, where it may be one itself.
    pub(crate) fn at(&self, path: &Path) -> Found {
        let mut found = Found::Folder(self.layers.clone());
        for part in parts(path) {
            let (Part::Name(name), Found::Folder(folders)) = (part, found) else {
                return Found::Missing;
            };
            found = entry(&folders, &name);
        }
        found
    }

    /// What a file contains, unless it is one that no image needs so large. What is no file isn't opened: a pipe
    /// would keep us waiting.
    pub(crate) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let Found::File(file) = self.find(Path::new(path)).1 else {
            return None;
        };
        let data = fs::metadata(&file).ok()?;
        (data.is_file() && data.len() <= LARGEST)
            .then(|| fs::read(file).ok())
            .flatten()
    }

    /// A text file.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        match self.find(Path::new(path)).1 {
            Found::File(file) => fs::read_to_string(file).ok(),
            _ => None,
        }
    }
}

enum Part {
    Up,
    Name(OsString),
}

fn parts(path: &Path) -> Vec<Part> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Part::Name(name.to_owned())),
        Component::ParentDir => Some(Part::Up),
        _ => None,
    });
    parts.collect()
}

fn joined(done: &[(OsString, Vec<PathBuf>)]) -> PathBuf {
    done.iter().map(|(name, _)| name).collect()
}

/// What the layers of a folder together have under a name.
fn entry(folders: &[PathBuf], name: &OsStr) -> Found {
    let mut found = Vec::new();
    for folder in folders {
        let path = folder.join(name);
        let Ok(data) = fs::symlink_metadata(&path) else {
            continue;
        };
        if is_whiteout(&data) {
            break;
        }
        if !data.is_dir() {
            if found.is_empty() {
                return Found::File(path);
            }
            break;
        }
        let hides = is_opaque(&path);
        found.push(path);
        if hides {
            break;
        }
    }
    if found.is_empty() {
        Found::Missing
    } else {
        Found::Folder(found)
    }
}

/// Something in a folder of a view: its path from there, where it lies, what it is.
pub(crate) type Item = (PathBuf, PathBuf, Metadata);

/// All that is below a folder of a view, parents first, sorted.
pub(crate) fn walk(folders: &[PathBuf]) -> std::io::Result<Vec<Item>> {
    let mut items = Vec::new();
    below(folders, Path::new(""), &mut items)?;
    Ok(items)
}

/// What is in a folder of a view, sorted; links aren't followed.
pub(crate) fn entries(folders: &[PathBuf]) -> std::io::Result<Vec<(OsString, Found)>> {
    let mut names: BTreeSet<OsString> = BTreeSet::new();
    for folder in folders {
        for entry in fs::read_dir(folder)? {
            names.insert(entry?.file_name());
        }
    }
    let entries = names.into_iter().map(|name| {
        let found = entry(folders, &name);
        (name, found)
    });
    Ok(entries
        .filter(|(_, found)| *found != Found::Missing)
        .collect())
}

fn below(folders: &[PathBuf], path: &Path, items: &mut Vec<Item>) -> std::io::Result<()> {
    for (name, found) in entries(folders)? {
        let path = path.join(&name);
        match found {
            Found::Missing => {}
            Found::File(file) => {
                let data = fs::symlink_metadata(&file)?;
                items.push((path, file, data));
            }
            Found::Folder(inner) => {
                let data = fs::symlink_metadata(&inner[0])?;
                items.push((path.clone(), inner[0].clone(), data));
                below(&inner, &path, items)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::layer::unpack;
    use crate::{Owners, layer::Limits};

    /// Layers from archives, the lowest first: a name that ends with a slash is a folder.
    fn view(folder: &Path, layers: &[&[&str]]) -> View {
        let mut folders = Vec::new();
        for (index, names) in layers.iter().enumerate() {
            let mut archive = tar::Builder::new(Vec::new());
            for name in *names {
                let mut header = tar::Header::new_ustar();
                header.set_entry_type(if name.ends_with('/') {
                    tar::EntryType::Directory
                } else {
                    tar::EntryType::Regular
                });
                header.set_mode(0o755);
                header.set_size(0);
                archive.append_data(&mut header, name, &b""[..]).unwrap();
            }
            let bytes = archive.into_inner().unwrap();
            let layer = folder.join(index.to_string());
            fs::create_dir(&layer).unwrap();
            unpack(&*bytes, &layer, Owners::of_process(), Limits::default()).unwrap();
            folders.insert(0, layer);
        }
        View::new(folders)
    }

    #[test]
    fn what_an_upper_layer_deletes_or_hides_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let view = view(
            folder.path(),
            &[
                &["a/x", "a/y", "b/x", "c/x", "d"],
                &["a/.wh.x", "b/.wh..wh..opq", "b/z", ".wh.c", "d/new"],
            ],
        );
        let names: Vec<String> = walk(&view.layers)
            .unwrap()
            .into_iter()
            .map(|(path, ..)| path.display().to_string())
            .collect();
        assert_eq!(names, ["a", "a/y", "b", "b/z", "d", "d/new"]);
        assert_eq!(view.find(Path::new("/a/x")).1, Found::Missing);
        assert!(matches!(view.find(Path::new("/a/y")).1, Found::File(_)));
    }

    #[test]
    fn links_lead_through_all_layers_and_not_out() {
        let folder = tempfile::tempdir().unwrap();
        let view = view(folder.path(), &[&["usr/lib/x"], &["etc/y"]]);
        let top = folder.path().join("1");
        symlink("usr/lib", top.join("lib")).unwrap();
        symlink("../../../../lib", top.join("etc/up")).unwrap();
        symlink("round", top.join("round")).unwrap();
        let (place, found) = view.find(Path::new("/lib/x"));
        assert_eq!(place, Path::new("/usr/lib/x"));
        assert_eq!(found, Found::File(folder.path().join("0/usr/lib/x")));
        assert_eq!(view.find(Path::new("/etc/up/x")).0, Path::new("/usr/lib/x"));
        let missing = view.find(Path::new("/lib/new/../other"));
        assert_eq!(missing, (PathBuf::from("/usr/lib/other"), Found::Missing));
        // The link itself, in the end.
        let round = view.find(Path::new("/round")).1;
        assert!(matches!(round, Found::File(_)));
    }
}
