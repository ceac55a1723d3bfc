//! Whether what follows a state of the network can forbid a connection that it let be opened. Pure.
//!
//! Only then are the connections looked at that the kernel tracks: it walks through its whole table however few there are, which takes
//! milliseconds, and all that changes links and rules waits for it. Which of them must end is [`super::connections`]' word.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::observed::Protocol;
use super::policy::{Allow, Allowed, Isolation, Ports};
use super::view::View;

/// Whether a connection that was allowed may be allowed no more. It can say so where none is, but never the opposite.
pub(crate) fn may_close(before: &View, after: &View) -> bool {
    policies_close(before, after) || datagrams_go_elsewhere(before, after)
}

fn policies_close(before: &View, after: &View) -> bool {
    let free = Isolation::default();
    after.isolations.0.iter().any(|(address, now)| {
        let then = before.isolations.0.get(address).unwrap_or(&free);
        !is_new(*address, before, after)
            && (narrows(then.ingress.as_ref(), now.ingress.as_ref())
                || narrows(then.egress.as_ref(), now.egress.as_ref()))
    })
}

/// Whether the address is that of a pod that has just come: what its last holder had open ended with that one.
fn is_new(address: Ipv4Addr, before: &View, after: &View) -> bool {
    let now = after.local.get(&address);
    now.is_some() && before.local.get(&address) != now
}

fn narrows(then: Option<&Allowed>, now: Option<&Allowed>) -> bool {
    match (then, now) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(then), Some(now)) => !then
            .iter()
            .all(|was| now.iter().any(|allow| covers(allow, was))),
    }
}

/// Whether all that the second one lets through, the first one does.
fn covers(allow: &Allow, was: &Allow) -> bool {
    let ports = match (&allow.ports, &was.ports) {
        (Ports::Any, _) => true,
        (Ports::These(_), Ports::Any) => false,
        (Ports::These(now), Ports::These(then)) => then.is_subset(now),
    };
    ports && was.peers.is_within(&allow.peers)
}

/// Whether a flow of datagrams may lead where nobody is behind its service any more, or where it got before somebody was.
fn datagrams_go_elsewhere(before: &View, after: &View) -> bool {
    let then: BTreeMap<_, _> = datagrams(before).collect();
    datagrams(after).any(|(key, now)| {
        then.get(&key).is_none_or(|then| {
            then.is_empty() != now.is_empty() || then.iter().any(|backend| !now.contains(backend))
        })
    })
}

/// The services of datagrams, by where they are, with who answers.
fn datagrams(view: &View) -> impl Iterator<Item = ((Ipv4Addr, u16), &[SocketAddrV4])> {
    let frontends = view.frontends.iter();
    let frontends = frontends.filter(|it| it.protocol == Protocol::Udp);
    frontends.map(|it| ((it.address, it.port), it.backends.as_slice()))
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    use super::super::address::AddressSet;
    use super::super::config::Config;
    use super::super::connections::{Connection, must_end};
    use super::super::frontend::Frontend;
    use super::super::policy::{Isolations, PortRange};
    use super::*;

    fn address(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 42, 1, number)
    }

    fn some_address() -> impl Strategy<Value = Ipv4Addr> {
        (0..5_u8).prop_map(address)
    }

    fn protocol() -> impl Strategy<Value = Protocol> {
        prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)]
    }

    fn allow() -> impl Strategy<Value = Allow> {
        let range =
            (protocol(), 1..4_u16, 0..2_u16).prop_map(|(protocol, first, more)| PortRange {
                protocol,
                first,
                last: first + more,
            });
        let ports = prop_oneof![
            Just(Ports::Any),
            btree_set(range, 0..3).prop_map(Ports::These)
        ];
        let peers = vec(some_address(), 0..5).prop_map(AddressSet::from_iter);
        (peers, ports).prop_map(|(peers, ports)| Allow { peers, ports })
    }

    fn isolation() -> impl Strategy<Value = Isolation> {
        let allowed = || option::of(vec(allow(), 0..3));
        (allowed(), allowed()).prop_map(|(ingress, egress)| Isolation { ingress, egress })
    }

    fn frontend() -> impl Strategy<Value = Frontend> {
        let backend = (some_address(), 1..4_u16).prop_map(|(at, port)| SocketAddrV4::new(at, port));
        (
            some_address(),
            protocol(),
            1..3_u16,
            btree_set(backend, 0..3),
        )
            .prop_map(
                |(address, protocol, port, backends): (_, _, _, BTreeSet<_>)| Frontend {
                    service: "default/a".to_owned(),
                    address,
                    protocol,
                    port,
                    node_port: None,
                    sticky: false,
                    backends: backends.into_iter().collect(),
                },
            )
    }

    fn view() -> impl Strategy<Value = View> {
        let isolations = btree_map(some_address(), isolation(), 0..3).prop_map(Isolations);
        (isolations, vec(frontend(), 0..3)).prop_map(|(isolations, mut frontends)| {
            frontends.sort_by_key(|it| (it.address, it.protocol, it.port));
            frontends.dedup_by_key(|it| (it.address, it.protocol, it.port));
            View {
                frontends,
                isolations,
                ..View::default()
            }
        })
    }

    /// Some of what came out of it, with the rest as it was: views follow each other in small steps.
    fn step() -> impl Strategy<Value = (View, View)> {
        (view(), view(), any::<[bool; 2]>()).prop_map(|(before, other, [policies, frontends])| {
            let mut after = before.clone();
            if policies {
                after.isolations.0.extend(other.isolations.0);
            }
            if frontends {
                after.frontends = other.frontends;
            }
            (before, after)
        })
    }

    fn pod(number: u8, isolation: Isolation, uid: &str) -> View {
        View {
            isolations: Isolations(BTreeMap::from([(address(number), isolation)])),
            local: BTreeMap::from([(address(number), uid.to_owned())]),
            ..View::default()
        }
    }

    fn only(peers: &[Ipv4Addr]) -> Isolation {
        Isolation {
            ingress: Some(vec![Allow {
                peers: peers.iter().copied().collect(),
                ports: Ports::Any,
            }]),
            egress: None,
        }
    }

    #[test]
    fn a_policy_that_opens_closes_nothing() {
        let (one, two) = (address(1), address(2));
        let closed = pod(3, only(&[one]), "a");
        let open = pod(3, only(&[one, two]), "a");
        assert!(!may_close(&closed, &open));
        assert!(may_close(&open, &closed));
        assert!(!may_close(&open, &open));
        let free = pod(3, Isolation::default(), "a");
        assert!(may_close(&free, &open));
        assert!(!may_close(&open, &free));
    }

    #[test]
    fn a_pod_that_comes_has_nothing_open() {
        let (none, there) = (View::default(), pod(3, only(&[]), "a"));
        assert!(!may_close(&none, &there));
        assert!(!may_close(&there, &pod(3, only(&[]), "b")));
    }

    proptest! {
        #[test]
        fn what_must_end_is_never_passed_over(
            (before, after) in step(),
            ends in (some_address(), some_address(), some_address()),
            ports in option::of((protocol(), 1..4_u16, 1..4_u16)),
        ) {
            let (from, to, answers) = ends;
            let connection = Connection::of(from, to, answers, ports);
            let config = Config::default();
            let ends = |view: &View| must_end(
                &connection, &view.isolations, &view.frontends, &config.own_addresses(), config.relay(),
            );
            prop_assert!(may_close(&before, &after) || ends(&before) || !ends(&after));
        }
    }
}
