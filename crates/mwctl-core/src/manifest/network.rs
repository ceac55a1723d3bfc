//! A service's address and who may talk to whom: its Service and its NetworkPolicy.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service as KubeService, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::label::{object_name, route, selector};
use super::workload::metadata;
use crate::model::{Container, Egress, Port, Protocol, Service, Stack};

/// The port of name resolution.
const DNS: u16 = 53;
/// The longest name of a port.
const MAX_PORT_NAME: usize = 15;

/// A service's Service, with the main container's ports first; `None` where nothing listens.
pub(super) fn service(stack: &Stack, service: &Service, worktree: &str) -> Option<KubeService> {
    let ports = ports(service);
    if ports.is_empty() {
        return None;
    }
    Some(KubeService {
        metadata: metadata(stack, service, object_name(stack, service), worktree),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(route(stack, service)),
            ports: Some(service_ports(service)),
            ..Default::default()
        }),
        status: None,
    })
}

/// A service's NetworkPolicy: in on its ports alone, out as it says.
pub(super) fn policy(stack: &Stack, service: &Service, worktree: &str) -> NetworkPolicy {
    let network = &service.network;
    let ports: Vec<_> = ports(service)
        .into_iter()
        .map(|port| policy_port(port.number, port.protocol))
        .collect();
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

/// What may go out: name resolution, and what is named. Whatever would give a rule an empty `to` is
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
    for target in &service.network.egress {
        let (peer, ports) = match target {
            Egress::Service(name) => {
                let Some(other) = stack.services.get(name) else {
                    continue;
                };
                let ports: Vec<_> = ports(other)
                    .into_iter()
                    .map(|port| policy_port(port.number, port.protocol))
                    .collect();
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

fn service_ports(service: &Service) -> Vec<ServicePort> {
    let mut names = BTreeSet::new();
    ports(service)
        .into_iter()
        .map(|port| {
            let name = if names.insert(port.name.clone()) {
                port.name.clone()
            } else {
                // Two containers may both call a port `http`; in the Service names are unique.
                let name = format!("{}-{}", port.number, protocol(port.protocol).to_lowercase());
                names.insert(name.clone());
                name
            };
            ServicePort {
                name: Some(name.chars().take(MAX_PORT_NAME).collect()),
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
