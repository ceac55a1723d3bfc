//! Converts and checks how a service is reached and what it may reach.

use super::super::check::Check;
use super::super::wire::{self, Isolation};
use crate::model::{Address, Egress, Network};
use crate::name::ServiceName;

pub(super) fn network(wire: wire::Network, check: &mut Check<'_>) -> Network {
    let restrict_egress = match wire.isolation {
        Some(isolation) => isolation == Isolation::Strict,
        None => wire.egress.is_some(),
    };
    let address = address(wire.address, wire.node_port.as_ref(), check);
    let mut egress = Vec::new();
    for (index, rule) in wire.egress.unwrap_or_default().into_iter().enumerate() {
        let pointer = format!("/network/egress/{index}");
        match (rule.service, rule.cidr) {
            (Some(service), None) => match ServiceName::new(service) {
                Ok(name) => egress.push(Egress::Service(name)),
                Err(error) => check.fail(&format!("{pointer}/service"), error.to_string()),
            },
            (None, Some(cidr)) => {
                if !is_cidr(&cidr) {
                    let message = format!("`{cidr}` isn't an address range");
                    let hint = Some("such as `10.64.0.0/12`".to_owned());
                    check.hinted(&format!("{pointer}/cidr"), message, hint);
                }
                let ports = rule.ports.iter().enumerate().map(|(number, port)| {
                    check.number(&format!("{pointer}/ports/{number}"), &port.0, 1, 65535) as u16
                });
                let ports = ports.collect();
                egress.push(Egress::Cidr { cidr, ports });
            }
            _ => check.fail(&pointer, "an allowed connection needs `service` or `cidr`"),
        }
    }
    Network {
        restrict_egress,
        open: wire.isolation == Some(Isolation::Open),
        egress,
        address,
    }
}

fn address(wire: wire::Address, port: Option<&wire::Whole>, check: &mut Check<'_>) -> Address {
    let at = "/network/nodePort";
    let port = port.map(|port| check.number(at, &port.0, 1, 65535) as u16);
    match wire {
        wire::Address::NodePort => return Address::NodePort { port },
        _ if port.is_some() => {
            let hint = Some("write `address: nodePort` beside it".to_owned());
            check.hinted(
                at,
                "only a service with `address: nodePort` has a `nodePort`",
                hint,
            );
        }
        _ => {}
    }
    if wire == wire::Address::Headless {
        Address::Headless
    } else {
        Address::ClusterIp
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    let Ok(prefix) = prefix.parse::<u8>() else {
        return false;
    };
    match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => prefix <= 32,
        Ok(std::net::IpAddr::V6(_)) => prefix <= 128,
        Err(_) => false,
    }
}
