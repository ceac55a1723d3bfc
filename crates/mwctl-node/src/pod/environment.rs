//! The environment of a container: services, `envFrom`, `env`, and references between variables.

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, Service};

use super::fields::{self, Surroundings};
use super::sources::Sources;

/// The kind of terminal that a process with one has, unless somebody says otherwise: as in every container runtime.
pub(crate) const TERMINAL: &str = "xterm";

/// Variables in order; a later one of the same name takes the place of an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables(Vec<(String, String)>);

impl Variables {
    pub(crate) fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }

    /// As a process takes them.
    pub(crate) fn to_lines(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// A text with each `$(NAME)` replaced that is a variable; `$$` is a `$`.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let after = from.get(1..).unwrap_or_default();
            if let Some(left) = after.strip_prefix('$') {
                out.push('$');
                rest = left;
            } else if let Some((name, left)) =
                after.strip_prefix('(').and_then(|it| it.split_once(')'))
            {
                match self.get(name) {
                    Some(value) => out.push_str(value),
                    None => out.extend(["$(", name, ")"]),
                }
                rest = left;
            } else {
                out.push('$');
                rest = after;
            }
        }
        out + rest
    }
}

/// All of them, or why one can't be had.
pub(crate) fn environment(
    pod: &Pod,
    container: &Container,
    image: &[String],
    services: &[Service],
    sources: &Sources,
    around: &Surroundings,
) -> Result<Variables, String> {
    let mut all = Variables::default();
    for line in image {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        all.set(name, value.to_owned());
    }
    let hostname = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.hostname.clone())
        .or_else(|| pod.metadata.name.clone());
    all.set("HOSTNAME", hostname.unwrap_or_default());
    if container.tty == Some(true) && all.get("TERM").is_none() {
        all.set("TERM", TERMINAL.to_owned());
    }
    for (name, value) in of_services(pod, services) {
        all.set(&name, value);
    }
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let mut found = Vec::new();
        if let Some(reference) = &from.config_map_ref
            && let Some(map) = sources.config_map(&reference.name, reference.optional)?
        {
            found.extend(map.data.clone().unwrap_or_default());
        }
        if let Some(reference) = &from.secret_ref
            && let Some(secret) = sources.secret(&reference.name, reference.optional)?
        {
            let text = |(key, value): (String, k8s_openapi::ByteString)| {
                (key, String::from_utf8_lossy(&value.0).into_owned())
            };
            found.extend(
                secret
                    .data
                    .clone()
                    .unwrap_or_default()
                    .into_iter()
                    .map(text),
            );
        }
        for (key, value) in found {
            all.set(&format!("{prefix}{key}"), value);
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(pod, container, variable, &all, sources, around)? {
            all.set(&variable.name, value);
        }
    }
    Ok(all)
}

/// None where it is optional and not there.
fn value(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    before: &Variables,
    sources: &Sources,
    around: &Surroundings,
) -> Result<Option<String>, String> {
    let Some(from) = &variable.value_from else {
        return Ok(Some(
            before.expand(variable.value.as_deref().unwrap_or_default()),
        ));
    };
    if let Some(reference) = &from.field_ref {
        return fields::field(pod, &reference.field_path, around).map(Some);
    }
    if let Some(reference) = &from.resource_field_ref {
        return fields::resource(pod, container, reference, around).map(Some);
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let missing = |kind: &str, name: &str, key: &str, optional: Option<bool>| match optional {
        Some(true) => Ok(None),
        _ => Err(format!(
            "couldn't find key {key} in {kind} {namespace}/{name}"
        )),
    };
    if let Some(it) = &from.config_map_key_ref {
        let map = sources.config_map(&it.name, it.optional)?;
        let found = map.and_then(|map| map.data.as_ref()?.get(&it.key).cloned());
        return found.map_or_else(
            || missing("ConfigMap", &it.name, &it.key, it.optional),
            |value| Ok(Some(value)),
        );
    }
    if let Some(it) = &from.secret_key_ref {
        let secret = sources.secret(&it.name, it.optional)?;
        let found = secret.and_then(|secret| secret.data.as_ref()?.get(&it.key));
        let found = found.map(|value| String::from_utf8_lossy(&value.0).into_owned());
        return found.map_or_else(
            || missing("Secret", &it.name, &it.key, it.optional),
            |value| Ok(Some(value)),
        );
    }
    Err(format!(
        "the variable {} comes from where this node can't look",
        variable.name
    ))
}

/// The variables by which services were found before there were names: Docker's links.
fn of_services(pod: &Pod, services: &[Service]) -> Vec<(String, String)> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let links = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.enable_service_links)
        .unwrap_or(true);
    let mut all = Vec::new();
    for service in services {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let home = service.metadata.namespace.as_deref().unwrap_or_default();
        let is_the_api = home == "default" && name == "kubernetes";
        let linked = links && home == namespace;
        if !is_the_api && !linked {
            continue;
        }
        let Some(spec) = &service.spec else { continue };
        let address = spec.cluster_ip.as_deref().unwrap_or_default();
        let ports = spec.ports.as_deref().unwrap_or_default();
        let Some(first) = ports
            .first()
            .filter(|_| !address.is_empty() && address != "None")
        else {
            continue;
        };
        let name = name.to_uppercase().replace('-', "_");
        all.push((format!("{name}_SERVICE_HOST"), address.to_owned()));
        all.push((format!("{name}_SERVICE_PORT"), first.port.to_string()));
        for port in ports {
            if let Some(of_port) = port.name.as_deref().filter(|it| !it.is_empty()) {
                let of_port = of_port.to_uppercase().replace('-', "_");
                all.push((
                    format!("{name}_SERVICE_PORT_{of_port}"),
                    port.port.to_string(),
                ));
            }
        }
        for (index, port) in ports.iter().enumerate() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let url = format!("{}://{address}:{}", protocol.to_lowercase(), port.port);
            if index == 0 {
                all.push((format!("{name}_PORT"), url.clone()));
            }
            let prefix = format!("{name}_PORT_{}_{protocol}", port.port);
            all.push((prefix.clone(), url));
            all.push((format!("{prefix}_PROTO"), protocol.to_lowercase()));
            all.push((format!("{prefix}_PORT"), port.port.to_string()));
            all.push((format!("{prefix}_ADDR"), address.to_owned()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_replaced_and_unknown_ones_stay() {
        let mut variables = Variables::default();
        variables.set("A", "1".to_owned());
        for (text, expected) in [
            ("$(A)", "1"),
            ("x$(A)y$(B)", "x1y$(B)"),
            ("$$(A)", "$(A)"),
            ("$A $(", "$A $("),
            ("$", "$"),
            ("$$$(A)", "$1"),
        ] {
            assert_eq!(variables.expand(text), expected, "{text}");
        }
    }

    #[test]
    fn variables_come_from_everywhere_and_later_ones_win() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [{
            "name": "c",
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "none", "optional": true}}],
            "env": [
                {"name": "X", "value": "$(P_k)/$(A)"},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "O", "valueFrom": {"secretKeyRef": {"name": "s", "key": "none", "optional": true}}},
                {"name": "A", "value": "own"}],
        }]}}))
        .unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let mut sources = Sources::default();
        sources.config_maps.insert(
            "m".to_owned(),
            serde_json::from_value(json!({"data": {"k": "v"}})).unwrap(),
        );
        sources.secrets.insert(
            "s".to_owned(),
            serde_json::from_value(json!({"data": {"k": "dg=="}})).unwrap(),
        );
        let image = ["A=image".to_owned(), "PATH=/bin".to_owned()];
        let around = Surroundings::default();
        let lines = environment(&pod, container, &image, &[], &sources, &around)
            .unwrap()
            .to_lines();
        assert_eq!(
            lines,
            [
                "A=own",
                "PATH=/bin",
                "HOSTNAME=p",
                "P_k=v",
                "X=v/image",
                "NAME=p",
                "S=v"
            ]
        );
        sources.secrets.clear();
        let error = environment(&pod, container, &image, &[], &sources, &around).unwrap_err();
        assert_eq!(error, "secret \"s\" not found");
    }

    #[test]
    fn services_are_linked_as_docker_did() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"namespace": "n"}})).unwrap();
        let service = json!({"metadata": {"name": "my-db", "namespace": "n"},
            "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "sql", "port": 3306}]}});
        let services = [serde_json::from_value(service).unwrap()];
        let all = of_services(&pod, &services);
        let find = |name: &str| {
            all.iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| &**value)
        };
        assert_eq!(find("MY_DB_SERVICE_HOST"), Some("10.96.0.7"));
        assert_eq!(find("MY_DB_SERVICE_PORT_SQL"), Some("3306"));
        assert_eq!(find("MY_DB_PORT"), Some("tcp://10.96.0.7:3306"));
        assert_eq!(find("MY_DB_PORT_3306_TCP_ADDR"), Some("10.96.0.7"));
    }
}
