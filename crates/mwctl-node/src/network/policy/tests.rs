//! What the API documentation of `networking.k8s.io/v1` says, sentence by sentence.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::super::observed::{Observed, Protocol, Workload};
use super::Isolations;

/// Pods by the names they have here.
const PODS: [(&str, &str, &str, [u8; 4]); 5] = [
    ("web", "default", "app=web", [10, 42, 0, 10]),
    (
        "client",
        "default",
        "app=client,tier=front",
        [10, 42, 0, 11],
    ),
    ("other", "default", "app=other", [10, 42, 0, 12]),
    ("prod-web", "prod", "app=web", [10, 42, 0, 13]),
    ("prod-client", "prod", "app=client", [10, 42, 1, 14]),
];

fn address(name: &str) -> Ipv4Addr {
    let pod = PODS.iter().find(|pod| pod.0 == name);
    pod.map_or_else(|| name.parse().unwrap(), |pod| pod.3.into())
}

fn labels(text: &str) -> super::Labels {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// `http` is 8080 in `default` and 80 in `prod`; `dns` is a port of UDP.
fn world() -> Observed {
    let pods = PODS.iter().map(|(name, namespace, text, address)| {
        let http = if *namespace == "prod" { 80 } else { 8080 };
        Arc::new(Workload {
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
            labels: labels(text),
            address: (*address).into(),
            ports: vec![
                ("http".to_owned(), Protocol::Tcp, http),
                ("dns".to_owned(), Protocol::Udp, 53),
            ],
            host_ports: Vec::new(),
        })
    });
    let namespaces = [
        ("default", "kubernetes.io/metadata.name=default"),
        ("prod", "env=prod"),
    ];
    Observed {
        pods: pods.collect(),
        namespaces: namespaces
            .map(|(name, text)| (name.to_owned(), labels(text)))
            .into(),
        ..Observed::default()
    }
}

/// The policies of a YAML text, in `default`.
struct Policies(Isolations);

fn policies(specs: &[&str]) -> Policies {
    let mut observed = world();
    observed.policies = (specs.iter())
        .map(|spec| {
            let text = format!("{{metadata: {{namespace: default, name: p}}, spec: {spec}}}");
            Arc::new(serde_yaml::from_str(&text).unwrap())
        })
        .collect();
    Policies(Isolations::of(&observed))
}

impl Policies {
    fn allow(&self, from: &str, to: &str, protocol: Protocol, port: u16) -> bool {
        self.0
            .permit(address(from), address(to), Some((protocol, port)))
    }

    fn tcp(&self, from: &str, to: &str, port: u16) -> bool {
        self.allow(from, to, Protocol::Tcp, port)
    }

    /// Who of all pods reaches `to` at its port.
    fn reach(&self, to: &str, port: u16) -> Vec<&'static str> {
        let names = PODS.iter().map(|pod| pod.0);
        names
            .filter(|from| *from != to && self.tcp(from, to, port))
            .collect()
    }
}

#[test]
fn traffic_is_allowed_if_no_policy_selects_the_pod() {
    let policies = policies(&["{podSelector: {matchLabels: {app: other}}, ingress: []}"]);
    assert_eq!(policies.reach("web", 8080).len(), 4);
    assert_eq!(policies.reach("other", 8080), Vec::<&str>::new());
}

#[test]
fn an_empty_selector_selects_all_pods_of_the_policys_namespace_and_no_others() {
    for all in ["{podSelector: {}}", "{ingress: []}"] {
        let policies = policies(&[all]);
        assert!(policies.reach("web", 8080).is_empty());
        assert!(policies.reach("client", 8080).is_empty());
        assert_eq!(policies.reach("prod-web", 80).len(), 4);
    }
}

#[test]
fn several_policies_for_the_same_pods_add_up() {
    let policies = policies(&[
        "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}",
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: other}}}]}]}",
    ]);
    assert_eq!(policies.reach("web", 8080), ["client", "other"]);
    assert_eq!(policies.reach("other", 8080), ["client"]);
}

#[test]
fn without_types_it_is_ingress_and_egress_only_if_there_are_rules_for_it() {
    let ingress = policies(&["{podSelector: {matchLabels: {app: web}}, egress: []}"]);
    assert!(!ingress.tcp("client", "web", 1) && ingress.tcp("web", "client", 1));
    let both =
        policies(&["{podSelector: {matchLabels: {app: web}}, egress: [{ports: [{port: 1}]}]}"]);
    assert!(!both.tcp("client", "web", 1));
    assert!(both.tcp("web", "client", 1) && !both.tcp("web", "client", 2));
}

#[test]
fn types_say_in_which_directions_a_policy_isolates() {
    let egress = policies(&["{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}"]);
    assert!(egress.tcp("client", "web", 1) && !egress.tcp("web", "client", 1));
    // Rules for a direction that isn't named are without effect.
    let ingress = policies(&[
        "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{}], egress: [{ports: [{port: 1}]}]}",
    ]);
    assert!(ingress.tcp("client", "web", 1) && ingress.tcp("web", "client", 2));
}

#[test]
fn a_connection_needs_both_sides() {
    let policies = policies(&[
        "{podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]}",
        "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 8080}]}]}",
    ]);
    assert!(policies.tcp("client", "web", 8080));
    assert!(!policies.tcp("client", "web", 9090));
    assert!(!policies.tcp("client", "other", 8080));
    assert!(policies.tcp("other", "web", 8080));
}

#[test]
fn a_pod_reaches_itself_always() {
    let policies = policies(&["{podSelector: {}, policyTypes: [Ingress, Egress]}"]);
    assert!(policies.tcp("web", "web", 8080));
}

#[test]
fn without_ports_a_rule_is_for_all_ports_and_what_has_none() {
    for rule in ["{}", "{ports: []}"] {
        let policies = policies(&[&format!("{{podSelector: {{}}, ingress: [{rule}]}}")]);
        assert!(
            policies.allow("client", "web", Protocol::Udp, 9) && policies.tcp("client", "web", 9)
        );
        assert!(policies.0.permit(address("client"), address("web"), None));
    }
    let ports = policies(&["{podSelector: {}, ingress: [{ports: [{}]}]}"]);
    assert!(!ports.0.permit(address("client"), address("web"), None));
}

#[test]
fn traffic_must_match_one_of_the_ports() {
    let policies = policies(&[
        "{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 53, protocol: UDP}]}]}",
    ]);
    assert!(
        policies.tcp("client", "web", 80) && policies.allow("client", "web", Protocol::Udp, 53)
    );
    assert!(
        !policies.tcp("client", "web", 53) && !policies.allow("client", "web", Protocol::Udp, 80)
    );
    assert!(!policies.allow("client", "web", Protocol::Sctp, 80));
}

#[test]
fn a_port_without_a_number_is_every_port_of_the_protocol_which_is_tcp_unless_said() {
    let policies = policies(&[
        "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{}]}]}",
        "{podSelector: {matchLabels: {app: other}}, ingress: [{ports: [{protocol: SCTP}]}]}",
    ]);
    assert!(policies.tcp("client", "web", 1) && policies.tcp("client", "web", 65535));
    assert!(!policies.allow("client", "web", Protocol::Udp, 1));
    assert!(
        policies.allow("client", "other", Protocol::Sctp, 1) && !policies.tcp("client", "other", 1)
    );
}

#[test]
fn a_range_has_both_its_ends() {
    let policies =
        policies(&["{podSelector: {}, ingress: [{ports: [{port: 100, endPort: 200}]}]}"]);
    let allowed: Vec<u16> = [99, 100, 150, 200, 201]
        .into_iter()
        .filter(|port| policies.tcp("client", "web", *port))
        .collect();
    assert_eq!(allowed, [100, 150, 200]);
}

#[test]
fn a_name_is_that_of_the_receivers_port() {
    let ingress = policies(&["{podSelector: {}, ingress: [{ports: [{port: http}, {port: dns}]}]}"]);
    assert!(ingress.tcp("prod-client", "web", 8080) && !ingress.tcp("prod-client", "web", 80));
    // `dns` is a port of UDP, and the rule speaks of TCP.
    assert!(
        !ingress.allow("client", "web", Protocol::Udp, 53) && !ingress.tcp("client", "web", 53)
    );
    let egress = policies(&[
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: http}]}]}",
    ]);
    assert!(egress.tcp("client", "web", 8080) && !egress.tcp("client", "web", 80));
    assert!(egress.tcp("client", "prod-web", 80) && !egress.tcp("client", "prod-web", 8080));
    // Nobody outside has names for ports.
    let outside = policies(&[
        "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}, {port: 443}]}]}",
    ]);
    assert!(
        outside.tcp("client", "203.0.113.5", 443) && !outside.tcp("client", "203.0.113.5", 8080)
    );
    assert!(outside.tcp("client", "web", 8080) && outside.tcp("client", "web", 443));
}

#[test]
fn without_peers_a_rule_is_for_everybody() {
    for rule in ["{ports: [{port: 80}]}", "{from: [], ports: [{port: 80}]}"] {
        let policies = policies(&[&format!("{{podSelector: {{}}, ingress: [{rule}]}}")]);
        assert!(policies.tcp("prod-client", "web", 80) && policies.tcp("203.0.113.5", "web", 80));
    }
}

#[test]
fn a_pod_selector_alone_is_for_the_policys_own_namespace() {
    let client = policies(&[
        "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}",
    ]);
    assert_eq!(client.reach("web", 8080), ["client"]);
    let all = policies(&["{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"]);
    assert_eq!(all.reach("web", 8080), ["client", "other"]);
    assert!(!all.tcp("203.0.113.5", "web", 8080));
}

#[test]
fn a_namespace_selector_alone_is_for_all_pods_of_those_namespaces() {
    let prod = policies(&[
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {env: prod}}}]}]}",
    ]);
    assert_eq!(prod.reach("web", 8080), ["prod-web", "prod-client"]);
    let all = policies(&["{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"]);
    assert_eq!(all.reach("web", 8080).len(), 4);
}

#[test]
fn both_selectors_in_one_peer_must_match_and_in_two_either() {
    let both = policies(&[
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {env: prod}}, podSelector: {matchLabels: {app: client}}}]}]}",
    ]);
    assert_eq!(both.reach("web", 8080), ["prod-client"]);
    let either = policies(&[
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {env: prod}}}, {podSelector: {matchLabels: {app: client}}}]}]}",
    ]);
    assert_eq!(
        either.reach("web", 8080),
        ["client", "prod-web", "prod-client"]
    );
}

#[test]
fn selectors_have_expressions() {
    let from = |expression: &str| {
        let spec = format!(
            "{{podSelector: {{}}, ingress: [{{from: [{{podSelector: {{matchExpressions: [{expression}]}}}}]}}]}}"
        );
        policies(&[&spec]).reach("web", 8080)
    };
    assert_eq!(
        from("{key: app, operator: In, values: [client, x]}"),
        ["client"]
    );
    assert_eq!(
        from("{key: app, operator: NotIn, values: [client]}"),
        ["other"]
    );
    assert_eq!(
        from("{key: tier, operator: NotIn, values: [back]}"),
        ["client", "other"]
    );
    assert_eq!(from("{key: tier, operator: Exists}"), ["client"]);
    assert_eq!(from("{key: tier, operator: DoesNotExist}"), ["other"]);
    // What can't be read lets nobody through.
    assert!(from("{key: tier, operator: Perhaps}").is_empty());
}

#[test]
fn a_block_is_its_addresses_without_the_exceptions() {
    let policies = policies(&[
        "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.128/25]}}]}],
          egress: [{to: [{ipBlock: {cidr: 10.42.0.0/24, except: [10.42.0.12/32]}}, {ipBlock: {cidr: 2001:db8::/32}}]}]}",
    ]);
    assert!(policies.tcp("203.0.113.5", "web", 1) && !policies.tcp("203.0.113.200", "web", 1));
    // Pods have addresses too.
    assert!(policies.tcp("web", "prod-web", 1) && !policies.tcp("web", "prod-client", 1));
    assert!(!policies.tcp("web", "other", 1) && !policies.tcp("web", "203.0.113.5", 1));
}

#[test]
fn what_the_server_would_refuse_lets_nothing_through() {
    for rule in [
        "{from: [{}]}",
        "{from: [{ipBlock: {cidr: everywhere}}]}",
        "{from: [{ipBlock: {cidr: 2001:db8::/32}}]}",
        "{ports: [{port: 70000}]}",
        "{ports: [{port: 90, endPort: 80}]}",
        "{ports: [{port: 80, protocol: QUIC}]}",
    ] {
        let policies = policies(&[&format!("{{podSelector: {{}}, ingress: [{rule}]}}")]);
        assert!(!policies.tcp("client", "web", 80), "{rule}");
        assert!(!policies.tcp("client", "web", 85), "{rule}");
    }
}
