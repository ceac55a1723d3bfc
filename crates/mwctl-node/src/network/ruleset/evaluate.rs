//! Plays the kernel: sends a packet through a ruleset and says what becomes of it. For tests; it knows nothing of policies.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Action, Choice, Condition, Hook, Rule, Ruleset};
use crate::network::observed::Protocol;

/// A packet from a pod or from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) from: Ipv4Addr,
    pub(crate) to: SocketAddrV4,
    pub(crate) protocol: Protocol,
    pub(crate) state: State,
}

/// What connection tracking says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    New,
    Established,
    Invalid,
}

/// Where a packet ends up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives { from: Ipv4Addr, at: SocketAddrV4 },
    Dropped,
    Refused,
    Reset,
}

/// Sends a pod's packet through all hooks. `turn` is whose turn it is among endpoints; `node` holds the node's own addresses.
pub(crate) fn send(ruleset: &Ruleset, packet: Packet, turn: usize, node: &[Ipv4Addr]) -> Fate {
    run(ruleset, packet, turn, node, Hook::NatIn)
}

/// Sends the node's own packet through all hooks.
pub(crate) fn send_from_node(ruleset: &Ruleset, packet: Packet, turn: usize) -> Fate {
    run(ruleset, packet, turn, &[], Hook::NatOut)
}

fn run(ruleset: &Ruleset, mut packet: Packet, turn: usize, node: &[Ipv4Addr], first: Hook) -> Fate {
    if first == Hook::NatIn && enter(ruleset, &mut packet, turn, Hook::Meant) == Some(Action::Drop)
    {
        return Fate::Dropped;
    }
    // Address translation sees the first packet of a connection only.
    if packet.state == State::New {
        enter(ruleset, &mut packet, turn, first);
    }
    let filter = match first {
        Hook::NatOut => Hook::Output,
        _ if node.contains(packet.to.ip()) => Hook::Input,
        _ => Hook::Forward,
    };
    match enter(ruleset, &mut packet, turn, filter) {
        Some(Action::Drop) => return Fate::Dropped,
        Some(Action::Refuse) => return Fate::Refused,
        Some(Action::Reset) => return Fate::Reset,
        _ => {}
    }
    if packet.state == State::New {
        enter(ruleset, &mut packet, turn, Hook::NatLeave);
    }
    Fate::Arrives {
        from: packet.from,
        at: packet.to,
    }
}

fn enter(ruleset: &Ruleset, packet: &mut Packet, turn: usize, hook: Hook) -> Option<Action> {
    let chain = ruleset.chains.iter().find(|chain| chain.hook == Some(hook));
    walk(ruleset, &chain.unwrap().rules, packet, turn)
}

/// The action that ended the walk, if one did.
fn walk(ruleset: &Ruleset, rules: &[Rule], packet: &mut Packet, turn: usize) -> Option<Action> {
    let through = |name: Option<&String>, packet: &mut Packet| {
        let chain = ruleset
            .chains
            .iter()
            .find(|chain| Some(&chain.name) == name)?;
        let end = walk(ruleset, &chain.rules, packet, turn);
        end.filter(|end| *end != Action::Return)
    };
    for rule in rules {
        if !rule.conditions.iter().all(|it| holds(ruleset, it, packet)) {
            continue;
        }
        let key = (*packet.to.ip(), packet.protocol, packet.to.port());
        let end = match &rule.action {
            Action::ToService => through(ruleset.services.get(&key), packet),
            Action::ToNodePort => through(ruleset.node_ports.get(&(key.1, key.2)), packet),
            Action::ThroughEgress => through(ruleset.egress.get(&packet.from), packet),
            Action::ThroughIngress => through(ruleset.ingress.get(packet.to.ip()), packet),
            Action::Spread(targets, choice) => {
                let turn = match choice {
                    Choice::Turn => turn,
                    Choice::Sender => packet.from.to_bits() as usize,
                };
                packet.to = targets[turn % targets.len()];
                Some(Action::Accept)
            }
            Action::SourceBecomes(source) => {
                packet.from = *source;
                Some(Action::Accept)
            }
            end => Some(end.clone()),
        };
        if end.is_some() {
            return end;
        }
    }
    None
}

fn holds(ruleset: &Ruleset, condition: &Condition, packet: &Packet) -> bool {
    match condition {
        Condition::Established => packet.state == State::Established,
        Condition::Invalid => packet.state == State::Invalid,
        Condition::Protocol(protocol) => packet.protocol == *protocol,
        Condition::From(set) => set.contains(packet.from),
        Condition::To(set) => set.contains(*packet.to.ip()),
        Condition::Ports(first, last) => (*first..=*last).contains(&packet.to.port()),
        Condition::ToItself => {
            packet.from == *packet.to.ip() && ruleset.itself.contains(&packet.from)
        }
    }
}
