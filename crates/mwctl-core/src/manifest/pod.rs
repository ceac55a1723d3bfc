//! Containers: their image, command, ports, probes, resources and the restricted security context.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container as KubeContainer, ContainerPort, EnvVar, ExecAction, HTTPGetAction,
    PodSecurityContext, Probe as KubeProbe, ResourceRequirements, SeccompProfile, SecurityContext,
    TCPSocketAction, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::LOCAL_IMAGES;
use super::label::container_name;
use super::network::protocol;
use super::{config, storage};
use crate::model::{Check, Container, Image, Probe, Service, Stack};

/// A container in its planned form. `image` is the service's own, for a container that names none.
pub(super) fn container(
    stack: &Stack,
    service: &Service,
    container: &Container,
    image: &str,
) -> KubeContainer {
    let image = container.image.as_deref().unwrap_or(image);
    let mut mounts: Vec<VolumeMount> = container.mounts.iter().map(storage::mount).collect();
    mounts.extend(config::mounts(service, container));
    KubeContainer {
        name: container_name(stack, service, container),
        image: Some(image.to_owned()),
        image_pull_policy: Some(pull_policy(image).to_owned()),
        command: some(container.command.clone()),
        working_dir: container.working_directory.clone(),
        ports: some(container.ports.iter().map(port).collect()),
        env: some::<EnvVar>(config::environment(
            stack,
            service,
            container,
            &BTreeMap::new(),
        )),
        readiness_probe: container.readiness.as_ref().map(probe),
        liveness_probe: container.liveness.as_ref().map(probe),
        startup_probe: container.startup.as_ref().map(probe),
        resources: resources(container),
        security_context: Some(security(user(service, container), container.read_only)),
        volume_mounts: some(mounts),
        ..Default::default()
    }
}

/// Images made here are in no registry: whoever asked one would wait for nothing.
pub(super) fn pull_policy(image: &str) -> &'static str {
    if image.starts_with(LOCAL_IMAGES) {
        "Never"
    } else {
        "IfNotPresent"
    }
}

/// The user that a container runs as, where it is known.
pub(super) fn user(service: &Service, container: &Container) -> Option<u32> {
    match (&container.image, &service.image) {
        (None, Image::Build(build)) => Some(container.user.unwrap_or(build.user)),
        _ => container.user,
    }
}

/// What Pod Security calls `restricted`, on every container.
pub(super) fn security(user: Option<u32>, read_only: bool) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        read_only_root_filesystem: read_only.then_some(true),
        run_as_non_root: Some(true),
        run_as_user: user.map(i64::from),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..Default::default()
    }
}

/// What the pod as a whole needs: a persistent volume has to belong to whoever writes it.
pub(super) fn pod_security(service: &Service) -> Option<PodSecurityContext> {
    if !storage::is_persistent(service) {
        return None;
    }
    let group = user(service, &service.main)?;
    Some(PodSecurityContext {
        fs_group: Some(i64::from(group)),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        ..Default::default()
    })
}

fn port(port: &crate::model::Port) -> ContainerPort {
    ContainerPort {
        name: Some(port.name.clone()),
        container_port: i32::from(port.number),
        protocol: Some(protocol(port.protocol).to_owned()),
        ..Default::default()
    }
}

fn probe(probe: &Probe) -> KubeProbe {
    let port = |port: u16| IntOrString::Int(i32::from(port));
    let mut result = KubeProbe {
        period_seconds: Some(probe.period_seconds as i32),
        timeout_seconds: Some(probe.timeout_seconds as i32),
        // Kubernetes doesn't store a zero.
        initial_delay_seconds: (probe.initial_delay_seconds > 0)
            .then_some(probe.initial_delay_seconds as i32),
        failure_threshold: Some(probe.failure_threshold as i32),
        ..Default::default()
    };
    match &probe.check {
        Check::Http { path, port: number } => {
            result.http_get = Some(HTTPGetAction {
                path: Some(path.clone()),
                port: port(*number),
                ..Default::default()
            });
        }
        Check::Tcp { port: number } => {
            result.tcp_socket = Some(TCPSocketAction {
                port: port(*number),
                host: None,
            });
        }
        Check::Exec { command } => {
            result.exec = Some(ExecAction {
                command: Some(command.clone()),
            });
        }
    }
    result
}

fn resources(container: &Container) -> Option<ResourceRequirements> {
    let quantities = |map: &BTreeMap<String, String>| -> Option<BTreeMap<String, Quantity>> {
        let pairs = map
            .iter()
            .map(|(key, text)| (key.clone(), Quantity(text.clone())));
        (!map.is_empty()).then(|| pairs.collect())
    };
    let (requests, limits) = (
        quantities(&container.resources.requests),
        quantities(&container.resources.limits),
    );
    (requests.is_some() || limits.is_some()).then_some(ResourceRequirements {
        claims: None,
        limits,
        requests,
    })
}

/// An empty list is not written.
pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
