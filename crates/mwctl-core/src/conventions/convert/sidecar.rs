//! Converts and checks one helper container, and what it brings into the pod beside itself.

use std::collections::BTreeMap;

use super::super::check::Check;
use super::super::node::escape;
use super::super::wire;
use super::{FILES, container, workload};
use crate::model::{ConfigFile, Container, Mount, Reach, Volume};

/// A helper, and what it brings.
pub(super) struct Helper {
    pub(super) container: Container,
    pub(super) files: Vec<ConfigFile>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) brought: Brought,
}

/// What a helper brings into the service's own container.
pub(super) struct Brought {
    environment: Vec<(String, String)>,
    mounts: Vec<Mount>,
}

impl Brought {
    /// Adds it to the container, whose own variables and mounts win.
    pub(super) fn add_to(self, main: &mut Container) {
        for (name, value) in self.environment {
            if !main.environment.iter().any(|(other, _)| *other == name) {
                main.environment.push((name, value));
            }
        }
        for mount in self.mounts {
            if !main.mounts.iter().any(|other| other.path == mount.path) {
                main.mounts.push(mount);
            }
        }
    }
}

/// The helper `key` of the service `name`; `volumes` are the pod's.
pub(super) fn helper(
    name: &str,
    key: &str,
    mut wire: wire::HelperContainer,
    volumes: &[Volume],
    check: &mut Check<'_>,
) -> Helper {
    let at = format!("/helpers/{}", escape(key));
    check.label(&at, key);
    if key == name {
        check.fail(
            &at,
            format!("the helper `{key}` has the service's own name"),
        );
    }
    if wire.image.is_none() && wire.known.is_none() {
        let hint = "name one, or the known helper that it is: `use: statsd-exporter`".to_owned();
        check.hinted(
            &at,
            format!("the helper `{key}` needs an `image`"),
            Some(hint),
        );
    }
    let map = wire.config_map.take().unwrap_or_else(|| FILES.to_owned());
    check.label(&format!("{at}/configMap"), &map);
    let mut files = Vec::new();
    for (path, text) in std::mem::take(&mut wire.files) {
        check.absolute(&format!("{at}/files/{}", escape(&path)), &path);
        files.push(ConfigFile {
            path,
            text,
            container: key.to_owned(),
            map: map.clone(),
        });
    }
    let annotations = workload::annotations(&format!("{at}/annotations"), &wire.annotations, check);
    let service = std::mem::take(&mut wire.service);
    let brought = Brought {
        environment: container::environment(
            &format!("{at}/service/environment"),
            &service.environment,
            check,
        ),
        mounts: container::mounts(
            &format!("{at}/service/mounts"),
            service.mounts,
            volumes,
            check,
        ),
    };
    let plain_name = wire.plain_name.unwrap_or(false);
    // What nothing is said about is for the cluster, not for other services.
    let unsaid: Vec<bool> = wire.ports.iter().map(is_unsaid).collect();
    let mut container = container::container(key, &at, wire.into(), volumes, check);
    container.plain_name = plain_name;
    for (port, unsaid) in container.ports.iter_mut().zip(unsaid) {
        if unsaid {
            port.reach = Reach::Cluster;
        }
    }
    Helper {
        container,
        files,
        annotations,
        brought,
    }
}

fn is_unsaid(port: &wire::Port) -> bool {
    port.reach.is_none() && port.address.is_none()
}
