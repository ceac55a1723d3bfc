//! Interfaces, addresses and routes of the node and its pods (`linux/rtnetlink.h`).
//!
//! Each pod has a veth pair and a /32 address; the node routes to each of them and answers ARP for the gateway on all. No bridge: all
//! traffic between pods is forwarded, and so passes the filter.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::address::Cidr;
use super::namespace::set;
use super::netlink::{Family, Messages, Socket, flag};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;

/// The loopback interface is the first of each namespace.
const LOOPBACK: i32 = 1;
/// A pod's interface is the second of its namespace.
const POD_INTERFACE: i32 = 2;
/// Interfaces of pods have numbers from here on, so that nobody need ask for them.
const FIRST_INDEX: i32 = 1000;

const AF_INET: u8 = 2;
const PERMANENT: u8 = 0x80;
const TABLE_MAIN: u8 = 254;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const TYPE_UNICAST: u8 = 1;

/// Prepares the node's namespace. Called by the thread that lives there.
pub(crate) fn prepare_node(route: &Socket, own: &[Ipv4Addr], services: Cidr) -> io::Result<()> {
    set("ipv4/ip_forward", "1")?;
    // A pod can't pretend to be another: answers to its address would go elsewhere.
    set("ipv4/conf/all/rp_filter", "1")?;
    set("ipv4/conf/all/send_redirects", "0")?;
    set("ipv4/conf/default/send_redirects", "0")?;
    // Where the kernel has no IPv6 there is nothing to switch off.
    set("ipv6/conf/all/disable_ipv6", "1").ok();
    set("ipv6/conf/default/disable_ipv6", "1").ok();
    let mut messages = Messages::default();
    up(&mut messages, LOOPBACK);
    for address in own {
        add_address(&mut messages, LOOPBACK, *address);
    }
    // What the node itself sends to a service must have a route before it gets to the hook that changes its destination.
    add_route(&mut messages, services, None, LOOPBACK);
    route.request(&messages)
}

/// Makes the pair of a pod from the node's side and the route to it. `namespace` is the pod's.
pub(crate) fn attach_pod(
    route: &Socket,
    number: u32,
    address: Ipv4Addr,
    namespace: BorrowedFd<'_>,
) -> io::Result<()> {
    let index = index(number);
    let mut messages = Messages::default();
    let flags = flag::ACK | flag::CREATE | flag::EXCL;
    messages.begin(NEW_LINK, flags, &interface(index, 1));
    messages.text(3, &format!("pod{number}")).nest(18, |info| {
        info.text(1, "veth").nest(2, |data| {
            data.nest(1, |peer| {
                // The peer is made down: veth refuses one that is up before its other end is.
                peer.raw(&interface(POD_INTERFACE, 0)).text(3, "eth0");
                peer.attribute(28, &namespace.as_raw_fd().to_ne_bytes());
            });
        });
    });
    add_route(&mut messages, Cidr::new(address, 32), None, index);
    route.request(&messages)
}

/// Takes the pod's pair away, at once and whoever is still in its namespace. One that was never made is no error.
pub(crate) fn detach_pod(route: &Socket, number: u32) -> io::Result<()> {
    let mut messages = Messages::default();
    messages.begin(DELETE_LINK, flag::ACK, &interface(index(number), 0));
    match route.request(&messages) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => Ok(()),
        outcome => outcome,
    }
}

/// Prepares a pod's namespace for its pair: what will be there has no IPv6. Called by a thread inside, before there is anything.
///
/// For an interface that is there already the kernel would want the lock of all interfaces, and try again and again while another pod's
/// is being made: that is most of the time it takes to make twenty.
pub(crate) fn prepare_namespace() {
    // Where the kernel has no IPv6 there is nothing to switch off.
    set("ipv6/conf/default/disable_ipv6", "1").ok();
}

/// Prepares a pod's namespace. Called by a thread inside, when the pair is there.
pub(crate) fn prepare_pod(address: Ipv4Addr, gateway: Ipv4Addr) -> io::Result<()> {
    // Root in a pod's user namespace has no say over this one, so low ports are open to everybody.
    set("ipv4/ip_unprivileged_port_start", "0")?;
    // The widest range that the user namespace has groups for; without any there is no ping.
    for range in ["0 2147483647", "0 65535", "0 0"] {
        if set("ipv4/ping_group_range", range).is_ok() {
            break;
        }
    }
    let mut messages = Messages::default();
    up(&mut messages, LOOPBACK);
    up(&mut messages, POD_INTERFACE);
    add_address(&mut messages, POD_INTERFACE, address);
    add_route(&mut messages, Cidr::new(gateway, 32), None, POD_INTERFACE);
    let everywhere = Cidr::new(Ipv4Addr::UNSPECIFIED, 0);
    add_route(&mut messages, everywhere, Some(gateway), POD_INTERFACE);
    Socket::open(Family::Route)?.request(&messages)
}

fn index(number: u32) -> i32 {
    FIRST_INDEX.saturating_add_unsigned(number)
}

/// `struct ifinfomsg`: with `up` set, the interface is to be up.
fn interface(index: i32, up: u32) -> Vec<u8> {
    let words = [0, index.cast_unsigned(), up, up];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn up(messages: &mut Messages, index: i32) {
    messages.begin(NEW_LINK, flag::ACK, &interface(index, 1));
}

/// `struct ifaddrmsg`: a /32 address.
fn add_address(messages: &mut Messages, index: i32, address: Ipv4Addr) {
    let mut fixed = vec![AF_INET, 32, PERMANENT, 0];
    fixed.extend(index.to_ne_bytes());
    messages.begin(NEW_ADDRESS, flag::ACK | flag::CREATE | flag::EXCL, &fixed);
    messages
        .attribute(2, &address.octets())
        .attribute(1, &address.octets());
}

/// `struct rtmsg`.
fn add_route(messages: &mut Messages, to: Cidr, via: Option<Ipv4Addr>, index: i32) {
    let scope = if via.is_some() {
        SCOPE_UNIVERSE
    } else {
        SCOPE_LINK
    };
    let fixed = [
        AF_INET,
        to.prefix(),
        0,
        0,
        TABLE_MAIN,
        PROTOCOL_STATIC,
        scope,
        TYPE_UNICAST,
        0,
        0,
        0,
        0,
    ];
    messages.begin(NEW_ROUTE, flag::ACK | flag::CREATE, &fixed);
    if to.prefix() > 0 {
        messages.attribute(1, &to.base().octets());
    }
    if let Some(via) = via {
        messages.attribute(5, &via.octets());
    }
    messages.attribute(4, &index.to_ne_bytes());
}
