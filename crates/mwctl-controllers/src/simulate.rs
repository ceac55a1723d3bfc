//! Pods without processes, for authors of controllers: what is placed on a node runs and is ready, what is deleted is gone.
//!
//! It lies by design, and runs only where asked for. Where there is no node it brings one.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus, HostIP, Node,
    NodeAddress, NodeCondition, NodeStatus, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use crate::action::{Action, Target};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed};
use crate::pods;

/// The controller's name.
pub const NAME: &str = "simulate";

/// How a pod is to end: `succeed` or `fail`. Without it, it runs.
pub const END: &str = "mwctl/simulate";

/// The node that is brought where there is none.
const NODE: &str = "simulated";

/// The address of that node.
const NODE_ADDRESS: &str = "192.0.2.1";

/// The conditions of a pod, as a kubelet lists them.
const ORDER: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::Namespace, Kind::Node, Kind::Pod],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, _: &Observed) -> Vec<Key> {
    match change.object() {
        // A cluster without pods has a namespace from the beginning.
        Object::Namespace(_) => vec![Key::cluster(NODE)],
        Object::Pod(pod) => vec![Key::of(pod.as_ref())],
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    if key.namespace.is_empty() {
        let has_node = context.observed.nodes.iter().next().is_some();
        return if has_node {
            Vec::new()
        } else {
            vec![Action::Create(node(context.now).into(), None)]
        };
    }
    let Some(pod) = context.observed.pods.get(key) else {
        return Vec::new();
    };
    if pods::node(pod).is_none() && pod.metadata.deletion_timestamp.is_none() {
        return Vec::new();
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return vec![Action::Delete {
            target: Target::of(pod.as_ref()),
            propagation: None,
            grace: Some(0),
            announcement: None,
        }];
    }
    if pods::is_finished(pod) {
        return Vec::new();
    }
    let status = status(pod, context.now);
    if pod.status.as_ref() == Some(&status) {
        return Vec::new();
    }
    let mut pod = pod.as_ref().clone();
    pod.status = Some(status);
    vec![Action::UpdateStatus(pod.into())]
}

/// How a pod ends, if it does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Succeeded,
    Failed,
}

fn end(pod: &Pod) -> Option<End> {
    match pod.annotations().get(END)?.as_str() {
        "succeed" => Some(End::Succeeded),
        "fail" => Some(End::Failed),
        _ => None,
    }
}

fn status(pod: &Pod, now: Timestamp) -> PodStatus {
    let mut status = pod.status.clone().unwrap_or_default();
    let end = end(pod);
    let phase = match end {
        None => "Running",
        Some(End::Succeeded) => "Succeeded",
        Some(End::Failed) => "Failed",
    };
    let address = address(pod);
    status.phase = Some(phase.to_owned());
    status.observed_generation = pod.metadata.generation;
    status.start_time = status.start_time.or(Some(Time(now)));
    status.host_ip = Some(NODE_ADDRESS.to_owned());
    status.host_ips = Some(vec![HostIP {
        ip: NODE_ADDRESS.to_owned(),
    }]);
    status.pod_ip = Some(address.clone());
    status.pod_ips = Some(vec![PodIP { ip: address }]);
    let started = status.start_time.clone();
    let old = status.container_statuses.take().unwrap_or_default();
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    status.container_statuses = Some(
        containers
            .map(|container| {
                let known = old.iter().find(|it| it.name == container.name).cloned();
                container_status(
                    &container.name,
                    container.image.as_deref(),
                    end,
                    started.as_ref(),
                    known,
                )
            })
            .collect(),
    );
    let old = status
        .ephemeral_container_statuses
        .take()
        .unwrap_or_default();
    let ephemeral: Vec<ContainerStatus> = (pod.spec.iter())
        .flat_map(|spec| spec.ephemeral_containers.iter().flatten())
        .map(|container| {
            let known = old.iter().find(|it| it.name == container.name).cloned();
            let image = container.image.as_deref();
            container_status(&container.name, image, end, started.as_ref(), known)
        })
        .collect();
    status.ephemeral_container_statuses = (!ephemeral.is_empty()).then_some(ephemeral);
    let gates = (pod.spec.iter()).flat_map(|spec| spec.readiness_gates.iter().flatten());
    let is_open = |kind: &str| pods::condition(pod, kind).is_some_and(|it| it.status == "True");
    let is_ready = end.is_none() && gates.clone().all(|gate| is_open(&gate.condition_type));
    for (kind, is) in [
        ("PodReadyToStartContainers", end.is_none()),
        ("Initialized", true),
        ("Ready", is_ready),
        ("ContainersReady", end.is_none()),
        ("PodScheduled", true),
    ] {
        let has_ended =
            end.is_some() && kind != "PodScheduled" && kind != "PodReadyToStartContainers";
        let condition = PodCondition {
            type_: kind.to_owned(),
            status: if is { "True" } else { "False" }.to_owned(),
            reason: has_ended.then(|| "PodCompleted".to_owned()),
            observed_generation: pod.metadata.generation,
            ..PodCondition::default()
        };
        let conditions = pods::with_condition(status.conditions.as_deref(), condition, now);
        status.conditions = Some(conditions);
    }
    // In the order of a kubelet; those of others come after.
    let order = |condition: &PodCondition| {
        (ORDER.iter())
            .position(|known| *known == condition.type_)
            .unwrap_or(ORDER.len())
    };
    status
        .conditions
        .iter_mut()
        .for_each(|all| all.sort_by_key(order));
    status
}

fn container_status(
    name: &str,
    image: Option<&str>,
    end: Option<End>,
    started: Option<&Time>,
    known: Option<ContainerStatus>,
) -> ContainerStatus {
    let mut state = ContainerState::default();
    match end {
        None => {
            state.running = Some(ContainerStateRunning {
                started_at: started.cloned(),
            });
        }
        Some(end) => {
            let (reason, exit_code) = match end {
                End::Succeeded => ("Completed", 0),
                End::Failed => ("Error", 1),
            };
            state.terminated = Some(ContainerStateTerminated {
                exit_code,
                reason: Some(reason.to_owned()),
                started_at: started.cloned(),
                finished_at: started.cloned(),
                ..ContainerStateTerminated::default()
            });
        }
    }
    ContainerStatus {
        name: name.to_owned(),
        image: image.unwrap_or_default().to_owned(),
        image_id: image.unwrap_or_default().to_owned(),
        ready: end.is_none(),
        started: Some(end.is_none()),
        state: Some(state),
        // What the server makes of an empty one is kept, so that nothing seems to differ.
        last_state: known.and_then(|known| known.last_state),
        ..ContainerStatus::default()
    }
}

/// An address of the range for documentation and benchmarks: the same for a pod at each look, and rarely that of another.
fn address(pod: &Pod) -> String {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let hash = crate::hash::fnv(uid.as_bytes());
    format!(
        "198.{}.{}.{}",
        18 + (hash & 1),
        (hash >> 8) & 255,
        (hash >> 16) % 254 + 1
    )
}

fn node(now: Timestamp) -> Node {
    let quantities = |pairs: &[(&str, &str)]| -> BTreeMap<String, Quantity> {
        (pairs.iter())
            .map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())))
            .collect()
    };
    let room = quantities(&[
        ("cpu", "1000"),
        ("memory", "1Ti"),
        ("ephemeral-storage", "1Ti"),
        ("pods", "100000"),
    ]);
    let ready = NodeCondition {
        type_: "Ready".to_owned(),
        status: "True".to_owned(),
        reason: Some("Simulated".to_owned()),
        message: Some("pods on this node are simulated".to_owned()),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    Node {
        metadata: ObjectMeta {
            name: Some(NODE.to_owned()),
            labels: Some(BTreeMap::from([
                ("kubernetes.io/hostname".to_owned(), NODE.to_owned()),
                ("kubernetes.io/os".to_owned(), "linux".to_owned()),
            ])),
            ..ObjectMeta::default()
        },
        spec: None,
        status: Some(NodeStatus {
            addresses: Some(vec![NodeAddress {
                type_: "InternalIP".to_owned(),
                address: NODE_ADDRESS.to_owned(),
            }]),
            allocatable: Some(room.clone()),
            capacity: Some(room),
            conditions: Some(vec![ready]),
            ..NodeStatus::default()
        }),
    }
}
