//! Other programs' clients judge the proxy; what they ask for listens on the loopback, which a gate of the tests allows.

use std::net::Ipv4Addr;

use reqwest::Proxy;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// A relay at a port of its own.
fn relay(gate: Gate, machine: &[(&str, &str)]) -> (SocketAddr, Running) {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    let machine = machine
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    start_at(socket, any, gate, &machine).unwrap()
}

fn open() -> Gate {
    Gate::new(|_, _| Ok(()))
}

/// Answers every request with what it was sent, head and all.
async fn mirror() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut connections = JoinSet::new();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            connections.spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", head.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.write_all(&head).await.unwrap();
                // What comes after is sent back as it is: it may have been a tunnel's.
                let (mut read, mut write) = stream.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    address
}

fn client(relay: SocketAddr) -> reqwest::Client {
    // Another test may have.
    drop(rustls::crypto::ring::default_provider().install_default());
    let proxy = Proxy::all(format!("http://{relay}")).unwrap();
    reqwest::Client::builder().proxy(proxy).build().unwrap()
}

#[tokio::test]
async fn a_request_reaches_its_host_as_if_it_had_come_directly() {
    let (place, _relay) = relay(open(), &[]);
    let host = mirror().await;
    let url = format!("http://{host}/a?b=c");
    let answer = client(place).get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen = answer.text().await.unwrap();
    assert!(seen.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{seen}");
    assert!(!seen.to_lowercase().contains("proxy-"), "{seen}");
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_ends_with_the_relay() {
    let (place, running) = relay(open(), &[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    let mut here = TcpStream::connect(place).await.unwrap();
    let asked = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    here.write_all(asked.as_bytes()).await.unwrap();
    let (mut there, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(here.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    let mut read = [0; 4];
    here.write_all(b"ping").await.unwrap();
    there.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"ping");
    there.write_all(b"pong").await.unwrap();
    here.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"pong");
    drop(running);
    assert_eq!(there.read(&mut read).await.unwrap_or_default(), 0);
    assert_eq!(here.read(&mut read).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn what_the_gate_refuses_is_answered_and_told() {
    let gate = Gate::new(|host, to| Err(format!("isn't for {host} at {to}")));
    let (place, mut running) = relay(gate, &[]);
    let mut here = TcpStream::connect(place).await.unwrap();
    here.write_all(b"GET http://me:secret@localhost:9/x HTTP/1.1\r\nHost: localhost:9\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(here.read_u8().await.unwrap(), b'H');
    let told = running.refusals.recv().await.unwrap();
    assert!(!told.contains("secret"), "{told}");
    let answer = client(place).get("http://localhost:9/x").send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 403);
    let words = "localhost:9 isn't for localhost at 127.0.0.1:9";
    assert_eq!(answer.text().await.unwrap(), format!("mwctl: {words}\n"));
    assert_eq!(running.refusals.recv().await.as_deref(), Some(words));
    let tunnel = client(place).get("https://localhost:9/x").send().await;
    assert!(tunnel.is_err());
    assert_eq!(running.refusals.recv().await.as_deref(), Some(words));
    // Nothing is allowed that nobody allows.
    let (place, _running) = relay(Gate::default(), &[]);
    let answer = client(place).get("http://localhost:9/x").send().await;
    assert_eq!(answer.unwrap().status(), 403);
}

#[tokio::test]
async fn nobody_there_is_answered_as_by_any_gateway() {
    let (place, mut running) = relay(open(), &[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let answer = client(place).get(format!("http://{nobody}/")).send().await;
    assert_eq!(answer.unwrap().status(), 502);
    let words = running.refusals.recv().await.unwrap();
    assert!(words.contains("refused"), "{words}");
    // It is a proxy, and nothing else.
    let direct = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = direct.get(format!("http://{place}/x")).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 502);
}

#[tokio::test]
async fn the_machines_own_proxy_is_on_the_way() {
    let proxy = mirror().await;
    let url = format!("http://me:secret@{proxy}");
    let machine = [
        ("http_proxy", url.as_str()),
        ("HTTPS_PROXY", url.as_str()),
        ("no_proxy", "near.test"),
    ];
    let (place, mut running) = relay(open(), &machine);
    let answer = client(place).get("http://far.test/a").send().await.unwrap();
    let seen = answer.text().await.unwrap();
    assert!(
        seen.starts_with("GET http://far.test/a HTTP/1.1\r\n"),
        "{seen}"
    );
    let credentials = "proxy-authorization: basic bwu6c2vjcmv0\r\n";
    assert!(seen.to_lowercase().contains(credentials), "{seen}");
    // No machine has this name: only the proxy can have known it.
    let near = client(place).get("http://near.test/a").send().await;
    assert_eq!(near.unwrap().status(), 502);
    assert!(running.refusals.recv().await.is_some());

    let mut here = TcpStream::connect(place).await.unwrap();
    here.write_all(b"CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n")
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(here.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    // It came through the proxy: nobody else sends back what it is sent.
    here.write_all(b"ping").await.unwrap();
    let mut read = [0; 4];
    here.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"ping");
}

#[test]
fn programs_are_led_there_in_every_spelling() {
    let variables = variables();
    for name in ["http_proxy", "HTTPS_PROXY", "all_proxy"] {
        assert_eq!(variables[name], "http://127.0.0.1:3128");
    }
    assert_eq!(variables["NO_PROXY"], variables["no_proxy"]);
}
