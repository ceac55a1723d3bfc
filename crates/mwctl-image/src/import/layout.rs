//! OCI layouts: an index, and contents under their digests.

use std::collections::BTreeMap;

use super::members::Members;
use super::{Found, ImportError, ImportOptions};
use crate::digest::Digest;
use crate::oci::{Descriptor, Index, Manifest};
use crate::reference::Reference;
use crate::store::{Expected, Store};

/// Where containerd, docker and podman write the whole name.
const WHOLE_NAME: &str = "io.containerd.image.name";
/// Here it may be a whole name, or a tag alone.
const NAME: &str = "org.opencontainers.image.ref.name";

pub(super) fn read(
    store: &Store,
    members: &Members,
    options: &ImportOptions,
) -> Result<Vec<Found>, ImportError> {
    let index: Index = members.document("index.json")?;
    let mut found: Vec<Found> = Vec::new();
    let mut other_platforms = false;
    for entry in &index.manifests {
        let Some(manifest) = find(members, &entry.digest, options)? else {
            other_platforms = true;
            continue;
        };
        if let Some(platform) = &entry.platform
            && (platform.os != "linux" || platform.architecture != options.architecture)
        {
            other_platforms = true;
            continue;
        }
        let name = name(members, &entry.annotations)?;
        // One image may be there several times, under several names.
        if let Some(known) = found.iter_mut().find(|known| known.manifest == manifest) {
            known.names.extend(name);
            continue;
        }
        take(store, members, &manifest)?;
        found.push(Found {
            manifest,
            names: name.into_iter().collect(),
        });
    }
    if found.is_empty() {
        let path = members.path().to_path_buf();
        return Err(if other_platforms {
            ImportError::Architecture {
                path,
                architecture: options.architecture.clone(),
            }
        } else {
            ImportError::Unknown { path }
        });
    }
    Ok(found)
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The image that an entry means, which may be an index again.
fn find(
    members: &Members,
    digest: &Digest,
    options: &ImportOptions,
) -> Result<Option<Digest>, ImportError> {
    let mut digest = digest.clone();
    // More than a few levels are an attack or a mistake.
    for _ in 0..4 {
        let bytes = members.bytes(&blob(&digest))?;
        match serde_json::from_slice::<Index>(&bytes) {
            Ok(index) => match index.image_for(&options.architecture) {
                Some(entry) => digest = entry.digest.clone(),
                None => return Ok(None),
            },
            Err(_) => return Ok(Some(digest)),
        }
    }
    Ok(None)
}

fn name(
    members: &Members,
    annotations: &BTreeMap<String, String>,
) -> Result<Option<Reference>, ImportError> {
    let whole = annotations.get(WHOLE_NAME);
    // A tag alone names no image.
    let other = annotations
        .get(NAME)
        .filter(|name| name.contains(['/', ':']));
    whole
        .or(other)
        .map(|name| Reference::parse(name))
        .transpose()
        .map_err(|source| ImportError::Name {
            path: members.path().to_path_buf(),
            source,
        })
}

/// Takes an image's contents into the store.
fn take(store: &Store, members: &Members, digest: &Digest) -> Result<(), ImportError> {
    let name = blob(digest);
    let expected = Expected {
        digest: digest.clone(),
        size: None,
    };
    store.put(&*members.bytes(&name)?, &expected)?;
    let manifest: Manifest = members.document(&name)?;
    take_blob(store, members, &manifest.config)?;
    let documents = store.documents(digest)?;
    let diff_ids = &documents.configuration.rootfs.diff_ids;
    let layers: Vec<_> = manifest.layers.iter().zip(diff_ids).collect();
    crate::parallel::each(&layers, |(layer, diff_id)| {
        // What was built here never was an archive: its content is enough for whoever builds upon it.
        if !members.has(&blob(&layer.digest)) && store.has_layer(diff_id)? {
            return Ok(());
        }
        take_blob(store, members, layer)
    })?;
    Ok(())
}

fn take_blob(store: &Store, members: &Members, content: &Descriptor) -> Result<(), ImportError> {
    if store.has_blob(&content.digest) {
        return Ok(());
    }
    let expected = Expected {
        digest: content.digest.clone(),
        size: Some(content.size),
    };
    let member = members.member(&blob(&content.digest))?;
    store.put(member, &expected).map_err(ImportError::from)
}
