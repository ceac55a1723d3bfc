//! EndpointSlices: the pods of a Service by address family and ports, a hundred at most in each.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::addresses::{self, Port};
use super::{HEADLESS, SERVICE, is_headless, is_ours, publishes_unready};
use crate::action::{Action, Target};
use crate::controller::Context;
use crate::observed::{Key, Observed, owner_reference};
use crate::pods;

/// The label that says whose slices these are.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// Our value of that label.
const US: &str = "endpointslice-controller.k8s.io";

/// How many endpoints a slice has at most.
const FULL: usize = 100;

/// What a slice is to say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    pub(super) family: &'static str,
    pub(super) ports: Option<Vec<EndpointPort>>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// What all slices of one Service that come from one place have in common.
pub(super) struct Form {
    pub(super) service: Key,
    pub(super) labels: BTreeMap<String, String>,
    /// None leaves to others what they note.
    pub(super) annotations: Option<BTreeMap<String, String>>,
    pub(super) owner: OwnerReference,
}

pub(super) fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(service) = observed.services.get(key) else {
        return Vec::new();
    };
    if service.metadata.deletion_timestamp.is_some() || !is_ours(service) {
        return Vec::new();
    }
    let form = Form {
        service: key.clone(),
        labels: labels(service),
        annotations: None,
        owner: owner_reference(service.as_ref()),
    };
    settle(of(observed, key, US), contents(observed, service), &form)
}

/// The slices of a Service that are managed by `by`.
pub(super) fn of<'a>(observed: &'a Observed, service: &'a Key, by: &str) -> Vec<&'a EndpointSlice> {
    (observed.endpoint_slices.in_namespace(&service.namespace))
        .map(AsRef::as_ref)
        .filter(|slice: &&EndpointSlice| {
            let labels = slice.labels();
            labels.get(SERVICE) == Some(&service.name)
                && labels.get(MANAGED_BY).is_some_and(|it| it == by)
                && slice.metadata.deletion_timestamp.is_none()
        })
        .collect()
}

/// Makes the slices that are there say what they are to, with as few changes as possible.
pub(super) fn settle(
    mut present: Vec<&EndpointSlice>,
    contents: Vec<Content>,
    form: &Form,
) -> Vec<Action> {
    let mut actions = Vec::new();
    for content in contents {
        // A slice with these ports already is changed least; else any of the family.
        let place = (present.iter())
            .position(|slice| is_family(slice, &content) && slice.ports == content.ports)
            .or_else(|| present.iter().position(|slice| is_family(slice, &content)));
        match place.map(|place| present.remove(place)) {
            Some(slice) => actions.extend(change(form, slice, &content)),
            None => actions.push(Action::Create(make(form, content).into(), None)),
        }
    }
    actions.extend(present.into_iter().map(delete));
    actions
}

/// Takes a slice away.
pub(super) fn delete(slice: &EndpointSlice) -> Action {
    Action::Delete {
        target: Target::of(slice),
        propagation: None,
        grace: None,
        announcement: None,
    }
}

fn is_family(slice: &EndpointSlice, content: &Content) -> bool {
    slice.address_type == content.family
}

/// What all slices of a Service are to say together. There is one at least for each family, even if it is empty.
fn contents(observed: &Observed, service: &Service) -> Vec<Content> {
    let mut contents = Vec::new();
    for family in addresses::families(service) {
        let mut groups: BTreeMap<Vec<Port>, Vec<Endpoint>> = BTreeMap::new();
        for pod in addresses::pods(observed, service) {
            if let Some(endpoint) = endpoint(observed, service, pod, family) {
                let group = groups.entry(addresses::ports(service, pod)).or_default();
                group.push(endpoint);
            }
        }
        if groups.is_empty() {
            contents.push(Content {
                family,
                ports: None,
                endpoints: Vec::new(),
            });
        }
        for (ports, endpoints) in groups {
            contents.extend(endpoints.chunks(FULL).map(|chunk| Content {
                family,
                ports: written(&ports),
                endpoints: chunk.to_vec(),
            }));
        }
    }
    contents
}

fn endpoint(observed: &Observed, service: &Service, pod: &Pod, family: &str) -> Option<Endpoint> {
    let address = (addresses::addresses(pod).into_iter()).find(|address| match address {
        IpAddr::V4(_) => family == "IPv4",
        IpAddr::V6(_) => family == "IPv6",
    })?;
    let serving = pods::is_ready(pod);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let node = pods::node(pod);
    let zone = node
        .and_then(|node| observed.nodes.get(&Key::cluster(node)))
        .and_then(|node| node.labels().get("topology.kubernetes.io/zone").cloned());
    Some(Endpoint {
        addresses: vec![address.to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(publishes_unready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: addresses::hostname(service, pod),
        node_name: node.map(str::to_owned),
        target_ref: Some(addresses::reference(pod)),
        zone,
        ..Endpoint::default()
    })
}

fn written(ports: &[Port]) -> Option<Vec<EndpointPort>> {
    let written: Vec<EndpointPort> = (ports.iter())
        .map(|port| EndpointPort {
            // A port without a name has an empty one, as the server writes it.
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(port.number),
            protocol: Some(port.protocol.clone()),
            app_protocol: port.app_protocol.clone(),
        })
        .collect();
    (!written.is_empty()).then_some(written)
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = (service.labels().iter())
        .filter(|(name, _)| *name != HEADLESS)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    mark(&mut labels, &service.name_any(), US);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

/// Writes into labels whose slice it is, and who manages it.
pub(super) fn mark(labels: &mut BTreeMap<String, String>, service: &str, by: &str) {
    labels.insert(SERVICE.to_owned(), service.to_owned());
    labels.insert(MANAGED_BY.to_owned(), by.to_owned());
}

fn make(form: &Form, content: Content) -> EndpointSlice {
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", form.service.name)),
            namespace: Some(form.service.namespace.clone()),
            labels: Some(form.labels.clone()),
            annotations: form.annotations.clone(),
            owner_references: Some(vec![form.owner.clone()]),
            ..ObjectMeta::default()
        },
        address_type: content.family.to_owned(),
        endpoints: content.endpoints,
        ports: content.ports,
    }
}

fn change(form: &Form, slice: &EndpointSlice, content: &Content) -> Option<Action> {
    let annotations = form.annotations.as_ref();
    let is_same = slice.endpoints == content.endpoints
        && slice.ports == content.ports
        && *slice.labels() == form.labels
        && annotations.is_none_or(|wanted| slice.annotations() == wanted);
    if is_same {
        return None;
    }
    let mut metadata = json!({"labels": patched(slice.labels(), &form.labels)});
    if let Some(wanted) = annotations {
        metadata["annotations"] = patched(slice.annotations(), wanted);
    }
    Some(Action::Patch {
        target: Target::of(slice),
        subresource: None,
        patch: json!({
            "metadata": metadata,
            "endpoints": content.endpoints,
            "ports": content.ports,
        }),
        announcement: None,
    })
}

/// The merge patch from one map to another.
fn patched(present: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> Value {
    let gone = present.keys().filter(|name| !wanted.contains_key(*name));
    let gone = gone.map(|name| (name, None));
    let all = wanted.iter().map(|(name, value)| (name, Some(value)));
    let patch: BTreeMap<&String, Option<&String>> = all.chain(gone).collect();
    json!(patch)
}
