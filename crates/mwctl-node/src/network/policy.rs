//! What network policies allow, resolved to addresses and ports. Pure: which pod may do what follows from the objects alone.
//!
//! The semantics are those of the `networking.k8s.io/v1` API documentation; `tests` has one for each of its sentences.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{Selector, SelectorExt};

use super::address::{AddressSet, Cidr};
use super::observed::{Labels, Observed, Protocol, Workload};

#[cfg(test)]
mod generated_tests;
#[cfg(test)]
mod tests;

/// One protocol's ports from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The protocol.
    pub protocol: Protocol,
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

/// The ports a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// All ports of all protocols, and what has no ports.
    Any,
    /// These and no others.
    These(BTreeSet<PortRange>),
}

/// Traffic that is let through: with one of these addresses at the other end, to one of these ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Allow {
    /// Who is at the other end.
    pub peers: AddressSet,
    /// The ports at the receiving end.
    pub ports: Ports,
}

/// What an isolated pod may still do in one direction: the union of these.
pub type Allowed = Vec<Allow>;

/// What policies make of one pod. `None` means that the pod isn't isolated in that direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    /// Who may reach it.
    pub ingress: Option<Allowed>,
    /// Whom it may reach.
    pub egress: Option<Allowed>,
}

/// The policies of the whole cluster, by pod address. A pod that isn't named is free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolations(pub BTreeMap<Ipv4Addr, Isolation>);

impl Isolations {
    /// Resolves all policies for all pods.
    pub fn of(observed: &Observed) -> Self {
        let mut isolations = BTreeMap::new();
        for pod in &observed.pods {
            let isolation = isolation(pod, observed);
            if isolation != Isolation::default() {
                isolations.insert(pod.address, isolation);
            }
        }
        Self(isolations)
    }

    /// Whether a connection from one address to a port of another may be opened. A pod always reaches itself.
    /// What has no port, such as a ping, asks with `None`.
    pub fn permit(&self, from: Ipv4Addr, to: Ipv4Addr, port: Option<(Protocol, u16)>) -> bool {
        let ingress = self.0.get(&to).and_then(|it| it.ingress.as_ref());
        from == to || (self.permit_egress(from, to, port) && admits(ingress, from, port))
    }

    /// Whether the sender's side lets it through. Where the other end is outside, that is all there is to ask.
    pub fn permit_egress(
        &self,
        from: Ipv4Addr,
        to: Ipv4Addr,
        port: Option<(Protocol, u16)>,
    ) -> bool {
        let egress = self.0.get(&from).and_then(|it| it.egress.as_ref());
        admits(egress, to, port)
    }
}

fn admits(allowed: Option<&Allowed>, peer: Ipv4Addr, port: Option<(Protocol, u16)>) -> bool {
    let admits = |allow: &Allow| {
        allow.peers.contains(peer)
            && match (&allow.ports, port) {
                (Ports::Any, _) => true,
                (Ports::These(_), None) => false,
                (Ports::These(ranges), Some((protocol, port))) => ranges.iter().any(|range| {
                    range.protocol == protocol && (range.first..=range.last).contains(&port)
                }),
            }
    };
    allowed.is_none_or(|allowed| allowed.iter().any(admits))
}

fn isolation(pod: &Workload, observed: &Observed) -> Isolation {
    let mut isolation = Isolation::default();
    for policy in &observed.policies {
        let Some(spec) = &policy.spec else { continue };
        let same = policy.metadata.namespace.as_deref() == Some(&pod.namespace);
        if !same
            || !spec
                .pod_selector
                .as_ref()
                .is_none_or(|it| selects(it, &pod.labels))
        {
            continue;
        }
        let (ingress, egress) = directions(policy);
        if ingress {
            let allowed = isolation.ingress.get_or_insert_default();
            for rule in spec.ingress.iter().flatten() {
                let peers = peers(rule.from.as_deref(), &pod.namespace, observed);
                let ports = ports(rule.ports.as_deref(), Some(pod));
                push(allowed, peers, ports);
            }
        }
        if egress {
            let allowed = isolation.egress.get_or_insert_default();
            for rule in spec.egress.iter().flatten() {
                let peers = peers(rule.to.as_deref(), &pod.namespace, observed);
                egress_rule(allowed, peers, rule.ports.as_deref(), observed);
            }
        }
    }
    for allowed in [&mut isolation.ingress, &mut isolation.egress]
        .into_iter()
        .flatten()
    {
        allowed.sort_unstable();
        allowed.dedup();
    }
    isolation
}

/// A name in an egress rule is that of a port of the receiver, so it means something else for each of them.
fn egress_rule(
    allowed: &mut Allowed,
    peers: AddressSet,
    specified: Option<&[NetworkPolicyPort]>,
    observed: &Observed,
) {
    let named = |port: &NetworkPolicyPort| matches!(port.port, Some(IntOrString::String(_)));
    if specified.unwrap_or_default().iter().any(named) {
        let mut receivers: BTreeMap<Ports, AddressSet> = BTreeMap::new();
        for pod in &observed.pods {
            if peers.contains(pod.address) {
                let ports = ports(specified, Some(pod));
                receivers.entry(ports).or_default().insert(pod.address);
            }
        }
        for (ports, receivers) in receivers {
            push(allowed, receivers, ports);
        }
    }
    push(allowed, peers, ports(specified, None));
}

fn push(allowed: &mut Allowed, peers: AddressSet, ports: Ports) {
    let nothing = matches!(&ports, Ports::These(ranges) if ranges.is_empty());
    if !nothing && !peers.is_empty() {
        allowed.push(Allow { peers, ports });
    }
}

/// In which directions a policy isolates. Without `policyTypes` it is ingress, and egress if there are rules for it.
fn directions(policy: &NetworkPolicy) -> (bool, bool) {
    let spec = policy.spec.clone().unwrap_or_default();
    match spec.policy_types {
        Some(types) if !types.is_empty() => (
            types.iter().any(|name| name == "Ingress"),
            types.iter().any(|name| name == "Egress"),
        ),
        _ => (true, spec.egress.is_some_and(|rules| !rules.is_empty())),
    }
}

/// Who is meant by a rule's peers. None specified means everybody.
fn peers(
    specified: Option<&[NetworkPolicyPeer]>,
    namespace: &str,
    observed: &Observed,
) -> AddressSet {
    let specified = specified.unwrap_or_default();
    if specified.is_empty() {
        return AddressSet::all();
    }
    let selected = observed.pods.iter().filter(|pod| {
        let mut selectors = specified.iter().filter(|peer| peer.ip_block.is_none());
        selectors.any(|peer| is_meant(peer, pod, namespace, observed))
    });
    let mut meant: AddressSet = selected.map(|pod| pod.address).collect();
    for block in specified.iter().filter_map(|peer| peer.ip_block.as_ref()) {
        meant.extend(&addresses(block));
    }
    meant
}

fn is_meant(
    peer: &NetworkPolicyPeer,
    pod: &Workload,
    namespace: &str,
    observed: &Observed,
) -> bool {
    let space = match &peer.namespace_selector {
        None => pod.namespace == namespace,
        Some(selector) => (observed.namespaces.get(&pod.namespace))
            .is_some_and(|labels| selects(selector, labels)),
    };
    // A peer without any of the three fields is refused by the server; it means nobody.
    let somebody = peer.namespace_selector.is_some() || peer.pod_selector.is_some();
    somebody
        && space
        && (peer.pod_selector.as_ref()).is_none_or(|selector| selects(selector, &pod.labels))
}

/// What isn't IPv4 has no place on this network, so it adds and takes away nothing.
fn addresses(block: &IPBlock) -> AddressSet {
    let Ok(network) = block.cidr.parse::<Cidr>() else {
        return AddressSet::default();
    };
    let mut set = AddressSet::from(network);
    for except in block.except.iter().flatten() {
        if let Ok(except) = except.parse() {
            set.remove(except);
        }
    }
    set
}

/// The ports of a rule; names are looked up in the receiver, and mean nothing without one.
fn ports(specified: Option<&[NetworkPolicyPort]>, receiver: Option<&Workload>) -> Ports {
    let specified = specified.unwrap_or_default();
    if specified.is_empty() {
        return Ports::Any;
    }
    let mut ranges = BTreeSet::new();
    for port in specified {
        let Some(protocol) = Protocol::parse(port.protocol.as_deref()) else {
            continue;
        };
        let mut add = |first: u16, last: u16| {
            if first <= last {
                ranges.insert(PortRange {
                    protocol,
                    first,
                    last,
                });
            }
        };
        match &port.port {
            None => add(0, u16::MAX),
            Some(IntOrString::Int(number)) => {
                let last = port.end_port.unwrap_or(*number);
                if let (Ok(first), Ok(last)) = (u16::try_from(*number), u16::try_from(last)) {
                    add(first, last);
                }
            }
            Some(IntOrString::String(name)) => {
                let ports = receiver.map(|pod| &pod.ports);
                for (known, theirs, number) in ports.into_iter().flatten() {
                    if known == name && *theirs == protocol {
                        add(*number, *number);
                    }
                }
            }
        }
    }
    Ports::These(ranges)
}

/// A selector that can't be read selects nothing: it must never let more through than was meant.
fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}
