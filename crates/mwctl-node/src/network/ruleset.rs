//! The packet filter's rules as a value: what is to be in the kernel follows from services and policies alone.
//!
//! One table, three jobs. *Services*: the destination of a new connection to a service's address becomes one of its endpoints, in turn.
//! *The way out*: other TCP is handed to the relay, which asks the policies itself. *Policies*: a new connection passes the sender's
//! chain and the receiver's chain; pods that may do the same share one.
//!
//! How it is written for the kernel is in [`encode`]; `evaluate` (tests only) plays the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use super::address::{AddressSet, Cidr};
use super::frontend::Frontend;
use super::observed::Protocol;
use super::policy::{Allowed, Isolations, PortRange, Ports};

pub(crate) mod encode;
#[cfg(test)]
pub(crate) mod evaluate;
#[cfg(test)]
mod tests;

/// The addresses that rules need to know besides what the cluster says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where pods are.
    pub pods: Cidr,
    /// Where services are.
    pub services: Cidr,
    /// The node's own, the gateway of all pods.
    pub node: Ipv4Addr,
    /// Where the relay listens.
    pub relay: SocketAddrV4,
}

/// All rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// Cluster address, protocol and port of each service with endpoints → its chain.
    pub(crate) services: BTreeMap<(Ipv4Addr, Protocol, u16), String>,
    /// Protocol and port on the node → the service's chain.
    pub(crate) node_ports: BTreeMap<(Protocol, u16), String>,
    /// Sender → the chain of its policies.
    pub(crate) egress: BTreeMap<Ipv4Addr, String>,
    /// Receiver → the chain of its policies.
    pub(crate) ingress: BTreeMap<Ipv4Addr, String>,
    /// Pods that may come back to themselves, through a service.
    pub(crate) itself: BTreeSet<Ipv4Addr>,
    /// Chains that others name, before those that name them; then those the kernel enters.
    pub(crate) chains: Vec<Chain>,
}

/// A chain: rules that are tried in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: String,
    pub(crate) hook: Option<Hook>,
    pub(crate) rules: Vec<Rule>,
}

/// Where the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// Filter on the destination that the pod meant, before it is translated.
    Meant,
    /// Address translation of what comes in from a pod.
    NatIn,
    /// Address translation of what the node itself sends.
    NatOut,
    /// Address translation of what leaves.
    NatLeave,
    /// Filter from pod to pod.
    Forward,
    /// Filter from pod to node.
    Input,
    /// Filter from the node itself.
    Output,
}

/// Conditions that must all hold, and what is done then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) action: Action,
}

/// Something a packet can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Part of a connection that was let through, or an answer to one.
    Established,
    /// Part of no connection that is known, and not the begin of one.
    Invalid,
    /// Of this protocol.
    Protocol(Protocol),
    /// From one of these addresses.
    From(AddressSet),
    /// To one of these addresses.
    To(AddressSet),
    /// To one of these ports. Follows a condition on the protocol.
    Ports(u16, u16),
    /// From a pod of [`Ruleset::itself`] to that same pod.
    ToItself,
}

/// What is done with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It goes on to the next hook.
    Accept,
    /// It is gone, silently.
    Drop,
    /// Back to the chain that named this one.
    Return,
    /// The sender is told that the port is closed.
    Refuse,
    /// The sender is told that there is no connection. TCP only.
    Reset,
    /// The chain of its destination in [`Ruleset::services`], if there is one.
    ToService,
    /// The chain of its port in [`Ruleset::node_ports`], if there is one.
    ToNodePort,
    /// Through the chain of its sender in [`Ruleset::egress`], if there is one.
    ThroughEgress,
    /// Through the chain of its receiver in [`Ruleset::ingress`], if there is one.
    ThroughIngress,
    /// Its destination becomes one of these.
    Spread(Vec<SocketAddrV4>, Choice),
    /// Its source becomes this address.
    SourceBecomes(Ipv4Addr),
}

/// How one of several is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The next each time.
    Turn,
    /// By the sender's address: always the same, as long as the several are the same.
    Sender,
}

impl Ruleset {
    /// The rules for these services and policies.
    pub fn new(addresses: &Addresses, frontends: &[Frontend], isolations: &Isolations) -> Self {
        let mut ruleset = Self {
            services: BTreeMap::new(),
            node_ports: BTreeMap::new(),
            egress: BTreeMap::new(),
            ingress: BTreeMap::new(),
            itself: isolations.0.keys().copied().collect(),
            chains: Vec::new(),
        };
        ruleset.add_services(addresses, frontends);
        let egress = |isolation: &super::policy::Isolation| isolation.egress.clone();
        let ingress = |isolation: &super::policy::Isolation| isolation.ingress.clone();
        ruleset.egress = ruleset.add_policies("egress", isolations, egress, Condition::To);
        ruleset.ingress = ruleset.add_policies("ingress", isolations, ingress, Condition::From);
        ruleset.add_hooks(addresses);
        ruleset
    }

    fn add_services(&mut self, addresses: &Addresses, frontends: &[Frontend]) {
        for frontend in frontends {
            let key = (frontend.address, frontend.protocol, frontend.port);
            let backends: Vec<SocketAddrV4> = (frontend.backends.iter())
                .filter_map(|backend| self.reachable(addresses, frontend.protocol, *backend))
                .collect();
            if backends.is_empty() || self.services.contains_key(&key) {
                continue;
            }
            let name = format!("service-{}", self.services.len());
            let choice = if frontend.sticky {
                Choice::Sender
            } else {
                Choice::Turn
            };
            self.chains.push(Chain {
                name: name.clone(),
                hook: None,
                rules: vec![always(Action::Spread(backends, choice))],
            });
            if let Some(port) = frontend.node_port {
                self.node_ports
                    .entry((frontend.protocol, port))
                    .or_insert_with(|| name.clone());
            }
            self.services.insert(key, name);
        }
    }

    /// An endpoint that isn't on this network is reached by the relay, which chooses among those itself and carries TCP only.
    fn reachable(
        &mut self,
        addresses: &Addresses,
        protocol: Protocol,
        backend: SocketAddrV4,
    ) -> Option<SocketAddrV4> {
        if addresses.pods.contains(*backend.ip()) {
            self.itself.insert(*backend.ip());
            Some(backend)
        } else {
            (protocol == Protocol::Tcp).then_some(addresses.relay)
        }
    }

    /// One chain for each thing that pods may do; the answer says whose is which.
    fn add_policies(
        &mut self,
        direction: &str,
        isolations: &Isolations,
        of: impl Fn(&super::policy::Isolation) -> Option<Allowed>,
        other_end: fn(AddressSet) -> Condition,
    ) -> BTreeMap<Ipv4Addr, String> {
        let mut names: BTreeMap<Allowed, String> = BTreeMap::new();
        let mut chains = BTreeMap::new();
        for (address, isolation) in &isolations.0 {
            let Some(allowed) = of(isolation) else {
                continue;
            };
            let next = names.len();
            let name = names.entry(allowed).or_insert_with_key(|allowed| {
                let name = format!("{direction}-{next}");
                self.chains.push(Chain {
                    name: name.clone(),
                    hook: None,
                    rules: policy_rules(allowed, other_end),
                });
                name
            });
            chains.insert(*address, name.clone());
        }
        chains
    }

    fn add_hooks(&mut self, addresses: &Addresses) {
        let within = |network: Cidr| Condition::To(network.into());
        let to_node = || Condition::To([addresses.node].into_iter().collect());
        let service = || {
            vec![
                always(Action::ToService),
                rule([to_node()], Action::ToNodePort),
            ]
        };
        let outside = [
            rule([within(addresses.pods)], Action::Accept),
            rule([within(addresses.services)], Action::Accept),
            rule(
                [Condition::Protocol(Protocol::Tcp)],
                Action::Spread(vec![addresses.relay], Choice::Turn),
            ),
        ];
        let known = || {
            [
                rule([Condition::Established], Action::Accept),
                // What belongs to a connection that was cut, or was never let in, ends it at both ends.
                rule(
                    [Condition::Invalid, Condition::Protocol(Protocol::Tcp)],
                    Action::Reset,
                ),
            ]
        };
        // What the node itself sends isn't told by a message of ICMP, so that TCP gets its own.
        let nobody_there = || {
            let services = within(addresses.services);
            let tcp = Condition::Protocol(Protocol::Tcp);
            [
                rule([services.clone(), tcp], Action::Reset),
                rule([services], Action::Refuse),
            ]
        };
        let relay = addresses.relay;
        // Where the packet was going was asked before it was translated, and the relay asks again.
        let to_relay = rule(
            [
                Condition::To([*relay.ip()].into_iter().collect()),
                Condition::Protocol(Protocol::Tcp),
                Condition::Ports(relay.port(), relay.port()),
            ],
            Action::Accept,
        );
        let mut hook = |name: &str, hook: Hook, rules: Vec<Rule>| {
            self.chains.push(Chain {
                name: name.to_owned(),
                hook: Some(hook),
                rules,
            });
        };
        let meant = vec![
            rule([Condition::Established], Action::Accept),
            rule([within(addresses.pods)], Action::Accept),
            rule([within(addresses.services)], Action::Accept),
            always(Action::ThroughEgress),
        ];
        hook("meant", Hook::Meant, meant);
        hook("nat-in", Hook::NatIn, [service(), outside.into()].concat());
        hook("nat-out", Hook::NatOut, service());
        hook(
            "nat-leave",
            Hook::NatLeave,
            vec![rule(
                [Condition::ToItself],
                Action::SourceBecomes(addresses.node),
            )],
        );
        let mut forward = known().to_vec();
        forward.push(rule([Condition::ToItself], Action::Accept));
        forward.extend(nobody_there());
        forward.extend([
            always(Action::ThroughEgress),
            always(Action::ThroughIngress),
        ]);
        hook("forward", Hook::Forward, forward);
        let mut input = known().to_vec();
        input.extend([to_relay, always(Action::ThroughEgress)]);
        hook("input", Hook::Input, input);
        hook("output", Hook::Output, nobody_there().to_vec());
    }
}

fn policy_rules(allowed: &Allowed, other_end: fn(AddressSet) -> Condition) -> Vec<Rule> {
    let mut rules = Vec::new();
    for allow in allowed {
        let mut peers = Vec::new();
        if allow.peers != AddressSet::all() {
            peers.push(other_end(allow.peers.clone()));
        }
        match &allow.ports {
            Ports::Any => rules.push(rule(peers, Action::Return)),
            Ports::These(ranges) => {
                for range in ranges {
                    let conditions = [peers.clone(), port_conditions(*range)].concat();
                    rules.push(rule(conditions, Action::Return));
                }
            }
        }
    }
    rules.push(always(Action::Drop));
    rules
}

fn port_conditions(range: PortRange) -> Vec<Condition> {
    let mut conditions = vec![Condition::Protocol(range.protocol)];
    if (range.first, range.last) != (0, u16::MAX) {
        conditions.push(Condition::Ports(range.first, range.last));
    }
    conditions
}

fn rule(conditions: impl Into<Vec<Condition>>, action: Action) -> Rule {
    Rule {
        conditions: conditions.into(),
        action,
    }
}

fn always(action: Action) -> Rule {
    rule([], action)
}
