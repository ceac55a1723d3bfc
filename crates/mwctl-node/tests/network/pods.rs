//! Pods' places on the network.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;

use mwctl_node::network::Config;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::scenario::{program, skip_without, within};
use crate::world::{LONG, SHORT, World, v4};

pub(crate) fn come_and_go() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let many = futures::future::join_all(
            (0..20).map(async |number| world.pod(&format!("p{number}")).await),
        )
        .await;
        let addresses: BTreeSet<_> = many.iter().map(|pod| pod.place.address).collect();
        assert_eq!(addresses.len(), 20);
        many[0].serve(80);
        many[19].ask(many[0].at(80), LONG).unwrap();
        // The same pod again is the same place.
        let again = world.pod("p0").await;
        assert_eq!(again.place.address, many[0].place.address);
        again.ask(v4("127.0.0.1:80"), LONG).unwrap();
        // A pod that is gone answers nobody, though its processes may be there still.
        let mut open = many[19].ask(many[0].at(80), LONG).unwrap();
        world.network.remove("uid-p0").await.unwrap();
        world.network.remove("uid-p0").await.unwrap();
        many[19].ask(many[0].at(80), SHORT).unwrap_err();
        open.stream.set_read_timeout(Some(SHORT)).unwrap();
        crate::world::echo(&mut open.stream).unwrap_err();
    })
}

pub(crate) fn are_reached_within() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let pod = world.pod("private").await;
        pod.serve_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)));
        world
            .policy(
                "none",
                json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
            )
            .await;
        let mut stream = world
            .network
            .connect_within("uid-private", 9000)
            .await
            .unwrap();
        let mut name = [0; 7];
        stream.read_exact(&mut name).await.unwrap();
        assert_eq!(&name, b"private");
        let error = world
            .network
            .connect_within("nobody", 9000)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the pod nobody isn't on this node's network"
        );
    })
}

/// The namespace of the node, by the thread that lives there.
fn node() -> OwnedFd {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let resident = tasks
        .map(|task| task.unwrap().path())
        .find(|task| std::fs::read_to_string(task.join("comm")).unwrap().trim() == "node-network");
    std::fs::File::open(resident.unwrap().join("ns/net"))
        .unwrap()
        .into()
}

/// The rules as `nft` prints them; `None` where it isn't installed.
fn listed() -> Option<String> {
    within(node(), || program("nft", &["list", "ruleset"]))
        .join()
        .unwrap()
}

pub(crate) fn rules_are_shown_by_nft() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let (a, b) = (world.pod("a").await, world.pod("b").await);
        world
            .service_at("web", "10.96.0.50", Some(30080), &[a.at(8080), b.at(8080)])
            .await;
        world
            .policy(
                "a",
                json!({"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Ingress", "Egress"],
                    "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "b"}}}], "ports": [{"port": 8080, "endPort": 8090}]}],
                    "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 53, "protocol": "UDP"}]}]}),
            )
            .await;
        let Some(text) = listed() else {
            skip_without("nft", "nftables");
            return;
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = [
            "10.96.0.50 . tcp . 80 : goto service-",
            "tcp . 30080 : goto service-",
            "dnat ip to numgen inc mod 2 map { 0 : 10.42.0.10 . 8080, 1 : 10.42.0.11 . 8080 }",
            "ip saddr 10.42.0.11 tcp dport 8080-8090 return drop",
            "ip daddr { 10.0.0.0/16, 10.2.0.0-10.255.255.255 } udp dport 53 return drop",
            "ip saddr . ip daddr @itself snat to 10.42.0.1",
            "ip daddr 10.96.0.0-10.111.255.255 reject",
            "ct state established,related accept ct state invalid reject with tcp reset",
            "ip saddr vmap @egress ip daddr vmap @ingress",
            "meta l4proto tcp dnat to 10.42.0.1:15001",
        ];
        for expected in expected {
            assert!(text.contains(expected), "no `{expected}` in\n{text}");
        }
        assert_eq!(text.matches("table ip").count(), 1, "{text}");
    })
}

pub(crate) fn rules_larger_than_one_transaction_hold() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let web = world.pod("web").await;
        web.serve(8080);
        // Enough that an ordinary user's socket can't take them at once.
        for number in 0..1500u32 {
            let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 97, 0, 0).to_bits() + number);
            let name = format!("s{number}");
            world.tell(mwctl_node::network::cluster::Change::Service(
                kube::runtime::watcher::Event::Apply(crate::world::read(
                    json!({"metadata": {"namespace": "default", "name": name},
                    "spec": {"clusterIP": address, "ports": [{"port": 80}]}}),
                )),
            ));
            world.tell(mwctl_node::network::cluster::Change::EndpointSlice(kube::runtime::watcher::Event::Apply(
                crate::world::read(json!({"metadata": {"namespace": "default", "name": name, "labels": {"kubernetes.io/service-name": name}},
                    "addressType": "IPv4", "endpoints": [{"addresses": [web.place.address]}], "ports": [{"port": 8080}]})),
            )));
        }
        for _ in 0..2 {
            world.settled().await;
            for address in ["10.97.0.0:80", "10.97.2.1:80", "10.97.5.219:80"] {
                web.ask(v4(address), LONG).unwrap();
            }
            world.service("last", "10.96.0.77", &[web.at(8080)]).await;
        }
    })
}
