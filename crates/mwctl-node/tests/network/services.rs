//! Services: addresses that are endpoints' in turn.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddrV4;
use std::pin::Pin;

use mwctl_node::network::Config;

use crate::world::{LONG, World, echo, serve, v4};

const WEB: &str = "10.96.0.50";

pub(crate) fn are_spread_over_endpoints() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let (a, b, client) = (
            world.pod("a").await,
            world.pod("b").await,
            world.pod("c").await,
        );
        a.serve(8080);
        b.serve(8080);
        world
            .service_at("web", WEB, Some(30080), &[a.at(8080), b.at(8080)])
            .await;
        let web = v4(&format!("{WEB}:80"));
        let mut counts = BTreeMap::new();
        for _ in 0..10 {
            let mut asked = client.ask(web, LONG).unwrap();
            assert_eq!(asked.seen_as, client.place.address.to_string());
            echo(&mut asked.stream).unwrap();
            *counts.entry(asked.who).or_insert(0) += 1;
        }
        assert_eq!(
            counts,
            BTreeMap::from([("a".to_owned(), 5), ("b".to_owned(), 5)])
        );
        // The port on the node, from a pod; and the service, from the node.
        let node = SocketAddrV4::new(world.network.config().node(), 30080);
        client.ask(node, LONG).unwrap();
        let mut streams = Vec::new();
        for to in [web, node, a.at(8080)] {
            streams.push(world.network.connect(to).await.unwrap());
        }
        // An endpoint reaches itself through its own service, and sees the node.
        world.endpoints("web", &[a.at(8080)]).await;
        let itself = a.ask(web, LONG).unwrap();
        assert_eq!(
            (itself.who.as_str(), itself.seen_as.as_str()),
            ("a", "10.42.0.1")
        );
        // A client that is to stay with an endpoint does, and not all of them with the same.
        world.sticky("web", WEB, &[a.at(8080), b.at(8080)]).await;
        let mut chosen = std::collections::BTreeSet::new();
        for number in 0..8 {
            let client = world.pod(&format!("sticky-{number}")).await;
            let first = client.ask(web, LONG).unwrap().who;
            for _ in 0..3 {
                assert_eq!(client.ask(web, LONG).unwrap().who, first);
            }
            chosen.insert(first);
        }
        assert_eq!(chosen.len(), 2);
        // What was open when the rules were replaced is open still.
        let mut kept = client.ask(web, LONG).unwrap();
        world.endpoints("web", &[b.at(8080)]).await;
        echo(&mut kept.stream).unwrap();
        assert_eq!(client.ask(web, LONG).unwrap().who, "b");
    })
}

pub(crate) fn without_endpoints_refuse_at_once() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let client = world.pod("client").await;
        world.service("web", WEB, &[]).await;
        let web = v4(&format!("{WEB}:80"));
        let error = client.ask(web, LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = world.network.connect(web).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("refused"), "{source}");
        // Nor does an address that no pod has keep anybody waiting.
        let error = client.ask(v4("10.42.9.9:80"), LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    })
}

pub(crate) fn outside_are_reached_by_the_relay() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let Some(outside) = crate::outside::Outside::new() else {
            return;
        };
        serve("database".to_owned(), outside.listen(5432));
        let world = World::new(Config::default()).await;
        let client = world.pod("client").await;
        world
            .service("database", WEB, &[crate::outside::at(5432)])
            .await;
        let asked = client.ask(v4(&format!("{WEB}:80")), LONG).unwrap();
        assert_eq!(asked.who, "database");
    })
}
