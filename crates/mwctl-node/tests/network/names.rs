//! Names, as a pod asks for them.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::pin::Pin;

use mwctl_node::network::Config;
use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, ResourceRecord, TYPE};

use crate::world::{LONG, Runner, World};

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 10), 53);

fn question(name: &str, kind: TYPE) -> Vec<u8> {
    let mut packet = Packet::new_query(7);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).unwrap();
    packet
        .questions
        .push(Question::new(name, kind.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().unwrap()
}

/// The code and the addresses of an answer.
fn answer(bytes: &[u8]) -> (RCODE, Vec<Ipv4Addr>) {
    let packet = Packet::parse(bytes).unwrap();
    let addresses = packet
        .answers
        .iter()
        .filter_map(|record| match &record.rdata {
            RData::A(data) => Some(data.address.into()),
            _ => None,
        });
    (packet.rcode(), addresses.collect())
}

fn ask(pod: &Runner, name: &'static str) -> (RCODE, Vec<Ipv4Addr>) {
    let asking = pod.run(move || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.connect(SERVER).unwrap();
        socket.send(&question(name, TYPE::A)).unwrap();
        let mut buffer = [0; 1500];
        let length = socket.recv(&mut buffer).unwrap();
        answer(&buffer[..length])
    });
    asking.join().unwrap()
}

fn ask_tcp(pod: &Runner, name: &'static str) -> (RCODE, Vec<Ipv4Addr>) {
    let asking = pod.run(move || {
        let mut stream = TcpStream::connect_timeout(&SERVER.into(), LONG).unwrap();
        let question = question(name, TYPE::A);
        let length = u16::try_from(question.len()).unwrap().to_be_bytes();
        stream
            .write_all(&[&length[..], &question].concat())
            .unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut bytes).unwrap();
        answer(&bytes)
    });
    asking.join().unwrap()
}

pub(crate) fn are_answered_from_memory() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let world = World::new(Config::default()).await;
        let client = world.pod("client").await;
        let web = Ipv4Addr::new(10, 96, 0, 50);
        assert_eq!(
            ask(&client, "web.default.svc.cluster.local"),
            (RCODE::NameError, vec![])
        );
        world.service("web", &web.to_string(), &[]).await;
        world.service("db", "None", &[client.at(5432)]).await;
        for ask in [ask, ask_tcp] {
            assert_eq!(
                ask(&client, "web.default.svc.cluster.local"),
                (RCODE::NoError, vec![web])
            );
            let found = ask(&client, "db.default.svc.cluster.local");
            assert_eq!(found, (RCODE::NoError, vec![client.place.address]));
        }
    })
}

/// A configuration whose resolver is the host's loopback, and the file that says so.
fn with_resolver(line: &str) -> (Config, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let resolvers: PathBuf = folder.path().join("resolv.conf");
    std::fs::write(&resolvers, line).unwrap();
    (
        Config {
            resolvers,
            ..Config::default()
        },
        folder,
    )
}

pub(crate) fn of_others_come_from_the_host() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let (config, _folder) = with_resolver("nameserver 127.0.0.53\n");
        let resolver = UdpSocket::bind("127.0.0.53:53").unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = resolver.recv_from(&mut buffer) {
                let query = Packet::parse(&buffer[..length]).unwrap();
                let mut reply = Packet::new_reply(query.id());
                reply.questions.clone_from(&query.questions);
                let data = RData::A(A {
                    address: Ipv4Addr::new(203, 0, 113, 5).to_bits(),
                });
                let name = query.questions[0].qname.clone();
                reply
                    .answers
                    .push(ResourceRecord::new(name, CLASS::IN, 60, data));
                resolver
                    .send_to(&reply.build_bytes_vec().unwrap(), from)
                    .unwrap();
            }
        });
        let world = World::new(config).await;
        let client = world.pod("client").await;
        let found = ask(&client, "www.example.org");
        assert_eq!(found, (RCODE::NoError, vec![Ipv4Addr::new(203, 0, 113, 5)]));
        // A name that would be the cluster's is nobody else's.
        assert_eq!(
            ask(&client, "www.example.org.cluster.local"),
            (RCODE::NameError, vec![])
        );
    })
}

pub(crate) fn fail_at_once_offline() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        // No route, nobody listening, no resolver at all: none of them is worth waiting for.
        for line in ["nameserver 203.0.113.53\n", "nameserver 127.0.0.53\n", ""] {
            let (config, _folder) = with_resolver(line);
            let world = World::new(config).await;
            let client = world.pod("client").await;
            let asked = tokio::time::Instant::now();
            assert_eq!(
                ask(&client, "www.example.org"),
                (RCODE::ServerFailure, vec![]),
                "{line}"
            );
            // A resolver that is waited for has two seconds.
            assert!(asked.elapsed().as_secs() < 2, "{line}");
        }
    })
}
