//! Packets through rulesets.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::evaluate::{Fate, Packet, State, send, send_from_node};
use super::*;
use crate::network::config::Config;
use crate::network::policy::{Allow, Isolation};

const A: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 10);
const B: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 11);
const C: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 12);
const WEB: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 96, 3, 4), 80);
const NODE: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);

fn frontend(backends: &[SocketAddrV4]) -> Frontend {
    Frontend {
        service: "default/web".to_owned(),
        address: *WEB.ip(),
        protocol: Protocol::Tcp,
        port: WEB.port(),
        node_port: Some(30080),
        sticky: false,
        backends: backends.to_vec(),
    }
}

fn rules(frontends: &[Frontend], isolations: &[(Ipv4Addr, Isolation)]) -> Ruleset {
    let isolations = Isolations(isolations.iter().cloned().collect());
    Ruleset::new(&Config::default().addresses(), frontends, &isolations)
}

fn packet(from: Ipv4Addr, to: SocketAddrV4) -> Packet {
    Packet {
        from,
        to,
        protocol: Protocol::Tcp,
        state: State::New,
    }
}

fn at(address: Ipv4Addr) -> SocketAddrV4 {
    SocketAddrV4::new(address, 8080)
}

fn arrives(from: Ipv4Addr, at: SocketAddrV4) -> Fate {
    Fate::Arrives { from, at }
}

fn only(peers: &[Ipv4Addr]) -> Allowed {
    vec![Allow {
        peers: peers.iter().copied().collect(),
        ports: Ports::Any,
    }]
}

#[test]
fn a_services_address_becomes_its_endpoints_in_turn() {
    let rules = rules(&[frontend(&[at(A), at(B)])], &[]);
    for (turn, endpoint) in [A, B, A].into_iter().enumerate() {
        assert_eq!(
            send(&rules, packet(C, WEB), turn, &[NODE]),
            arrives(C, at(endpoint))
        );
    }
    let node_port = SocketAddrV4::new(NODE, 30080);
    assert_eq!(
        send(&rules, packet(C, node_port), 0, &[NODE]),
        arrives(C, at(A))
    );
    assert_eq!(
        send_from_node(&rules, packet(NODE, WEB), 1),
        arrives(NODE, at(B))
    );
}

#[test]
fn a_sticky_service_leads_a_client_to_the_same_endpoint_each_time() {
    let sticky = Frontend {
        sticky: true,
        ..frontend(&[at(A), at(B)])
    };
    let rules = rules(&[sticky], &[]);
    let first = send(&rules, packet(C, WEB), 0, &[NODE]);
    assert_eq!(send(&rules, packet(C, WEB), 1, &[NODE]), first);
}

#[test]
fn an_endpoint_that_reaches_itself_sees_the_node() {
    let rules = rules(
        &[frontend(&[at(A)])],
        &[(
            A,
            Isolation {
                ingress: Some(only(&[])),
                egress: Some(only(&[])),
            },
        )],
    );
    assert_eq!(
        send(&rules, packet(A, WEB), 0, &[NODE]),
        arrives(NODE, at(A))
    );
}

#[test]
fn a_service_without_endpoints_is_refused_to_pods_and_to_the_node() {
    let rules = rules(&[frontend(&[])], &[]);
    assert_eq!(send(&rules, packet(C, WEB), 0, &[NODE]), Fate::Reset);
    assert_eq!(send_from_node(&rules, packet(NODE, WEB), 0), Fate::Reset);
    let datagram = Packet {
        protocol: Protocol::Udp,
        ..packet(C, WEB)
    };
    assert_eq!(send(&rules, datagram, 0, &[NODE]), Fate::Refused);
}

#[test]
fn endpoints_outside_are_the_relays_and_only_for_tcp() {
    let database = SocketAddrV4::new(Ipv4Addr::new(192, 168, 0, 7), 5432);
    let relay = Config::default().relay();
    let tcp = rules(&[frontend(&[at(A), database])], &[]);
    assert_eq!(send(&tcp, packet(C, WEB), 0, &[NODE]), arrives(C, at(A)));
    assert_eq!(send(&tcp, packet(C, WEB), 1, &[NODE]), arrives(C, relay));
    let udp = Frontend {
        protocol: Protocol::Udp,
        ..frontend(&[database])
    };
    let udp = rules(&[udp], &[]);
    let datagram = Packet {
        protocol: Protocol::Udp,
        ..packet(C, WEB)
    };
    assert_eq!(send(&udp, datagram, 0, &[NODE]), Fate::Refused);
}

#[test]
fn tcp_to_the_outside_is_the_relays_if_the_senders_policy_lets_it_through() {
    let outside = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 5), 443);
    let isolated = Isolation {
        egress: Some(only(&[*outside.ip()])),
        ingress: None,
    };
    let closed = Isolation {
        egress: Some(only(&[A])),
        ingress: None,
    };
    let rules = rules(&[], &[(A, isolated), (B, closed)]);
    let relay = Config::default().relay();
    for free in [A, C] {
        assert_eq!(
            send(&rules, packet(free, outside), 0, &[NODE]),
            arrives(free, relay)
        );
    }
    assert_eq!(send(&rules, packet(B, outside), 0, &[NODE]), Fate::Dropped);
}

#[test]
fn what_was_cut_ends_and_what_was_let_in_stays() {
    let rules = rules(
        &[],
        &[(
            A,
            Isolation {
                ingress: Some(only(&[])),
                egress: None,
            },
        )],
    );
    let with = |state| Packet {
        state,
        ..packet(B, at(A))
    };
    assert_eq!(send(&rules, with(State::New), 0, &[NODE]), Fate::Dropped);
    assert_eq!(send(&rules, with(State::Invalid), 0, &[NODE]), Fate::Reset);
    assert_eq!(
        send(&rules, with(State::Established), 0, &[NODE]),
        arrives(B, at(A))
    );
}

#[test]
fn pods_that_may_do_the_same_share_a_chain() {
    let same = Isolation {
        ingress: Some(only(&[C])),
        egress: None,
    };
    let rules = rules(&[], &[(A, same.clone()), (B, same)]);
    assert_eq!(rules.ingress[&A], rules.ingress[&B]);
    let policies = rules.chains.iter().filter(|chain| chain.hook.is_none());
    assert_eq!(policies.count(), 1);
}

#[test]
fn a_ruleset_that_is_too_large_is_split_and_the_hooks_come_last() {
    let many: Vec<Frontend> = (0..2000u32)
        .map(|number| Frontend {
            address: Ipv4Addr::from_bits(WEB.ip().to_bits() + number),
            ..frontend(&[at(A), at(B)])
        })
        .collect();
    let rules = rules(&many, &[]);
    let limit = 400 << 10;
    let whole = encode::transactions(&rules, "b", Some("a"), usize::MAX);
    assert_eq!(whole.len(), 1);
    let parts = encode::transactions(&rules, "b", Some("a"), limit);
    assert!(parts.len() > 2, "{}", parts.len());
    assert!(parts.iter().all(|part| part.len() <= limit));
}
