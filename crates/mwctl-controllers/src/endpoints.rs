//! Who serves for a Service: its pods' addresses, in EndpointSlices and in the older Endpoints.
//!
//! Services without a selector are left to whoever writes their addresses; if that is done in the older form, it is mirrored into the newer.

mod addresses;
mod legacy;
mod mirrored;
mod slices;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;

use crate::claim::{matches, selector};
use crate::controller::Controller;
use crate::observed::{Change, Key, Kind, Object, Observed};

/// The name of the controller of EndpointSlices.
pub(crate) const SLICES: &str = "endpointslice-controller";

/// The name of the controller of Endpoints.
pub(crate) const LEGACY: &str = "endpoint-controller";

/// The name of the controller that mirrors Endpoints into EndpointSlices.
pub(crate) const MIRRORED: &str = "endpointslice-mirroring-controller";

/// The label of a slice that names its Service.
const SERVICE: &str = "kubernetes.io/service-name";

/// The label of what belongs to a Service without an address of its own.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// The controller of EndpointSlices.
pub(crate) static SLICE_CONTROLLER: Controller = Controller {
    name: SLICES,
    reads: &[Kind::Service, Kind::Pod, Kind::Node, Kind::EndpointSlice],
    traces_all: false,
    wakes: wakes_slices,
    reconcile: slices::reconcile,
};

/// The controller of Endpoints.
pub(crate) static LEGACY_CONTROLLER: Controller = Controller {
    name: LEGACY,
    reads: &[Kind::Service, Kind::Pod, Kind::Endpoints],
    traces_all: false,
    wakes: wakes_legacy,
    reconcile: legacy::reconcile,
};

/// The controller that mirrors Endpoints into EndpointSlices.
pub(crate) static MIRRORING_CONTROLLER: Controller = Controller {
    name: MIRRORED,
    reads: &[Kind::Service, Kind::Endpoints, Kind::EndpointSlice],
    traces_all: false,
    wakes: wakes_mirrored,
    reconcile: mirrored::reconcile,
};

fn wakes_mirrored(change: &Change, _: &Observed) -> Vec<Key> {
    match change.object() {
        Object::Endpoints(endpoints) => vec![Key::of(endpoints.as_ref())],
        Object::Service(service) => vec![Key::of(service.as_ref())],
        Object::EndpointSlice(slice) => service_of(slice),
        _ => Vec::new(),
    }
}

fn service_of(slice: &EndpointSlice) -> Vec<Key> {
    let namespace = slice.namespace().unwrap_or_default();
    let service = slice.labels().get(SERVICE);
    (service
        .map(|service| Key::new(namespace, service))
        .into_iter())
    .collect()
}

fn wakes_slices(change: &Change, observed: &Observed) -> Vec<Key> {
    match change.object() {
        Object::EndpointSlice(slice) => service_of(slice),
        _ => wakes_both(change, observed),
    }
}

fn wakes_legacy(change: &Change, observed: &Observed) -> Vec<Key> {
    match change.object() {
        Object::Endpoints(endpoints) => vec![Key::of(endpoints.as_ref())],
        _ => wakes_both(change, observed),
    }
}

fn wakes_both(change: &Change, observed: &Observed) -> Vec<Key> {
    match change.object() {
        Object::Service(service) => vec![Key::of(service.as_ref())],
        Object::Pod(pod) => {
            let namespace = pod.namespace().unwrap_or_default();
            (observed.services.in_namespace(&namespace))
                .filter(|service| {
                    (change.states()).any(|state| match state {
                        Object::Pod(pod) => is_served_by(service, pod),
                        _ => false,
                    })
                })
                .map(|service| Key::of(service.as_ref()))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a pod is one of a Service's.
fn is_served_by(service: &Service, pod: &Pod) -> bool {
    let labels = service.spec.as_ref().and_then(|spec| spec.selector.clone());
    let Some(labels) = labels.filter(|labels| !labels.is_empty()) else {
        return false;
    };
    let wanted = selector(&LabelSelector {
        match_labels: Some(labels),
        match_expressions: None,
    });
    wanted.is_some_and(|wanted| matches(&wanted, pod))
}

/// Whether its pods are to be found: it has a selector and isn't a mere name.
fn is_ours(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| {
        spec.selector.as_ref().is_some_and(|it| !it.is_empty())
            && spec.type_.as_deref() != Some("ExternalName")
    })
}

fn is_headless(service: &Service) -> bool {
    (service.spec.as_ref()).is_some_and(|spec| spec.cluster_ip.as_deref() == Some("None"))
}

fn publishes_unready(service: &Service) -> bool {
    (service.spec.as_ref()).is_some_and(|spec| spec.publish_not_ready_addresses == Some(true))
}

#[cfg(test)]
mod tests;
