//! Network policies, as packets feel them.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;

use kube::runtime::watcher::Event;
use mwctl_node::network::Config;
use mwctl_node::network::cluster::Change;
use mwctl_node::network::observed::{Observed, Protocol, Workload};
use mwctl_node::network::policy::Isolations;
use serde_json::json;

use crate::world::{LONG, SHORT, World, echo, read, v4};

pub(crate) fn closes_and_opens() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let (web, friend, stranger) = (
            world.pod("web").await,
            world.pod("friend").await,
            world.pod("stranger").await,
        );
        web.serve(8080);
        web.serve(9090);
        world.service("web", "10.96.0.50", &[web.at(8080)]).await;
        let service = v4("10.96.0.50:80");
        stranger.ask(web.at(8080), LONG).unwrap();
        world
            .policy(
                "web",
                json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [
                    {"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": "http"}]}]}),
            )
            .await;
        // The policy sees the pod behind the service, on both sides.
        friend.ask(web.at(8080), LONG).unwrap();
        friend.ask(service, LONG).unwrap();
        for to in [web.at(8080), service] {
            assert_eq!(
                stranger.ask(to, SHORT).unwrap_err().kind(),
                ErrorKind::TimedOut
            );
        }
        friend.ask(web.at(9090), SHORT).unwrap_err();
        // A pod reaches itself, and the node reaches every pod.
        web.ask(service, LONG).unwrap();
        world.network.connect(web.at(9090)).await.unwrap();

        world
            .policy(
                "friend",
                json!({"podSelector": {"matchLabels": {"app": "friend"}}, "policyTypes": ["Egress"], "egress": []}),
            )
            .await;
        friend.ask(web.at(8080), SHORT).unwrap_err();
        friend.ask(v4("10.96.0.10:53"), SHORT).unwrap_err();
        stranger
            .run(|| std::net::TcpStream::connect_timeout(&v4("10.96.0.10:53").into(), LONG))
            .join()
            .unwrap()
            .unwrap();
        world.no_policy("friend").await;
        friend.ask(web.at(8080), LONG).unwrap();
        world.no_policy("web").await;
        stranger.ask(service, LONG).unwrap();
    })
}

pub(crate) fn cuts_what_was_open() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let (web, client, other) = (
            world.pod("web").await,
            world.pod("client").await,
            world.pod("other").await,
        );
        web.serve(8080);
        world.service("web", "10.96.0.50", &[web.at(8080)]).await;
        let mut open = Vec::new();
        for to in [web.at(8080), v4("10.96.0.50:80")] {
            open.push(client.ask(to, LONG).unwrap().stream);
        }
        let mut kept = other.ask(v4("10.96.0.50:80"), LONG).unwrap().stream;
        world
            .policy(
                "web",
                json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [
                    {"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}]}),
            )
            .await;
        for stream in &mut open {
            stream.set_read_timeout(Some(LONG)).unwrap();
            let error = echo(stream).unwrap_err();
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                ),
                "{error}"
            );
        }
        echo(&mut kept).unwrap();
    })
}

pub(crate) fn holds_before_a_pod_starts() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let web = world.pod("web").await;
        web.serve(8080);
        world
            .policy(
                "all",
                json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
            )
            .await;
        // Nobody has told of this pod but the one that starts it; it is closed from its first moment.
        for number in 0..5 {
            let late = world.pod(&format!("late{number}")).await;
            late.ask(web.at(8080), SHORT / 3).unwrap_err();
        }
        world.tell(Change::NetworkPolicy(Event::Delete(read(json!({
            "metadata": {"namespace": "default", "name": "all"}, "spec": {"podSelector": {}}})))));
        world.settled().await;
        let late = world.pod("late").await;
        late.ask(web.at(8080), LONG).unwrap();
    })
}

pub(crate) fn cannot_be_evaded_by_a_false_address() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let (web, friend, stranger) = (
            world.pod("web").await,
            world.pod("friend").await,
            world.pod("stranger").await,
        );
        // Whoever sends says by hand who it is: the friend truly, the stranger falsely.
        let receive = move || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:9000").unwrap();
            socket.set_read_timeout(Some(SHORT)).unwrap();
            socket
        };
        let socket = web.run(receive).join().unwrap();
        let (theirs, ours) = (friend.place.address, web.place.address);
        friend.run(move || send_raw(theirs, ours)).join().unwrap();
        let mut buffer = [0; 16];
        let (_, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(from.ip(), friend.place.address);
        stranger.run(move || send_raw(theirs, ours)).join().unwrap();
        let error = socket.recv_from(&mut buffer).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "{error}"
        );
    })
}

/// A UDP datagram with a source address of one's choice.
#[expect(unsafe_code, reason = "raw sockets are outside the library")]
fn send_raw(from: std::net::Ipv4Addr, to: std::net::Ipv4Addr) {
    let payload = b"false";
    let mut packet = vec![0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(4000u16.to_be_bytes());
    packet.extend(9000u16.to_be_bytes());
    packet.extend(13u16.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    // SAFETY: the address is valid and outlives the call; the socket is closed with the process.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW);
        assert!(socket >= 0, "{}", std::io::Error::last_os_error());
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_addr.s_addr = u32::from(to).to_be();
        let sent = libc::sendto(
            socket,
            packet.as_ptr().cast(),
            packet.len(),
            0,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in>() as u32,
        );
        assert_eq!(
            sent,
            packet.len() as isize,
            "{}",
            std::io::Error::last_os_error()
        );
    }
}

/// Policies that say the same things in many ways; each is tried with real packets against what is read of it.
const SPECS: &[&str] = &[
    r#"{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}"#,
    r#"{"podSelector": {"matchLabels": {"app": "a"}}, "ingress": [{"ports": [{"port": "http"}]}]}"#,
    r#"{"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["b"]}]}}]}]}"#,
    r#"{"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 8081, "endPort": 9090}]}]}"#,
    r#"{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}]}"#,
    r#"{"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.42.0.0/24", "except": ["10.42.0.11/32"]}}]}]}"#,
    r#"{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "10.42.0.10/31"}}], "ports": [{"port": 9090}, {"port": 53, "protocol": "UDP"}]}]}"#,
    r#"{"podSelector": {"matchLabels": {"app": "c"}}, "ingress": [{"ports": [{"protocol": "UDP"}]}, {"from": [{"podSelector": {"matchLabels": {"app": "b"}}}], "ports": [{}]}]}"#,
    r#"{"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "a"}}}, {"podSelector": {"matchLabels": {"app": "c"}}}]}]}"#,
];

pub(crate) fn is_what_the_policies_say() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let pods = [
            world.pod("a").await,
            world.pod("b").await,
            world.pod("c").await,
        ];
        for pod in &pods {
            pod.serve(8080);
            pod.serve(9090);
        }
        for spec in SPECS {
            let spec: serde_json::Value = serde_json::from_str(spec).unwrap();
            world.policy("p", spec.clone()).await;
            let expected = expected(&pods, &spec);
            let mut probes = Vec::new();
            for from in &pods {
                for to in &pods {
                    for port in [8080, 9090] {
                        let at = to.at(port);
                        let allowed = expected.permit(
                            from.place.address,
                            *at.ip(),
                            Some((Protocol::Tcp, port)),
                        );
                        // What should arrive has time enough on a busy machine; what shouldn't must not within a moment.
                        let patience = if allowed { LONG } else { SHORT };
                        let probe = from.run(move || crate::world::ask(at, patience).is_ok());
                        probes.push((allowed, probe, format!("{} to {at}: {spec}", from.name)));
                    }
                }
            }
            for (allowed, probe, what) in probes {
                assert_eq!(probe.join().unwrap(), allowed, "{what}");
            }
        }
    })
}

/// The policy as the crate reads it, which tests of its own compare with a second reading.
fn expected(pods: &[crate::world::Runner], spec: &serde_json::Value) -> Isolations {
    let workloads = pods.iter().map(|pod| {
        let object = crate::world::pod_object(&pod.name, None);
        Arc::new(Workload::new(&object, pod.place.address))
    });
    let labels = [(
        "kubernetes.io/metadata.name".to_owned(),
        "default".to_owned(),
    )];
    Isolations::of(&Observed {
        namespaces: [("default".to_owned(), labels.into())].into(),
        pods: workloads.collect(),
        policies: vec![Arc::new(read(
            json!({"metadata": {"namespace": "default", "name": "p"}, "spec": spec}),
        ))],
        ..Observed::default()
    })
}
