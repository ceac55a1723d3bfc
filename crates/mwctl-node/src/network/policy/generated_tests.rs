//! Policies made at random: what is resolved, what the rules do with packets, and a second reading of the objects agree.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::config::Config;
use super::super::observed::{Labels, Observed, Protocol, Workload};
use super::super::ruleset::Ruleset;
use super::super::ruleset::evaluate::{Fate, Packet, State, send};
use super::Isolations;

const LABELS: [&str; 3] = ["a", "b", "c"];
const TYPES: [&[&str]; 3] = [&["Ingress"], &["Egress"], &["Ingress", "Egress"]];
const NAMESPACES: [&str; 2] = ["x", "y"];
/// Two numbers that names stand for, their neighbours, and one apart.
const PORTS: [u16; 5] = [79, 80, 81, 8080, 9000];
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);

fn labels(value: &str) -> Labels {
    Labels::from([("l".to_owned(), value.to_owned())])
}

fn selector() -> impl Strategy<Value = LabelSelector> {
    of(select(&LABELS[..])).prop_map(|value| LabelSelector {
        match_labels: value.map(labels),
        match_expressions: None,
    })
}

fn block() -> impl Strategy<Value = IPBlock> {
    let cidr = select(
        &[
            "0.0.0.0/0",
            "10.42.0.0/16",
            "10.42.0.10/31",
            "203.0.113.0/24",
        ][..],
    );
    let except = select(&["10.42.0.11/32", "203.0.113.4/30", "10.42.0.0/29"][..]);
    (cidr, of(except)).prop_map(|(cidr, except)| IPBlock {
        cidr: cidr.to_owned(),
        except: except.map(|except| vec![except.to_owned()]),
    })
}

fn peer() -> impl Strategy<Value = NetworkPolicyPeer> {
    prop_oneof![
        block().prop_map(|block| NetworkPolicyPeer {
            ip_block: Some(block),
            ..Default::default()
        }),
        (of(selector()), of(selector())).prop_map(|(pods, namespaces)| NetworkPolicyPeer {
            pod_selector: pods,
            namespace_selector: namespaces,
            ip_block: None,
        }),
    ]
}

fn port() -> impl Strategy<Value = NetworkPolicyPort> {
    let number = select(&PORTS[..]).prop_map(|port| IntOrString::Int(port.into()));
    let name = Just(IntOrString::String("web".to_owned()));
    let port = of(prop_oneof![3 => number, 1 => name]);
    let protocol = of(select(&["TCP", "UDP"][..]));
    (port, protocol, of(select(&[81, 9000][..]))).prop_map(|(port, protocol, end)| {
        let end = end.filter(|end| matches!(port, Some(IntOrString::Int(port)) if port <= *end));
        NetworkPolicyPort {
            port,
            protocol: protocol.map(str::to_owned),
            end_port: end,
        }
    })
}

fn few<T: std::fmt::Debug>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Vec<T>>> {
    of(proptest::collection::vec(item, 0..3))
}

fn policy() -> impl Strategy<Value = NetworkPolicy> {
    let ingress = (few(peer()), few(port()))
        .prop_map(|(from, ports)| NetworkPolicyIngressRule { from, ports });
    let egress =
        (few(peer()), few(port())).prop_map(|(to, ports)| NetworkPolicyEgressRule { to, ports });
    let types = select(&TYPES[..]);
    (
        select(&NAMESPACES[..]),
        selector(),
        few(ingress),
        few(egress),
        of(types),
    )
        .prop_map(|(namespace, pods, ingress, egress, types)| NetworkPolicy {
            metadata: ObjectMeta {
                namespace: Some(namespace.to_owned()),
                ..Default::default()
            },
            spec: Some(NetworkPolicySpec {
                pod_selector: Some(pods),
                ingress,
                egress,
                policy_types: types.map(|types| types.iter().map(|it| (*it).to_owned()).collect()),
            }),
        })
}

fn world() -> impl Strategy<Value = Observed> {
    let pod = (
        select(&NAMESPACES[..]),
        select(&LABELS[..]),
        of(select(&[80, 8080][..])),
        any::<bool>(),
    );
    let pods = proptest::collection::vec(pod, 1..5);
    let policies = proptest::collection::vec(policy(), 0..4);
    (pods, policies, select(&LABELS[..]), select(&LABELS[..])).prop_map(|(pods, policies, x, y)| {
        let pods = pods
            .into_iter()
            .zip(10..)
            .map(|((namespace, label, web, udp), last)| {
                let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
                Arc::new(Workload {
                    namespace: namespace.to_owned(),
                    name: last.to_string(),
                    labels: labels(label),
                    address: Ipv4Addr::new(10, 42, 0, last),
                    ports: web
                        .map(|web| ("web".to_owned(), protocol, web))
                        .into_iter()
                        .collect(),
                    host_ports: Vec::new(),
                })
            });
        Observed {
            pods: pods.collect(),
            namespaces: [("x", x), ("y", y)]
                .map(|(name, label)| (name.to_owned(), labels(label)))
                .into(),
            policies: policies.into_iter().map(Arc::new).collect(),
            ..Observed::default()
        }
    })
}

/// The second reading: whether a connection is allowed, straight from the objects, one connection at a time.
struct Reading<'a> {
    observed: &'a Observed,
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: Protocol,
    port: u16,
}

impl Reading<'_> {
    fn pod(&self, address: Ipv4Addr) -> Option<&Workload> {
        self.observed
            .pods
            .iter()
            .map(AsRef::as_ref)
            .find(|pod| pod.address == address)
    }

    fn allowed(&self) -> bool {
        self.from == self.to || (self.side("Egress", self.from) && self.side("Ingress", self.to))
    }

    fn side(&self, direction: &str, at: Ipv4Addr) -> bool {
        let Some(pod) = self.pod(at) else { return true };
        let (mut isolated, mut let_through) = (false, false);
        for policy in &self.observed.policies {
            let spec = policy.spec.as_ref().unwrap();
            let namespace = policy.metadata.namespace.as_ref().unwrap();
            if *namespace != pod.namespace
                || !matches(spec.pod_selector.as_ref().unwrap(), &pod.labels)
            {
                continue;
            }
            let affects = match &spec.policy_types {
                Some(types) => types.iter().any(|it| it == direction),
                None if direction == "Ingress" => true,
                None => spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
            };
            if !affects {
                continue;
            }
            isolated = true;
            let_through |= if direction == "Ingress" {
                spec.ingress.iter().flatten().any(|rule| {
                    self.rule(
                        namespace,
                        self.from,
                        rule.from.as_ref(),
                        rule.ports.as_ref(),
                    )
                })
            } else {
                spec.egress.iter().flatten().any(|rule| {
                    self.rule(namespace, self.to, rule.to.as_ref(), rule.ports.as_ref())
                })
            };
        }
        !isolated || let_through
    }

    fn rule(
        &self,
        namespace: &str,
        other: Ipv4Addr,
        peers: Option<&Vec<NetworkPolicyPeer>>,
        ports: Option<&Vec<NetworkPolicyPort>>,
    ) -> bool {
        let peer = peers.is_none_or(|peers| {
            peers.is_empty() || peers.iter().any(|peer| self.peer(namespace, other, peer))
        });
        let port =
            ports.is_none_or(|ports| ports.is_empty() || ports.iter().any(|port| self.port(port)));
        peer && port
    }

    fn peer(&self, namespace: &str, other: Ipv4Addr, peer: &NetworkPolicyPeer) -> bool {
        if let Some(block) = &peer.ip_block {
            let excepted = block
                .except
                .iter()
                .flatten()
                .any(|except| within(except, other));
            return within(&block.cidr, other) && !excepted;
        }
        let Some(pod) = self.pod(other) else {
            return false;
        };
        match (&peer.namespace_selector, &peer.pod_selector) {
            (None, None) => false,
            (None, Some(pods)) => pod.namespace == namespace && matches(pods, &pod.labels),
            (Some(namespaces), pods) => {
                matches(namespaces, &self.observed.namespaces[&pod.namespace])
                    && pods.as_ref().is_none_or(|pods| matches(pods, &pod.labels))
            }
        }
    }

    fn port(&self, port: &NetworkPolicyPort) -> bool {
        let protocol = Protocol::parse(port.protocol.as_deref()).unwrap();
        protocol == self.protocol
            && match (&port.port, port.end_port) {
                (None, _) => true,
                (Some(IntOrString::Int(first)), None) => i32::from(self.port) == *first,
                (Some(IntOrString::Int(first)), Some(last)) => {
                    (*first..=last).contains(&self.port.into())
                }
                (Some(IntOrString::String(name)), _) => self.pod(self.to).is_some_and(|pod| {
                    pod.ports
                        .contains(&(name.clone(), self.protocol, self.port))
                }),
            }
    }
}

fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value))
}

fn within(cidr: &str, address: Ipv4Addr) -> bool {
    let (base, prefix) = cidr.split_once('/').unwrap();
    let (base, bits): (Ipv4Addr, u32) = (base.parse().unwrap(), prefix.parse().unwrap());
    let drop = 32 - bits;
    u64::from(base.to_bits()) >> drop == u64::from(address.to_bits()) >> drop
}

proptest! {
    #[test]
    fn two_readings_and_the_packet_filter_agree(observed in world()) {
        let isolations = Isolations::of(&observed);
        let config = Config::default();
        let rules = Ruleset::new(&config.addresses(), &[], &isolations);
        let pods: Vec<Ipv4Addr> = observed.pods.iter().map(|pod| pod.address).collect();
        for &from in &pods {
            for to in pods.iter().copied().chain([OUTSIDE]) {
                for protocol in [Protocol::Tcp, Protocol::Udp] {
                    for port in PORTS {
                        let expected = Reading { observed: &observed, from, to, protocol, port }.allowed();
                        prop_assert_eq!(isolations.permit(from, to, Some((protocol, port))), expected);
                        let packet = Packet { from, to: SocketAddrV4::new(to, port), protocol, state: State::New };
                        let fate = send(&rules, packet, 0, &config.own_addresses());
                        let arrived = matches!(fate, Fate::Arrives { .. });
                        prop_assert_eq!(arrived, expected, "{:?} {:?}", packet, fate);
                    }
                }
            }
        }
    }
}
