//! Endpoints that somebody writes by hand, for a Service without a selector: they are mirrored into EndpointSlices, which is what most readers read.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use kube::ResourceExt;

use super::slices::{self, Content, Form};
use crate::action::Action;
use crate::controller::Context;
use crate::observed::{Key, Observed, owner_reference};

/// Who manages the mirrored slices.
pub(super) const US: &str = "endpointslicemirroring-controller.k8s.io";

/// The label of Endpoints that nobody is to mirror.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";

/// The annotation of Endpoints that are only somebody's lock.
const LOCK: &str = "control-plane.alpha.kubernetes.io/leader";

/// Annotations that are about the Endpoints themselves.
const OWN: [&str; 2] = [
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// How many addresses of a subset are mirrored.
const MOST: usize = 1000;

pub(super) fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let present = slices::of(observed, key, US);
    let endpoints = observed.endpoints.get(key);
    let Some(endpoints) = endpoints.filter(|endpoints| is_mirrored(observed, key, endpoints))
    else {
        return present.into_iter().map(slices::delete).collect();
    };
    let mut labels = endpoints.labels().clone();
    slices::mark(&mut labels, &key.name, US);
    let mut annotations = endpoints.annotations().clone();
    annotations.retain(|name, _| !OWN.contains(&name.as_str()));
    let form = Form {
        service: key.clone(),
        labels,
        annotations: Some(annotations),
        owner: owner_reference(endpoints.as_ref()),
    };
    slices::settle(present, contents(endpoints), &form)
}

/// Whether these are mirrored: their Service has no selector, and nobody says otherwise.
fn is_mirrored(observed: &Observed, key: &Key, endpoints: &Endpoints) -> bool {
    let has_no_selector = (observed.services.get(key)).is_some_and(|service| {
        service
            .spec
            .as_ref()
            .is_none_or(|spec| spec.selector.is_none())
    });
    has_no_selector
        && endpoints.metadata.deletion_timestamp.is_none()
        && endpoints.labels().get(SKIP).is_none_or(|it| it != "true")
        && !endpoints.annotations().contains_key(LOCK)
}

fn contents(endpoints: &Endpoints) -> Vec<Content> {
    let mut contents: Vec<Content> = Vec::new();
    for subset in endpoints.subsets.iter().flatten() {
        let ports = ports(subset);
        for (address, is_ready) in addresses(subset).take(MOST) {
            let family = match address.ip.parse() {
                Ok(IpAddr::V4(_)) => "IPv4",
                Ok(IpAddr::V6(_)) => "IPv6",
                Err(_) => continue,
            };
            let endpoint = endpoint(address, is_ready);
            let same = (contents.iter_mut())
                .find(|content| content.family == family && content.ports == ports);
            match same {
                Some(content) => content.endpoints.push(endpoint),
                None => contents.push(Content {
                    family,
                    ports: ports.clone(),
                    endpoints: vec![endpoint],
                }),
            }
        }
    }
    contents
}

/// The addresses that serve, then those that don't.
fn addresses(subset: &EndpointSubset) -> impl Iterator<Item = (&EndpointAddress, bool)> {
    let ready = subset.addresses.iter().flatten().map(|it| (it, true));
    let others = subset.not_ready_addresses.iter().flatten();
    ready.chain(others.map(|it| (it, false)))
}

fn endpoint(address: &EndpointAddress, is_ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(is_ready),
            ..EndpointConditions::default()
        }),
        hostname: address.hostname.clone(),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

fn ports(subset: &EndpointSubset) -> Option<Vec<EndpointPort>> {
    let ports = subset.ports.iter().flatten().map(|port| EndpointPort {
        // A port without a name has an empty one, as the server writes it.
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: port.app_protocol.clone(),
    });
    let ports: Vec<EndpointPort> = ports.collect();
    (!ports.is_empty()).then_some(ports)
}
