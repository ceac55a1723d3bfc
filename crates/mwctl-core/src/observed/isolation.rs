//! Whether a cluster does what `NetworkPolicies` say: Kubernetes itself takes them and does nothing.

/// The programs on the nodes that enforce policies, by how their `DaemonSets` are called.
const ENFORCERS: [&str; 9] = [
    "antrea-agent",
    "calico-node",
    "canal",
    "cilium",
    "kindnet",
    "kube-router",
    "ovnkube-node",
    "romana-agent",
    "weave-net",
];

/// Whether something is known to enforce policies, from the names of the `DaemonSets` of the cluster and
/// the versions that its nodes state.
pub fn enforces_policies<'a>(
    daemon_sets: impl IntoIterator<Item = &'a str>,
    versions: impl IntoIterator<Item = &'a str>,
) -> bool {
    let known = |name: &str| ENFORCERS.iter().any(|enforcer| name.starts_with(enforcer));
    // k3s has it in its own process; our own nodes have it too.
    let own = |version: &str| version.contains("+k3s") || version.contains("mwctl");
    daemon_sets.into_iter().any(known) || versions.into_iter().any(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_enforces_policies_if_something_in_it_is_known_to() {
        assert!(enforces_policies(
            ["kube-proxy", "calico-node"],
            ["v1.34.0"]
        ));
        assert!(enforces_policies([], ["v1.31.2+k3s1"]));
        assert!(!enforces_policies(
            ["kube-proxy", "kube-flannel-ds"],
            ["v1.34.0"]
        ));
    }
}
