//! The connections that the kernel tracks, and which of them must end when rules change.
//!
//! Rules look at the first packet of a connection only, so one that was open when a policy closed would live on. It is taken out of the
//! table; its next packet then belongs to nothing and is answered with a reset at either end.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::frontend::Frontend;
use super::netlink::{Messages, Socket, attribute, flag};
use super::observed::Protocol;
use super::policy::Isolations;

/// Message kinds: connection tracking is subsystem 1 (`linux/netfilter/nfnetlink_conntrack.h`).
const GET: u16 = 0x0101;
const DELETE: u16 = 0x0102;
/// The fixed part: family IPv4.
const FIXED: [u8; 4] = [2, 0, 0, 0];
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const IDENTITY: u16 = 12;

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Who opened it.
    pub(crate) from: Ipv4Addr,
    /// Where the first packet was sent.
    pub(crate) to: Ipv4Addr,
    /// Who answers.
    pub(crate) answers: Ipv4Addr,
    /// The protocol and the ports that it was sent to and is answered from, for protocols that have them.
    pub(crate) ports: Option<(Protocol, u16, u16)>,
    /// How the kernel finds it: the attributes that tell it from all others.
    key: Vec<u8>,
    identity: Vec<u8>,
}

impl Connection {
    #[cfg(test)]
    pub(crate) fn of(
        from: Ipv4Addr,
        to: Ipv4Addr,
        answers: Ipv4Addr,
        ports: Option<(Protocol, u16, u16)>,
    ) -> Self {
        Self {
            from,
            to,
            answers,
            ports,
            key: Vec::new(),
            identity: Vec::new(),
        }
    }

    fn parse(message: &[u8]) -> Option<Self> {
        let body = message.get(FIXED.len()..)?;
        let key = attribute(body, ORIGINAL)?;
        let (from, to, protocol, sent) = tuple(key)?;
        let (answers, _, _, _) = tuple(attribute(body, REPLY)?)?;
        let answered = source_port(attribute(body, REPLY)?);
        let known = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        let known = known.into_iter().find(|it| it.number() == protocol);
        Some(Self {
            from,
            to,
            answers,
            ports: known.and_then(|protocol| Some((protocol, sent?, answered?))),
            key: key.to_vec(),
            identity: attribute(body, IDENTITY).unwrap_or_default().to_vec(),
        })
    }
}

/// Source, destination, protocol and destination port of a tuple.
fn tuple(bytes: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, u8, Option<u16>)> {
    let (addresses, protocol) = (attribute(bytes, 1)?, attribute(bytes, 2)?);
    let address = |kind| {
        Some(Ipv4Addr::from(
            *attribute(addresses, kind)?.first_chunk::<4>()?,
        ))
    };
    let number = *attribute(protocol, 1)?.first()?;
    Some((address(1)?, address(2)?, number, port(protocol, 3)))
}

fn source_port(bytes: &[u8]) -> Option<u16> {
    port(attribute(bytes, 2)?, 2)
}

fn port(protocol: &[u8], kind: u16) -> Option<u16> {
    attribute(protocol, kind)?
        .first_chunk()
        .map(|port| u16::from_be_bytes(*port))
}

/// All connections of the socket's namespace.
pub(crate) fn list(socket: &Socket) -> io::Result<Vec<Connection>> {
    let mut question = Messages::default();
    question.begin(GET, flag::DUMP, &FIXED);
    let mut connections = Vec::new();
    socket.dump(&question, |message| {
        connections.extend(Connection::parse(message));
    })?;
    Ok(connections)
}

/// Forgets a connection. One that has ended by itself in the meantime is no error.
pub(crate) fn forget(socket: &Socket, connection: &Connection) -> io::Result<()> {
    let mut messages = Messages::default();
    messages.begin(DELETE, flag::ACK, &FIXED);
    messages.attribute(ORIGINAL | 0x8000, &connection.key);
    if !connection.identity.is_empty() {
        messages.attribute(IDENTITY, &connection.identity);
    }
    match socket.request(&messages) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Whether a connection must end: a policy forbids it now, or it is a flow of datagrams to an endpoint that its service has no more.
///
/// `node` are the node's own addresses: what the node opens, such as probes, is always allowed, and the relay asks the policies itself.
pub(crate) fn must_end(
    connection: &Connection,
    isolations: &Isolations,
    frontends: &[Frontend],
    node: &[Ipv4Addr],
    relay: SocketAddrV4,
) -> bool {
    if node.contains(&connection.from) || connection.answers == *relay.ip() {
        return false;
    }
    let port = connection
        .ports
        .map(|(protocol, _, answered)| (protocol, answered));
    if !isolations.permit(connection.from, connection.answers, port) {
        return true;
    }
    let Some((Protocol::Udp, sent, answered)) = connection.ports else {
        return false;
    };
    let endpoint = SocketAddrV4::new(connection.answers, answered);
    frontends.iter().any(|frontend| {
        let same = (frontend.address, frontend.protocol, frontend.port)
            == (connection.to, Protocol::Udp, sent);
        same && !frontend.backends.contains(&endpoint)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::address::AddressSet;
    use super::super::config::Config;
    use super::super::policy::{Allow, Isolation, Ports};
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 10);
    const B: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 11);
    const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 5);

    fn connection(from: Ipv4Addr, answers: Ipv4Addr, protocol: Protocol) -> Connection {
        Connection::of(from, SERVICE, answers, Some((protocol, 53, 5353)))
    }

    fn ends(connection: &Connection, isolations: &Isolations, backends: &[SocketAddrV4]) -> bool {
        let config = Config::default();
        let frontend = Frontend {
            service: "default/dns".to_owned(),
            address: SERVICE,
            protocol: Protocol::Udp,
            port: 53,
            node_port: None,
            sticky: false,
            backends: backends.to_vec(),
        };
        must_end(
            connection,
            isolations,
            &[frontend],
            &config.own_addresses(),
            config.relay(),
        )
    }

    fn only(peers: AddressSet) -> Isolations {
        let allowed = vec![Allow {
            peers,
            ports: Ports::Any,
        }];
        Isolations(BTreeMap::from([(
            B,
            Isolation {
                ingress: Some(allowed),
                egress: None,
            },
        )]))
    }

    #[test]
    fn a_connection_ends_when_a_policy_forbids_it_by_the_pod_behind_the_service() {
        let connection = connection(A, B, Protocol::Tcp);
        assert!(!ends(&connection, &Isolations::default(), &[]));
        assert!(!ends(&connection, &only([A].into_iter().collect()), &[]));
        assert!(ends(&connection, &only(AddressSet::default()), &[]));
        let ping = Connection {
            ports: None,
            ..connection
        };
        assert!(ends(&ping, &only(AddressSet::default()), &[]));
    }

    #[test]
    fn what_the_node_opens_and_what_the_relay_carries_stays() {
        let closed = only(AddressSet::default());
        let config = Config::default();
        assert!(!ends(
            &connection(config.node(), B, Protocol::Tcp),
            &closed,
            &[]
        ));
        assert!(!ends(
            &connection(B, config.node(), Protocol::Tcp),
            &closed,
            &[]
        ));
        assert!(!ends(&connection(B, B, Protocol::Tcp), &closed, &[]));
    }

    #[test]
    fn datagrams_leave_an_endpoint_that_is_gone_and_streams_do_not() {
        let (here, gone) = ([SocketAddrV4::new(B, 5353)], [SocketAddrV4::new(A, 5353)]);
        let none = Isolations::default();
        assert!(!ends(&connection(A, B, Protocol::Udp), &none, &here));
        assert!(ends(&connection(A, B, Protocol::Udp), &none, &gone));
        assert!(!ends(&connection(A, B, Protocol::Tcp), &none, &gone));
    }

    proptest! {
        #[test]
        fn no_bytes_from_the_kernel_make_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(Connection::parse(&bytes));
        }
    }
}
