//! The values of a production chart beside the code: what the pod is there.
//!
//! Both generations of keys are read, `app` and `main_app`. What concerns a cluster rather than a pod
//! (ingresses, certificates, node ports) is passed over. Source: operations/deployment-charts, its scaffold.

use std::path::Path;

use super::super::node::{At, Node, Tree, escape};
use super::super::reader;
use super::super::repository::Files;
use super::{Said, container, number, plain, port, scalar, text};
use crate::problem::{Problem, Rule};

mod companions;
mod jobs;
#[cfg(test)]
mod tests;

const ABOUT: &str = "its pod in production";

/// Reads a chart's values.
pub(crate) fn read(file: &Path, source: &str) -> Result<Node, Vec<Problem>> {
    let tree = reader::tree(file, source)?;
    if matches!(tree.tree, Tree::Map(_)) {
        Ok(tree)
    } else {
        let problem = Problem::new("a chart's values must be a map").rule(Rule::WrongType);
        Err(vec![problem.at(tree.at.location())])
    }
}

/// What the chart beside the code says: `chart/`, the one of `charts/` with the service's name, or its
/// only one.
pub(crate) fn said(files: &Files<'_>, name: Option<&str>) -> Option<Said> {
    let file = find(files, name)?;
    let values = files.read_all(file, read)?;
    is_known(&values).then(|| keys(file, &values))
}

fn find<'a>(files: &Files<'a>, name: Option<&str>) -> Option<&'a str> {
    if let Some(one) = files.matching("chart/values.yaml").into_iter().next() {
        return Some(one);
    }
    let charts = files.matching("charts/*/values.yaml");
    let named = charts.iter().find(|path| path.split('/').nth(1) == name);
    match (named, charts.as_slice()) {
        (Some(named), _) => Some(named),
        (None, [only]) => Some(only),
        _ => None,
    }
}

/// Whether these are the keys that are known here: other charts mean other things by theirs.
pub(crate) fn is_known(values: &Node) -> bool {
    ["app", "main_app"]
        .iter()
        .any(|key| matches!(values.get(key).map(|it| &it.tree), Some(Tree::Map(_))))
}

/// What values say, in our keys.
pub(crate) fn keys(file: &str, values: &Node) -> Said {
    let mut said = Said::new(file, ABOUT, values.at.clone());
    let first = |key: &str| {
        let places = [format!("/app/{key}"), format!("/main_app/{key}")];
        places
            .iter()
            .find_map(|it| values.pointer(it))
            .filter(|it| it.tree != Tree::Null)
    };
    let own = first("port").and_then(|node| Some((node, port(&scalar(node)?)?)));
    if let Some((node, number_of)) = own {
        said.fact("port", number(number_of, &node.at));
    }
    let own = own.map(|(_, number_of)| number_of);
    command(&mut said, first("command"), first("args"));
    for (key, ours) in [("requests", "requests"), ("limits", "limits")] {
        if let Some(node) = first(key) {
            container::quantities(&mut said, &format!("/container/resources/{ours}"), node);
        }
    }
    for (key, ours) in [
        ("readiness_probe", "readiness"),
        ("liveness_probe", "liveness"),
    ] {
        if let Some(node) = first(key) {
            container::probe(&mut said, &format!("/container/probes/{ours}"), node, own);
        }
    }
    for key in ["volumes", "volumeMounts", "env_from"] {
        if let Some(node) =
            first(key).filter(|it| !it.items().is_empty() || !it.entries().is_empty())
        {
            said.note(format!("`{key}` of the chart isn't taken over"), &node.at);
        }
    }
    if let Some(replicas) = values.pointer("/resources/replicas")
        && let Some(count) = scalar(replicas).and_then(|it| it.parse::<u32>().ok())
        && count > 1
    {
        let told =
            format!("production runs {count} pods; here it is one unless `replicas` says more");
        said.note(told, &replicas.at);
    }
    settings(&mut said, values);
    ports(&mut said, values, first("metricsPort"));
    network(&mut said, values);
    let metrics = first("metricsPort").and_then(|it| port(&scalar(it)?));
    companions::take(&mut said, values, metrics.or(own));
    jobs::take(&mut said, values);
    said
}

/// Kubernetes' `command` and `args` are our one command.
fn command(said: &mut Said, command: Option<&Node>, arguments: Option<&Node>) {
    match (command, arguments) {
        (Some(command), arguments) if !command.items().is_empty() => {
            let mut whole = plain(command);
            if let (Tree::List(items), Some(arguments)) = (&mut whole.tree, arguments) {
                items.extend(arguments.items().iter().map(plain));
            }
            said.set("/container/command", whole);
        }
        (_, Some(arguments)) if !arguments.items().is_empty() => {
            said.note(
                "arguments without a command aren't taken over",
                &arguments.at,
            );
        }
        _ => {}
    }
}

fn settings(said: &mut Said, values: &Node) {
    let public = values.pointer("/config/public");
    for entry in public.map(Node::entries).unwrap_or_default() {
        if let Some(value) = scalar(&entry.value) {
            let name = escape(&entry.key.to_uppercase());
            said.set(
                &format!("/container/environment/{name}"),
                text(value, &entry.value.at),
            );
        }
    }
    let private = values.pointer("/config/private");
    for entry in private.map(Node::entries).unwrap_or_default() {
        let name = escape(&entry.key.to_uppercase());
        if let Some(value) = scalar(&entry.value).filter(|value| !value.is_empty()) {
            said.set(
                &format!("/secrets/{name}/value"),
                text(value, &entry.value.at),
            );
        } else {
            let told = format!(
                "the secret `{}` has no value here: add it under `secrets`",
                entry.key
            );
            said.note(told, &entry.at);
        }
    }
}

/// Whether values switch something on.
fn is_on(values: &Node, pointer: &str) -> bool {
    values.pointer(pointer).map(|it| &it.tree) == Some(&Tree::Bool(true))
}

/// The ports of metrics and for debugging, beside the service's own.
fn ports(said: &mut Said, values: &Node, metrics: Option<&Node>) {
    let debug = values.pointer("/debug/ports");
    let debug = debug.filter(|_| is_on(values, "/debug/enabled"));
    let debug = debug.map(Node::items).unwrap_or_default().iter();
    let named = debug.filter_map(|node| {
        let number_of = port(&scalar(node)?)?;
        Some((format!("debug-{number_of}"), number_of, &node.at))
    });
    let metrics = metrics.and_then(|node| {
        let number_of = port(&scalar(node)?)?;
        Some(("metrics".to_owned(), number_of, &node.at))
    });
    let more: Vec<_> = metrics.into_iter().chain(named).collect();
    let Some((_, _, at)) = more.first() else {
        return;
    };
    let at = (*at).clone();
    let item = |name: &str, tree: Tree, at: &At| {
        let mut item = Node::empty(at.clone());
        super::put(&mut item, "/name", text(name, at));
        let at = at.clone();
        super::put(&mut item, "/port", Node { at, tree });
        item
    };
    let own = item("http", Tree::Text("{{ facts.port }}".to_owned()), &at);
    let more = more.iter().map(|(name, number_of, at)| {
        let mut item = item(name, Tree::Number((*number_of).into()), at);
        // Production has a Service `<release>-debug` for these.
        if name.starts_with("debug-") {
            super::put(&mut item, "/address", text("debug", at));
        }
        item
    });
    let tree = Tree::List(std::iter::once(own).chain(more).collect());
    said.set("/container/ports", Node { at, tree });
}

/// Outgoing connections, where they are limited. An address without a range would allow everything, so
/// that it is left out.
fn network(said: &mut Said, values: &Node) {
    let Some(egress) = values.pointer("/networkpolicy/egress") else {
        return;
    };
    if egress
        .get("enabled")
        .is_none_or(|it| it.tree != Tree::Bool(true))
    {
        return;
    }
    let mut rules = Vec::new();
    for net in egress.get("dst_nets").map(Node::items).unwrap_or_default() {
        let Some(cidr) = net
            .get("cidr")
            .filter(|it| it.text().is_some_and(|it| !it.is_empty()))
        else {
            said.note("a range without `cidr` is left out", &net.at);
            continue;
        };
        let mut rule = Node::empty(net.at.clone());
        super::put(&mut rule, "/cidr", plain(cidr));
        let ports = net.get("ports").map(Node::items).unwrap_or_default();
        let ports = ports.iter().filter_map(|it| {
            let node = it.get("port")?;
            Some(number(port(&scalar(node)?)?, &node.at))
        });
        let ports: Vec<Node> = ports.collect();
        if !ports.is_empty() {
            let at = net.at.clone();
            let tree = Tree::List(ports);
            super::put(&mut rule, "/ports", Node { at, tree });
        }
        rules.push(rule);
    }
    let at = egress.at.clone();
    let tree = Tree::List(rules);
    said.set("/network/egress", Node { at, tree });
    for key in ["dst_ports", "extraRules"] {
        if let Some(node) = egress.get(key).filter(|it| !it.items().is_empty()) {
            said.note(
                format!("`{key}` of the chart's network policy isn't taken over"),
                &node.at,
            );
        }
    }
}
