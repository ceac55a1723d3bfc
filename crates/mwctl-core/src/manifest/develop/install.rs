//! The files of a developed or tested pod: the agent's, the application's, and the dependencies'.

use std::path::Path;

use k8s_openapi::api::core::v1::{
    CSIVolumeSource, ConfigMapVolumeSource, Container as KubeContainer, PodSpec, Volume,
    VolumeMount,
};

use super::command::{self, AGENT_DIRECTORY, APPLICATION, RUN_DIRECTORY, VOLUMES};
use super::{AgentBundle, main_container};
use crate::manifest::{pod, storage};
use crate::model::{Develop, Service, Stack};

/// The driver by which the embedded cluster's node mounts a folder of its own machine: unlike `hostPath` it is allowed to restricted pods,
/// and its node decides which folders those are.
const CHECKOUT_DRIVER: &str = "checkout.mwctl.local";

/// How the service's files come into the container.
#[derive(Clone, Copy, Debug)]
pub(super) enum Files<'a> {
    /// Into a volume: what the image has at first, then what the agent gets.
    Copied,
    /// They are the checkout itself, on the machine that runs the pod.
    Mounted {
        /// Its absolute path there.
        checkout: &'a Path,
    },
}

/// Brings the agent, the application's directory and the dependencies' volumes into a pod.
pub(super) fn install(
    stack: &Stack,
    service: &Service,
    develop: &Develop,
    agent: &AgentBundle<'_>,
    files: Files<'_>,
    pod: &mut PodSpec,
) {
    let directories = command::dependency_directories(service, develop);
    let mut volumes = pod.volumes.take().unwrap_or_default();
    volumes.push(Volume {
        name: "mwctl-agent".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: agent.config_map_name(),
            default_mode: Some(0o555),
            ..Default::default()
        }),
        ..Default::default()
    });
    volumes.push(storage::temporary("mwctl-run"));
    volumes.push(match files {
        Files::Copied => storage::temporary("mwctl-app"),
        Files::Mounted { checkout } => Volume {
            name: "mwctl-app".to_owned(),
            csi: Some(CSIVolumeSource {
                driver: CHECKOUT_DRIVER.to_owned(),
                read_only: Some(true),
                volume_attributes: Some(
                    [("path".to_owned(), checkout.to_string_lossy().into_owned())].into(),
                ),
                ..Default::default()
            }),
            ..Default::default()
        },
    });
    let mount = |volume: &str, path: &str| VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        ..Default::default()
    };
    // Both see the agent's state: what the first one copied, the second one knows.
    let mut copied = vec![
        mount("mwctl-agent", AGENT_DIRECTORY),
        mount("mwctl-run", RUN_DIRECTORY),
    ];
    let mut seen = copied.clone();
    let is_copied = matches!(files, Files::Copied);
    if is_copied {
        copied.push(mount("mwctl-app", APPLICATION));
    }
    seen.push(VolumeMount {
        // The container's users are others than the checkout's owner: what they wrote could hardly be removed.
        read_only: (!is_copied).then_some(true),
        ..mount("mwctl-app", &develop.directory)
    });
    for (index, directory) in directories.iter().enumerate() {
        let name = format!("mwctl-dependencies-{index}");
        volumes.push(storage::temporary(&name));
        copied.push(mount(&name, &format!("{VOLUMES}/{index}")));
        let application = develop.directory.trim_end_matches('/');
        seen.push(mount(&name, &format!("{application}/{directory}")));
    }
    pod.volumes = Some(volumes);

    let main = main_container(stack, service, pod);
    let copy = KubeContainer {
        name: "mwctl-copy".to_owned(),
        image: main.image.clone(),
        image_pull_policy: main.image_pull_policy.clone(),
        command: Some(command::copy(develop, is_copied, &directories)),
        security_context: main.security_context.clone(),
        resources: main.resources.clone(),
        volume_mounts: Some(copied),
        ..Default::default()
    };
    // A mounted checkout without directories of dependencies leaves nothing to copy.
    pod.init_containers = (is_copied || !directories.is_empty()).then(|| vec![copy]);
    let main = main_container(stack, service, pod);
    // The application's directory comes first: what is mounted inside it lies on top of it.
    seen.extend(main.volume_mounts.take().unwrap_or_default());
    main.volume_mounts = Some(seen);
    main.liveness_probe = None;
    main.startup_probe = None;
    if main.working_dir.is_none() {
        main.working_dir = Some(develop.directory.clone());
    }
}

/// A place inside the application's directory at which something else is mounted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inside {
    /// The path, relative to the application's directory.
    pub path: String,
    /// Whether it is a directory. A file otherwise.
    pub is_directory: bool,
}

/// What is mounted inside the application's directory of a developed service: a checkout that is mounted there has to have these
/// places, because nothing can be made in it.
pub fn inside(stack: &Stack, service: &Service, develop: &Develop) -> Vec<Inside> {
    let application = develop.directory.trim_end_matches('/');
    let dependencies = command::dependency_directories(service, develop);
    let dependencies = dependencies.into_iter().map(|path| Inside {
        path,
        is_directory: true,
    });
    let container = pod::container(stack, service, &service.main, "");
    let others = container.volume_mounts.into_iter().flatten();
    let others = others.filter_map(|mount| {
        let path = mount.mount_path.strip_prefix(application)?;
        let path = path.strip_prefix('/')?.trim_end_matches('/').to_owned();
        let is_directory = mount.sub_path.is_none();
        Some(Inside { path, is_directory })
    });
    dependencies.chain(others).collect()
}
