//! The names of a cluster, made from its services, endpoints and pods (Kubernetes DNS specification 1.1.0).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::super::address::Cidr;
use super::super::frontend::{self, Slices};
use super::super::observed::Observed;

/// The version of the specification, as `dns-version` answers it.
const SPECIFICATION: &str = "1.1.0";

/// What is known of a name. All are empty for one that exists only because there are names below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    /// Addresses.
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// Another name that is meant.
    pub(crate) alias: Option<String>,
    /// Ports, and the names of who has them.
    pub(crate) services: Vec<(u16, String)>,
    /// A text.
    pub(crate) text: Option<String>,
}

/// All names, in lower case and without a dot at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Zone {
    /// The name that all names of the cluster end with, such as `cluster.local`.
    pub(crate) domain: String,
    names: BTreeMap<String, Records>,
    reverse: BTreeMap<Ipv4Addr, BTreeSet<String>>,
    networks: Vec<Cidr>,
}

impl Zone {
    /// The names of what is observed below `domain`, with names beyond it in `fixed`. Addresses of `networks` are named by nobody else.
    pub(crate) fn new(
        domain: &str,
        observed: &Observed,
        fixed: &[(&str, Ipv4Addr)],
        networks: &[Cidr],
    ) -> Self {
        let mut zone = Self {
            domain: domain.to_ascii_lowercase(),
            networks: networks.to_vec(),
            ..Self::default()
        };
        zone.entry(&format!("dns-version.{domain}")).text = Some(SPECIFICATION.to_owned());
        // They exist, also while they are empty.
        for part in ["svc", "pod"] {
            zone.entry(&format!("{part}.{domain}"));
        }
        for namespace in observed.namespaces.keys() {
            for part in ["svc", "pod"] {
                zone.entry(&format!("{namespace}.{part}.{domain}"));
            }
        }
        let slices = frontend::by_service(observed);
        for service in &observed.services {
            zone.add_service(service, &slices);
        }
        for pod in &observed.pods {
            let name = format!("{}.{}.pod.{domain}", dashed(pod.address), pod.namespace);
            zone.entry(&name).addresses = vec![pod.address];
        }
        for (name, address) in fixed {
            zone.entry(name).addresses = vec![*address];
        }
        zone
    }

    /// What is known of a name that this zone speaks for; `None` means that there is none.
    pub(crate) fn get(&self, name: &str) -> Option<&Records> {
        self.names.get(name)
    }

    /// The names of an address.
    pub(crate) fn names_of(&self, address: Ipv4Addr) -> impl Iterator<Item = &str> {
        (self.reverse.get(&address).into_iter())
            .flatten()
            .map(String::as_str)
    }

    /// Whether this zone alone speaks for the name.
    pub(crate) fn speaks_for(&self, name: &str) -> bool {
        let within = name.strip_suffix(self.domain.as_str());
        within.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            || self.names.contains_key(name)
    }

    /// Whether this zone alone speaks for the names of the address.
    pub(crate) fn speaks_for_address(&self, address: Ipv4Addr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }

    fn entry(&mut self, name: &str) -> &mut Records {
        let name = name.to_ascii_lowercase();
        // A name exists if one below it does (RFC 8020).
        let mut above = name.as_str();
        while let Some((_, parent)) = above.split_once('.') {
            if !parent.ends_with(&self.domain) || self.names.contains_key(parent) {
                break;
            }
            self.names.insert(parent.to_owned(), Records::default());
            above = parent;
        }
        self.names.entry(name).or_default()
    }

    fn add_service(&mut self, service: &Service, slices: &Slices<'_>) {
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let full = format!("{name}.{namespace}.svc.{}", self.domain);
        let spec = service.spec.clone().unwrap_or_default();
        if spec.type_.as_deref() == Some("ExternalName") {
            let meant = spec.external_name.unwrap_or_default();
            self.entry(&full).alias = Some(meant.trim_end_matches('.').to_ascii_lowercase());
        } else if let Some(address) = frontend::cluster_address(service) {
            self.entry(&full).addresses = vec![address];
            self.reverse
                .entry(address)
                .or_default()
                .insert(full.clone());
            for port in spec.ports.iter().flatten() {
                let number = u16::try_from(port.port).unwrap_or_default();
                self.add_port(
                    port.name.as_deref(),
                    port.protocol.as_deref(),
                    number,
                    &full,
                    &full,
                );
            }
        } else {
            for slice in slices.get(&(namespace, name)).into_iter().flatten() {
                for endpoint in &slice.endpoints {
                    self.add_endpoint(&full, slice, endpoint);
                }
            }
        }
    }

    /// An endpoint of a headless service has a name of its own: its hostname, or else its address with dashes.
    fn add_endpoint(&mut self, service: &str, slice: &EndpointSlice, endpoint: &Endpoint) {
        let ready = endpoint.conditions.as_ref().and_then(|it| it.ready);
        if ready == Some(false) {
            return;
        }
        for address in frontend::addresses(endpoint) {
            let first = endpoint.hostname.clone().unwrap_or_else(|| dashed(address));
            let own = format!("{first}.{service}").to_ascii_lowercase();
            for name in [service, own.as_str()] {
                let addresses = &mut self.entry(name).addresses;
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            self.reverse.entry(address).or_default().insert(own.clone());
            for port in slice.ports.iter().flatten() {
                let number = port
                    .port
                    .and_then(|port| u16::try_from(port).ok())
                    .unwrap_or_default();
                self.add_port(
                    port.name.as_deref(),
                    port.protocol.as_deref(),
                    number,
                    service,
                    &own,
                );
            }
        }
    }

    fn add_port(
        &mut self,
        name: Option<&str>,
        protocol: Option<&str>,
        number: u16,
        service: &str,
        target: &str,
    ) {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let protocol = protocol.unwrap_or("TCP").to_ascii_lowercase();
            let records = self.entry(&format!("_{name}._{protocol}.{service}"));
            let record = (number, target.to_owned());
            if !records.services.contains(&record) {
                records.services.push(record);
            }
        }
    }
}

fn dashed(address: Ipv4Addr) -> String {
    address.to_string().replace('.', "-")
}
