//! The addresses and ports at which pods serve, whatever form they are written in.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::is_served_by;
use crate::observed::Observed;
use crate::pods;

/// A port of a Service, as a certain pod has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) name: Option<String>,
    pub(super) number: i32,
    pub(super) protocol: String,
    pub(super) app_protocol: Option<String>,
}

/// The pods of a Service that have an address and haven't ended, by name.
pub(super) fn pods<'a>(
    observed: &'a Observed,
    service: &'a Service,
) -> impl Iterator<Item = &'a Arc<Pod>> {
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    (observed.pods.in_namespace(namespace))
        .filter(|pod| is_served_by(service, pod) && !pods::is_finished(pod))
        .filter(|pod| !addresses(pod).is_empty())
}

/// All addresses of a pod.
pub(super) fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    let all: Vec<IpAddr> = (status.pod_ips.iter().flatten())
        .filter_map(|address| address.ip.parse().ok())
        .collect();
    if !all.is_empty() {
        return all;
    }
    (status
        .pod_ip
        .as_ref()
        .and_then(|address| address.parse().ok()))
    .into_iter()
    .collect()
}

/// The address families of a Service, as EndpointSlices call them.
pub(super) fn families(service: &Service) -> Vec<&'static str> {
    let families = service
        .spec
        .as_ref()
        .and_then(|spec| spec.ip_families.as_ref());
    match families {
        Some(families) if !families.is_empty() => (families.iter())
            .map(|family| if family == "IPv6" { "IPv6" } else { "IPv4" })
            .collect(),
        _ => vec!["IPv4"],
    }
}

/// The ports at which a pod serves. A name that the pod doesn't know is left out.
pub(super) fn ports(service: &Service, pod: &Pod) -> Vec<Port> {
    let declared = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    let mut ports: Vec<Port> = declared
        .filter_map(|port| {
            Some(Port {
                name: port.name.clone(),
                number: number(port, pod)?,
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect();
    ports.sort();
    ports
}

fn number(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let spec = pod.spec.as_ref()?;
            let sidecars = (spec.init_containers.iter().flatten())
                .filter(|container| container.restart_policy.as_deref() == Some("Always"));
            (spec.containers.iter().chain(sidecars))
                .flat_map(|container| container.ports.iter().flatten())
                .find(|it| {
                    it.name.as_ref() == Some(name)
                        && it.protocol.as_deref().unwrap_or("TCP") == protocol
                })
                .map(|it| it.container_port)
        }
    }
}

/// The name that a pod has within its Service's domain.
pub(super) fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let is_ours = spec.subdomain.as_deref() == Some(service.name_any().as_str());
    spec.hostname
        .clone()
        .filter(|name| is_ours && !name.is_empty())
}

/// The reference that an address has to its pod.
pub(super) fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}
