//! An image as its OCI layout shows it: what it does by itself, and its files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What a layer says of a path.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As `ls -l` shows it.
    pub(crate) mode: String,
    pub(crate) owner: u64,
    pub(crate) group: u64,
    /// Where a symbolic link leads.
    link: Option<String>,
}

type Layer = BTreeMap<String, Entry>;

/// Layers that were read, by digest: many images share one.
#[derive(Debug, Default)]
pub(crate) struct Layers(Mutex<BTreeMap<String, Arc<Layer>>>);

/// An image.
#[derive(Debug)]
pub(crate) struct Image {
    /// The `config` of its configuration.
    pub(crate) config: Value,
    /// The topmost first.
    layers: Vec<(PathBuf, Arc<Layer>)>,
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    layout.join("blobs").join(digest.replace(':', "/"))
}

impl Image {
    pub(crate) fn read(layout: &Path, known: &Layers) -> Self {
        let index = json(&layout.join("index.json"));
        let manifest = json(&blob(layout, &index["manifests"][0]));
        let config = json(&blob(layout, &manifest["config"]))["config"].clone();
        let layers = manifest["layers"].as_array().unwrap().iter().rev();
        let layers = layers.map(|layer| {
            let path = blob(layout, layer);
            let read = known.layer(layer["digest"].as_str().unwrap(), &path);
            (path, read)
        });
        Self {
            config,
            layers: layers.collect(),
        }
    }

    /// What a path means, its last link not followed, and the archive that has it.
    fn at(&self, path: &str) -> Option<(&Path, Entry)> {
        for (archive, layer) in &self.layers {
            if let Some(entry) = layer.get(path) {
                return Some((archive, entry.clone()));
            }
            let mut above = path;
            loop {
                let (folder, name) = above.rsplit_once('/').unwrap_or(("", above));
                let beside = |name: &str| {
                    format!("{folder}/{name}")
                        .trim_start_matches('/')
                        .to_owned()
                };
                // What lies below is gone: deleted, in a folder that hides the one below, or under what is no folder any more.
                if layer.contains_key(&beside(&format!(".wh.{name}")))
                    || layer.contains_key(&beside(".wh..wh..opq"))
                    || above != path
                        && layer
                            .get(above)
                            .is_some_and(|entry| !entry.mode.starts_with('d'))
                {
                    return None;
                }
                if folder.is_empty() {
                    break;
                }
                above = folder;
            }
        }
        None
    }

    /// The path after all links of its folders, and its own where `last`.
    fn resolved(&self, path: &str, last: bool) -> String {
        let mut open: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(name) = open.pop() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(name),
            }
            let is_last = open.iter().all(String::is_empty);
            let link = self.at(&done.join("/")).and_then(|(_, entry)| entry.link);
            if let Some(link) = link.filter(|_| (last || !is_last) && links < 40) {
                links += 1;
                done.pop();
                if link.starts_with('/') {
                    done.clear();
                }
                open.extend(link.split('/').rev().map(str::to_owned));
            }
        }
        done.join("/")
    }

    /// What is there.
    pub(crate) fn entry(&self, path: &str) -> Option<Entry> {
        self.at(&self.resolved(path, false)).map(|(_, entry)| entry)
    }

    /// A file's content.
    pub(crate) fn content(&self, path: &str) -> Option<String> {
        let path = self.resolved(path, true);
        let (archive, _) = self.at(&path)?;
        let mut archive = open(archive);
        let mut found = None;
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            if plain(&entry.path().unwrap()) == path {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                found = Some(text);
            }
        }
        found
    }
}

impl Layers {
    fn layer(&self, digest: &str, path: &Path) -> Arc<Layer> {
        let known = self.0.lock().unwrap().get(digest).cloned();
        known.unwrap_or_else(|| {
            let read = Arc::new(read(path));
            self.0
                .lock()
                .unwrap()
                .insert(digest.to_owned(), read.clone());
            read
        })
    }
}

fn open(path: &Path) -> tar::Archive<Box<dyn Read>> {
    let mut file = File::open(path).unwrap();
    let mut start = [0; 2];
    let packed = file.read_exact(&mut start).is_ok() && start == [0x1f, 0x8b];
    file.rewind().unwrap();
    let file = BufReader::new(file);
    let file: Box<dyn Read> = if packed {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    tar::Archive::new(file)
}

fn plain(path: &Path) -> String {
    let text = path.to_str().unwrap();
    text.trim_start_matches("./").trim_matches('/').to_owned()
}

fn read(path: &Path) -> Layer {
    let mut archive = open(path);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        let link = header
            .entry_type()
            .is_symlink()
            .then(|| entry.link_name().unwrap().unwrap());
        let shown = Entry {
            mode: shown(header.entry_type(), header.mode().unwrap()),
            owner: header.uid().unwrap(),
            group: header.gid().unwrap(),
            link: link.map(|link| link.to_str().unwrap().to_owned()),
        };
        (plain(&entry.path().unwrap()), shown)
    });
    entries.collect()
}

/// A mode as `ls -l` shows it.
fn shown(kind: tar::EntryType, mode: u32) -> String {
    let first = if kind.is_dir() {
        'd'
    } else if kind.is_symlink() {
        'l'
    } else {
        '-'
    };
    let bits = "rwxrwxrwx".chars().enumerate().map(|(place, letter)| {
        let is_set = mode & (0o400 >> place) != 0;
        if is_set { letter } else { '-' }
    });
    std::iter::once(first).chain(bits).collect()
}
