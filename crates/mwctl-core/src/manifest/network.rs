//! A service's address and who may talk to whom: its Services and its NetworkPolicy.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service as KubeService, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::label::{object_name, route, selector, shorten};
use super::workload::metadata;
use crate::model::{Address, Container, Egress, Port, Protocol, Reach, Service, Stack};

/// The port of name resolution.
const DNS: u16 = 53;

/// A service's Services: its own, with the main container's ports first, and one for each other name
/// that some of its ports are reached by. None where nothing listens.
pub(super) fn services(stack: &Stack, service: &Service, worktree: &str) -> Vec<KubeService> {
    let object = object_name(stack, service);
    named(service)
        .into_iter()
        .map(|(suffix, ports)| {
            let name = named_object(&object, suffix);
            let prefix = suffix.map(|_| object.as_str());
            let mut spec = ServiceSpec {
                type_: Some("ClusterIP".to_owned()),
                selector: Some(route(stack, service)),
                ports: Some(service_ports(&ports, prefix)),
                ..Default::default()
            };
            if suffix.is_none() {
                address(&service.network.address, &mut spec);
            }
            KubeService {
                metadata: metadata(stack, service, name, worktree),
                spec: Some(spec),
                status: None,
            }
        })
        .collect()
}

/// The ports of a service by the name that they are reached by, beside the service's own.
fn named(service: &Service) -> Vec<(Option<&str>, Vec<&Port>)> {
    let mut named: Vec<(Option<&str>, Vec<&Port>)> = Vec::new();
    for port in ports(service) {
        let name = match &port.reach {
            Reach::Service => None,
            Reach::Named(name) => Some(name.as_str()),
            Reach::Cluster | Reach::Pod => continue,
        };
        match named.iter_mut().find(|(other, _)| *other == name) {
            Some((_, ports)) => ports.push(port),
            None => named.push((name, vec![port])),
        }
    }
    named
}

fn named_object(object: &str, suffix: Option<&str>) -> String {
    match suffix {
        None => object.to_owned(),
        Some(suffix) => shorten(&format!("{object}-{suffix}")),
    }
}

/// A port of a service that has an address in the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frontend {
    /// The name of its Service.
    pub object: String,
    /// The port.
    pub port: u16,
    /// What is spoken there, as a URL says it.
    pub scheme: String,
}

/// The ports of a service that connections to an address of the cluster reach, its own first.
pub fn frontends(stack: &Stack, service: &Service) -> Vec<Frontend> {
    let object = object_name(stack, service);
    let headless = service.network.address == Address::Headless;
    let mut frontends = Vec::new();
    for (suffix, ports) in named(service) {
        if suffix.is_none() && headless {
            continue;
        }
        let tcp = ports
            .into_iter()
            .filter(|port| port.protocol == Protocol::Tcp);
        frontends.extend(tcp.map(|port| Frontend {
            object: named_object(&object, suffix),
            port: port.number,
            scheme: port.name.clone(),
        }));
    }
    frontends
}

fn address(address: &Address, spec: &mut ServiceSpec) {
    match address {
        Address::ClusterIp => {}
        Address::Headless => spec.cluster_ip = Some("None".to_owned()),
        Address::NodePort { port } => {
            spec.type_ = Some("NodePort".to_owned());
            if let Some(first) = spec.ports.as_mut().and_then(|ports| ports.first_mut()) {
                first.node_port = port.map(i32::from);
            }
        }
    }
}

/// A service's NetworkPolicy: in on its ports alone, out as it says.
pub(super) fn policy(stack: &Stack, service: &Service, worktree: &str) -> NetworkPolicy {
    let network = &service.network;
    let ports: Vec<_> = reachable(service).collect();
    // A rule without ports would allow every port; no rule at all allows none.
    let ingress = if ports.is_empty() {
        Vec::new()
    } else {
        vec![NetworkPolicyIngressRule {
            from: None,
            ports: Some(ports),
        }]
    };
    let mut types = vec!["Ingress".to_owned()];
    let egress = network.restrict_egress.then(|| {
        types.push("Egress".to_owned());
        egress(stack, service)
    });
    NetworkPolicy {
        metadata: metadata(stack, service, object_name(stack, service), worktree),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(selector(stack, service)),
                match_expressions: None,
            }),
            policy_types: Some(types),
            ingress: Some(ingress),
            egress,
        }),
    }
}

/// What may go out: name resolution, what the service needs, and what is named. Whatever would give a rule an empty `to` is
/// left out, since that allows everything.
fn egress(stack: &Stack, service: &Service) -> Vec<NetworkPolicyEgressRule> {
    let dns = NetworkPolicyEgressRule {
        // Everyone who has this port; where the resolver runs differs from cluster to cluster.
        to: None,
        ports: Some(vec![
            policy_port(DNS, Protocol::Udp),
            policy_port(DNS, Protocol::Tcp),
        ]),
    };
    let mut rules = vec![dns];
    let needed = service.needs.iter();
    let needed = needed.map(|need| Egress::Service(need.service.clone()));
    let stated = service.network.egress.iter().cloned();
    let mut targets: Vec<Egress> = Vec::new();
    for target in needed.chain(stated) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    for target in &targets {
        let (peer, ports) = match target {
            Egress::Service(name) => {
                let Some(other) = stack.services.get(name) else {
                    continue;
                };
                let ports: Vec<_> = reachable(other).collect();
                if ports.is_empty() {
                    continue;
                }
                let peer = NetworkPolicyPeer {
                    pod_selector: Some(LabelSelector {
                        match_labels: Some(selector(stack, other)),
                        match_expressions: None,
                    }),
                    ..Default::default()
                };
                (peer, ports)
            }
            Egress::Cidr { cidr, ports } => {
                if cidr.is_empty() {
                    continue;
                }
                let peer = NetworkPolicyPeer {
                    ip_block: Some(IPBlock {
                        cidr: cidr.clone(),
                        except: None,
                    }),
                    ..Default::default()
                };
                let ports = ports
                    .iter()
                    .map(|port| policy_port(*port, Protocol::Tcp))
                    .collect();
                (peer, ports)
            }
        };
        rules.push(NetworkPolicyEgressRule {
            to: Some(vec![peer]),
            ports: (!ports.is_empty()).then_some(ports),
        });
    }
    rules
}

/// All ports of a service, the main container's first, each number once per protocol.
fn ports(service: &Service) -> Vec<&Port> {
    let mut seen = BTreeSet::new();
    containers(service)
        .flat_map(|container| &container.ports)
        .filter(|port| seen.insert((port.number, protocol(port.protocol))))
        .collect()
}

/// The ports that can be reached from outside the pod.
fn reachable(service: &Service) -> impl Iterator<Item = NetworkPolicyPort> {
    let ports = ports(service).into_iter();
    ports
        .filter(|port| port.reach != Reach::Pod)
        .map(|port| policy_port(port.number, port.protocol))
}

/// The ports of a Service. Where it isn't the service's own, their names say whose they are.
fn service_ports(ports: &[&Port], prefix: Option<&str>) -> Vec<ServicePort> {
    let mut names = BTreeSet::new();
    ports
        .iter()
        .map(|port| {
            let name = match prefix {
                Some(prefix) => shorten(&format!("{prefix}-{}", port.name)),
                None => port.name.clone(),
            };
            let name = if names.insert(name.clone()) {
                name
            } else {
                // Two containers may both call a port `http`; in the Service names are unique.
                let name = format!("{}-{}", port.number, protocol(port.protocol).to_lowercase());
                names.insert(name.clone());
                name
            };
            ServicePort {
                name: Some(name),
                port: i32::from(port.number),
                target_port: Some(IntOrString::Int(i32::from(port.number))),
                protocol: Some(protocol(port.protocol).to_owned()),
                ..Default::default()
            }
        })
        .collect()
}

fn policy_port(number: u16, transport: Protocol) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(number))),
        protocol: Some(protocol(transport).to_owned()),
        end_port: None,
    }
}

/// A service's containers, the main one first.
pub(super) fn containers(service: &Service) -> impl Iterator<Item = &Container> {
    std::iter::once(&service.main).chain(&service.helpers)
}

/// A protocol as Kubernetes calls it.
pub(super) fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}
