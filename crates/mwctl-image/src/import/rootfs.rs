//! An archive of a root filesystem, as `mmdebstrap` and `docker export` write them: an image of
//! one layer that does nothing by itself.

use std::fs::File;
use std::path::Path;

use serde_json::json;

use super::members::Members;
use super::{Found, ImportError, ImportOptions};
use crate::oci::{CONFIG, LAYER, MANIFEST, sorted};
use crate::store::Store;

/// What some root has, and no other kind of archive.
const SIGNS: [&str; 4] = ["etc/passwd", "bin/sh", "usr/bin/env", "etc/os-release"];

pub(super) fn read(
    store: &Store,
    members: &Members,
    options: &ImportOptions,
) -> Result<Found, ImportError> {
    let path = members.path().to_path_buf();
    let Some(archive) = members.archive() else {
        return Err(ImportError::Unknown { path });
    };
    if !SIGNS.iter().any(|sign| members.has(sign)) {
        return Err(ImportError::Unknown { path });
    }
    if options.name.is_none() {
        return Err(ImportError::NoName { path });
    }
    let (digest, size, _) = store.put_unknown(open(archive)?)?;
    let config = sorted(json!({
        "architecture": options.architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "mwctl image import"}],
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }));
    let manifest = sorted(json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": store.put_bytes(&config)?, "size": config.len()},
        "layers": [{"mediaType": LAYER, "digest": digest, "size": size}],
    }));
    Ok(Found {
        manifest: store.put_bytes(&manifest)?,
        names: Vec::new(),
    })
}

fn open(path: &Path) -> Result<File, ImportError> {
    File::open(path).map_err(|source| ImportError::Read {
        path: path.to_path_buf(),
        source,
    })
}
