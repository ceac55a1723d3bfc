//! The `spec` of Services.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::report::{Path, Report, items, text};
use super::texts;
use crate::names;

/// A Service.
pub(super) fn spec(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let kind = text(&spec["type"]);
    let headless = spec["clusterIP"] == "None";
    let ports = &spec["ports"];
    let none = items(ports).next().is_none();
    if none && !headless && kind != "ExternalName" {
        report.required(&at.field("ports"), "");
    }
    if kind == "NodePort" || kind == "LoadBalancer" {
        if headless {
            let detail = format!("may not be set to 'None' for {kind} services");
            report.invalid(
                &at.field("clusterIPs").index(0),
                &spec["clusterIP"],
                &detail,
            );
        }
    } else if kind == "ExternalName" {
        let name = &spec["externalName"];
        let place = at.field("externalName");
        let host = text(name).trim_end_matches('.');
        if host.is_empty() {
            report.required(&place, "");
        } else {
            report.all_invalid(&place, &json!(host), names::dns_subdomain(host));
        }
    }
    all_ports(ports, &at.field("ports"), kind, report);
    texts::labels(&spec["selector"], &at.field("selector"), report);
    report.one_of(spec, at, "sessionAffinity", &["ClientIP", "None"]);
    addresses(spec, at, report);
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    report.one_of(spec, at, "type", &kinds);
    ranges(spec, at, kind, report);
    report.one_of(
        spec,
        at,
        "ipFamilyPolicy",
        &["PreferDualStack", "RequireDualStack", "SingleStack"],
    );
    let exposed = ["NodePort", "LoadBalancer"].contains(&kind)
        || items(&spec["externalIPs"]).next().is_some();
    let policy = &spec["externalTrafficPolicy"];
    if !policy.is_null() {
        if exposed {
            report.one_of(spec, at, "externalTrafficPolicy", &["Cluster", "Local"]);
        } else {
            let detail = "may only be set for externally-accessible services";
            report.invalid(&at.field("externalTrafficPolicy"), policy, detail);
        }
    }
    report.one_of(spec, at, "internalTrafficPolicy", &["Cluster", "Local"]);
}

fn all_ports(ports: &Value, at: &Path<'_>, kind: &str, report: &mut Report) {
    let several = ports.as_array().is_some_and(|ports| ports.len() > 1);
    let mut names = BTreeSet::new();
    for (index, value) in items(ports) {
        let item = at.index(index);
        port(value, &item, several, &mut names, report);
        let node_port = value["nodePort"].as_i64().unwrap_or_default();
        if kind == "ClusterIP" && node_port != 0 {
            let detail = "may not be used when `type` is 'ClusterIP'";
            report.forbidden(&item.field("nodePort"), detail);
        }
    }
    let mut seen = BTreeSet::new();
    for (index, value) in items(ports) {
        let key = (
            text(&value["protocol"]),
            value["port"].as_i64().unwrap_or_default(),
        );
        if !seen.insert(key) {
            let shown = json!({"Name": "", "Protocol": key.0, "AppProtocol": null, "Port": key.1, "TargetPort": 0, "NodePort": 0});
            report.duplicate(&at.index(index), &shown);
        }
    }
}

fn port<'a>(
    port: &'a Value,
    at: &Path<'_>,
    several: bool,
    names: &mut BTreeSet<&'a str>,
    report: &mut Report,
) {
    let name = text(&port["name"]);
    if name.is_empty() {
        if several {
            report.required(&at.field("name"), "");
        }
    } else {
        report.all_invalid(&at.field("name"), &port["name"], texts::label(name));
        if !names.insert(name) {
            report.duplicate(&at.field("name"), &port["name"]);
        }
    }
    let number = port["port"].as_i64().unwrap_or_default();
    if !texts::is_port(number) {
        report.invalid(&at.field("port"), &json!(number), texts::PORT);
    }
    report.one_of(port, at, "protocol", &["SCTP", "TCP", "UDP"]);
    texts::port(&port["targetPort"], &at.field("targetPort"), report);
}

fn addresses(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let place = at.field("clusterIPs");
    let listed = items(&spec["clusterIPs"]).next().is_some();
    let single = json!([spec["clusterIP"]]);
    let addresses = if listed { &spec["clusterIPs"] } else { &single };
    for (index, address) in items(addresses) {
        let known = ["", "None"].contains(&text(address));
        if !known && !texts::is_ip(text(address)) {
            report.invalid(&place.index(index), address, texts::IP);
        }
    }
    let place = at.field("externalIPs");
    for (index, address) in items(&spec["externalIPs"]) {
        if !texts::is_ip(text(address)) {
            report.invalid(&place.index(index), address, texts::IP);
        }
    }
}

/// Upstream writes the name of this field as Go does.
fn ranges(spec: &Value, at: &Path<'_>, kind: &str, report: &mut Report) {
    let place = at.field("LoadBalancerSourceRanges");
    let ranges = &spec["loadBalancerSourceRanges"];
    if items(ranges).next().is_some() && kind != "LoadBalancer" {
        report.forbidden(&place, "may only be used when `type` is 'LoadBalancer'");
    }
    for (index, range) in items(ranges) {
        if !texts::is_cidr(text(range).trim()) {
            report.invalid(&place.index(index), range, texts::CIDR);
        }
    }
}
