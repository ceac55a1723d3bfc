//! What follows from what is observed, as one value: rules, names and listeners are all made from the same state. Pure.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use super::config::{Config, HOST_ADDRESS, HOST_NAME};
use super::dns::zone::Zone;
use super::frontend::{self, Frontend};
use super::observed::{Labels, Observed, Protocol, Workload};
use super::policy::Isolations;

/// The namespace in which clusters keep their name server.
const SYSTEM: &str = "kube-system";

/// Everything that the network's parts need to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) zone: Zone,
    pub(crate) frontends: Vec<Frontend>,
    pub(crate) isolations: Isolations,
    /// This node's pods, by address.
    pub(crate) local: BTreeMap<Ipv4Addr, String>,
}

impl View {
    /// The view of what is observed; `local` are this node's pods by address.
    pub(crate) fn new(
        config: &Config,
        mut observed: Observed,
        local: BTreeMap<Ipv4Addr, String>,
    ) -> Self {
        add_name_server(config, &mut observed);
        let mut frontends = frontend::frontends(&observed);
        let mut added = fixed(config);
        for pod in &observed.pods {
            if local.contains_key(&pod.address) {
                added.extend(on_node(config, pod));
            }
        }
        for fixed in added {
            frontends.retain(|it| {
                (it.address, it.protocol, it.port) != (fixed.address, fixed.protocol, fixed.port)
            });
            frontends.push(fixed);
        }
        let names: &[_] = if config.host_ports.is_empty() {
            &[]
        } else {
            &[(HOST_NAME, HOST_ADDRESS)]
        };
        let networks = [config.pods, config.services];
        Self {
            zone: Zone::new(&config.cluster_domain, &observed, names, &networks),
            frontends,
            isolations: Isolations::of(&observed),
            local,
        }
    }
}

/// Ports of the node that lead to ports of a pod.
fn on_node(config: &Config, pod: &Workload) -> impl Iterator<Item = Frontend> {
    let host_ports = pod.host_ports.iter();
    host_ports.map(|&(protocol, on_node, number)| Frontend {
        service: format!("{}/pod/{}", pod.namespace, pod.name),
        address: config.node(),
        protocol,
        port: on_node,
        node_port: None,
        sticky: false,
        backends: vec![SocketAddrV4::new(pod.address, number)],
    })
}

/// What the cluster can't say: this node's own name server, and the API server, which listens outside the pod network.
fn fixed(config: &Config) -> Vec<Frontend> {
    let at = |service: &str, at: SocketAddrV4, protocol, backend| Frontend {
        service: service.to_owned(),
        address: *at.ip(),
        protocol,
        port: at.port(),
        node_port: None,
        sticky: false,
        backends: vec![backend],
    };
    let server = config.name_server();
    let dns = SocketAddrV4::new(config.cluster_dns, server.port());
    let mut fixed = vec![
        at("kube-system/kube-dns", dns, Protocol::Tcp, server),
        at("kube-system/kube-dns", dns, Protocol::Udp, server),
    ];
    if let Some((service, real)) = config.api_server {
        fixed.push(at("default/kubernetes", service, Protocol::Tcp, real));
    }
    fixed
}

/// Policies that open the way to the name server name it by the labels it has in every cluster.
fn add_name_server(config: &Config, observed: &mut Observed) {
    let server = config.name_server();
    let label = |key: &str, value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
    observed.pods.push(Arc::new(Workload {
        namespace: SYSTEM.to_owned(),
        name: "mwctl-dns".to_owned(),
        labels: label("k8s-app", "kube-dns"),
        address: *server.ip(),
        ports: vec![
            ("dns".to_owned(), Protocol::Udp, server.port()),
            ("dns-tcp".to_owned(), Protocol::Tcp, server.port()),
        ],
        host_ports: Vec::new(),
    }));
    (observed.namespaces.entry(SYSTEM.to_owned()))
        .or_insert_with(|| label("kubernetes.io/metadata.name", SYSTEM));
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 10);

    fn v4(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn pod(host_port: u16) -> Arc<Workload> {
        let pod = format!(
            "{{metadata: {{namespace: default, name: web}}, spec: {{containers: [{{name: c, ports: [{{containerPort: 80, hostPort: {host_port}}}]}}]}}}}"
        );
        Arc::new(Workload::new(&serde_yaml::from_str(&pod).unwrap(), POD))
    }

    #[test]
    fn the_name_server_is_where_its_service_is_and_policies_open_the_way_to_it_by_its_labels() {
        let spec = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}},
            podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}]}]}";
        let policy = format!("{{metadata: {{namespace: default}}, spec: {spec}}}");
        let observed = Observed {
            pods: vec![pod(0)],
            policies: vec![Arc::new(serde_yaml::from_str(&policy).unwrap())],
            // A cluster's own name server isn't on this node, so its endpoints are not asked.
            services: vec![Arc::new(
                serde_yaml::from_str(
                    "{metadata: {namespace: kube-system, name: kube-dns},
                spec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53, protocol: UDP}]}}",
                )
                .unwrap(),
            )],
            ..Observed::default()
        };
        let view = View::new(&Config::default(), observed, BTreeMap::new());
        let dns: Vec<_> = (view.frontends.iter())
            .filter(|it| it.address == Ipv4Addr::new(10, 96, 0, 10) && it.protocol == Protocol::Udp)
            .map(|it| it.backends.clone())
            .collect();
        assert_eq!(dns, [[v4("10.42.0.2:53")]]);
        let server = Ipv4Addr::new(10, 42, 0, 2);
        assert!(
            view.isolations
                .permit(POD, server, Some((Protocol::Udp, 53)))
        );
        assert!(
            !view
                .isolations
                .permit(POD, server, Some((Protocol::Tcp, 53)))
        );
    }

    #[test]
    fn a_pods_port_on_the_node_is_that_of_the_node_it_is_on() {
        let observed = Observed {
            pods: vec![pod(8080)],
            ..Observed::default()
        };
        let here = BTreeMap::from([(POD, "uid".to_owned())]);
        let view = View::new(&Config::default(), observed.clone(), here);
        let found = view.frontends.iter().find(|it| it.port == 8080).unwrap();
        assert_eq!(
            (found.service.as_str(), found.address),
            ("default/pod/web", Ipv4Addr::new(10, 42, 0, 1))
        );
        assert_eq!(found.backends, [v4("10.42.0.10:80")]);
        let elsewhere = View::new(&Config::default(), observed, BTreeMap::new());
        assert!(elsewhere.frontends.iter().all(|it| it.port != 8080));
    }

    #[test]
    fn the_name_for_this_machine_is_known_only_where_a_port_of_it_is_allowed() {
        let known = |config: &Config| {
            let view = View::new(config, Observed::default(), BTreeMap::new());
            view.zone.get(HOST_NAME).is_some()
        };
        assert!(!known(&Config::default()));
        let host_ports = BTreeMap::from([("collector".to_owned(), 4317)]);
        assert!(known(&Config {
            host_ports,
            ..Config::default()
        }));
    }
}
