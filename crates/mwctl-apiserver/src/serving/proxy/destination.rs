//! Which port of which pod a proxied request is for: `pods/NAME[:PORT]` or `services/NAME[:PORT]`, each also as `http:NAME:PORT`.

use crate::registry::{Registry, Target};
use crate::status::Status;
use crate::storage::{GroupResource, Object, Query};
use serde_json::Value;
use std::sync::Arc;

/// A port of a pod.
pub(super) struct Destination {
    pub(super) pod: Arc<Object>,
    pub(super) port: u16,
}

/// What a name in a path says.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    name: &'a str,
    /// Empty where it isn't told.
    port: &'a str,
}

impl Destination {
    /// Finds it: a pod by its name, or one that is ready behind a service.
    pub(super) fn find(registry: &Registry, target: &Target) -> Result<Self, Status> {
        let named = Named::parse(&target.name)?;
        let own = registry.core(&target.resource.plural, &target.namespace, named.name)?;
        let object = registry.get(&own)?;
        if target.resource.plural == "pods" {
            let port = of_pod(object.value(), named.port);
            let port = port.ok_or_else(|| no_port(target, named.port))?;
            return Ok(Self { pod: object, port });
        }
        let port =
            of_service(object.value(), named.port).ok_or_else(|| no_port(target, named.port))?;
        let slices = GroupResource::new("discovery.k8s.io", "endpointslices");
        // What is there now is never too old.
        let here = Query {
            namespace: Some(&target.namespace),
            ..Query::all()
        };
        let page = registry.store().list(&slices, &here).ok();
        let slices = page
            .iter()
            .flat_map(|page| &page.objects)
            .map(|slice| slice.value());
        let slices = slices.filter(|slice| belongs(slice, named.name));
        for (pod, number) in slices.flat_map(|slice| ready(slice, port)) {
            let pod = registry.core("pods", &target.namespace, pod)?;
            // It may have gone meanwhile.
            if let Ok(pod) = registry.get(&pod) {
                return Ok(Self { pod, port: number });
            }
        }
        let message = format!("no endpoints available for service {:?}", target.name);
        Err(Status::new(503, "ServiceUnavailable", message))
    }
}

impl<'a> Named<'a> {
    fn parse(text: &'a str) -> Result<Self, Status> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return Err(Status::bad_request(format!("invalid name {text:?}"))),
        };
        match scheme {
            "" | "http" => Ok(Self { name, port }),
            _ => {
                let message =
                    format!("this server is a proxy to plain HTTP alone, not to {scheme:?}");
                Err(Status::new(501, "NotImplemented", message))
            }
        }
    }
}

fn no_port(target: &Target, port: &str) -> Status {
    let (plural, name) = (&target.resource.plural, &target.name);
    let message = match port {
        "" => format!("{plural} {name:?} have several ports, or none: name one"),
        port => format!("no port {port:?} found for {plural} {name:?}"),
    };
    Status::bad_request(message)
}

/// The port that is meant of a pod: by its number, or the first that a container names.
fn of_pod(pod: &Value, port: &str) -> Option<u16> {
    if !port.is_empty() {
        return port.parse().ok().filter(|number| *number > 0);
    }
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports =
        containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let first = ports.next().and_then(|port| port["containerPort"].as_u64());
    first.map_or(Some(80), |number| u16::try_from(number).ok())
}

/// The name of the port that is meant of a service: by name or number, or its only one.
fn of_service<'a>(service: &'a Value, port: &str) -> Option<&'a str> {
    let ports = service["spec"]["ports"].as_array()?;
    let found = match (port, ports.as_slice()) {
        ("", [only]) => only,
        ("", _) => return None,
        (port, all) => all.iter().find(|it| {
            it["name"] == port
                || it["port"]
                    .as_u64()
                    .is_some_and(|number| number.to_string() == port)
        })?,
    };
    Some(found["name"].as_str().unwrap_or_default())
}

fn belongs(slice: &Value, service: &str) -> bool {
    slice["metadata"]["labels"]["kubernetes.io/service-name"] == service
}

/// The pods of a slice that are ready, with the number of the port of that name.
fn ready<'a>(slice: &'a Value, port: &str) -> Vec<(&'a str, u16)> {
    let mut ports = slice["ports"].as_array().into_iter().flatten();
    let number = ports.find(|it| it["name"].as_str().unwrap_or_default() == port);
    let number = number.and_then(|port| u16::try_from(port["port"].as_u64()?).ok());
    let Some(number) = number else {
        return Vec::new();
    };
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != false);
    let pods = ready.filter(|endpoint| endpoint["targetRef"]["kind"] == "Pod");
    pods.filter_map(|endpoint| Some((endpoint["targetRef"]["name"].as_str()?, number)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_may_say_the_port_and_the_protocol() {
        for (text, name, port) in [
            ("a", "a", ""),
            ("a:80", "a", "80"),
            ("http:a:web", "a", "web"),
            ("http:a:", "a", ""),
        ] {
            assert_eq!(Named::parse(text).unwrap(), Named { name, port });
        }
        assert_eq!(Named::parse("https:a:443").unwrap_err().code, 501);
        assert_eq!(Named::parse("a:b:c:d").unwrap_err().code, 400);
    }

    #[test]
    fn a_port_is_found_by_number_or_name() {
        let pod = json!({"spec": {"containers": [{}, {"ports": [{"containerPort": 8080}, {"containerPort": 9}]}]}});
        assert_eq!(of_pod(&pod, ""), Some(8080));
        assert_eq!(of_pod(&pod, "9"), Some(9));
        assert_eq!(of_pod(&json!({}), ""), Some(80));
        assert_eq!(of_pod(&pod, "web"), None);
        let service =
            json!({"spec": {"ports": [{"name": "web", "port": 80}, {"name": "api", "port": 81}]}});
        assert_eq!(of_service(&service, "81"), Some("api"));
        assert_eq!(of_service(&service, "web"), Some("web"));
        assert_eq!(of_service(&service, ""), None);
        assert_eq!(
            of_service(&json!({"spec": {"ports": [{"port": 80}]}}), ""),
            Some("")
        );
    }

    #[test]
    fn only_pods_that_are_ready_are_asked() {
        let slice = json!({"ports": [{"name": "web", "port": 8080}], "endpoints": [
            {"conditions": {"ready": false}, "targetRef": {"kind": "Pod", "name": "a"}},
            {"conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "b"}},
            {"conditions": {}}]});
        assert_eq!(ready(&slice, "web"), [("b", 8080)]);
        assert!(ready(&slice, "api").is_empty());
    }
}
