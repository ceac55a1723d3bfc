//! What `docker save` wrote before it wrote OCI layouts: a list of images, each with a
//! configuration and its layers as plain archives. There is no manifest, so one is made.

use serde::Deserialize;
use serde_json::json;

use super::members::Members;
use super::{Found, ImportError};
use crate::oci::{CONFIG, LAYER, MANIFEST, Packing, sorted};
use crate::reference::Reference;
use crate::store::Store;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

pub(super) fn read(store: &Store, members: &Members) -> Result<Vec<Found>, ImportError> {
    let list: Vec<Saved> = members.document("manifest.json")?;
    if list.is_empty() {
        return Err(ImportError::Unknown {
            path: members.path().to_path_buf(),
        });
    }
    list.iter()
        .map(|saved| take(store, members, saved))
        .collect()
}

fn take(store: &Store, members: &Members, saved: &Saved) -> Result<Found, ImportError> {
    let config = members.bytes(&saved.config)?;
    let size = config.len();
    let config = store.put_bytes(&config)?;
    let layers = crate::parallel::each(&saved.layers, |layer| {
        let (digest, size, start) = store.put_unknown(members.member(layer)?)?;
        let suffix = match Packing::guess(&start) {
            Packing::Plain => "",
            Packing::Gzip => "+gzip",
            Packing::Zstd => "+zstd",
        };
        Ok::<_, ImportError>(json!({
            "mediaType": format!("{LAYER}{suffix}"),
            "digest": digest,
            "size": size,
        }))
    })?;
    let manifest = sorted(json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config, "size": size},
        "layers": layers,
    }));
    let names = saved.repo_tags.iter().flatten();
    let names = names
        .map(|name| Reference::parse(name))
        .collect::<Result<_, _>>()
        .map_err(|source| ImportError::Name {
            path: members.path().to_path_buf(),
            source,
        })?;
    Ok(Found {
        manifest: store.put_bytes(&manifest)?,
        names,
    })
}
