//! Which address and which ports a Service gets. Pure: what others have is an argument.

use super::inherit::{absent, needs_address, needs_health_port, needs_ports};
use crate::status::Cause;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The addresses of Services, as kubeadm and minikube choose them: `10.96.0.0/12`.
const FIRST: u32 = u32::from_be_bytes([10, 96, 0, 0]);
const COUNT: u32 = 1 << 20;
pub(in crate::registry) const RANGE: &str = "10.96.0.0/12";

/// So many at the beginning are left to those who ask for one by name, as far as others are free.
const NAMED: u32 = 256;

const PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// Where to look next: what was given back is not given out again at once.
#[derive(Debug, Default)]
pub(in crate::registry) struct Next {
    address: u32,
    port: u16,
}

/// What other Services have.
#[derive(Debug, Default)]
pub(super) struct Taken {
    addresses: BTreeSet<u32>,
    ports: BTreeSet<(String, u16)>,
}

impl Taken {
    /// What Services of these `spec`s have.
    pub(super) fn by<'a>(specs: impl Iterator<Item = &'a Value>) -> Self {
        let mut taken = Self::default();
        for spec in specs {
            taken.addresses.extend(address(&spec["clusterIP"]));
            for (protocol, port) in node_ports(spec) {
                taken.ports.insert((protocol, port));
            }
            if let Some(port) = number(&spec["healthCheckNodePort"]) {
                taken.ports.insert(("TCP".to_owned(), port));
            }
        }
        taken
    }
}

/// Completes a Service. What it asks for and cannot have are causes, after which it is not to be stored.
pub(super) fn allocate(
    before: Option<&Value>,
    object: &mut Value,
    taken: &Taken,
    next: &mut Next,
) -> Vec<Cause> {
    let none = Value::Null;
    let before = before.unwrap_or(&none);
    let Some(_) = object["spec"].as_object() else {
        return Vec::new();
    };
    let spec = &mut object["spec"];
    let mut causes = Vec::new();
    if needs_address(spec) {
        families(spec, &mut causes);
        cluster_address(before, spec, taken, next, &mut causes);
    }
    if needs_ports(spec) {
        ports(before, spec, taken, next, &mut causes);
    }
    if needs_health_port(spec) && absent(&spec["healthCheckNodePort"]) {
        let free = |port: u16| !taken.ports.contains(&("TCP".to_owned(), port));
        if let Some(port) = next.port(free) {
            spec["healthCheckNodePort"] = json!(port);
        }
    }
    causes
}

/// This cluster speaks IPv4 alone. A Service that selects nothing has no address of its own, and may have any.
fn families(spec: &mut Value, causes: &mut Vec<Cause>) {
    let anything = spec["clusterIP"] == "None"
        && spec["selector"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty);
    for (index, family) in spec["ipFamilies"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if family != "IPv4" && !anything {
            let field = format!("spec.ipFamilies[{index}]");
            causes.push(invalid(&field, family, "not configured on this cluster"));
        }
    }
    if spec["ipFamilyPolicy"] == "RequireDualStack" && !anything {
        let detail = "this cluster is not configured for dual-stack services";
        causes.push(invalid(
            "spec.ipFamilyPolicy",
            &spec["ipFamilyPolicy"],
            detail,
        ));
    }
    let (families, policy) =
        if anything && absent(&spec["ipFamilyPolicy"]) && absent(&spec["ipFamilies"]) {
            (json!(["IPv4", "IPv6"]), "RequireDualStack")
        } else {
            (json!(["IPv4"]), "SingleStack")
        };
    if absent(&spec["ipFamilies"]) {
        spec["ipFamilies"] = families;
    }
    if absent(&spec["ipFamilyPolicy"]) {
        spec["ipFamilyPolicy"] = json!(policy);
    }
}

fn cluster_address(
    before: &Value,
    spec: &mut Value,
    taken: &Taken,
    next: &mut Next,
    causes: &mut Vec<Cause>,
) {
    if absent(&spec["clusterIP"]) {
        if !absent(&spec["clusterIPs"]) {
            let detail = "must be empty when `clusterIP` is not specified";
            causes.push(invalid("spec.clusterIPs", &spec["clusterIPs"], detail));
            return;
        }
        let Some(free) = next.address(taken) else {
            let detail = "failed to allocate a serviceIP: range is full";
            causes.push(invalid("spec.clusterIPs", &json!([""]), detail));
            return;
        };
        let shown = json!(Ipv4Addr::from(free).to_string());
        spec["clusterIPs"] = json!([shown]);
        spec["clusterIP"] = shown;
        return;
    }
    if spec["clusterIP"] == "None" || spec["clusterIP"] == before["clusterIP"] {
        return;
    }
    // What is no address at all has been refused before.
    let Some(asked) = address(&spec["clusterIP"]) else {
        return;
    };
    let shown = Ipv4Addr::from(asked);
    let detail = if !(FIRST + 1..FIRST + COUNT - 1).contains(&asked) {
        format!(
            "failed to allocate IP {shown}: the provided IP ({shown}) is not in the valid range. The range of valid IPs is {RANGE}"
        )
    } else if taken.addresses.contains(&asked) {
        format!("failed to allocate IP {shown}: provided IP is already allocated")
    } else {
        return;
    };
    causes.push(invalid("spec.clusterIPs", &spec["clusterIPs"], &detail));
}

fn ports(
    before: &Value,
    spec: &mut Value,
    taken: &Taken,
    next: &mut Next,
    causes: &mut Vec<Cause>,
) {
    let own: BTreeSet<(String, u16)> = node_ports(before).collect();
    let mut mine: Vec<(Value, String, u16)> = Vec::new();
    let list = spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten();
    let mut list: Vec<(usize, &mut Value)> = list.enumerate().collect();
    // What is asked for comes before what is found.
    list.sort_by_key(|(_, port)| absent(&port["nodePort"]));
    for (index, port) in list {
        let protocol = port["protocol"].as_str().unwrap_or_default().to_owned();
        let in_use = |number: u16| {
            taken.ports.contains(&(protocol.clone(), number))
                || mine
                    .iter()
                    .any(|(_, other, known)| *known == number && *other == protocol)
        };
        if absent(&port["nodePort"]) {
            // The same port of two protocols goes through the same port of the nodes.
            let shared = mine
                .iter()
                .find(|(same, _, number)| *same == port["port"] && !in_use(*number));
            let found = shared.map(|(_, _, number)| *number);
            let Some(found) = found.or_else(|| {
                next.port(|number| {
                    !in_use(number) && !mine.iter().any(|(_, _, known)| *known == number)
                })
            }) else {
                let detail = "failed to allocate a nodePort: range is full";
                causes.push(invalid(
                    &format!("spec.ports[{index}].nodePort"),
                    &json!(0),
                    detail,
                ));
                continue;
            };
            port["nodePort"] = json!(found);
            mine.push((port["port"].clone(), protocol, found));
            continue;
        }
        let asked = number(&port["nodePort"]).filter(|asked| PORTS.contains(asked));
        let detail = match asked {
            Some(asked) if own.contains(&(protocol.clone(), asked)) || !in_use(asked) => {
                mine.push((port["port"].clone(), protocol, asked));
                continue;
            }
            Some(_) => "provided port is already allocated".to_owned(),
            None => format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                PORTS.start(),
                PORTS.end()
            ),
        };
        causes.push(invalid(
            &format!("spec.ports[{index}].nodePort"),
            &port["nodePort"],
            &detail,
        ));
    }
}

impl Next {
    fn address(&mut self, taken: &Taken) -> Option<u32> {
        let usual = (COUNT - 1 - NAMED) as usize;
        let found = (0..usual)
            .map(|step| FIRST + NAMED + (self.address + step as u32) % (COUNT - 1 - NAMED))
            .chain(FIRST + 1..FIRST + NAMED)
            .find(|address| !taken.addresses.contains(address))?;
        self.address = (found - FIRST).saturating_sub(NAMED) + 1;
        Some(found)
    }

    fn port(&mut self, free: impl Fn(u16) -> bool) -> Option<u16> {
        let count = PORTS.len() as u16;
        let found = (0..count)
            .map(|step| PORTS.start() + (self.port + step) % count)
            .find(|port| free(*port))?;
        self.port = (found - PORTS.start() + 1) % count;
        Some(found)
    }
}

fn node_ports(spec: &Value) -> impl Iterator<Item = (String, u16)> {
    spec["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or_default();
            Some((protocol.to_owned(), number(&port["nodePort"])?))
        })
}

fn number(value: &Value) -> Option<u16> {
    u16::try_from(value.as_u64()?)
        .ok()
        .filter(|number| *number != 0)
}

fn address(value: &Value) -> Option<u32> {
    value.as_str()?.parse::<Ipv4Addr>().ok().map(u32::from)
}

fn invalid(field: &str, value: &Value, detail: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {value}: {detail}"),
        field: field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::prepare;
    use super::*;
    use crate::schema::Gvk;

    /// Stores one Service after another as the registry does; the complaint if one cannot be.
    #[derive(Default)]
    struct Cluster {
        next: Next,
        services: Vec<Value>,
    }

    impl Cluster {
        fn put(&mut self, name: &str, mut spec: Value) -> Result<Value, String> {
            if spec["type"].is_null() {
                spec["type"] = json!("ClusterIP");
            }
            for port in spec
                .get_mut("ports")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                if port["protocol"].is_null() {
                    port["protocol"] = json!("TCP");
                }
            }
            let gvk = Gvk {
                group: String::new(),
                version: "v1".to_owned(),
                kind: "Service".to_owned(),
            };
            let old = self
                .services
                .iter()
                .find(|known| known["metadata"]["name"] == name)
                .cloned();
            let mut object = json!({"metadata": {"name": name}, "spec": spec});
            prepare(&gvk, old.as_ref(), &mut object);
            let others: Vec<Value> = self
                .services
                .iter()
                .filter(|known| known["metadata"]["name"] != name)
                .cloned()
                .collect();
            let taken = Taken::by(others.iter().map(|other| &other["spec"]));
            let causes = allocate(
                old.as_ref().map(|old| &old["spec"]),
                &mut object,
                &taken,
                &mut self.next,
            );
            if let Some(cause) = causes.first() {
                return Err(format!("{}: {}", cause.field, cause.message));
            }
            self.services = [others, vec![object.clone()]].concat();
            Ok(object["spec"].clone())
        }
    }

    #[test]
    fn each_service_has_an_address_of_its_own() {
        let mut cluster = Cluster::default();
        let first = cluster.put("a", json!({"ports": [{"port": 80}]})).unwrap();
        let second = cluster.put("b", json!({"ports": [{"port": 80}]})).unwrap();
        assert_eq!(
            (&first["clusterIP"], &second["clusterIP"]),
            (&json!("10.96.1.0"), &json!("10.96.1.1"))
        );
        assert_eq!(first["clusterIPs"], json!(["10.96.1.0"]));
        assert_eq!(
            (&first["ipFamilies"], &first["ipFamilyPolicy"]),
            (&json!(["IPv4"]), &json!("SingleStack"))
        );
        let refused = cluster
            .put("c", json!({"clusterIP": "10.96.1.1"}))
            .unwrap_err();
        assert_eq!(
            refused,
            "spec.clusterIPs: Invalid value: [\"10.96.1.1\"]: failed to allocate IP 10.96.1.1: provided IP is already allocated"
        );
        assert!(
            cluster
                .put("c", json!({"clusterIP": "192.168.0.1"}))
                .unwrap_err()
                .contains("10.96.0.0/12")
        );
        // What was given back is not the next to be given out.
        cluster.services.clear();
        assert_eq!(
            cluster.put("d", json!({})).unwrap()["clusterIP"],
            "10.96.1.2"
        );
    }

    #[test]
    fn who_changes_a_service_need_not_repeat_what_it_was_given() {
        let mut cluster = Cluster::default();
        let before = cluster
            .put(
                "a",
                json!({"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]}),
            )
            .unwrap();
        let after = cluster
            .put("a", json!({"type": "NodePort", "ports": [{"port": 81}]}))
            .unwrap();
        assert_eq!(before["clusterIP"], after["clusterIP"]);
        assert_eq!(
            before["ports"][1]["nodePort"],
            after["ports"][0]["nodePort"]
        );
        let plain = cluster
            .put("a", json!({"type": "ClusterIP", "ports": after["ports"]}))
            .unwrap();
        assert!(plain["ports"][0]["nodePort"].is_null(), "{plain}");
        let outside = cluster.put("a", json!({"type": "ExternalName", "externalName": "x", "clusterIP": plain["clusterIP"], "clusterIPs": plain["clusterIPs"]})).unwrap();
        assert!(
            outside["clusterIP"].is_null() && outside["clusterIPs"].is_null(),
            "{outside}"
        );
    }

    #[test]
    fn ports_of_the_nodes_are_given_once_and_shared_by_protocols() {
        let mut cluster = Cluster::default();
        let ports = json!([{"port": 53, "protocol": "UDP"}, {"port": 53}, {"port": 54}]);
        let dns = cluster
            .put("a", json!({"type": "NodePort", "ports": ports}))
            .unwrap();
        let given: Vec<u64> = (0..3)
            .map(|index| dns["ports"][index]["nodePort"].as_u64().unwrap())
            .collect();
        assert_eq!(given, [30000, 30000, 30001]);
        let refused = cluster
            .put(
                "b",
                json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 30001}]}),
            )
            .unwrap_err();
        assert_eq!(
            refused,
            "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"
        );
        let refused = cluster
            .put(
                "b",
                json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]}),
            )
            .unwrap_err();
        assert!(
            refused.ends_with("The range of valid ports is 30000-32767"),
            "{refused}"
        );
    }

    #[test]
    fn a_headless_service_has_no_address_and_ipv6_is_refused() {
        let mut cluster = Cluster::default();
        let headless = cluster
            .put("a", json!({"clusterIP": "None", "selector": {"a": "b"}}))
            .unwrap();
        assert_eq!(
            (&headless["clusterIPs"], &headless["ipFamilies"]),
            (&json!(["None"]), &json!(["IPv4"]))
        );
        let selects_nothing = cluster.put("b", json!({"clusterIP": "None"})).unwrap();
        assert_eq!(selects_nothing["ipFamilyPolicy"], "RequireDualStack");
        let refused = cluster
            .put("c", json!({"ipFamilies": ["IPv6"]}))
            .unwrap_err();
        assert_eq!(
            refused,
            "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"
        );
    }
}
