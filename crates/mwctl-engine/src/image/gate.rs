//! What programs of builds may reach that have a way out alone: other machines, but no API server of a cluster. As the pods of the embedded
//! cluster, which may reach some ports of this machine by name, too.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::OnceLock;

use mwctl_image::build::Gate;
use mwctl_node::network::{Reach, reach};

use crate::cluster::servers;

/// The gate of a developer whose clusters these kubeconfig files name. They are read once somebody wants to go out.
pub fn gate(kubeconfig: Vec<PathBuf>) -> Gate {
    let clusters = OnceLock::new();
    Gate::new(move |host, to| {
        let clusters = clusters.get_or_init(|| {
            servers(&kubeconfig).unwrap_or_else(|error| {
                tracing::warn!(%error, "clusters aren't kept from builds");
                Vec::new()
            })
        });
        let of = |address: Ipv4Addr| reach(address).map_err(|error| error.to_string());
        decide(clusters, host, to, of(*to.ip()))
    })
}

fn decide(
    clusters: &[(String, u16)],
    host: &str,
    to: SocketAddrV4,
    reach: Result<Reach, String>,
) -> Result<(), String> {
    let address = to.ip().to_string();
    let is_cluster = clusters.iter().any(|(name, port)| {
        *port == to.port() && (name.eq_ignore_ascii_case(host) || *name == address)
    });
    let why = match reach {
        Ok(Reach::Elsewhere) if is_cluster => "it is the API server of a cluster",
        Ok(Reach::Elsewhere) => return Ok(()),
        Ok(Reach::ThisMachine) => "it is this machine",
        Ok(Reach::Nobody) => "no machine is meant by it alone",
        Err(error) => return Err(format!("isn't reached: {error}")),
    };
    Err(format!(
        "isn't reached by the build's way out: {why} (`--network host` lets the build see the machine's network)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(host: &str, to: &str, reach: Reach) -> Result<(), String> {
        let clusters = [
            ("192.168.49.2".to_owned(), 8443),
            ("prod.example.org".to_owned(), 6443),
        ];
        decide(&clusters, host, to.parse().unwrap(), Ok(reach))
    }

    #[test]
    fn other_machines_are_reached() {
        let elsewhere = |host, to| decided(host, to, Reach::Elsewhere);
        assert_eq!(elsewhere("example.org", "203.0.113.5:443"), Ok(()));
        assert_eq!(elsewhere("192.168.49.2", "192.168.49.2:80"), Ok(()));
    }

    #[test]
    fn clusters_are_refused_by_name_and_by_address() {
        for (host, to) in [
            ("PROD.example.org", "203.0.113.5:6443"),
            ("minikube", "192.168.49.2:8443"),
        ] {
            let why = decided(host, to, Reach::Elsewhere).unwrap_err();
            assert!(why.contains("API server of a cluster"), "{why}");
        }
    }

    #[test]
    fn this_machine_is_refused_with_what_to_do() {
        let why = decided("localhost", "127.0.0.1:80", Reach::ThisMachine).unwrap_err();
        assert!(why.contains("`--network host`"), "{why}");
    }
}
