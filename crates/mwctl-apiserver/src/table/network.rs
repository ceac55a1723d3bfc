//! The cells of Services, of what is behind them and of what is before them.

use serde_json::{Value, json};

use super::{items, joined, labels, number, or_none, selector, text};

/// Only so many addresses or hosts are told.
const SHOWN: usize = 3;

/// The cell of a column.
pub(super) fn cell(plural: &str, column: &str, object: &Value) -> Option<Value> {
    let spec = &object["spec"];
    Some(match (plural, column) {
        ("services", "Type") => spec["type"].clone(),
        ("services", "Cluster-IP") => or_none(text(&spec["clusterIPs"][0])),
        ("services", "External-IP") => json!(external(object)),
        ("services", "Port(s)") => or_none(&ports(&spec["ports"])),
        ("services", "Selector") => or_none(&labels(&spec["selector"])),
        ("endpoints", "Endpoints") => or_none(&endpoints(object)),
        ("endpointslices", "AddressType") => object["addressType"].clone(),
        ("endpointslices", "Ports") => json!(slice_ports(&object["ports"])),
        ("endpointslices", "Endpoints") => {
            let all = items(&object["endpoints"])
                .flat_map(|endpoint| items(&endpoint["addresses"]).map(text));
            json!(first(
                &all.map(str::to_owned).collect::<Vec<_>>(),
                "<unset>"
            ))
        }
        ("ingresses", "Class") => or_none(text(&spec["ingressClassName"])),
        ("ingresses", "Hosts") => {
            let hosts = items(&spec["rules"]).map(|rule| text(&rule["host"]));
            json!(first(
                &hosts
                    .filter(|host| !host.is_empty())
                    .map(str::to_owned)
                    .collect::<Vec<_>>(),
                "*"
            ))
        }
        ("ingresses", "Address") => json!(balancer(object)),
        ("ingresses", "Ports") => json!(if items(&spec["tls"]).next().is_some() {
            "80, 443"
        } else {
            "80"
        }),
        ("networkpolicies", "Pod-Selector") => or_none(&selector(&spec["podSelector"])),
        ("ingressclasses", "Controller") => spec["controller"].clone(),
        ("ingressclasses", "Parameters") => or_none(&parameters(&spec["parameters"])),
        _ => return None,
    })
}

/// The first few of a list.
fn first(all: &[String], none: &str) -> String {
    if all.is_empty() {
        return none.to_owned();
    }
    let shown = all[..all.len().min(SHOWN)].join(",");
    if all.len() > SHOWN {
        format!("{shown} + {} more...", all.len() - SHOWN)
    } else {
        shown
    }
}

fn balancer(object: &Value) -> String {
    let entries = items(&object["status"]["loadBalancer"]["ingress"]);
    joined(entries.map(|entry| match text(&entry["ip"]) {
        "" => text(&entry["hostname"]),
        address => address,
    }))
}

fn external(service: &Value) -> String {
    let spec = &service["spec"];
    let own = joined(items(&spec["externalIPs"]).map(text));
    let none = "<none>".to_owned();
    match text(&spec["type"]) {
        "ExternalName" => text(&spec["externalName"]).to_owned(),
        "LoadBalancer" => match (balancer(service), own) {
            (given, own) if !given.is_empty() && !own.is_empty() => format!("{given},{own}"),
            (given, own) if given.is_empty() && own.is_empty() => "<pending>".to_owned(),
            (given, own) => given + &own,
        },
        _ if own.is_empty() => none,
        _ => own,
    }
}

fn ports(ports: &Value) -> String {
    let ports: Vec<String> = items(ports)
        .map(|port| {
            let (number, protocol) = (number(&port["port"]), text(&port["protocol"]));
            match port["nodePort"].as_i64() {
                Some(node) if node > 0 => format!("{number}:{node}/{protocol}"),
                _ => format!("{number}/{protocol}"),
            }
        })
        .collect();
    ports.join(",")
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in items(&object["subsets"]) {
        let mut ports = items(&subset["ports"]).peekable();
        if ports.peek().is_none() {
            all.extend(items(&subset["addresses"]).map(|address| text(&address["ip"]).to_owned()));
        }
        for port in ports {
            let number = number(&port["port"]);
            all.extend(items(&subset["addresses"]).map(|address| {
                let ip = text(&address["ip"]);
                if ip.contains(':') {
                    format!("[{ip}]:{number}")
                } else {
                    format!("{ip}:{number}")
                }
            }));
        }
    }
    first(&all, "")
}

fn slice_ports(ports: &Value) -> String {
    let all = items(ports).map(|port| match port["port"].as_i64() {
        Some(number) => number.to_string(),
        None => "*".to_owned(),
    });
    first(&all.collect::<Vec<_>>(), "<unset>")
}

fn parameters(parameters: &Value) -> String {
    if parameters.is_null() {
        return String::new();
    }
    let kind = text(&parameters["kind"]);
    let name = text(&parameters["name"]);
    match text(&parameters["apiGroup"]) {
        "" => format!("{kind}/{name}"),
        group => format!("{kind}.{group}/{name}"),
    }
}
