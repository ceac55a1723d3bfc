//! What a Service keeps of what it was given, although whoever changes it doesn't say so; and what it loses with its type. Pure.

use super::is_service;
use crate::schema::Gvk;
use serde_json::{Value, json};

/// Makes a new or changed Service whole, before it is judged.
pub(in crate::registry) fn prepare(gvk: &Gvk, old: Option<&Value>, object: &mut Value) {
    if !is_service(gvk) || !object["spec"].is_object() {
        return;
    }
    let none = Value::Null;
    let before = old.map_or(&none, |old| &old["spec"]);
    let spec = &mut object["spec"];
    if old.is_some() {
        keep(before, spec);
        drop_with_type(before, spec);
    }
    one_address(before, spec);
}

fn keep(before: &Value, spec: &mut Value) {
    if needs_address(before) && needs_address(spec) {
        if absent(&spec["clusterIP"]) {
            spec["clusterIP"] = before["clusterIP"].clone();
        }
        if absent(&spec["clusterIPs"]) && spec["clusterIP"] == before["clusterIP"] {
            spec["clusterIPs"] = before["clusterIPs"].clone();
        }
    }
    for field in ["ipFamilies", "ipFamilyPolicy"] {
        if spec["type"] != "ExternalName" && absent(&spec[field]) {
            copy(before, spec, field);
        }
    }
    if needs_ports(before) && needs_ports(spec) {
        keep_ports(before, spec);
    }
    if needs_health_port(before) && needs_health_port(spec) && absent(&spec["healthCheckNodePort"])
    {
        copy(before, spec, "healthCheckNodePort");
    }
}

/// A port that stays keeps its port of the nodes, unless another is given that one.
fn keep_ports(before: &Value, spec: &mut Value) {
    let key = |port: &Value| (port["protocol"].clone(), port["port"].clone());
    let known = |spec: &Value| spec["ports"].as_array().cloned().unwrap_or_default();
    let old = known(before);
    let mut used: Vec<(Value, Value)> = known(spec)
        .iter()
        .map(|port| (port["protocol"].clone(), port["nodePort"].clone()))
        .collect();
    for port in spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if !absent(&port["nodePort"]) {
            continue;
        }
        let Some(same) = old.iter().find(|old| key(old) == key(port)) else {
            continue;
        };
        let kept = (same["protocol"].clone(), same["nodePort"].clone());
        if !absent(&kept.1) && !used.contains(&kept) {
            port["nodePort"] = kept.1.clone();
            used.push(kept);
        }
    }
}

/// What only the old type had goes with it, unless somebody has just set it.
fn drop_with_type(before: &Value, spec: &mut Value) {
    let same = |spec: &Value, field: &str| before[field] == spec[field];
    if needs_address(before) && !needs_address(spec) && same(spec, "clusterIP") {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            remove(spec, field);
        }
    }
    if needs_ports(before) && !needs_ports(spec) {
        let old = before["ports"].as_array().cloned().unwrap_or_default();
        let old: Vec<&Value> = old.iter().map(|port| &port["nodePort"]).collect();
        let ports = || spec["ports"].as_array().into_iter().flatten();
        if ports().map(|port| &port["nodePort"]).eq(old) {
            for port in spec
                .get_mut("ports")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                remove(port, "nodePort");
            }
        }
    }
    let exposed = |spec: &Value| {
        matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"))
            || !absent(&spec["externalIPs"])
    };
    if exposed(before) && !exposed(spec) && same(spec, "externalTrafficPolicy") {
        remove(spec, "externalTrafficPolicy");
    }
    if needs_health_port(before) && !needs_health_port(spec) && same(spec, "healthCheckNodePort") {
        remove(spec, "healthCheckNodePort");
    }
    if before["type"] == "LoadBalancer" && spec["type"] != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same(spec, field) {
                remove(spec, field);
            }
        }
    }
}

/// `clusterIP` and the first of `clusterIPs` are one thing: who changes the one means the other.
fn one_address(before: &Value, spec: &mut Value) {
    let (single, list) = (&spec["clusterIP"], &spec["clusterIPs"]);
    if absent(single) {
        if before["clusterIPs"] == *list && !before.is_null() {
            remove(spec, "clusterIPs");
        }
    } else if absent(list)
        || before["clusterIPs"] == *list && before["clusterIP"] != *single && !before.is_null()
    {
        spec["clusterIPs"] = json!([single]);
    }
}

/// Whether a Service of this type has an address.
pub(super) fn needs_address(spec: &Value) -> bool {
    spec["type"] != "ExternalName"
}

/// Whether it has ports of the nodes.
pub(super) fn needs_ports(spec: &Value) -> bool {
    match spec["type"].as_str() {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
}

/// Whether it has a port of the nodes where its health is asked for.
pub(super) fn needs_health_port(spec: &Value) -> bool {
    spec["type"] == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local"
}

/// Whether nothing is said, in any of the ways that JSON has for it.
pub(super) fn absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        value => *value == 0,
    }
}

fn copy(from: &Value, to: &mut Value, field: &str) {
    if !absent(&from[field]) {
        to[field] = from[field].clone();
    }
}

fn remove(object: &mut Value, field: &str) {
    if let Some(object) = object.as_object_mut() {
        object.shift_remove(field);
    }
}
