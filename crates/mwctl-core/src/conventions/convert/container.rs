//! Converts and checks one container: ports, probes, variables, resources, mounts.

use std::collections::BTreeMap;

use super::super::check::Check;
use super::super::node::{Node, escape};
use super::super::wire::{self, PortReference, Scalar};
use super::super::{defaults, duration, nearest, quantity as amounts};
use crate::model::{
    Check as Probed, Container, Mount, Port, Probe, Protocol, Reach, Resources, Volume,
};

/// The container at a pointer; `volumes` are the pod's.
pub(super) fn container(
    name: &str,
    at: &str,
    wire: wire::Container,
    volumes: &[Volume],
    check: &mut Check<'_>,
) -> Container {
    if let Some(image) = &wire.image {
        image_reference(&format!("{at}/image"), image, check);
    }
    if let Some(directory) = &wire.working_directory {
        check.absolute(&format!("{at}/workingDirectory"), directory);
    }
    let ports = ports(&format!("{at}/ports"), &wire.ports, check);
    let mut probe = |key: &str, probe: Option<wire::Probe>| {
        probe.and_then(|it| self::probe(&format!("{at}/probes/{key}"), it, &ports, check))
    };
    let readiness = probe("readiness", wire.probes.readiness);
    let liveness = probe("liveness", wire.probes.liveness);
    let startup = probe("startup", wire.probes.startup);
    Container {
        name: name.to_owned(),
        plain_name: false,
        image: wire.image,
        command: super::words(wire.command),
        working_directory: wire.working_directory,
        environment: environment(&format!("{at}/environment"), &wire.environment, check),
        readiness,
        liveness,
        startup,
        resources: resources(&format!("{at}/resources"), wire.resources, check),
        mounts: mounts(&format!("{at}/mounts"), wire.mounts, volumes, check),
        user: wire
            .user
            .map(|it| check.number(&format!("{at}/user"), &it.0, 0, u32::MAX - 1)),
        read_only: wire.read_only.unwrap_or(false),
        ports,
    }
}

/// An image's reference, as far as its form goes.
pub(super) fn image_reference(at: &str, image: &str, check: &mut Check<'_>) {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let edges = image.starts_with(|c: char| c.is_ascii_alphanumeric())
        && image.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !edges || !image.chars().all(legal) {
        let message = format!("`{image}` isn't an image's name");
        check.hinted(
            at,
            message,
            Some("such as `docker.io/library/redis:7`".to_owned()),
        );
    }
}

/// Variables in the order in which they were described.
pub(super) fn environment(
    at: &str,
    wire: &BTreeMap<String, Scalar>,
    check: &mut Check<'_>,
) -> Vec<(String, String)> {
    let order = check
        .tree()
        .pointer(at)
        .map(Node::entries)
        .unwrap_or_default();
    let mut variables = Vec::new();
    for entry in order {
        check.variable(&format!("{at}/{}", escape(&entry.key)), &entry.key);
        if let Some(value) = wire.get(&entry.key) {
            variables.push((entry.key.clone(), value.0.clone()));
        }
    }
    variables
}

fn ports(at: &str, wire: &[wire::Port], check: &mut Check<'_>) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    for (index, port) in wire.iter().enumerate() {
        let pointer = format!("{at}/{index}");
        let name = port.name.clone().unwrap_or_else(|| "http".to_owned());
        let refused = check.problems.len();
        let number = check.number(&format!("{pointer}/port"), &port.port.0, 1, 65535);
        let number = if check.problems.len() > refused {
            0
        } else {
            number
        };
        let legal = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && name.bytes().any(|b| b.is_ascii_lowercase())
            && !name.starts_with('-')
            && !name.ends_with('-')
            && !name.contains("--")
            && name.len() <= 15;
        if !legal {
            let message = format!("`{name}` can't be a port's name");
            let hint = "use at most 15 lower-case letters, digits and hyphens";
            check.hinted(&format!("{pointer}/name"), message, Some(hint.to_owned()));
        }
        if ports.iter().any(|other| other.name == name) {
            let message = format!("two ports of the container are called `{name}`");
            let hint = "give each port a `name` of its own".to_owned();
            check.hinted(&pointer, message, Some(hint));
        }
        ports.push(Port {
            name,
            number: number as u16,
            protocol: match port.protocol {
                wire::Protocol::Tcp => Protocol::Tcp,
                wire::Protocol::Udp => Protocol::Udp,
            },
            reach: reach(&pointer, port, check),
        });
    }
    ports
}

fn reach(at: &str, port: &wire::Port, check: &mut Check<'_>) -> Reach {
    let Some(address) = &port.address else {
        return match port.reach {
            Some(wire::Reach::Service) | None => Reach::Service,
            Some(wire::Reach::Cluster) => Reach::Cluster,
            Some(wire::Reach::Pod) => Reach::Pod,
        };
    };
    check.label(&format!("{at}/address"), address);
    if matches!(port.reach, Some(wire::Reach::Cluster | wire::Reach::Pod)) {
        let message = "a port with an `address` is reached by that";
        check.fail(&format!("{at}/reach"), message);
    }
    Reach::Named(address.clone())
}

/// The containers of a pod share its network: no two may listen on the same port.
pub(super) fn distinct_ports(main: &Container, helpers: &[Container], check: &mut Check<'_>) {
    let mut taken: BTreeMap<(u16, bool), &str> = BTreeMap::new();
    let main = std::iter::once(("/container".to_owned(), main));
    let helpers = helpers
        .iter()
        .map(|it| (format!("/helpers/{}", escape(&it.name)), it));
    for (at, container) in main.chain(helpers) {
        for (index, port) in container.ports.iter().enumerate() {
            let key = (port.number, port.protocol == Protocol::Tcp);
            // A number that was refused is 0 here, and has been reported.
            if port.number > 0
                && let Some(other) = taken.insert(key, &container.name)
            {
                let number = port.number;
                let message = format!(
                    "port {number} of `{}` is taken by `{other}` in the same pod",
                    container.name
                );
                check.fail(&format!("{at}/ports/{index}/port"), message);
            }
        }
    }
}

fn probe(at: &str, wire: wire::Probe, ports: &[Port], check: &mut Check<'_>) -> Option<Probe> {
    let given = [wire.http.is_some(), wire.tcp.is_some(), wire.exec.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        check.fail(at, "a probe is exactly one of `http`, `tcp` and `exec`");
        return None;
    }
    let probed = if let Some(http) = wire.http {
        if !http.path.starts_with('/') {
            let message = format!("the probe's path `{}` must start with `/`", http.path);
            check.fail(&format!("{at}/http/path"), message);
        }
        let port = port(&format!("{at}/http/port"), http.port.as_ref(), ports, check)?;
        let path = http.path;
        Probed::Http { path, port }
    } else if let Some(tcp) = wire.tcp {
        let port = port(&format!("{at}/tcp/port"), tcp.port.as_ref(), ports, check)?;
        Probed::Tcp { port }
    } else {
        let command = super::words(wire.exec.map(|exec| exec.command).unwrap_or_default());
        if command.is_empty() {
            check.fail(&format!("{at}/exec"), "`exec` lacks `command`");
        }
        Probed::Exec { command }
    };
    let mut time = |key: &str, text: Option<String>, default: u32, least: u32| {
        text.map_or(default, |text| {
            seconds(&format!("{at}/{key}"), &text, least, check)
        })
    };
    let period_seconds = time("period", wire.period, defaults::PERIOD_SECONDS, 1);
    let timeout_seconds = time("timeout", wire.timeout, defaults::TIMEOUT_SECONDS, 1);
    let initial_delay_seconds = time(
        "initialDelay",
        wire.initial_delay,
        defaults::INITIAL_DELAY_SECONDS,
        0,
    );
    let threshold = defaults::FAILURE_THRESHOLD.to_string();
    let threshold = wire.failure_threshold.map_or(threshold, |it| it.0);
    Some(Probe {
        check: probed,
        period_seconds,
        timeout_seconds,
        initial_delay_seconds,
        failure_threshold: check.number(&format!("{at}/failureThreshold"), &threshold, 1, 1000),
    })
}

fn port(
    at: &str,
    reference: Option<&PortReference>,
    ports: &[Port],
    check: &mut Check<'_>,
) -> Option<u16> {
    let Some(PortReference(text)) = reference else {
        let first = ports.first().map(|port| port.number);
        if first.is_none() {
            let hint = "add it under `ports`, or name a number here".to_owned();
            check.hinted(at, "the container has no port to probe", Some(hint));
        }
        return first;
    };
    if let Ok(number) = text.parse::<u16>()
        && number > 0
    {
        return Some(number);
    }
    let named = ports.iter().find(|port| port.name == *text);
    if named.is_none() {
        let hint = nearest::hint(text, ports.iter().map(|port| port.name.as_str()));
        check.hinted(at, format!("unknown port `{text}`"), hint);
    }
    named.map(|port| port.number)
}

pub(super) fn seconds(at: &str, text: &str, least: u32, check: &mut Check<'_>) -> u32 {
    let Some(milliseconds) = duration::milliseconds(text) else {
        no_duration(at, text, check);
        return least;
    };
    let seconds = u32::try_from(milliseconds / 1000).unwrap_or(u32::MAX);
    if milliseconds % 1000 != 0 || seconds < least {
        let message = format!("`{text}` must be whole seconds, at least {least}");
        check.fail(at, message);
    }
    seconds.max(least)
}

/// The sentence for a text that should be a duration.
pub(super) fn no_duration(at: &str, text: &str, check: &mut Check<'_>) {
    let hint = "a number and its unit, such as `30s`, `250ms` or `5m`".to_owned();
    check.hinted(at, format!("`{text}` isn't a duration"), Some(hint));
}

/// A quantity in its canonical form.
pub(super) fn quantity(at: &str, text: &str, check: &mut Check<'_>) -> String {
    if let Some(quantity) = amounts::parse(text) {
        return quantity.text;
    }
    let hint = "such as `100m`, `2`, `200Mi` or `1Gi`".to_owned();
    check.hinted(at, format!("`{text}` isn't a quantity"), Some(hint));
    "0".to_owned()
}

const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Amounts of resources, in their canonical form.
pub(crate) fn quantities(
    at: &str,
    wire: BTreeMap<String, Scalar>,
    check: &mut Check<'_>,
) -> BTreeMap<String, String> {
    let mut quantities = BTreeMap::new();
    for (name, value) in wire {
        let pointer = format!("{at}/{}", escape(&name));
        if !RESOURCES.contains(&name.as_str()) {
            let hint = nearest::hint(&name, RESOURCES);
            check.hinted(&pointer, format!("unknown resource `{name}`"), hint);
        }
        quantities.insert(name, quantity(&pointer, &value.0, check));
    }
    quantities
}

fn resources(at: &str, wire: wire::Resources, check: &mut Check<'_>) -> Resources {
    let requests = quantities(&format!("{at}/requests"), wire.requests, check);
    let limits = quantities(&format!("{at}/limits"), wire.limits, check);
    for (name, request) in &requests {
        let amount = |text: &String| amounts::parse(text).map(|it| it.nano);
        let limit = limits.get(name);
        if let Some(limit) = limit
            && amount(request) > amount(limit)
        {
            let message = format!("{name} request {request} is above its limit {limit}");
            check.fail(&format!("{at}/requests/{}", escape(name)), message);
        }
    }
    Resources { requests, limits }
}

pub(super) fn mounts(
    at: &str,
    wire: Vec<wire::Mount>,
    volumes: &[Volume],
    check: &mut Check<'_>,
) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for (index, mount) in wire.into_iter().enumerate() {
        let pointer = format!("{at}/{index}");
        check.absolute(&format!("{pointer}/path"), &mount.path);
        if !volumes.iter().any(|volume| volume.name == mount.volume) {
            let names = volumes.iter().map(|volume| volume.name.as_str());
            let hint = nearest::hint(&mount.volume, names)
                .or_else(|| Some(format!("add it: `volumes: {{{}: {{}}}}`", mount.volume)));
            let message = format!("unknown volume `{}`", mount.volume);
            check.hinted(&format!("{pointer}/volume"), message, hint);
        }
        if mounts.iter().any(|other| other.path == mount.path) {
            let message = format!("two volumes are mounted at `{}`", mount.path);
            check.fail(&format!("{pointer}/path"), message);
        }
        mounts.push(Mount {
            volume: mount.volume,
            path: mount.path,
            read_only: mount.read_only,
        });
    }
    mounts
}
