//! What was planned becomes an image in the cache: its layers, its configuration, its manifest, and a record of them. What goes in is decided
//! elsewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::SOURCE_FILES;
use super::base::Base;
use super::builder::{BuildError, Planned};
use super::built::Built;
use super::cache::Cache;
use super::dependencies;
use super::document::{self, BlobDescriptor, CONFIG, MANIFEST, chain};
use super::files::Content;
use super::key;
use super::layer::{self, Entry, What};
use super::prune::prune;

/// An image that was made before and is still whole.
pub(super) fn made(cache: &Cache, service: &str, tag: &str) -> Option<Built> {
    let built = cache.note::<Built>(&records(service), tag)?;
    let blobs = built.own_layers().iter();
    let whole = blobs
        .chain([&built.manifest, &built.config])
        .all(|blob| cache.blob(&blob.digest).exists());
    whole.then_some(built)
}

fn records(service: &str) -> String {
    format!("records/{service}")
}

/// The folder of an absolute path in an archive.
fn inside(directory: &str) -> PathBuf {
    PathBuf::from(directory.trim_matches('/'))
}

/// Makes the image; a layer that is there isn't packed again.
pub(super) fn assemble(
    cache: &Cache,
    planned: &Planned,
    installed: Option<&Path>,
) -> Result<Built, BuildError> {
    let service = planned.service.clone();
    let pack = |source| BuildError::Pack {
        service: service.clone(),
        source,
    };
    let failed = |source| BuildError::Cache {
        service: service.clone(),
        source,
    };
    let mut layers = Vec::new();
    if let (Some(tree), Some((key, _))) = (installed, &planned.dependencies) {
        layers.extend(dependency_layer(cache, planned, tree, key)?);
    }
    layers.push(layer::pack(cache, source_entries(planned)).map_err(pack)?);

    let config = document::configuration(&planned.base, &planned.build, &planned.key, &layers);
    let (digest, size) = cache.put(&config).map_err(failed)?;
    let config_blob = BlobDescriptor {
        media_type: CONFIG.to_owned(),
        digest,
        size,
    };
    let manifest = document::manifest(&planned.base, &config_blob, &layers);
    let (digest, size) = cache.put(&manifest).map_err(failed)?;
    let image =
        Base::new(&planned.reference, &manifest, &config).map_err(|source| BuildError::Base {
            service: service.clone(),
            source,
        })?;
    let built = Built {
        image,
        base: planned.base.clone(),
        manifest: BlobDescriptor {
            media_type: MANIFEST.to_owned(),
            digest,
            size,
        },
        config: config_blob,
        dependencies: planned.dependencies.as_ref().map(|(key, _)| key.clone()),
        foundation: planned.foundation.clone(),
    };
    cache
        .set_note(&records(&service), key::tag(&planned.key), &built)
        .map_err(failed)?;
    cache.sweep();
    prune(cache, &service);
    Ok(built)
}

/// The layer of dependencies, packed once; `None` where the step made nothing.
fn dependency_layer(
    cache: &Cache,
    planned: &Planned,
    tree: &Path,
    key: &str,
) -> Result<Option<BlobDescriptor>, BuildError> {
    let service = &planned.service;
    let build = &planned.build;
    let place = format!("{key}\n{}\n{}", build.directory, build.owner);
    let note = blake3::hash(place.as_bytes()).to_hex()[..32].to_owned();
    let kept = cache.note::<BlobDescriptor>("layers", &note);
    if let Some(layer) = kept.filter(|layer| cache.blob(&layer.digest).exists()) {
        return Ok(Some(layer));
    }
    let entries =
        dependencies::entries(tree, &inside(&build.directory), build.owner).map_err(|source| {
            BuildError::Source {
                service: service.clone(),
                source,
            }
        })?;
    // The application's directory alone is no layer.
    if entries.len() <= 1 {
        return Ok(None);
    }
    let layer = layer::pack(cache, entries).map_err(|source| BuildError::Pack {
        service: service.clone(),
        source,
    })?;
    cache
        .set_note("layers", &note, &layer)
        .map_err(|source| BuildError::Cache {
            service: service.clone(),
            source,
        })?;
    Ok(Some(layer))
}

fn source_entries(planned: &Planned) -> Vec<Entry> {
    let owner = planned.build.owner;
    let directory = inside(&planned.build.directory);
    let mut folders = BTreeSet::from([PathBuf::new()]);
    let mut list = Vec::new();
    let mut entries = Vec::new();
    for file in &planned.files {
        let parents = file.path.ancestors().skip(1);
        folders.extend(parents.map(Path::to_path_buf));
        list.extend_from_slice(file.path.as_os_str().as_encoded_bytes());
        list.push(b'\n');
        entries.push(Entry {
            path: directory.join(&file.path),
            owner,
            what: match &file.content {
                Content::File { hash, executable } => What::File {
                    from: planned.source.join(&file.path),
                    executable: *executable,
                    hash: Some(*hash),
                },
                Content::Link { target } => What::Link {
                    target: target.clone(),
                },
            },
        });
    }
    entries.extend(folders.into_iter().map(|folder| Entry {
        path: directory.join(folder),
        owner,
        what: What::Folder,
    }));
    let list_path = inside(SOURCE_FILES);
    entries.extend(list_path.parent().map(|folder| Entry {
        path: folder.to_path_buf(),
        owner: 0,
        what: What::Folder,
    }));
    entries.push(Entry {
        path: list_path,
        owner: 0,
        what: What::Bytes(list),
    });
    entries
}

/// The chains of an image, lowest first, as a node names them.
pub(super) fn chains(image: &Base) -> Vec<String> {
    chain(&image.diff_ids)
}
