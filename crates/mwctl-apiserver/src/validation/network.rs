//! Ingresses, network policies and endpoints.

use serde_json::{Value, json};

use super::report::{Path, Report, items, text};
use super::{selector, texts};
use crate::names;

const WILDCARD: &str = r"a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// The `spec` of an ingress.
pub(super) fn ingress(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let rules = &spec["rules"];
    if items(rules).next().is_none() && spec["defaultBackend"].is_null() {
        let shown = if spec.as_object().is_none_or(serde_json::Map::is_empty) {
            &Value::Null
        } else {
            spec
        };
        report.invalid(
            at,
            shown,
            "either `defaultBackend` or `rules` must be specified",
        );
    }
    let place = at.field("tls");
    for (index, tls) in items(&spec["tls"]) {
        let at = place.index(index);
        let place = at.field("hosts");
        for (index, host) in items(&tls["hosts"]) {
            self::host(host, &place.index(index), report);
        }
    }
    if !spec["defaultBackend"].is_null() {
        backend(&spec["defaultBackend"], &at.field("defaultBackend"), report);
    }
    let place = at.field("rules");
    for (index, rule) in items(rules) {
        let at = place.index(index);
        let name = text(&rule["host"]);
        if !name.is_empty() {
            if texts::is_ip(name) {
                report.invalid(
                    &at.field("host"),
                    &rule["host"],
                    "must be a DNS name, not an IP address",
                );
            }
            host(&rule["host"], &at.field("host"), report);
        }
        if !rule["http"].is_null() {
            paths(
                &rule["http"]["paths"],
                &at.field("http").field("paths"),
                report,
            );
        }
    }
    if let Some(class) = spec["ingressClassName"].as_str() {
        report.all_invalid(
            &at.field("ingressClassName"),
            &spec["ingressClassName"],
            names::dns_subdomain(class),
        );
    }
}

fn host(host: &Value, at: &Path<'_>, report: &mut Report) {
    let name = text(host);
    if name.contains('*') {
        let rest = name.strip_prefix("*.");
        if rest.is_none_or(|rest| !names::dns_subdomain(rest).is_empty()) {
            report.invalid(at, host, WILDCARD);
        }
    } else if !texts::is_ip(name) {
        report.all_invalid(at, host, names::dns_subdomain(name));
    }
}

fn paths(paths: &Value, at: &Path<'_>, report: &mut Report) {
    if items(paths).next().is_none() {
        report.required(at, "");
    }
    for (index, path) in items(paths) {
        let at = at.index(index);
        match text(&path["pathType"]) {
            "" => report.required(&at.field("pathType"), "pathType must be specified"),
            "Exact" | "Prefix" => {
                if !text(&path["path"]).starts_with('/') {
                    report.invalid(
                        &at.field("path"),
                        &json!(text(&path["path"])),
                        "must be an absolute path",
                    );
                }
            }
            "ImplementationSpecific" => {}
            _ => {
                let kinds = ["Exact", "ImplementationSpecific", "Prefix"];
                report.unsupported(&at.field("pathType"), &path["pathType"], &kinds);
            }
        }
        backend(&path["backend"], &at.field("backend"), report);
    }
}

fn backend(backend: &Value, at: &Path<'_>, report: &mut Report) {
    let service = &backend["service"];
    if service.is_null() {
        if backend["resource"].is_null() {
            report.invalid(at, &json!(""), "resource or service backend is required");
        }
        return;
    }
    let place = at.field("service");
    if report.filled(service, &place, "name") {
        let name = &service["name"];
        report.all_invalid(
            &place.field("name"),
            name,
            names::dns_1035_label(text(name)),
        );
    }
    let port = &service["port"];
    let number = port["number"].as_i64().unwrap_or_default();
    let name = text(&port["name"]);
    match (number != 0, !name.is_empty()) {
        (false, false) => report.required(at, "port name or number is required"),
        (true, true) => report.invalid(at, &json!(""), "cannot set both port name & port number"),
        (true, false) => {
            if !texts::is_port(number) {
                report.invalid(
                    &place.field("port").field("number"),
                    &json!(number),
                    texts::PORT,
                );
            }
        }
        (false, true) => {
            for complaint in texts::port_name(name) {
                report.invalid(&place.field("port").field("name"), &port["name"], complaint);
            }
        }
    }
}

/// The `spec` of a network policy.
pub(super) fn policy(spec: &Value, at: &Path<'_>, report: &mut Report) {
    selector::check(&spec["podSelector"], &at.field("podSelector"), report);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        let place = at.field(direction);
        for (index, rule) in items(&spec[direction]) {
            let at = place.index(index);
            let ports = at.field("ports");
            for (index, port) in items(&rule["ports"]) {
                let at = ports.index(index);
                report.one_of(port, &at, "protocol", &["SCTP", "TCP", "UDP"]);
                if !port["port"].is_null() {
                    texts::port(&port["port"], &at.field("port"), report);
                }
            }
            let place = at.field(peers);
            for (index, value) in items(&rule[peers]) {
                peer(value, &place.index(index), report);
            }
        }
    }
    let place = at.field("policyTypes");
    for (index, kind) in items(&spec["policyTypes"]) {
        if !["Ingress", "Egress"].contains(&text(kind)) {
            report.unsupported(&place.index(index), kind, &["Ingress", "Egress"]);
        }
    }
}

fn peer(peer: &Value, at: &Path<'_>, report: &mut Report) {
    let known = ["podSelector", "namespaceSelector", "ipBlock"];
    if known.iter().all(|field| peer[field].is_null()) {
        report.required(at, "must specify a peer");
    }
    for field in ["podSelector", "namespaceSelector"] {
        selector::check(&peer[field], &at.field(field), report);
    }
    let block = &peer["ipBlock"];
    if !block.is_null() {
        let at = at.field("ipBlock");
        if report.filled(block, &at, "cidr") && !texts::is_cidr(text(&block["cidr"])) {
            report.invalid(&at.field("cidr"), &block["cidr"], texts::CIDR);
        }
    }
}

/// Endpoints.
pub(super) fn endpoints(endpoints: &Value, report: &mut Report) {
    let subsets = Path::root("subsets");
    for (index, subset) in items(&endpoints["subsets"]) {
        let at = subsets.index(index);
        let lists = ["addresses", "notReadyAddresses"];
        if lists
            .iter()
            .all(|field| items(&subset[field]).next().is_none())
        {
            report.required(&at, "must specify `addresses` or `notReadyAddresses`");
        }
        for field in lists {
            let place = at.field(field);
            for (index, address) in items(&subset[field]) {
                if !texts::is_ip(text(&address["ip"])) {
                    let at = place.index(index);
                    report.invalid(&at.field("ip"), &address["ip"], texts::IP);
                    // Upstream asks a second time, whether it is a special one.
                    report.invalid(
                        &at.field("ip"),
                        &address["ip"],
                        "must be a valid IP address",
                    );
                }
            }
        }
        let ports = at.field("ports");
        for (index, port) in items(&subset["ports"]) {
            let at = ports.index(index);
            let number = port["port"].as_i64().unwrap_or_default();
            if !texts::is_port(number) {
                report.invalid(&at.field("port"), &json!(number), texts::PORT);
            }
            report.one_of(port, &at, "protocol", &["SCTP", "TCP", "UDP"]);
        }
    }
}
