//! `COPY`: which files go where, and into the layer with them.

mod packed;
mod sources;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use self::sources::{Meant, What};
use super::files::Layer;
use super::ignore::Ignore;
use super::state::{Inputs, State};
use super::steps::{Last, Outcome, Place};
use super::{Shared, StepError};
use crate::plan::{Copy, Origin, Step, expand};
use crate::view::{Found, walk};

/// A file on its way.
struct Going {
    /// Where it goes: an absolute path of the image.
    to: PathBuf,
    /// Where it lies.
    from: PathBuf,
    data: Metadata,
    /// Its path in the folder that is built, where it comes from there.
    local: Option<PathBuf>,
}

/// All that is copied.
#[derive(Default)]
struct Load {
    going: Vec<Going>,
    /// What stands for it in the key, where it isn't the files' contents.
    from: String,
    /// Whether a folder is among it, which may be empty.
    folder: bool,
}

impl Place<'_> {
    pub(super) fn copy(
        &self,
        state: &mut State,
        step: &Step,
        copy: &Copy,
    ) -> Result<Outcome, StepError> {
        let expand = |text: &str| {
            expand::dockerfile(text, &|name| state.variable(name)).map_err(StepError::Variable)
        };
        let owner = copy
            .owner
            .as_ref()
            .map(|owner| super::steps::owner(state, owner))
            .transpose()?;
        let sources: Vec<String> = copy
            .sources
            .iter()
            .map(|source| expand(source))
            .collect::<Result<_, _>>()?;
        let given = expand(&copy.destination)?;
        let destination = PathBuf::from(state.absolute(&given));
        let exclude = Ignore::new(copy.exclude.iter().map(String::as_str));
        let mut load = Load::default();
        let mut meant = Vec::new();
        let foreign =
            |source: &str, what: &str| StepError::Foreign(format!("`ADD {source}` ({what})"));
        for source in &sources {
            // What was written without variables was looked at before.
            if copy.unpacks
                && let Some(what) = crate::dockerfile::foreign(source)
            {
                return Err(foreign(source, what));
            }
            let found = self.meant(&copy.origin, source, &mut load)?;
            if found.is_empty() && !self.explains {
                self.warns(step, &format!("`{source}` matches nothing"));
            }
            meant.extend(found);
        }
        let target = Target {
            destination: &destination,
            is_folder: given.ends_with('/')
                || given.ends_with("/.")
                || given == "."
                || sources.len() > 1
                || meant.len() > 1
                || matches!(state.view().find(&destination).1, Found::Folder(_)),
            exclude: &exclude,
        };
        if meant.is_empty() {
            return Ok(Outcome::default());
        }
        for meant in meant {
            if copy.unpacks && self.is_archive(&meant)? {
                let name = meant.named.display().to_string();
                return Err(foreign(&name, "an archive"));
            }
            target.take(self.shared, meant, &mut load)?;
        }
        let is_folder = target.is_folder;
        let files = self.signatures(&load, owner)?;
        let mut inputs = Inputs::default();
        let how = format!(
            "{} {owner:?} {:?} {:?}",
            destination.display(),
            copy.mode,
            copy.exclude
        );
        inputs.add("how it is copied", how);
        inputs.add("what is copied from", load.from.clone());
        if !load.from.is_empty() {
            // The names of local files say it themselves.
            let place = if is_folder { "into it" } else { "as it" };
            inputs.add("where it goes", place);
        }
        let all: Vec<String> = files
            .iter()
            .map(|(path, it)| format!("{path}\0{it}"))
            .collect();
        inputs.add("files", all.join("\n"));
        let remembered = Some(files.clone());
        self.layer(state, step, &inputs, remembered, |state, layer, last| {
            let old = last.layer.as_ref();
            let old = old.map(|layer| self.shared.build.store.made_folder(layer));
            let carry = Carry {
                old: old.map(|folder| (folder, last)),
                files: &files,
                owner,
                mode: copy.mode,
                is_folder,
            };
            carry.all(state, layer, &load, &destination)
        })
    }

    /// What a source means.
    fn meant(
        &self,
        origin: &Origin,
        source: &str,
        load: &mut Load,
    ) -> Result<Vec<Meant>, StepError> {
        let (other, name) = match origin {
            Origin::Local => return sources::local(&self.shared.local, source),
            Origin::Stage(name) => (&self.shared.done[name], name),
            Origin::Image(name) => (&self.shared.images[name], name),
        };
        let path = other.absolute(source);
        // What a pattern means was another thing once, and what was made then isn't this.
        let kind = if sources::is_pattern(&path) {
            " by parts"
        } else {
            ""
        };
        load.from = format!("{}{} {path}{kind}\n", load.from, other.key);
        sources::layers(&other.view(), name, &path)
    }

    fn is_archive(&self, meant: &Meant) -> Result<bool, StepError> {
        let What::Local(path) = &meant.what else {
            return Ok(false);
        };
        let full = self.shared.local.root().join(path);
        let data = fs::symlink_metadata(&full).map_err(StepError::io(&full))?;
        if !data.is_file() {
            return Ok(false);
        }
        packed::is_archive(&full).map_err(StepError::io(full))
    }

    /// What stands for each local file in the key.
    fn signatures(
        &self,
        load: &Load,
        owner: Option<(u32, u32)>,
    ) -> Result<BTreeMap<String, String>, StepError> {
        let mut files = BTreeMap::new();
        for going in &load.going {
            let Some(path) = &going.local else {
                continue;
            };
            let content = if going.data.is_dir() {
                "folder".to_owned()
            } else {
                let hash = self.shared.local.hash(path, &going.data);
                hash.map_err(StepError::io(&going.from))?
            };
            let mode = going.data.mode() & 0o7777;
            let signature = format!("{content} {mode:o} {owner:?}");
            files.insert(going.to.to_string_lossy().into_owned(), signature);
        }
        Ok(files)
    }
}

/// Where a source goes.
struct Target<'a> {
    destination: &'a Path,
    is_folder: bool,
    exclude: &'a Ignore,
}

impl Target<'_> {
    fn of_file(&self, path: &Path) -> PathBuf {
        if self.is_folder {
            self.destination.join(path.file_name().unwrap_or_default())
        } else {
            self.destination.to_path_buf()
        }
    }

    fn take(&self, shared: &Shared<'_>, meant: Meant, load: &mut Load) -> Result<(), StepError> {
        match meant.what {
            What::Local(path) => {
                let full = shared.local.root().join(&path);
                let data = fs::symlink_metadata(&full).map_err(StepError::io(&path))?;
                if data.is_dir() {
                    return self.folder(shared, &path, load);
                }
                load.going.push(Going {
                    to: self.of_file(&meant.named),
                    from: full,
                    data,
                    local: Some(path),
                });
            }
            What::Layers(Found::File(file)) => {
                let data = fs::symlink_metadata(&file).map_err(StepError::io(&file))?;
                load.going.push(Going {
                    to: self.of_file(&meant.named),
                    from: file,
                    data,
                    local: None,
                });
            }
            What::Layers(Found::Folder(folders)) => {
                load.folder = true;
                for (inner, file, data) in walk(&folders).map_err(StepError::io(&meant.named))? {
                    if !self.exclude.excludes(&inner) {
                        load.going.push(Going {
                            to: self.destination.join(inner),
                            from: file,
                            data,
                            local: None,
                        });
                    }
                }
            }
            // What isn't there was told before.
            What::Layers(Found::Missing) => {}
        }
        Ok(())
    }

    /// What a folder contains goes where the source goes.
    fn folder(&self, shared: &Shared<'_>, path: &Path, load: &mut Load) -> Result<(), StepError> {
        let local = &shared.local;
        load.folder = true;
        let mut found = Vec::new();
        local.below(path, &mut found)?;
        for (below, data) in found {
            let inner = below.strip_prefix(path).unwrap_or(&below);
            if self.exclude.excludes(inner) {
                continue;
            }
            load.going.push(Going {
                to: self.destination.join(inner),
                from: local.root().join(&below),
                data,
                local: Some(below.clone()),
            });
        }
        Ok(())
    }
}

/// How a load is brought into a layer.
struct Carry<'a> {
    /// The layer that this step made the last time.
    old: Option<(PathBuf, &'a Last)>,
    files: &'a BTreeMap<String, String>,
    owner: Option<(u32, u32)>,
    mode: Option<u32>,
    is_folder: bool,
}

impl Carry<'_> {
    fn all(
        &self,
        state: &State,
        layer: &mut Layer<'_>,
        load: &Load,
        destination: &Path,
    ) -> Result<(), StepError> {
        let view = state.view();
        let new = self.owner.unwrap_or((0, 0));
        let inside = load.going.iter().any(|going| going.to != destination);
        if self.is_folder || load.folder || inside {
            let is_there = matches!(view.find(destination).1, Found::Folder(_));
            let place = layer.folder(&view, destination, new)?;
            if let (true, false, Some(mode)) = (load.folder, is_there, self.mode) {
                layer.copy_folder(&place, new, mode)?;
            }
        }
        let mut places: HashMap<PathBuf, PathBuf> = HashMap::new();
        for going in &load.going {
            let above = going.to.parent().unwrap_or(Path::new("/"));
            let folder = if let Some(place) = places.get(above) {
                place.clone()
            } else {
                let place = layer.folder(&view, above, new)?;
                places.insert(above.to_path_buf(), place.clone());
                place
            };
            let place = folder.join(going.to.file_name().unwrap_or_default());
            let own = (going.data.uid(), going.data.gid());
            // A local file's owner means nothing in an image.
            let owner = self.owner.unwrap_or(match going.local {
                Some(_) => (0, 0),
                None => own,
            });
            if going.data.is_dir() {
                let mode = self.mode.unwrap_or(going.data.mode() & 0o7777);
                layer.copy_folder(&place, owner, mode)?;
                continue;
            }
            // A pipe of a checkout is no part of an image; one of another image is.
            if going.local.is_some() && !going.data.is_file() && !going.data.is_symlink() {
                continue;
            }
            if self.link(going, layer, &place, owner == own)? {
                continue;
            }
            layer.copy(&going.from, &going.data, &place, owner, self.mode)?;
        }
        Ok(())
    }

    /// Gives a file of another layer a second name, where it is the same in all respects.
    fn link(
        &self,
        going: &Going,
        layer: &Layer<'_>,
        place: &Path,
        has_owner: bool,
    ) -> Result<bool, StepError> {
        let from = match (&going.local, &self.old) {
            // Of a stage, and so of the store already.
            (None, _) if has_owner && self.mode.is_none() && going.data.is_file() => {
                going.from.clone()
            }
            (Some(_), Some((folder, last))) => {
                let name = going.to.to_string_lossy();
                let now = self.files.get(name.as_ref());
                if now.is_none() || now != last.files.get(name.as_ref()) || self.mode.is_some() {
                    return Ok(false);
                }
                let inner = place.strip_prefix(layer.path()).unwrap_or(place);
                folder.join(inner)
            }
            _ => return Ok(false),
        };
        if fs::symlink_metadata(place).is_ok() {
            mwctl_container::tree::remove(place).map_err(StepError::io(place))?;
        }
        // Where the last layer is gone, or on another filesystem, it is copied.
        Ok(fs::hard_link(from, place).is_ok())
    }
}
