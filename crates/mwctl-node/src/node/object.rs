//! The object that tells the cluster of this node: a function of what was found here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{
    Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use mwctl_container::Lack;

use crate::machine::{Machine, architecture};

/// How many pods a node takes.
const PODS: &str = "250";
/// The lowest port that services have for their users: HTTP's.
const LOWEST: u16 = 80;
/// The Kubernetes whose kubelet this node does as.
const VERSION: &str = "v1.34.0+mwctl";

pub(super) fn node(
    name: &str,
    machine: &Machine,
    address: Ipv4Addr,
    lacks: &[Lack],
    now: Timestamp,
) -> Node {
    let labels = [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture()),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", architecture()),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let resources: BTreeMap<String, Quantity> = BTreeMap::from([
        ("cpu".to_owned(), Quantity(machine.processors.to_string())),
        (
            "memory".to_owned(),
            Quantity(format!("{}Ki", machine.memory / 1024)),
        ),
        (
            "ephemeral-storage".to_owned(),
            Quantity(format!("{}Ki", machine.disk / 1024)),
        ),
        ("pods".to_owned(), Quantity(PODS.to_owned())),
    ]);
    let told = |kind: &str, value: String| NodeAddress {
        type_: kind.to_owned(),
        address: value,
    };
    Node {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec::default()),
        status: Some(NodeStatus {
            addresses: Some(vec![
                told("InternalIP", address.to_string()),
                told("Hostname", name.to_owned()),
            ]),
            capacity: Some(resources.clone()),
            allocatable: Some(resources),
            conditions: Some(conditions(lacks, machine.first_port, now)),
            node_info: Some(NodeSystemInfo {
                machine_id: machine.id.clone(),
                system_uuid: machine.id.clone(),
                boot_id: machine.boot_id.clone(),
                kernel_version: machine.kernel.clone(),
                os_image: machine.system.clone(),
                container_runtime_version: format!("mwctl://{}", env!("CARGO_PKG_VERSION")),
                kubelet_version: VERSION.to_owned(),
                kube_proxy_version: String::new(),
                operating_system: "linux".to_owned(),
                architecture: architecture().to_owned(),
                ..NodeSystemInfo::default()
            }),
            ..NodeStatus::default()
        }),
    }
}

/// What Kubernetes asks for, and what this machine doesn't let its user have: each with its cure.
fn conditions(lacks: &[Lack], first_port: u16, now: Timestamp) -> Vec<NodeCondition> {
    let condition = |kind: &str, holds: bool, reason: &str, message: String| NodeCondition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    let mut all = vec![
        condition(
            "MemoryPressure",
            false,
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available".to_owned(),
        ),
        condition(
            "DiskPressure",
            false,
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure".to_owned(),
        ),
        condition(
            "PIDPressure",
            false,
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available".to_owned(),
        ),
        condition(
            "Ready",
            true,
            "KubeletReady",
            "kubelet is posting ready status".to_owned(),
        ),
    ];
    all.extend(lacks.iter().map(|lack| {
        let kind = match lack {
            Lack::Users { .. } => "UserIdsLacking",
            Lack::Memory => "MemoryLimitsLacking",
            Lack::Processes => "ProcessLimitsLacking",
            Lack::Processor => "ProcessorLimitsLacking",
        };
        condition(
            kind,
            true,
            "NotPermitted",
            format!("{lack}; to change that: {}", lack.cure()),
        )
    }));
    if first_port > LOWEST {
        let message = format!(
            "ports of services below {first_port} are reached from this machine at the port and 8000; to change that: sudo sysctl -w \
             net.ipv4.ip_unprivileged_port_start={LOWEST}"
        );
        all.push(condition("LowPortsLacking", true, "NotPermitted", message));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_and_says_what_it_lacks() {
        let machine = Machine {
            processors: 2,
            memory: 1 << 30,
            disk: 1 << 40,
            first_port: 1024,
            ..Machine::default()
        };
        let node = node(
            "here",
            &machine,
            Ipv4Addr::LOCALHOST,
            &[Lack::Memory],
            Timestamp::UNIX_EPOCH,
        );
        let status = node.status.unwrap();
        let capacity = status.capacity.unwrap();
        for (name, amount) in [
            ("memory", "1048576Ki"),
            ("ephemeral-storage", "1073741824Ki"),
        ] {
            assert_eq!(capacity[name], Quantity(amount.to_owned()));
        }
        let conditions = status.conditions.unwrap();
        let holding: Vec<_> = conditions
            .iter()
            .filter(|it| it.status == "True")
            .map(|it| &*it.type_)
            .collect();
        let lacking = ["Ready", "MemoryLimitsLacking", "LowPortsLacking"];
        assert_eq!(holding, lacking);
        let cures = ["run as root", "ip_unprivileged_port_start=80"];
        for (condition, cure) in conditions.iter().rev().take(2).rev().zip(cures) {
            assert!(condition.message.as_ref().unwrap().contains(cure));
        }
    }
}
