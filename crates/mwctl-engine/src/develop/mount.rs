//! Checkouts that are mounted instead of being copied: readied before their service is deployed.
//!
//! Only a cluster on this very machine can mount them, and it must have been told that it may. What a checkout lacks for it is made (an
//! empty folder for each directory of dependencies, which git ignores) or said, and then it is copied as ever: nothing fails for it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use mwctl_core::develop::Rules;
use mwctl_core::manifest::{Inside, inside};
use mwctl_core::model::{Develop, Service, Stack};
use mwctl_core::name::ServiceName;

use super::checkout;
use crate::event::{Event, Events};
use crate::workspace::Workspace;

/// Why a checkout is copied although it was to be mounted.
#[derive(Debug, thiserror::Error)]
enum Copied {
    #[error("only the embedded cluster, which runs on this machine, can mount a checkout")]
    Elsewhere,
    #[error(
        "`{path}` of the container is a file of mwctl's, and the checkout has none there to mount it over"
    )]
    NoFile { path: String },
    #[error("`{}` can't be made", path.display())]
    NoFolder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the cluster can't be told that it may mount it")]
    Untold(#[source] io::Error),
}

/// How checkouts are to reach their containers.
#[derive(Clone, Debug)]
pub struct Mounting {
    /// Whether they are mounted also where their description doesn't say so.
    pub wanted: bool,
    /// The folder of links from which the cluster knows what it may mount; nothing where it runs elsewhere.
    pub links: Option<PathBuf>,
}

impl Mounting {
    /// Readies the checkouts of `services` that are to be mounted. Of those that can't be, their description then says so, and `events`
    /// why.
    pub fn ready(
        &self,
        mut workspace: Workspace,
        services: &BTreeSet<ServiceName>,
        events: &Events,
    ) -> Workspace {
        for name in services {
            let stack = &workspace.stack;
            let Some(service) = stack.services.get(name) else {
                continue;
            };
            let Some(develop) = service.develop.as_ref() else {
                continue;
            };
            let wanted = self.wanted || develop.mount;
            let mount = wanted
                && match self.ready_one(stack, service, develop) {
                    Ok(hidden) => {
                        tell_of_hidden(name, &hidden, events);
                        true
                    }
                    Err(why) => {
                        let cause = std::error::Error::source(&why);
                        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                        let text = format!("is copied, not mounted: {why}{cause}");
                        events.notice(Some(name), text);
                        false
                    }
                };
            let service = workspace.stack.services.get_mut(name);
            if let Some(develop) = service.and_then(|service| service.develop.as_mut()) {
                develop.mount = mount;
            }
        }
        workspace
    }

    /// Readies one, and says which of its files the container's user may not be able to read.
    fn ready_one(
        &self,
        stack: &Stack,
        service: &Service,
        develop: &Develop,
    ) -> Result<Vec<String>, Copied> {
        let (Some(links), Some(root)) = (&self.links, service.source.directory()) else {
            return Err(Copied::Elsewhere);
        };
        for Inside { path, is_directory } in inside(stack, service, develop) {
            let place = root.join(&path);
            if is_directory {
                fs::create_dir_all(&place).map_err(|source| Copied::NoFolder {
                    path: place.clone(),
                    source,
                })?;
            } else if !place.is_file() {
                return Err(Copied::NoFile { path });
            }
        }
        allow(links, root).map_err(Copied::Untold)?;
        Ok(hidden(root, develop))
    }
}

/// Tells the cluster whose links are in `links` that it may mount `folder`.
fn allow(links: &Path, folder: &Path) -> io::Result<()> {
    // Whoever can write there decides what containers see of this machine.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(links)?;
    let name = blake3::hash(folder.as_os_str().as_encoded_bytes()).to_hex();
    match symlink(folder, links.join(name.as_str())) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// The files of a checkout that only their owner or group may read: the container's users are others.
fn hidden(root: &Path, develop: &Develop) -> Vec<String> {
    let Ok(rules) = Rules::new(develop, &checkout::ignore_lines(root)) else {
        return Vec::new();
    };
    let Ok(found) = checkout::paths(root, "", &rules) else {
        return Vec::new();
    };
    let folders = found.folders.into_iter().map(|path| (path, 0o005));
    let files = found.files.into_iter().map(|path| (path, 0o004));
    let hidden = |(path, needed): &(String, u32)| {
        let metadata = fs::symlink_metadata(root.join(path)).ok();
        metadata.is_some_and(|it| {
            // Links have no rights of their own.
            (it.is_file() || it.is_dir()) && it.permissions().mode() & needed != *needed
        })
    };
    let mut hidden: Vec<String> = folders
        .chain(files)
        .filter(hidden)
        .map(|(path, _)| {
            if path.is_empty() {
                ".".to_owned()
            } else {
                path
            }
        })
        .collect();
    hidden.sort();
    hidden
}

fn tell_of_hidden(service: &ServiceName, hidden: &[String], events: &Events) {
    let Some(first) = hidden.first() else {
        return;
    };
    let others = match hidden.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    events.send(Event::Notice {
        service: Some(service.clone()),
        text: format!(
            "`{first}`{others} in the checkout may be unreadable in the container, whose user is another"
        ),
        hint: Some("chmod -R o+rX .  # in the checkout".to_owned()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_allowed_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let links = folder.path().join("checkouts");
        for _ in 0..2 {
            allow(&links, Path::new("/srv/code")).expect("it is allowed");
        }
        allow(&links, Path::new("/srv/other")).expect("it is allowed");
        let mut found: Vec<_> = fs::read_dir(&links)
            .expect("the folder is there")
            .map(|link| fs::read_link(link.expect("an entry").path()).expect("a link"))
            .collect();
        found.sort();
        assert_eq!(found, [Path::new("/srv/code"), Path::new("/srv/other")]);
        let mode = fs::metadata(&links).expect("the folder is there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o700);
    }
}
