//! What is mounted while a program of a build runs: caches, memory, and copies of files of the folder or of other stages.
//!
//! Nothing of it gets into the layer. What every program has (names, certificates) is mounted where it is run.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use mwctl_container::{Bind, Entry, Mount as Mounting, Source};

use super::StepError;
use super::files::Layer;
use super::run::user;
use super::state::State;
use super::steps::Place;
use crate::plan::{Mounted, Origin, Run, expand};
use crate::store::Lock;
use crate::view::{Found, walk};

/// What is mounted for one program.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) mounts: Vec<Mounting>,
    /// Held while it runs.
    pub(super) locks: Vec<Lock>,
}

impl Mounts {
    pub(super) fn bind(&mut self, from: PathBuf, to: &str, read_only: bool) {
        let directory = from.is_dir();
        self.mounts.push(Mounting {
            target: PathBuf::from(to),
            entry: Entry::Bind(Bind {
                source: Source::Path(from),
                directory,
                read_only,
                below: None,
            }),
        });
    }
}

impl Place<'_> {
    /// What stands for mounted files in the key.
    pub(super) fn origin_key(&self, origin: &Origin, source: &str) -> Result<String, StepError> {
        let shared = self.shared;
        Ok(match origin {
            Origin::Stage(name) => format!("{} {source}", shared.done[name].key),
            Origin::Image(name) => format!("{} {source}", shared.images[name].key),
            Origin::Local => {
                let mut text = source.to_owned();
                for (path, data) in self.mounted_local(source)? {
                    if !data.is_dir() {
                        let hash = shared.local.hash(&path, &data);
                        let hash = hash.map_err(StepError::io(&path))?;
                        text = format!("{text}\n{} {hash}", path.display());
                    }
                }
                text
            }
        })
    }

    /// A file, or what a folder contains all the way down.
    fn mounted_local(&self, source: &str) -> Result<Vec<(PathBuf, fs::Metadata)>, StepError> {
        let local = &self.shared.local;
        let path = within(source);
        let full = local.root().join(&path);
        let data = fs::symlink_metadata(&full).map_err(StepError::io(&full))?;
        let mut found = Vec::new();
        if data.is_file() && !local.excludes(&path) {
            found.push((path, data));
        } else {
            local.below(&path, &mut found)?;
        }
        Ok(found)
    }

    pub(super) fn mounts(
        &self,
        state: &State,
        layer: &Layer<'_>,
        run: &Run,
    ) -> Result<(Mounts, Vec<String>), StepError> {
        let store = self.shared.build.store;
        let mut mounts = Mounts::default();
        let mut targets = Vec::new();
        for (index, mount) in run.mounts.iter().enumerate() {
            let expanded = expand::dockerfile(&mount.target, &|name| state.variable(name));
            let target = state.absolute(&expanded.map_err(StepError::Variable)?);
            match &mount.what {
                Mounted::Cache { id, exclusive } => {
                    let id = id.clone().unwrap_or_else(|| target.clone());
                    // Users don't share: what one wrote another may be unable to read.
                    let id = format!("{id}\n{}", state.user);
                    if *exclusive {
                        mounts.locks.push(store.lock_cache(&id)?);
                    }
                    let folder = store.cache(&id)?;
                    let owner = user(state)?;
                    layer.own(&folder, owner)?;
                    mounts.bind(folder, &target, false);
                }
                Mounted::Files { origin, source } => {
                    let folder = layer.work().join(format!("mount-{index}"));
                    self.materialize(layer, origin, source, &folder)?;
                    mounts.bind(folder, &target, false);
                }
                Mounted::Memory => mounts.mounts.push(Mounting {
                    target: PathBuf::from(&target),
                    entry: Entry::Memory {
                        size: None,
                        mode: 0o1777,
                        executable: true,
                    },
                }),
            }
            targets.push(target);
        }
        Ok((mounts, targets))
    }

    /// A copy of a file or a folder that a program may change as it likes.
    fn materialize(
        &self,
        layer: &Layer<'_>,
        origin: &Origin,
        source: &str,
        into: &Path,
    ) -> Result<(), StepError> {
        let shared = self.shared;
        let mut items: Vec<(PathBuf, PathBuf, fs::Metadata)> = Vec::new();
        let other = match origin {
            Origin::Local => {
                let root = shared.local.root();
                let prefix = within(source);
                for (path, data) in self.mounted_local(source)? {
                    if path == prefix {
                        let owner = (data.uid(), data.gid());
                        return layer.copy(&root.join(&path), &data, into, owner, None);
                    }
                    let inner = path.strip_prefix(&prefix).unwrap_or(&path).to_path_buf();
                    items.push((inner, root.join(&path), data));
                }
                None
            }
            Origin::Stage(name) => Some((&shared.done[name], name)),
            Origin::Image(name) => Some((&shared.images[name], name)),
        };
        let top = if let Some((other, name)) = other {
            let path = other.absolute(source);
            let folders = match other.view().find(Path::new(&path)).1 {
                Found::Folder(folders) => folders,
                Found::File(file) => {
                    let data = fs::symlink_metadata(&file).map_err(StepError::io(&file))?;
                    return layer.copy(&file, &data, into, (data.uid(), data.gid()), None);
                }
                Found::Missing => {
                    let place = format!("`{name}`");
                    return Err(StepError::Missing { path, place });
                }
            };
            items = walk(&folders).map_err(StepError::io(&path))?;
            folders.first().cloned()
        } else {
            None
        };
        // Whose the folders are decides who may add to them and remove from them.
        let folder = |place: &Path, data: &fs::Metadata| {
            fs::create_dir(place).map_err(StepError::io(place))?;
            layer.own(place, (data.uid(), data.gid()))?;
            let mode = fs::Permissions::from_mode(data.mode() & 0o7777);
            fs::set_permissions(place, mode).map_err(StepError::io(place))
        };
        match top {
            Some(top) => folder(
                into,
                &fs::symlink_metadata(&top).map_err(StepError::io(&top))?,
            )?,
            None => fs::create_dir(into).map_err(StepError::io(into))?,
        }
        for (inner, from, data) in items {
            let place = into.join(inner);
            if data.is_dir() {
                folder(&place, &data)?;
            } else {
                layer.copy(&from, &data, &place, (data.uid(), data.gid()), None)?;
            }
        }
        Ok(())
    }
}

/// A path as it lies below the folder that is built, however it is written.
fn within(source: &str) -> PathBuf {
    (Path::new(source).components())
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect()
}
