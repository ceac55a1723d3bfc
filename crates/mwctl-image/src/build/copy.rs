//! `COPY`: which files go where, and into the layer with them.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;

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
        let is_folder = given.ends_with('/')
            || given.ends_with("/.")
            || given == "."
            || sources.len() > 1
            || sources.iter().any(|source| is_pattern(source))
            || matches!(state.view().find(&destination).1, Found::Folder(_));
        let exclude = Ignore::new(copy.exclude.iter().map(String::as_str));
        let mut load = Load::default();
        for source in &sources {
            let target = Target {
                destination: &destination,
                is_folder,
                exclude: &exclude,
            };
            match &copy.origin {
                Origin::Local => target.local(self.shared, source, &mut load)?,
                Origin::Stage(name) => {
                    let other = &self.shared.done[name];
                    target.layers(other, name, source, &mut load)?;
                }
                Origin::Image(name) => {
                    let other = &self.shared.images[name];
                    target.layers(other, name, source, &mut load)?;
                }
            }
        }
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

fn is_pattern(source: &str) -> bool {
    source.contains(['*', '?', '['])
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

    fn local(&self, shared: &Shared<'_>, source: &str, load: &mut Load) -> Result<(), StepError> {
        let local = &shared.local;
        let missing = || StepError::Missing {
            path: source.to_owned(),
            place: "the folder that is built".to_owned(),
        };
        let path: PathBuf = Path::new(source.trim_start_matches('/'))
            .components()
            .filter(|component| !matches!(component, std::path::Component::CurDir))
            .collect();
        if path
            .components()
            .any(|it| it == std::path::Component::ParentDir)
        {
            return Err(StepError::Outside(source.to_owned()));
        }
        let failed = |source| StepError::Io {
            path: local.root().to_path_buf(),
            source,
        };
        if is_pattern(source) {
            let glob = GlobBuilder::new(&path.to_string_lossy())
                .literal_separator(true)
                .build();
            let glob = glob.map_err(|_| missing())?.compile_matcher();
            let all = local.all().map_err(failed)?;
            let before = load.going.len();
            for (path, _) in all.iter().filter(|(path, _)| glob.is_match(path)) {
                self.one(shared, path, load).map_err(failed)?;
            }
            if load.going.len() == before {
                return Err(missing());
            }
            return Ok(());
        }
        let full = local.root().join(&path);
        let real = full.canonicalize().map_err(|_| missing())?;
        if !real.starts_with(local.root()) {
            return Err(StepError::Outside(source.to_owned()));
        }
        if !path.as_os_str().is_empty() && local.excludes(&path) && !real.is_dir() {
            return Err(missing());
        }
        let real = real
            .strip_prefix(local.root())
            .unwrap_or(&path)
            .to_path_buf();
        if real == path {
            self.one(shared, &path, load).map_err(failed)
        } else {
            // A link that is named is followed; its name is that of the file.
            self.through(shared, &path, &real, load).map_err(failed)
        }
    }

    fn one(&self, shared: &Shared<'_>, path: &Path, load: &mut Load) -> std::io::Result<()> {
        self.through(shared, path, path, load)
    }

    fn through(
        &self,
        shared: &Shared<'_>,
        named: &Path,
        path: &Path,
        load: &mut Load,
    ) -> std::io::Result<()> {
        let local = &shared.local;
        let full = local.root().join(path);
        let data = fs::symlink_metadata(&full)?;
        if !data.is_dir() {
            load.going.push(Going {
                to: self.of_file(named),
                from: full,
                data,
                local: Some(path.to_path_buf()),
            });
            return Ok(());
        }
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

    fn layers(
        &self,
        other: &State,
        name: &str,
        source: &str,
        load: &mut Load,
    ) -> Result<(), StepError> {
        let path = other.absolute(source);
        load.from = format!("{}{} {path}\n", load.from, other.key);
        let view = other.view();
        let missing = || StepError::Missing {
            path: path.clone(),
            place: format!("`{name}`"),
        };
        load.folder |=
            !is_pattern(&path) && matches!(view.find(Path::new(&path)).1, Found::Folder(_));
        let mut push = |to: PathBuf, from: PathBuf, data: Metadata| {
            load.going.push(Going {
                to,
                from,
                data,
                local: None,
            });
        };
        if is_pattern(&path) {
            let folder = Path::new(&path).parent().unwrap_or(Path::new("/"));
            let Found::Folder(folders) = view.find(folder).1 else {
                return Err(missing());
            };
            let last = Path::new(&path).file_name().unwrap_or_default();
            let glob = GlobBuilder::new(&last.to_string_lossy())
                .literal_separator(true)
                .build();
            let glob = glob.map_err(|_| missing())?.compile_matcher();
            let items = walk(&folders).map_err(StepError::io(folder))?;
            let mut matching = items.into_iter().filter(|(inner, _, data)| {
                inner.components().count() == 1 && glob.is_match(inner) && !data.is_dir()
            });
            let first = matching.next().ok_or_else(missing)?;
            for (inner, file, data) in std::iter::once(first).chain(matching) {
                push(self.of_file(&inner), file, data);
            }
            return Ok(());
        }
        match view.find(Path::new(&path)).1 {
            Found::Missing => return Err(missing()),
            Found::File(file) => {
                let data = fs::symlink_metadata(&file).map_err(StepError::io(&file))?;
                push(self.of_file(Path::new(&path)), file, data);
            }
            Found::Folder(folders) => {
                for (inner, file, data) in walk(&folders).map_err(StepError::io(&path))? {
                    if !self.exclude.excludes(&inner) {
                        push(self.destination.join(inner), file, data);
                    }
                }
            }
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
