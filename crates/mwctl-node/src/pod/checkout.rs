//! Volumes that are a checkout of this machine, for reading only: a storage driver of the node's own.
//!
//! It is none of `hostPath`'s, because a namespace that admits only restricted pods refuses that. What may be mounted is not the pod's to
//! say: whoever runs the node allows each checkout by a link.

use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::CSIVolumeSource;

use super::volumes::{self, Expected, Planned};
use crate::context::Options;

/// The name of the driver.
const DRIVER: &str = "checkout.mwctl.local";
/// The attribute of its volumes that is the checkout's absolute path.
const PATH: &str = "path";

/// The checkouts that pods may mount by now.
pub(crate) fn allowed(options: &Options) -> Vec<PathBuf> {
    let links = options.checkouts.as_ref().and_then(|it| it.read_dir().ok());
    let links = links.into_iter().flatten().flatten();
    links
        .filter_map(|link| fs::read_link(link.path()).ok())
        .filter(|folder| folder.is_absolute())
        .collect()
}

/// The checkout that a volume wants.
pub(crate) fn of(source: &CSIVolumeSource, allowed: &[PathBuf]) -> Result<Planned, String> {
    if source.driver != DRIVER {
        let driver = &source.driver;
        return Err(format!(
            "this node has no driver {driver:?}; it has {DRIVER}"
        ));
    }
    let attributes = source.volume_attributes.as_ref();
    let path = attributes.and_then(|all| all.get(PATH));
    let path = path.ok_or_else(|| format!("a volume of {DRIVER} needs the attribute {PATH:?}"))?;
    let path = volumes::allowed(path, allowed)?;
    Ok(Planned::Host {
        path,
        expected: Expected::Checkout,
    })
}
