//! Where services are reached and what is behind them: services and endpoint slices resolved to addresses and ports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointSlice};

use super::observed::{Observed, Protocol};

/// A port of a service, with what is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// `namespace/name`, or `namespace/pod/name` for a pod's port on the node.
    pub service: String,
    /// The cluster address; no service without one has a frontend.
    pub address: Ipv4Addr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port at the cluster address.
    pub port: u16,
    /// The port on the node, where the service has one.
    pub node_port: Option<u16>,
    /// Whether a client comes to the same endpoint each time.
    pub sticky: bool,
    /// The endpoints traffic is spread over, in a stable order. None: connections are refused.
    pub backends: Vec<SocketAddrV4>,
}

/// All services' ports that have a cluster address, in order of that address.
pub fn frontends(observed: &Observed) -> Vec<Frontend> {
    let slices = by_service(observed);
    let mut frontends: Vec<Frontend> = (observed.services.iter())
        .flat_map(|service| of_service(service, &slices))
        .collect();
    frontends.sort_by_key(|it| (it.address, it.protocol, it.port));
    frontends
}

/// The slices of each service, by namespace and name.
pub(crate) type Slices<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>;

/// The IPv4 slices by the service they say they belong to.
pub(crate) fn by_service(observed: &Observed) -> Slices<'_> {
    let mut slices: Slices<'_> = BTreeMap::new();
    for slice in &observed.slices {
        let labels = slice.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get("kubernetes.io/service-name"));
        if let (Some(service), Some(namespace)) = (service, &slice.metadata.namespace)
            && slice.address_type == "IPv4"
        {
            slices.entry((namespace, service)).or_default().push(slice);
        }
    }
    slices
}

/// The cluster address of a service that has one.
pub(crate) fn cluster_address(service: &Service) -> Option<Ipv4Addr> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let mut all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    all.find_map(|address| address.parse().ok())
}

fn of_service(service: &Service, slices: &Slices<'_>) -> Vec<Frontend> {
    let Some(address) = cluster_address(service) else {
        return Vec::new();
    };
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let slices = slices.get(&(namespace, name));
    let slices = slices.map(Vec::as_slice).unwrap_or_default();
    let spec = service.spec.clone().unwrap_or_default();
    (spec.ports.iter().flatten())
        .filter_map(|port| {
            Some(Frontend {
                service: format!("{namespace}/{name}"),
                address,
                protocol: Protocol::parse(port.protocol.as_deref())?,
                port: u16::try_from(port.port).ok()?,
                node_port: port.node_port.and_then(|port| u16::try_from(port).ok()),
                sticky: spec.session_affinity.as_deref() == Some("ClientIP"),
                backends: backends(port, slices),
            })
        })
        .collect()
}

/// The endpoints of a service's port: those that are ready, or where none is, those that still serve while they end (KEP-1669).
fn backends(port: &ServicePort, slices: &[&EndpointSlice]) -> Vec<SocketAddrV4> {
    let ready = |it: &EndpointConditions| it.ready != Some(false);
    let serving =
        |it: &EndpointConditions| it.terminating == Some(true) && it.serving == Some(true);
    let ready = select(port, slices, ready);
    if ready.is_empty() {
        select(port, slices, serving)
    } else {
        ready
    }
}

fn select(
    port: &ServicePort,
    slices: &[&EndpointSlice],
    wanted: impl Fn(&EndpointConditions) -> bool,
) -> Vec<SocketAddrV4> {
    let mut found = BTreeSet::new();
    for slice in slices {
        let theirs = (slice.ports.iter().flatten()).find(|theirs| {
            theirs.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
                && theirs.protocol.as_deref().unwrap_or("TCP")
                    == port.protocol.as_deref().unwrap_or("TCP")
        });
        let Some(number) = theirs.and_then(|it| u16::try_from(it.port?).ok()) else {
            continue;
        };
        for endpoint in &slice.endpoints {
            if wanted(&endpoint.conditions.clone().unwrap_or_default()) {
                found.extend(addresses(endpoint).map(|address| SocketAddrV4::new(address, number)));
            }
        }
    }
    found.into_iter().collect()
}

/// An endpoint's addresses. All of them are one and the same endpoint's; consumers take the first (discovery.k8s.io/v1).
pub(crate) fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = Ipv4Addr> {
    (endpoint.addresses.first().into_iter()).filter_map(|address| address.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn observed(services: &str, slices: &str) -> Observed {
        let slices: Vec<EndpointSlice> = serde_json::from_str(slices).unwrap();
        Observed {
            services: vec![Arc::new(serde_json::from_str(services).unwrap())],
            slices: slices.into_iter().map(Arc::new).collect(),
            ..Observed::default()
        }
    }

    fn slice(endpoints: &str) -> String {
        format!(
            r#"[{{"metadata": {{"namespace": "default", "labels": {{"kubernetes.io/service-name": "web"}}}}, "addressType": "IPv4",
                "endpoints": {endpoints}, "ports": [{{"name": "http", "port": 8080, "protocol": "TCP"}}, {{"name": "dns", "port": 53, "protocol": "UDP"}}]}}]"#
        )
    }

    const WEB: &str = r#"{"metadata": {"namespace": "default", "name": "web"}, "spec": {"clusterIP": "10.96.3.4", "clusterIPs": ["10.96.3.4"],
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "nodePort": 30080}, {"name": "dns", "port": 53, "protocol": "UDP"}]}}"#;

    #[test]
    fn ports_are_matched_by_name_and_only_ready_endpoints_are_behind_them() {
        let slices = slice(
            r#"[{"addresses": ["10.42.0.4"], "conditions": {"ready": true}}, {"addresses": ["10.42.0.3"]},
                {"addresses": ["10.42.0.5"], "conditions": {"ready": false}}]"#,
        );
        let found = frontends(&observed(WEB, &slices));
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].port, found[0].node_port), (80, Some(30080)));
        let backends: Vec<_> = found[0].backends.iter().map(ToString::to_string).collect();
        assert_eq!(backends, ["10.42.0.3:8080", "10.42.0.4:8080"]);
        assert_eq!(found[1].protocol, Protocol::Udp);
        assert_eq!(found[1].backends[0].port(), 53);
    }

    #[test]
    fn endpoints_that_end_serve_only_while_nobody_else_does() {
        let ending = r#"{"addresses": ["10.42.0.5"], "conditions": {"ready": false, "serving": true, "terminating": true}}"#;
        let found = frontends(&observed(WEB, &slice(&format!("[{ending}]"))));
        assert_eq!(found[0].backends.len(), 1);
        let both = format!(r#"[{ending}, {{"addresses": ["10.42.0.6"]}}]"#);
        let found = frontends(&observed(WEB, &slice(&both)));
        assert_eq!(found[0].backends[0].to_string(), "10.42.0.6:8080");
    }

    #[test]
    fn headless_services_and_external_names_have_no_frontend() {
        let headless = WEB.replace("10.96.3.4", "None");
        assert_eq!(frontends(&observed(&headless, "[]")), []);
        let external = r#"{"metadata": {"namespace": "default", "name": "x"}, "spec": {"type": "ExternalName", "externalName": "example.org", "ports": [{"port": 80}]}}"#;
        assert_eq!(frontends(&observed(external, "[]")), []);
    }
}
