//! Whether a node has room for a pod: its number of pods, its resources, its ports.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Node, Pod, ResourceRequirements};

use super::Refusal;
use super::quantity::Amount;
use crate::observed::Observed;
use crate::pods;

/// How much is left of a node, for choosing among several: the scarcest share, then the fewest pods.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Room {
    free_share: f64,
    free_pods: i128,
}

type Amounts = BTreeMap<String, Amount>;

pub(super) fn check(observed: &Observed, pod: &Pod, node: &Node) -> Result<Room, Refusal> {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let present: Vec<&Pod> = (observed.pods.placed_on(name).map(AsRef::as_ref))
        .filter(|other| !pods::is_finished(other))
        .collect();
    if conflicts(pod, &present) {
        return Err(Refusal {
            reasons: vec!["node(s) didn't have free ports for the requested pod ports".to_owned()],
            others_in_the_way: true,
        });
    }
    let allocatable = (node.status.as_ref()).and_then(|status| status.allocatable.as_ref());
    let total: Amounts = (allocatable.into_iter().flatten())
        .map(|(name, quantity)| (name.clone(), Amount::of(quantity)))
        .collect();
    let mut free = total.clone();
    for other in &present {
        for (name, amount) in requests(other) {
            let left = free.entry(name).or_default();
            *left = *left - amount;
        }
    }
    let mut wanted = requests(pod);
    wanted.insert("pods".to_owned(), ONE);
    if let Some(left) = free.get_mut("pods") {
        *left = *left - Amount(ONE.0 * present.len() as i128);
    }
    compare(&wanted, &free, &total)
}

const ONE: Amount = Amount(1000);

fn compare(wanted: &Amounts, free: &Amounts, total: &Amounts) -> Result<Room, Refusal> {
    let mut reasons = Vec::new();
    let mut others_in_the_way = true;
    let mut room = Room {
        free_share: 1.0,
        free_pods: i128::MAX,
    };
    for (name, amount) in wanted {
        let left = free.get(name).copied().unwrap_or_default();
        let whole = total.get(name).copied().unwrap_or_default();
        if amount.0 > 0 && *amount > left {
            reasons.push(if name == "pods" {
                "Too many pods".to_owned()
            } else {
                format!("Insufficient {name}")
            });
            others_in_the_way &= *amount <= whole;
        }
        let rest = (left - *amount).0;
        if name == "pods" {
            room.free_pods = rest;
        } else if whole.0 > 0 {
            room.free_share = room.free_share.min(rest as f64 / whole.0 as f64);
        }
    }
    if reasons.is_empty() {
        return Ok(room);
    }
    Err(Refusal {
        reasons,
        others_in_the_way,
    })
}

/// What a pod asks for: all its containers together, or the largest step of its beginning if that is more, and its overhead.
fn requests(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else {
        return Amounts::new();
    };
    let mut running = Amounts::new();
    for container in &spec.containers {
        add(&mut running, &of_container(container));
    }
    // Sidecars stay; each other init container runs beside those that were started before it.
    let mut sidecars = Amounts::new();
    let mut peak = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let own = of_container(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut sidecars, &own);
            add(&mut running, &own);
            raise(&mut peak, &sidecars);
        } else {
            let mut step = sidecars.clone();
            add(&mut step, &own);
            raise(&mut peak, &step);
        }
    }
    raise(&mut running, &peak);
    for (name, amount) in of_requirements(spec.resources.as_ref()) {
        running.insert(name, amount);
    }
    let overhead = (spec.overhead.iter().flatten())
        .map(|(name, quantity)| (name.clone(), Amount::of(quantity)))
        .collect();
    add(&mut running, &overhead);
    running
}

fn of_container(container: &Container) -> Amounts {
    of_requirements(container.resources.as_ref())
}

fn of_requirements(resources: Option<&ResourceRequirements>) -> Amounts {
    (resources
        .and_then(|resources| resources.requests.as_ref())
        .into_iter())
    .flatten()
    .map(|(name, quantity)| (name.clone(), Amount::of(quantity)))
    .collect()
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let total = sum.entry(name.clone()).or_default();
        *total = *total + *amount;
    }
}

fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let known = most.entry(name.clone()).or_default();
        *known = (*known).max(*amount);
    }
}

/// Whether a port of the host that the pod wants is taken.
fn conflicts(pod: &Pod, present: &[&Pod]) -> bool {
    let wanted = host_ports(pod);
    !wanted.is_empty()
        && (present.iter().flat_map(|other| host_ports(other))).any(|(address, protocol, port)| {
            (wanted.iter()).any(|(own_address, own_protocol, own_port)| {
                let meets =
                    *own_address == address || [*own_address, address].contains(&ANY_ADDRESS);
                meets && *own_protocol == protocol && *own_port == port
            })
        })
}

const ANY_ADDRESS: &str = "0.0.0.0";

fn host_ports(pod: &Pod) -> Vec<(&str, &str, i32)> {
    (pod.spec.iter().flat_map(|spec| &spec.containers))
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|port| {
            let address = port.host_ip.as_deref().filter(|it| !it.is_empty());
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let number = port.host_port.filter(|number| *number > 0)?;
            Some((address.unwrap_or(ANY_ADDRESS), protocol, number))
        })
        .collect()
}
