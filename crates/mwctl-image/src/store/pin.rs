//! Pins: layers that a living process uses stay, also when their image is removed.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::lock::Lock;
use super::work::unique;
use super::{Name, Store, StoreError};

/// Keeps layers from being collected as long as it lives, and no longer than its process.
#[derive(Debug)]
pub struct Pin {
    lock: Option<Lock>,
}

#[derive(Deserialize, Serialize)]
struct Pinned {
    layers: Vec<Name>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
    }
}

impl Store {
    /// Pins layers. Call it while the store is in use, or they may be gone already.
    pub(crate) fn pin(&self, layers: &[Name]) -> Result<Pin, StoreError> {
        let pinned = Pinned {
            layers: layers.to_vec(),
        };
        let bytes = serde_json::to_vec(&pinned).unwrap_or_default();
        loop {
            let path = self.path("pins").join(unique());
            let Some(lock) = Lock::attempt(&path)? else {
                continue;
            };
            lock.fill(&bytes)?;
            return Ok(Pin { lock: Some(lock) });
        }
    }

    /// What living processes use; takes away what dead ones left.
    pub(super) fn pinned(&self) -> Result<Vec<Name>, StoreError> {
        let mut all = Vec::new();
        for path in self.entries("pins")? {
            match Lock::attempt(&path)? {
                Some(lock) => lock.remove(),
                None => all.extend(read(path)?.layers),
            }
        }
        Ok(all)
    }

    /// The paths in a folder of the store.
    pub(super) fn entries(&self, folder: &str) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.path(folder);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(StoreError::io(&folder))?,
        };
        entries
            .map(|entry| Ok(entry.map_err(StoreError::io(&folder))?.path()))
            .collect()
    }
}

fn read(path: PathBuf) -> Result<Pinned, StoreError> {
    let mut text = String::new();
    let read = fs::File::open(&path).and_then(|mut file| file.read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        other => drop(other.map_err(StoreError::io(path))?),
    }
    // Pins are written while the store is in use, and read when it is not: they are whole.
    Ok(serde_json::from_str(&text).unwrap_or(Pinned { layers: Vec::new() }))
}
