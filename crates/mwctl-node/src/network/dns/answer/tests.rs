//! Questions and answers, on the wire.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::super::observed::{Observed, Protocol, Workload};
use super::*;

const ZONE: &str = "cluster.local";

fn zone() -> Zone {
    let read = |text: &str| Arc::new(serde_yaml::from_str(text).unwrap());
    let services = [
        "{metadata: {namespace: default, name: web}, spec: {clusterIP: 10.96.3.4, ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]}}",
        "{metadata: {namespace: default, name: db}, spec: {clusterIP: None, ports: [{name: sql, port: 3306}]}}",
        "{metadata: {namespace: default, name: out}, spec: {type: ExternalName, externalName: www.Example.org.}}",
        "{metadata: {namespace: default, name: alias}, spec: {type: ExternalName, externalName: web.default.svc.cluster.local}}",
        "{metadata: {namespace: default, name: circle}, spec: {type: ExternalName, externalName: circle.default.svc.cluster.local}}",
    ];
    let slices = "{metadata: {namespace: default, name: db-1, labels: {kubernetes.io/service-name: db}}, addressType: IPv4, endpoints: [
            {addresses: [10.42.0.20], hostname: db-0, conditions: {ready: true}}, {addresses: [10.42.0.21]},
            {addresses: [10.42.0.22], conditions: {ready: false}}], ports: [{name: sql, port: 3306}]}";
    let pod = Workload {
        namespace: "default".to_owned(),
        name: "db-0".to_owned(),
        labels: BTreeMap::new(),
        address: Ipv4Addr::new(10, 42, 0, 20),
        ports: vec![("sql".to_owned(), Protocol::Tcp, 3306)],
        host_ports: Vec::new(),
    };
    let observed = Observed {
        namespaces: [
            ("default".to_owned(), BTreeMap::new()),
            ("empty".to_owned(), BTreeMap::new()),
        ]
        .into(),
        pods: vec![Arc::new(pod)],
        services: services.map(read).into(),
        slices: vec![Arc::new(serde_yaml::from_str(slices).unwrap())],
        policies: Vec::new(),
    };
    let networks = [
        "10.42.0.0/16".parse().unwrap(),
        "10.96.0.0/12".parse().unwrap(),
    ];
    Zone::new(
        ZONE,
        &observed,
        &[("host.mwctl.internal", Ipv4Addr::new(192, 0, 2, 1))],
        &networks,
    )
}

fn question(name: &str, kind: TYPE) -> Vec<u8> {
    query(name, kind, |_| {})
}

fn query(name: &str, kind: TYPE, change: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
    let mut packet = Packet::new_query(0);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).unwrap();
    packet
        .questions
        .push(Question::new(name, kind.into(), CLASS::IN.into(), false));
    change(&mut packet);
    packet.build_bytes_vec().unwrap()
}

/// An answer as text: its code, then a line for each record.
fn show(reply: &Reply) -> String {
    let Reply::Answer(bytes) = reply else {
        return format!("{reply:?}");
    };
    let packet = Packet::parse(bytes).unwrap();
    assert!(packet.has_flags(PacketFlag::RESPONSE));
    let mut text = format!("{:?}", packet.rcode());
    for record in &packet.answers {
        let data = match &record.rdata {
            RData::A(a) => Ipv4Addr::from(a.address).to_string(),
            RData::CNAME(name) => name.to_string(),
            RData::PTR(name) => name.to_string(),
            RData::SRV(srv) => format!("{} {}", srv.port, srv.target),
            RData::TXT(text) => format!("{:?}", text.attributes().keys().collect::<Vec<_>>()),
            other => format!("{other:?}"),
        };
        write!(text, "; {} {data}", record.name).unwrap();
    }
    text
}

fn ask(name: &str, kind: TYPE) -> String {
    show(&answer(&zone(), &question(name, kind), Transport::Udp))
}

#[test]
fn a_service_has_its_cluster_address_and_its_ports() {
    let web = "web.default.svc.cluster.local";
    assert_eq!(ask(web, TYPE::A), format!("NoError; {web} 10.96.3.4"));
    let port = format!("_http._tcp.{web}");
    assert_eq!(ask(&port, TYPE::SRV), format!("NoError; {port} 80 {web}"));
    let port = format!("_dns._udp.{web}");
    assert_eq!(ask(&port, TYPE::SRV), format!("NoError; {port} 53 {web}"));
    assert_eq!(ask(&format!("_dns._tcp.{web}"), TYPE::SRV), "NameError");
}

#[test]
fn a_headless_service_has_its_ready_endpoints_each_with_a_name() {
    let db = "db.default.svc.cluster.local";
    assert_eq!(
        ask(db, TYPE::A),
        format!("NoError; {db} 10.42.0.20; {db} 10.42.0.21")
    );
    assert_eq!(
        ask(&format!("db-0.{db}"), TYPE::A),
        format!("NoError; db-0.{db} 10.42.0.20")
    );
    assert_eq!(
        ask(&format!("10-42-0-21.{db}"), TYPE::A),
        format!("NoError; 10-42-0-21.{db} 10.42.0.21")
    );
    let port = format!("_sql._tcp.{db}");
    assert_eq!(
        ask(&port, TYPE::SRV),
        format!("NoError; {port} 3306 db-0.{db}; {port} 3306 10-42-0-21.{db}")
    );
}

#[test]
fn pods_have_names_made_of_their_addresses() {
    let name = "10-42-0-20.default.pod.cluster.local";
    assert_eq!(ask(name, TYPE::A), format!("NoError; {name} 10.42.0.20"));
    assert_eq!(
        ask("10-42-0-99.default.pod.cluster.local", TYPE::A),
        "NameError"
    );
}

#[test]
fn addresses_have_names() {
    let reverse = |address: &str| {
        let name = address.split('.').rev().collect::<Vec<_>>().join(".") + ".in-addr.arpa";
        ask(&name, TYPE::PTR).rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(reverse("10.96.3.4"), "web.default.svc.cluster.local");
    assert_eq!(reverse("10.42.0.20"), "db-0.db.default.svc.cluster.local");
    // Of the cluster's networks others know nothing; of other networks they may.
    assert_eq!(reverse("10.42.0.99"), "NameError");
    assert_eq!(reverse("192.168.1.1"), "Forward");
}

#[test]
fn what_exists_has_no_records_of_other_kinds_and_what_does_not_has_no_name() {
    assert_eq!(ask("web.default.svc.cluster.local", TYPE::AAAA), "NoError");
    for exists in [
        "svc.cluster.local",
        "empty.svc.cluster.local",
        "_tcp.web.default.svc.cluster.local",
        "cluster.local",
    ] {
        assert_eq!(ask(exists, TYPE::A), "NoError", "{exists}");
    }
    for absent in [
        "nobody.default.svc.cluster.local",
        "web.nowhere.svc.cluster.local",
        "x.cluster.local",
    ] {
        assert_eq!(ask(absent, TYPE::A), "NameError", "{absent}");
    }
    let Reply::Answer(bytes) = answer(
        &zone(),
        &question("x.cluster.local", TYPE::A),
        Transport::Udp,
    ) else {
        panic!("no answer");
    };
    // How long it may be remembered that there is nothing.
    let packet = Packet::parse(&bytes).unwrap();
    assert!(matches!(packet.name_servers[0].rdata, RData::SOA(_)));
    assert!(packet.has_flags(PacketFlag::AUTHORITATIVE_ANSWER));
}

#[test]
fn case_is_no_difference_and_is_kept() {
    assert_eq!(
        ask("WEB.Default.svc.cluster.LOCAL", TYPE::A),
        "NoError; WEB.Default.svc.cluster.LOCAL 10.96.3.4"
    );
}

#[test]
fn names_of_others_are_asked_of_others() {
    for name in [
        "www.example.org",
        "local",
        "cluster.local.example.org",
        "notcluster.local",
        "mwctl.internal",
    ] {
        assert_eq!(ask(name, TYPE::A), "Forward", "{name}");
    }
    assert_eq!(
        ask("host.mwctl.internal", TYPE::A),
        "NoError; host.mwctl.internal 192.0.2.1"
    );
    assert_eq!(
        ask("dns-version.cluster.local", TYPE::TXT),
        "NoError; dns-version.cluster.local [\"1.1.0\"]"
    );
}

#[test]
fn an_external_name_is_an_alias_with_what_others_know_of_it() {
    let asked = question("out.default.svc.cluster.local", TYPE::A);
    let Reply::Follow { question: other } = answer(&zone(), &asked, Transport::Udp) else {
        panic!("it isn't followed");
    };
    let query = Packet::parse(&other).unwrap();
    assert_eq!(query.questions[0].qname.to_string(), "www.example.org");
    let mut known = Packet::new_reply(0);
    let name = Name::new_unchecked("www.example.org");
    known.answers.push(ResourceRecord::new(
        name,
        CLASS::IN,
        60,
        RData::A(A { address: 1 }),
    ));
    let known = known.build_bytes_vec().unwrap();
    assert_eq!(
        show(&complete(&zone(), &asked, Transport::Udp, Some(&known))),
        "NoError; out.default.svc.cluster.local www.example.org; www.example.org 0.0.0.1"
    );
    assert_eq!(
        show(&complete(&zone(), &asked, Transport::Udp, None)),
        "ServerFailure"
    );
    // An alias within the cluster needs nobody.
    assert_eq!(
        ask("alias.default.svc.cluster.local", TYPE::A),
        "NoError; alias.default.svc.cluster.local web.default.svc.cluster.local; web.default.svc.cluster.local 10.96.3.4"
    );
    assert!(ask("circle.default.svc.cluster.local", TYPE::A).starts_with("NoError; circle"));
}

#[test]
fn who_takes_the_first_address_gets_another_one_by_turns() {
    let db = "db.default.svc.cluster.local";
    let first = |id: u16| {
        let mut bytes = question(db, TYPE::A);
        bytes[..2].copy_from_slice(&id.to_be_bytes());
        let text = show(&answer(&zone(), &bytes, Transport::Udp));
        text.split("; ").nth(1).unwrap().to_owned()
    };
    assert_ne!(first(0), first(1));
    assert_eq!(first(0), first(2));
}

/// A service with more endpoints than fit into a datagram.
fn crowded() -> Zone {
    let endpoints: Vec<String> = (1..100)
        .map(|last| format!("{{addresses: [10.42.7.{last}]}}"))
        .collect();
    let slice = format!(
        "{{metadata: {{namespace: d, labels: {{kubernetes.io/service-name: s}}}}, addressType: IPv4, endpoints: [{}]}}",
        endpoints.join(",")
    );
    let observed = Observed {
        services: vec![Arc::new(
            serde_yaml::from_str("{metadata: {namespace: d, name: s}, spec: {clusterIP: None}}")
                .unwrap(),
        )],
        slices: vec![Arc::new(serde_yaml::from_str(&slice).unwrap())],
        ..Observed::default()
    };
    Zone::new(ZONE, &observed, &[], &[])
}

#[test]
fn what_is_too_long_for_a_datagram_is_cut_and_whole_over_tcp() {
    let plain = question("s.d.svc.cluster.local", TYPE::A);
    let extended = query("s.d.svc.cluster.local", TYPE::A, |packet| {
        *packet.opt_mut() = Some(OPT {
            opt_codes: Vec::new(),
            udp_packet_size: 4096,
            version: 0,
        });
    });
    for (asked, limit) in [(&plain, 512), (&extended, 1232)] {
        let Reply::Answer(bytes) = answer(&crowded(), asked, Transport::Udp) else {
            panic!("no answer");
        };
        let packet = Packet::parse(&bytes).unwrap();
        assert!(bytes.len() <= limit && packet.has_flags(PacketFlag::TRUNCATION));
        assert_eq!(packet.opt().is_some(), limit == 1232);
    }
    let Reply::Answer(bytes) = answer(&crowded(), &plain, Transport::Tcp) else {
        panic!("no answer");
    };
    assert_eq!(Packet::parse(&bytes).unwrap().answers.len(), 99);
}

#[test]
fn what_is_no_question_is_told_so_or_passed_over() {
    let two = query("web.default.svc.cluster.local", TYPE::A, |packet| {
        packet.questions.push(packet.questions[0].clone());
    });
    assert_eq!(show(&answer(&zone(), &two, Transport::Udp)), "FormatError");
    let update = query("web.default.svc.cluster.local", TYPE::A, |packet| {
        *packet.opcode_mut() = OPCODE::Update;
    });
    assert_eq!(
        show(&answer(&zone(), &update, Transport::Udp)),
        "NotImplemented"
    );
    // An answer to an answer would never end.
    let mut reply = question("web.default.svc.cluster.local", TYPE::A);
    reply[2] |= 0x80;
    assert_eq!(answer(&zone(), &reply, Transport::Udp), Reply::Nothing);
    assert_eq!(answer(&zone(), b"short", Transport::Udp), Reply::Nothing);
    // A type that the library doesn't know.
    let mut strange = question("www.example.org", TYPE::A);
    let place = strange.len() - 4;
    strange[place..place + 2].copy_from_slice(&65280u16.to_be_bytes());
    assert_eq!(answer(&zone(), &strange, Transport::Udp), Reply::Forward);
}

proptest! {
    #[test]
    fn no_bytes_make_it_stumble_and_answers_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        check(&bytes)?;
    }

    #[test]
    fn nor_do_questions_that_were_damaged(place in 0usize..60, value in any::<u8>(), cut in 0usize..60) {
        let mut bytes = question("web.default.svc.cluster.local", TYPE::A);
        if let Some(byte) = bytes.get_mut(place) {
            *byte = value;
        }
        check(&bytes)?;
        bytes.truncate(cut);
        check(&bytes)?;
    }
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let zone = zone();
    for transport in [Transport::Udp, Transport::Tcp] {
        for reply in [
            answer(&zone, bytes, transport),
            complete(&zone, bytes, transport, Some(bytes)),
            failure(bytes),
        ] {
            if let Reply::Answer(answer) = reply {
                prop_assert!(answer.len() >= HEADER && answer[2] & 0x80 != 0);
                prop_assert_eq!(&answer[..2], &bytes[..2]);
                prop_assert!(transport == Transport::Tcp || answer.len() <= usize::from(UDP_LIMIT));
            }
        }
    }
    Ok(())
}
