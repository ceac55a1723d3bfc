//! What a chart puts beside its service: the TLS proxy of the mesh, the exporter of metrics, and who scrapes.

use super::super::super::node::{Node, Tree, escape};
use super::super::{Said, number, port, put, scalar, text};
use super::is_on;

/// The file in which the exporter of metrics finds its mappings.
const MAPPINGS: &str = "/etc/monitoring/prometheus-statsd.conf";

/// Where the proxy tells how it is.
const TELEMETRY: u16 = 9361;

/// What of the same kind has no key here, and what is said of it.
const LEFT: [(&str, &str); 5] = [
    (
        "/discovery/listeners",
        "local ports that lead to other services aren't taken over: their addresses are in templates",
    ),
    (
        "/tcp_proxy/listeners",
        "local ports that lead to other services aren't taken over: their addresses are in templates",
    ),
    (
        "/mesh/faultinjection/enabled",
        "faults that the mesh injects aren't taken over",
    ),
    (
        "/mesh/tracing/enabled",
        "the tracing of the mesh isn't taken over",
    ),
    (
        "/cache/mcrouter/enabled",
        "mcrouter isn't taken over: the helper `cache` stands where it does",
    ),
];

/// What `mesh` and `monitoring` say, as helpers and annotations; `metrics` is the port that is scraped where
/// no exporter is.
pub(super) fn take(said: &mut Said, values: &Node, metrics: Option<u16>) {
    mesh(said, values);
    monitoring(said, values, metrics);
    for (key, told) in LEFT {
        let given = values.pointer(key).filter(|it| match &it.tree {
            Tree::Bool(on) => *on,
            _ => !it.items().is_empty(),
        });
        if let Some(node) = given {
            said.note(told, &node.at);
        }
    }
}

/// The proxy that terminates TLS, on the port that the mesh makes public.
fn mesh(said: &mut Said, values: &Node) {
    let Some(mesh) = values
        .get("mesh")
        .filter(|_| is_on(values, "/mesh/enabled"))
    else {
        return;
    };
    said.set("/helpers/tls-proxy", Node::empty(mesh.at.clone()));
    let Some(public) = mesh.get("public_port") else {
        return;
    };
    let Some(number_of) = scalar(public).and_then(|it| port(&it)) else {
        return;
    };
    let at = &public.at;
    let mut https = Node::empty(at.clone());
    put(&mut https, "/name", text("https", at));
    put(&mut https, "/port", number(number_of, at));
    put(&mut https, "/address", text("tls-service", at));
    let mut telemetry = Node::empty(at.clone());
    put(&mut telemetry, "/name", text("envoy-telemetry", at));
    put(&mut telemetry, "/port", number(TELEMETRY, at));
    let tree = Tree::List(vec![https, telemetry]);
    let at = at.clone();
    said.set("/helpers/tls-proxy/ports", Node { at, tree });
}

/// An exporter where the service sends statsd, or else the port that the service itself is scraped at.
fn monitoring(said: &mut Said, values: &Node, metrics: Option<u16>) {
    if !is_on(values, "/monitoring/enabled") {
        return;
    }
    let statsd = values.pointer("/monitoring/statsd");
    let statsd = statsd.filter(|it| !it.entries().is_empty());
    // Charts of the first generation have no other exporter, and name its version.
    let exporter = statsd.or_else(|| values.pointer("/monitoring/image_version"));
    if let Some(exporter) = exporter {
        said.set("/helpers/statsd-exporter", Node::empty(exporter.at.clone()));
        let config = exporter.get("config").filter(|it| it.text().is_some());
        if let Some(config) = config {
            let place = format!("/helpers/statsd-exporter/files/{}", escape(MAPPINGS));
            said.set(&place, super::super::plain(config));
        } else if let Some(file) = exporter.get("filename") {
            said.note(
                "the mappings of the chart's file aren't taken over",
                &file.at,
            );
        }
        return;
    }
    let on = values.pointer("/monitoring/enabled");
    let Some(at) = on.map(|it| it.at.clone()) else {
        return;
    };
    let mut annotate = |name: &str, value: String| {
        let place = format!("/annotations/{}", escape(&format!("prometheus.io/{name}")));
        said.set(&place, text(value, &at));
    };
    if is_on(values, "/monitoring/named_ports") {
        annotate("scrape_by_name", "true".to_owned());
    } else if let Some(metrics) = metrics {
        annotate("scrape", "true".to_owned());
        annotate("port", metrics.to_string());
    }
}
