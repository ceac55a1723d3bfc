//! An image as one file that containerd and docker can import, whole or as a difference.
//!
//! A difference names all layers and holds only those that the other side lacks. It works because
//! what a node needs of the others is what it unpacked, not the archives they came in.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use serde_json::json;

use super::assemble::chains;
use super::base::Base;
use super::built::Built;
use super::cache::Cache;
use super::document::{BlobDescriptor, sorted};

/// An archive that was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Archive {
    /// How many layers it holds.
    pub layers: usize,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The layers that a side with these chains lacks: all above the highest it knows.
pub fn lacking<'a>(image: &'a Base, known: &BTreeSet<String>) -> &'a [BlobDescriptor] {
    let have = chains(image).iter().rposition(|id| known.contains(id));
    &image.layers[have.map_or(0, |index| index + 1)..]
}

/// Writes the archive from the cache's blobs.
pub(super) fn write(
    cache: &Cache,
    built: &Built,
    known: &BTreeSet<String>,
    into: &Path,
) -> io::Result<Archive> {
    let image = &built.image;
    let layers = lacking(image, known);
    let name = built.reference();
    let tag = name.rsplit(':').next().unwrap_or("latest");
    let index = sorted(json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": built.manifest.media_type,
            "digest": built.manifest.digest,
            "size": built.manifest.size,
            "platform": {"os": "linux", "architecture": image.architecture},
            "annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": tag,
            },
        }],
    }));
    // docker reads only this one.
    let docker = sorted(json!([{
        "Config": place(&built.config.digest),
        "RepoTags": [name],
        "Layers": image.layers.iter().map(|layer| place(&layer.digest)).collect::<Vec<_>>(),
    }]));
    let file = std::fs::File::create(into)?;
    let mut archive = tar::Builder::new(io::BufWriter::with_capacity(1 << 18, file));
    let documents: [(&str, &[u8]); 3] = [
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        ("index.json", &index),
        ("manifest.json", &docker),
    ];
    for (name, bytes) in documents {
        append(&mut archive, name, bytes.len() as u64, bytes)?;
    }
    let mut seen = BTreeSet::new();
    for blob in [&built.manifest, &built.config].into_iter().chain(layers) {
        if seen.insert(&blob.digest) {
            let file = std::fs::File::open(cache.blob(&blob.digest))?;
            append(
                &mut archive,
                &place(&blob.digest),
                blob.size,
                file.take(blob.size),
            )?;
        }
    }
    let mut file = archive.into_inner()?;
    file.flush()?;
    let bytes = file.get_ref().metadata()?.len();
    Ok(Archive {
        layers: layers.len(),
        bytes,
    })
}

fn place(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn append(
    archive: &mut tar::Builder<impl io::Write>,
    name: &str,
    size: u64,
    content: impl io::Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(0);
    archive.append_data(&mut header, name, content)
}
