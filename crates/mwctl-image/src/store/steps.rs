//! What builds remember: which layer a step made, so that it needn't be made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lock::Lock;
use super::{Name, Store, StoreError};
use crate::digest::Digest;
use crate::layer::pack;

/// How long an unused step stays.
const UNUSED: Duration = Duration::from_hours(24 * 7);

/// A layer that a step made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Made {
    /// What it contains.
    pub diff_id: Digest,
    /// The length of its archive.
    pub size: u64,
}

impl Store {
    /// The layer that a step made, if it is still there. A step that is asked for is in use.
    pub(crate) fn step(&self, key: &str) -> Result<Option<Made>, StoreError> {
        let path = self.path("steps").join(key);
        let Some(made) = read::<Made>(&path) else {
            return Ok(None);
        };
        let name = Name::of_content(&made.diff_id);
        if self.layer(&name, made.diff_id.as_str())?.is_none() {
            return Ok(None);
        }
        if let Ok(file) = fs::File::open(&path) {
            // Only when it is collected depends on it.
            drop(file.set_modified(SystemTime::now()));
        }
        Ok(Some(made))
    }

    /// Makes a step's layer, unless it is there; one process at a time. `fill` fills an empty
    /// place of work, and says where in it the layer is.
    pub(crate) fn make_step<E: From<StoreError>>(
        &self,
        key: &str,
        fill: impl FnOnce(&Path) -> Result<PathBuf, E>,
    ) -> Result<Made, E> {
        let _writer = Lock::exclusive(&self.path("locks").join(key))?;
        if let Some(made) = self.step(key)? {
            return Ok(made);
        }
        let work = self.work()?;
        let folder = fill(work.path())?;
        let packed = pack(&folder, self.owners, 0, std::io::sink()).map_err(StoreError::Pack)?;
        let name = Name::of_content(&packed.diff_id);
        let made = Made {
            diff_id: packed.diff_id,
            size: packed.size,
        };
        // Another step may have made the same.
        self.make::<StoreError>(&name, made.diff_id.as_str(), |new| {
            fs::rename(&folder, new).map_err(StoreError::io(&folder))?;
            Ok(Vec::new())
        })?;
        self.write_note("steps", key, &made)?;
        Ok(made)
    }

    /// Remembers something under a name.
    pub(crate) fn write_note(
        &self,
        folder: &str,
        name: &str,
        note: &impl Serialize,
    ) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(note).unwrap_or_default();
        self.write(Path::new(folder).join(name), &bytes)
    }

    /// What was remembered under a name. What can't be read is forgotten.
    pub(crate) fn note_of<T: DeserializeOwned>(&self, folder: &str, name: &str) -> Option<T> {
        read(&self.path(folder).join(name))
    }

    /// The folder of a step's layer.
    pub(crate) fn made_folder(&self, diff_id: &Digest) -> PathBuf {
        self.layer_folder(&Name::of_content(diff_id))
    }

    /// A folder that is kept from build to build.
    pub(crate) fn cache(&self, id: &str) -> Result<PathBuf, StoreError> {
        let folder = self.path("caches").join(short(id));
        fs::create_dir_all(&folder).map_err(StoreError::io(&folder))?;
        Ok(folder)
    }

    /// Waits until nobody else has a cache.
    pub(crate) fn lock_cache(&self, id: &str) -> Result<Lock, StoreError> {
        Lock::exclusive(&self.path("locks").join(format!("cache-{}", short(id))))
    }

    /// The layers that steps in use made; forgets those that aren't in use. With `all`, all steps
    /// and caches go.
    pub(super) fn collect_steps(&self, all: bool) -> Result<Vec<Name>, StoreError> {
        if all {
            for folder in ["caches", "slots", "files"] {
                for path in self.entries(folder)? {
                    mwctl_container::tree::remove(&path).map_err(StoreError::io(&path))?;
                }
            }
        }
        let mut live = Vec::new();
        for path in self.entries("steps")? {
            let used = fs::metadata(&path).and_then(|data| data.modified()).ok();
            let age = used.and_then(|used| SystemTime::now().duration_since(used).ok());
            match read::<Made>(&path) {
                Some(made) if !all && age.unwrap_or_default() < UNUSED => {
                    live.push(Name::of_content(&made.diff_id));
                }
                _ => drop(fs::remove_file(&path)),
            }
        }
        Ok(live)
    }
}

fn short(id: &str) -> String {
    Digest::of(id.as_bytes()).hex()[..24].to_owned()
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
