//! What the cluster says that concerns the network, as one value. Who watches it is [`watch`](super::watch).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// The objects that rules, names and listeners are made of.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Each namespace's labels.
    pub namespaces: BTreeMap<String, Labels>,
    /// Every pod that has an address on the pod network, here or elsewhere.
    pub pods: Vec<Arc<Workload>>,
    /// All services.
    pub services: Vec<Arc<Service>>,
    /// All endpoint slices.
    pub slices: Vec<Arc<EndpointSlice>>,
    /// All network policies.
    pub policies: Vec<Arc<NetworkPolicy>>,
}

/// A protocol that services and policies can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Which is meant where none is named.
    Tcp,
    /// Datagrams.
    Udp,
    /// Carried between pods; it doesn't leave the machine.
    Sctp,
}

impl Protocol {
    /// Reads Kubernetes' name of it; nothing means TCP, and what isn't known is none.
    pub fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// Its number in an IP header (IANA protocol numbers).
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

/// A pod as policies and names see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its containers' named ports. A name may stand for a port of each protocol.
    pub ports: Vec<(String, Protocol, u16)>,
    /// Ports of the node that lead to ports of it.
    pub host_ports: Vec<(Protocol, u16, u16)>,
}

impl Workload {
    /// The pod at this address.
    pub fn new(pod: &Pod, address: Ipv4Addr) -> Self {
        let spec = pod.spec.as_ref();
        let sidecars = spec.and_then(|spec| spec.init_containers.as_ref());
        let containers = spec
            .map(|spec| &spec.containers)
            .into_iter()
            .chain(sidecars);
        let (mut ports, mut host_ports) = (Vec::new(), Vec::new());
        for port in containers
            .flatten()
            .flat_map(|container| container.ports.iter().flatten())
        {
            let protocol = Protocol::parse(port.protocol.as_deref());
            let number = u16::try_from(port.container_port);
            let (Some(protocol), Ok(number)) = (protocol, number) else {
                continue;
            };
            ports.extend(port.name.clone().map(|name| (name, protocol, number)));
            let on_node = port.host_port.and_then(|port| u16::try_from(port).ok());
            host_ports.extend(on_node.map(|on_node| (protocol, on_node, number)));
        }
        Self {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            address,
            ports,
            host_ports,
        }
    }

    /// The pod at the address its status tells, if it has one of its own and has not ended.
    pub fn from_status(pod: &Pod) -> Option<Self> {
        if !on_pod_network(pod) {
            return None;
        }
        let address = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
        Some(Self::new(pod, address))
    }
}

/// Whether a pod has, or will have, an address of the pod network: the node's own network isn't it, and an ended pod has none.
pub fn on_pod_network(pod: &Pod) -> bool {
    let host = pod.spec.as_ref().and_then(|spec| spec.host_network);
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    host != Some(true) && !matches!(phase, Some("Succeeded" | "Failed"))
}
