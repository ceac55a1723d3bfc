//! Figures of the network, printed beside the loopback's in the same run. Compared, not judged: a busy machine is no failure.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::pin::Pin;
use std::time::Duration;

use kube::runtime::watcher::Event;
use mwctl_node::network::Config;
use mwctl_node::network::cluster::Change;
use serde_json::json;
use tokio::time::Instant;

use crate::world::{LONG, World, ask, echo, read, serve};

/// The median and the 99th percentile.
fn figures_of(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    format!("p50 {:?}, p99 {:?}, n={}", at(50), at(99), times.len())
}

fn times(count: usize, mut each: impl FnMut()) -> Vec<Duration> {
    (0..count)
        .map(|_| {
            let begin = Instant::now();
            each();
            begin.elapsed()
        })
        .collect()
}

fn measure(name: &str, to: SocketAddrV4) {
    let mut stream = ask(to, LONG).unwrap().stream;
    stream.set_nodelay(true).unwrap();
    println!(
        "{name}: echo {}",
        figures_of(times(3000, || echo(&mut stream).unwrap()))
    );
    println!(
        "{name}: new connection and greeting {}",
        figures_of(times(500, || drop(ask(to, LONG).unwrap())))
    );
}

fn throughput(name: &str, to: SocketAddrV4) {
    const BYTES: usize = 1 << 30;
    let mut stream = TcpStream::connect(to).unwrap();
    let chunk = vec![0; 256 << 10];
    let begin = Instant::now();
    for _ in 0..BYTES / chunk.len() {
        stream.write_all(&chunk).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{name}: {:.1} Gbit/s one way, 1 GiB",
        BYTES as f64 * 8.0 / seconds / 1e9
    );
}

/// Reads until the end, then says so.
fn sink(listener: TcpListener) {
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut buffer = vec![0; 256 << 10];
            while stream.read(&mut buffer).unwrap_or(0) > 0 {}
            stream.write_all(b".").ok();
        }
    });
}

pub(crate) fn figures() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let begin = Instant::now();
        let world = World::new(Config::default()).await;
        println!("network started: {:?}", begin.elapsed());
        let mut added = Vec::new();
        for number in 0..50 {
            let begin = Instant::now();
            world.pod(&format!("p{number}")).await;
            added.push(begin.elapsed());
        }
        println!("pod network: {}", figures_of(added));
        let begin = Instant::now();
        futures::future::join_all(
            (0..20).map(async |number| world.pod(&format!("q{number}")).await),
        )
        .await;
        println!("20 pod networks at once: {:?}", begin.elapsed());
        let (web, client) = (world.pod("web").await, world.pod("client").await);
        for number in 0..50u32 {
            let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 97, 0, 0).to_bits() + number);
            world
                .service(
                    &format!("s{number}"),
                    &address.to_string(),
                    &[web.at(8080), client.at(8080)],
                )
                .await;
        }
        let mut changed = Vec::new();
        for number in 0..50 {
            let policy = json!({"metadata": {"namespace": "default", "name": "p"}, "spec": {"podSelector": {},
                "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 8080, "endPort": 9000 + number}]}]}});
            world.tell(Change::NetworkPolicy(Event::Apply(read(policy))));
            let begin = Instant::now();
            world.settled().await;
            changed.push(begin.elapsed());
        }
        println!(
            "50 services, 72 isolated pods, a policy changed (with a pod added and removed to see it): {}",
            figures_of(changed)
        );
        world.no_policy("p").await;

        let loopback = TcpListener::bind("127.0.0.1:0").unwrap();
        let std::net::SocketAddr::V4(at) = loopback.local_addr().unwrap() else {
            unreachable!()
        };
        serve("loopback".to_owned(), loopback);
        web.serve(8080);
        world.endpoints("s0", &[web.at(8080)]).await;
        measure("loopback", at);
        let direct = web.at(8080);
        client
            .run(move || measure("pod to pod", direct))
            .join()
            .unwrap();
        let service = "10.97.0.0:80".parse().unwrap();
        client
            .run(move || measure("pod to ClusterIP", service))
            .join()
            .unwrap();

        let sinks = TcpListener::bind("127.0.0.1:0").unwrap();
        let std::net::SocketAddr::V4(at) = sinks.local_addr().unwrap() else {
            unreachable!()
        };
        sink(sinks);
        throughput("loopback", at);
        let listener = web.run(|| TcpListener::bind("0.0.0.0:9999").unwrap());
        sink(listener.join().unwrap());
        let direct = web.at(9999);
        client
            .run(move || throughput("pod to pod", direct))
            .join()
            .unwrap();
    })
}
