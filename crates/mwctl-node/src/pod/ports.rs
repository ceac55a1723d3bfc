//! Ports of the node that lead to a pod (`hostPort`): two pods can't have the same, also where nobody scheduled them.

use k8s_openapi::api::core::v1::Pod;

use super::state::{Refusal, containers};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// Nothing for every address of the node.
    address: Option<String>,
    protocol: String,
    number: i32,
}

impl HostPort {
    /// Those that a pod wants.
    pub(crate) fn of(pod: &Pod) -> Vec<Self> {
        let ports = containers(pod).flat_map(|(_, container)| container.ports.iter().flatten());
        let host_ports = ports.filter_map(|port| {
            let address = port.host_ip.clone();
            Some(Self {
                number: port.host_port.filter(|number| *number > 0)?,
                address: address.filter(|address| !address.is_empty() && address != "0.0.0.0"),
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            })
        });
        host_ports.collect()
    }

    fn excludes(&self, other: &Self) -> bool {
        let everywhere = self.address.is_none() || other.address.is_none();
        (self.number, &self.protocol) == (other.number, &other.protocol)
            && (everywhere || self.address == other.address)
    }
}

/// Why a pod isn't taken, if one of the ports that it wants is `taken`; in the kubelet's words.
pub(crate) fn refuse<'a>(
    wanted: &[HostPort],
    mut taken: impl Iterator<Item = &'a HostPort>,
) -> Option<Refusal> {
    let conflict = taken.any(|other| wanted.iter().any(|port| port.excludes(other)));
    conflict.then(|| Refusal {
        reason: "NodePorts",
        message: "Pod was rejected: Node didn't have free ports for the requested pod ports"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a literal is written in its place"
    )]
    fn ports(list: serde_json::Value) -> Vec<HostPort> {
        let pod = json!({"spec": {"containers": [{"name": "c", "ports": list}]}});
        HostPort::of(&serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn a_port_is_one_pods_alone() {
        let port = |protocol: &str, address: &str| {
            ports(
                json!([{"containerPort": 1, "hostPort": 80, "protocol": protocol, "hostIP": address}]),
            )
        };
        for (wanted, taken, refused) in [
            (port("TCP", ""), port("TCP", ""), true),
            (port("TCP", ""), port("UDP", ""), false),
            (port("TCP", "127.0.0.1"), port("TCP", "0.0.0.0"), true),
            (port("TCP", "127.0.0.1"), port("TCP", "127.0.0.1"), true),
            (port("TCP", "127.0.0.1"), port("TCP", "127.0.0.2"), false),
            (
                ports(json!([{"containerPort": 80}])),
                port("TCP", ""),
                false,
            ),
            (port("TCP", ""), Vec::new(), false),
        ] {
            let found = refuse(&wanted, taken.iter());
            assert_eq!(found.is_some(), refused, "{wanted:?} {taken:?}");
        }
    }
}
