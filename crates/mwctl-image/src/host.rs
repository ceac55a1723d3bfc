//! The image `mwctl.local/host`: this machine's own programs, with nothing to download.
//!
//! It has no layers: whoever runs it shows the container this machine's `/usr` and chosen parts of
//! `/etc`, read-only, and nothing of homes. It is for development: it is never exported, and means
//! something else on every machine.

//!
//! Images can be built upon it: a label says so, and is believed only of images made here
//! (`mwctl.local/…`), so that nothing from elsewhere ever sees this machine's files.

use serde_json::json;

use crate::digest::Digest;
use crate::image::{Config, Image, Root};
use crate::oci::{self, CONFIG, MANIFEST};
use crate::reference::Reference;
use crate::store::Originals;

/// Its reference, whole.
pub const HOST: &str = "mwctl.local/host:latest";

/// Where images that are made on this machine have their names.
const HERE: &str = "mwctl.local/";

/// The label of images that are built upon it, and what it says.
const BELOW: (&str, &str) = ("mwctl.local/below", "host");

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The image, if this is its reference.
pub(crate) fn named(reference: &Reference) -> Option<Image> {
    (reference.as_str() == HOST).then(|| Image {
        reference: reference.clone(),
        // It has no content of its own; programs want a digest of every image.
        digest: Digest::of(&originals().manifest),
        config: Config {
            command: vec!["/bin/sh".to_owned()],
            environment: vec![("PATH".to_owned(), PATH.to_owned())],
            directory: "/".to_owned(),
            ..Config::default()
        },
        root: Root::Host(Vec::new()),
        _pin: None,
    })
}

/// Its documents, for whoever builds upon it.
pub(crate) fn originals() -> Originals {
    let (label, below) = BELOW;
    let config = json!({
        "architecture": oci::architecture(),
        "os": "linux",
        "config": {
            "Cmd": ["/bin/sh"],
            "Env": [format!("PATH={PATH}")],
            "Labels": { label: below },
        },
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": Digest::of(&config), "size": config.len() },
        "layers": [],
    });
    Originals {
        manifest: manifest.to_string().into_bytes(),
        config,
    }
}

/// Whether an image of the store lies over this machine's own programs.
pub(crate) fn is_below(reference: &Reference, config: &Config) -> bool {
    let (label, below) = BELOW;
    reference.as_str().starts_with(HERE)
        && config.labels.get(label).is_some_and(|said| said == below)
}
