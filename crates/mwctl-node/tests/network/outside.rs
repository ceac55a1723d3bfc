//! What isn't in the cluster: another machine, played by a namespace behind a cable from the host's, and this machine itself.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::pin::Pin;

use mwctl_node::network::Config;
use serde_json::json;

use crate::scenario::{program, skip_without, within};
use crate::world::{LONG, SHORT, World, echo, serve, v4};

/// The other machine's address, and the host's on the cable between them (RFC 5737).
const THERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const HERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// The other machine.
pub(crate) struct Outside {
    namespace: OwnedFd,
}

/// A port of the other machine.
pub(crate) fn at(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(THERE, port)
}

impl Outside {
    /// Puts it up and connects it to the host; `None` without `ip`. Called on the scenario's own thread.
    pub(crate) fn new() -> Option<Self> {
        if program("ip", &["-Version"]).is_none() {
            skip_without("ip", "iproute2");
            return None;
        }
        let (made_tx, made_rx) = std::sync::mpsc::channel();
        let (done_tx, done_rx) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            enter_new();
            let thread = rustix::thread::gettid().as_raw_nonzero();
            let namespace: OwnedFd = std::fs::File::open("/proc/thread-self/ns/net")
                .unwrap()
                .into();
            made_tx.send((namespace, thread)).unwrap();
            done_rx.recv().ok();
        });
        let (namespace, thread) = made_rx.recv().unwrap();
        let ip = |command: &str| {
            let words: Vec<&str> = command.split(' ').collect();
            program("ip", &words).unwrap();
        };
        ip(&format!(
            "link add out0 type veth peer name eth0 netns {thread}"
        ));
        ip(&format!("addr add {HERE}/24 dev out0"));
        ip("link set out0 up");
        let inside = within(&namespace, move || {
            ip(&format!("addr add {THERE}/24 dev eth0"));
            ip("link set eth0 up");
        });
        inside.join().unwrap();
        drop(done_tx);
        Some(Self { namespace })
    }

    pub(crate) fn listen(&self, port: u16) -> TcpListener {
        let listen = move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
        within(&self.namespace, listen).join().unwrap()
    }
}

#[expect(unsafe_code, reason = "a thread gets a namespace of its own")]
fn enter_new() {
    // SAFETY: a network namespace is the calling thread's alone.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.unwrap();
}

pub(crate) fn is_reached_and_policies_hold() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let Some(outside) = Outside::new() else {
            return;
        };
        serve("internet".to_owned(), outside.listen(443));
        serve("refused".to_owned(), outside.listen(6443));
        let config = Config {
            refused: BTreeSet::from([at(6443)]),
            ..Config::default()
        };
        let world = World::new(config).await;
        let client = world.pod("client").await;
        let mut open = client.ask(at(443), LONG).unwrap();
        assert_eq!(open.who, "internet");
        // The other side sees this machine, as from any program on it.
        assert_eq!(open.seen_as, HERE.to_string());
        echo(&mut open.stream).unwrap();
        // What the settings refuse, and where nobody listens: a reset, at once.
        for port in [6443, 444] {
            let error = client.ask(at(port), LONG).unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::ConnectionReset),
                "{port}: {error}"
            );
        }
        let block = |except: &[&str]| {
            json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [
                {"to": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": except}}], "ports": [{"port": 443}]}]})
        };
        world.policy("out", block(&[])).await;
        client.ask(at(443), LONG).unwrap();
        echo(&mut open.stream).unwrap();
        world.policy("out", block(&["203.0.113.5/32"])).await;
        // It is as if nobody were there; and what was open has ended.
        assert_eq!(
            client.ask(at(443), SHORT).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        open.stream.set_read_timeout(Some(LONG)).unwrap();
        echo(&mut open.stream).unwrap_err();
    })
}

pub(crate) fn is_not_this_machine() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let Some(_outside) = Outside::new() else {
            return;
        };
        for (name, port) in [("allowed", 5000), ("forbidden", 5001)] {
            serve(
                name.to_owned(),
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap(),
            );
        }
        let config = Config {
            host_ports: BTreeMap::from([("collector".to_owned(), 5000)]),
            ..Config::default()
        };
        let world = World::new(config).await;
        let client = world.pod("client").await;
        // By the name that stands for this machine, at the port that was allowed.
        let asked = client.ask(v4("192.0.2.1:5000"), LONG).unwrap();
        assert_eq!(asked.who, "allowed");
        let relay = format!("{}:15001", world.network.config().node());
        let refused = [
            "192.0.2.1:5001",
            // All other ways to the same listeners.
            "203.0.113.1:5000",
            "203.0.113.1:5001",
            "0.0.0.1:5001",
            // Where clouds keep their secrets.
            "169.254.169.254:80",
            // The relay itself.
            &relay,
        ];
        for to in refused {
            let error = client.ask(v4(to), SHORT).unwrap_err();
            let kinds = [
                ErrorKind::ConnectionReset,
                ErrorKind::InvalidInput,
                ErrorKind::NetworkUnreachable,
            ];
            assert!(kinds.contains(&error.kind()), "{to}: {error}");
        }
    })
}
