//! Where a pod's connection to the outside may go. Pure.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::super::config::{Config, HOST_ADDRESS};
use super::super::observed::Protocol;
use super::super::view::View;

/// A destination that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// What is to be dialled, from the host's side.
    pub(crate) dial: SocketAddrV4,
    /// What policies were asked about.
    asked: SocketAddrV4,
    /// Whether it must not be an address of this machine, which only the kernel can tell.
    pub(crate) must_be_elsewhere: bool,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it doesn't come from a pod of this node")]
    Stranger,
    #[error("nobody is there on the pod network")]
    OwnNetwork,
    #[error("this address is never passed on")]
    Never,
    #[error(
        "it is an address of this machine; pods reach it as `host.mwctl.internal`, at ports that are allowed by name"
    )]
    ThisMachine,
    #[error("this port of the machine isn't allowed by name")]
    HostPort,
    #[error("the destination is refused by the node's settings")]
    Settings,
    #[error("a network policy forbids it")]
    Policy,
}

/// Decides on a connection from a pod to what it meant. `turn` is whose turn it is among endpoints outside.
pub(crate) fn decide(
    config: &Config,
    view: &View,
    from: Ipv4Addr,
    meant: SocketAddrV4,
    turn: usize,
) -> Result<Destination, Refusal> {
    if !view.local.contains_key(&from) {
        return Err(Refusal::Stranger);
    }
    let destination = resolve(config, view, meant, turn)?;
    if is_still_allowed(config, view, from, &destination) {
        Ok(destination)
    } else {
        Err(Refusal::Policy)
    }
}

/// Whether policies still allow what was allowed once, and the pod is still there.
pub(crate) fn is_still_allowed(
    config: &Config,
    view: &View,
    from: Ipv4Addr,
    to: &Destination,
) -> bool {
    let permits = |address: Ipv4Addr, port: u16| {
        (view.isolations).permit_egress(from, address, Some((Protocol::Tcp, port)))
    };
    let is_api = (config.api_server).is_some_and(|(service, _)| service == to.asked);
    view.local.contains_key(&from)
        && (permits(*to.asked.ip(), to.asked.port())
            // In other clusters the API server is at the node's address, and policies are written for that.
            || is_api && permits(config.node(), to.dial.port()))
}

fn resolve(
    config: &Config,
    view: &View,
    meant: SocketAddrV4,
    turn: usize,
) -> Result<Destination, Refusal> {
    if let Some((service, real)) = config.api_server
        && service == meant
    {
        return Ok(Destination {
            dial: real,
            asked: service,
            must_be_elsewhere: false,
        });
    }
    let frontend = view.frontends.iter().find(|it| {
        (it.address, it.protocol, it.port) == (*meant.ip(), Protocol::Tcp, meant.port())
    });
    if let Some(frontend) = frontend {
        let outside: Vec<&SocketAddrV4> = (frontend.backends.iter())
            .filter(|backend| !config.pods.contains(*backend.ip()))
            .collect();
        let backend = turn.checked_rem(outside.len()).map(|turn| *outside[turn]);
        return elsewhere(config, backend.ok_or(Refusal::OwnNetwork)?);
    }
    elsewhere(config, meant)
}

fn elsewhere(config: &Config, to: SocketAddrV4) -> Result<Destination, Refusal> {
    let address = *to.ip();
    if config.pods.contains(address) || config.services.contains(address) {
        return Err(Refusal::OwnNetwork);
    }
    if address == HOST_ADDRESS {
        if !config.host_ports.values().any(|port| *port == to.port()) {
            return Err(Refusal::HostPort);
        }
        let dial = SocketAddrV4::new(Ipv4Addr::LOCALHOST, to.port());
        return Ok(Destination {
            dial,
            asked: to,
            must_be_elsewhere: false,
        });
    }
    if is_never_passed_on(address) {
        return Err(Refusal::Never);
    }
    if config.refused.contains(&to) {
        return Err(Refusal::Settings);
    }
    Ok(Destination {
        dial: to,
        asked: to,
        must_be_elsewhere: true,
    })
}

/// "This network" (RFC 1122), loopback, link-local with its metadata services, multicast, what is reserved, broadcast.
pub(crate) fn is_never_passed_on(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first == 0 || address.is_loopback() || address.is_link_local() || first >= 224
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use super::super::super::observed::Observed;
    use super::*;

    const POD: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 10);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 11);

    fn v4(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn config() -> Config {
        Config {
            api_server: Some((v4("10.96.0.1:443"), v4("127.0.0.1:6443"))),
            host_ports: BTreeMap::from([("collector".to_owned(), 4317)]),
            refused: BTreeSet::from([v4("192.168.49.2:8443")]),
            ..Config::default()
        }
    }

    /// A pod at [`POD`] with this egress policy, if any; a service with an endpoint on the network and two outside.
    fn view(egress: Option<&str>) -> View {
        let read = |text: &str| serde_yaml::from_str(text).unwrap();
        let pod: k8s_openapi::api::core::v1::Pod =
            serde_yaml::from_str("{metadata: {namespace: default}}").unwrap();
        let observed = Observed {
            pods: vec![Arc::new(super::super::super::observed::Workload::new(&pod, POD))],
            services: vec![Arc::new(
                serde_yaml::from_str("{metadata: {namespace: default, name: db}, spec: {clusterIP: 10.96.0.5, ports: [{port: 80}]}}").unwrap(),
            )],
            slices: vec![Arc::new(
                serde_yaml::from_str("{metadata: {namespace: default, labels: {kubernetes.io/service-name: db}}, addressType: IPv4,
                    endpoints: [{addresses: [10.42.0.9]}, {addresses: [192.168.0.7]}, {addresses: [192.168.0.8]}], ports: [{port: 5432}]}").unwrap(),
            )],
            policies: egress
                .map(|rules| {
                    let spec = format!("{{podSelector: {{}}, policyTypes: [Egress], egress: {rules}}}");
                    Arc::new(read(&format!("{{metadata: {{namespace: default}}, spec: {spec}}}")))
                })
                .into_iter()
                .collect(),
            ..Observed::default()
        };
        View::new(
            &config(),
            observed,
            BTreeMap::from([(POD, "uid".to_owned())]),
        )
    }

    fn dial(egress: Option<&str>, meant: &str) -> Result<String, Refusal> {
        decide(&config(), &view(egress), POD, v4(meant), 0).map(|to| to.dial.to_string())
    }

    #[test]
    fn outside_is_dialled_as_it_is_and_must_not_be_this_machine() {
        let to = decide(&config(), &view(None), POD, v4("203.0.113.5:443"), 0).unwrap();
        assert_eq!(to.dial, v4("203.0.113.5:443"));
        assert!(to.must_be_elsewhere);
    }

    #[test]
    fn some_destinations_are_never_passed_on() {
        for never in [
            "127.0.0.1:80",
            "169.254.169.254:80",
            "0.0.0.0:80",
            "0.1.2.3:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "240.0.0.1:80",
        ] {
            assert_eq!(dial(None, never), Err(Refusal::Never), "{never}");
        }
        for own in [
            "10.42.0.1:15001",
            "10.42.0.2:53",
            "10.42.9.9:80",
            "10.96.0.77:80",
            "10.96.0.10:54",
        ] {
            assert_eq!(dial(None, own), Err(Refusal::OwnNetwork), "{own}");
        }
        assert_eq!(dial(None, "192.168.49.2:8443"), Err(Refusal::Settings));
        assert_eq!(
            dial(None, "192.168.49.2:80"),
            Ok("192.168.49.2:80".to_owned())
        );
        let stranger = decide(&config(), &view(None), OTHER, v4("203.0.113.5:443"), 0);
        assert_eq!(stranger, Err(Refusal::Stranger));
    }

    #[test]
    fn this_machine_is_reached_at_ports_that_are_allowed_by_name() {
        assert_eq!(
            dial(None, "192.0.2.1:4317"),
            Ok("127.0.0.1:4317".to_owned())
        );
        assert_eq!(dial(None, "192.0.2.1:4318"), Err(Refusal::HostPort));
        assert_eq!(
            dial(Some("[{ports: [{port: 443}]}]"), "192.0.2.1:4317"),
            Err(Refusal::Policy)
        );
    }

    #[test]
    fn a_services_endpoints_outside_are_dialled_in_turn() {
        let turns = [0, 1, 2].map(|turn| {
            decide(&config(), &view(None), POD, v4("10.96.0.5:80"), turn)
                .unwrap()
                .dial
                .to_string()
        });
        assert_eq!(
            turns,
            ["192.168.0.7:5432", "192.168.0.8:5432", "192.168.0.7:5432"]
        );
        // Policies are asked about the endpoint, not about the service.
        let endpoint = "[{to: [{ipBlock: {cidr: 192.168.0.0/24}}], ports: [{port: 5432}]}]";
        assert!(dial(Some(endpoint), "10.96.0.5:80").is_ok());
        let service = "[{to: [{ipBlock: {cidr: 10.96.0.0/12}}]}]";
        assert_eq!(dial(Some(service), "10.96.0.5:80"), Err(Refusal::Policy));
    }

    #[test]
    fn the_api_server_is_reached_at_its_service_if_the_policy_lets_it() {
        assert_eq!(dial(None, "10.96.0.1:443"), Ok("127.0.0.1:6443".to_owned()));
        assert_eq!(dial(Some("[]"), "10.96.0.1:443"), Err(Refusal::Policy));
        for rule in [
            "{ipBlock: {cidr: 10.96.0.1/32}}",
            "{ipBlock: {cidr: 10.42.0.1/32}}",
            "{ipBlock: {cidr: 0.0.0.0/0}}",
        ] {
            assert!(
                dial(Some(&format!("[{{to: [{rule}]}}]")), "10.96.0.1:443").is_ok(),
                "{rule}"
            );
        }
    }

    #[test]
    fn what_was_allowed_ends_with_the_policy_or_the_pod() {
        let to = decide(&config(), &view(None), POD, v4("203.0.113.5:443"), 0).unwrap();
        assert!(is_still_allowed(&config(), &view(None), POD, &to));
        assert!(!is_still_allowed(&config(), &view(Some("[]")), POD, &to));
        let gone = View {
            local: BTreeMap::new(),
            ..view(None)
        };
        assert!(!is_still_allowed(&config(), &gone, POD, &to));
    }
}
