//! Endpoints: the older form, one object of the Service's name, its pods grouped by the ports they have.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use serde_json::json;

use super::addresses::{self, Port};
use super::{HEADLESS, LEGACY, is_headless, is_ours, publishes_unready};
use crate::action::{Action, Target};
use crate::controller::Context;
use crate::observed::{Key, Observed};
use crate::pods;

/// The label that says who writes it.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

/// Addresses of one set of ports: those that serve, and those that don't.
type Group = (Vec<EndpointAddress>, Vec<EndpointAddress>);

pub(super) fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let present = observed.endpoints.get(key);
    let Some(service) = observed.services.get(key) else {
        // Nothing owns it: it goes when its Service does, if it is ours.
        return (present.into_iter())
            .filter(|endpoints| {
                (endpoints.labels().get(MANAGED_BY)).is_some_and(|by| by == LEGACY)
                    && endpoints.metadata.deletion_timestamp.is_none()
            })
            .map(|endpoints| Action::Delete {
                target: Target::of(endpoints.as_ref()),
                propagation: None,
                grace: None,
                announcement: None,
            })
            .collect();
    };
    if service.metadata.deletion_timestamp.is_some() || !is_ours(service) {
        return Vec::new();
    }
    let subsets = subsets(observed, service);
    let labels = labels(service);
    let Some(present) = present else {
        let endpoints = Endpoints {
            metadata: ObjectMeta {
                name: Some(key.name.clone()),
                namespace: Some(key.namespace.clone()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            subsets,
        };
        return vec![Action::Create(endpoints.into(), None)];
    };
    let known = present.subsets.as_deref().unwrap_or_default();
    if known == subsets.as_deref().unwrap_or_default() && *present.labels() == labels {
        return Vec::new();
    }
    vec![Action::Patch {
        target: Target::of(present.as_ref()),
        subresource: None,
        patch: json!({"metadata": {"labels": labels}, "subsets": subsets}),
        announcement: None,
    }]
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.labels().clone();
    labels.insert(MANAGED_BY.to_owned(), LEGACY.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

fn subsets(observed: &Observed, service: &Service) -> Option<Vec<EndpointSubset>> {
    let publishes = publishes_unready(service);
    let mut groups: BTreeMap<Vec<Port>, Group> = BTreeMap::new();
    for pod in addresses::pods(observed, service) {
        // In this form there is no word for a pod that ends.
        if pod.metadata.deletion_timestamp.is_some() && !publishes {
            continue;
        }
        let ports = addresses::ports(service, pod);
        let has_ports = service
            .spec
            .as_ref()
            .is_some_and(|spec| spec.ports.is_some());
        if ports.is_empty() && has_ports {
            continue;
        }
        let Some(address) = addresses::addresses(pod).first().copied() else {
            continue;
        };
        let address = EndpointAddress {
            ip: address.to_string(),
            hostname: addresses::hostname(service, pod),
            node_name: pods::node(pod).map(str::to_owned),
            target_ref: Some(addresses::reference(pod)),
        };
        let (ready, unready) = groups.entry(ports).or_default();
        if publishes || pods::is_ready(pod) {
            ready.push(address);
        } else {
            unready.push(address);
        }
    }
    let some = |mut addresses: Vec<EndpointAddress>| {
        addresses.sort_by(|one, other| one.ip.cmp(&other.ip));
        (!addresses.is_empty()).then_some(addresses)
    };
    let subsets: Vec<EndpointSubset> = (groups.into_iter())
        .map(|(ports, (ready, unready))| EndpointSubset {
            addresses: some(ready),
            not_ready_addresses: some(unready),
            ports: (!ports.is_empty()).then(|| ports.into_iter().map(written).collect()),
        })
        .collect();
    (!subsets.is_empty()).then_some(subsets)
}

fn written(port: Port) -> EndpointPort {
    EndpointPort {
        name: port.name,
        port: port.number,
        protocol: Some(port.protocol),
        app_protocol: port.app_protocol,
    }
}
