//! A Compose file: its services, and what it says about the one that is built from the repository itself.
//! Format: the Compose Specification.

use std::path::{Component, Path};

use super::super::node::{At, Node, Tree, escape};
use super::super::reader;
use super::super::repository::Files;
use super::{Said, container, expand, list, number, plain, port, scalar, text, words};
use crate::problem::{Problem, Rule};

const ABOUT: &str = "how it is run";

/// The names of the file, the one that counts first.
pub(crate) const NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// One service of a Compose file, its texts with their variables filled in.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) at: At,
    pub(crate) image: Option<Node>,
    /// Where it is built, relative to the file.
    pub(crate) context: Option<Node>,
    pub(crate) command: Option<Node>,
    pub(crate) entrypoint: Option<Node>,
    pub(crate) directory: Option<Node>,
    pub(crate) user: Option<Node>,
    pub(crate) environment: Vec<(String, Node)>,
    /// Ports in the container, the first published first.
    pub(crate) ports: Vec<Node>,
    pub(crate) needs: Vec<Need>,
    pub(crate) health: Option<Node>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) replicas: Option<Node>,
    pub(crate) limits: Vec<(&'static str, Node)>,
    /// What has no key here.
    pub(crate) left: Vec<(String, At)>,
}

/// A service that another one depends on.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) service: String,
    pub(crate) condition: &'static str,
    pub(crate) at: At,
}

/// A volume or a mounted folder.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    /// A volume's name, or a path of this machine.
    pub(crate) source: Option<String>,
    pub(crate) target: Node,
}

impl Volume {
    /// Whether it is a folder of this machine.
    pub(crate) fn is_folder(&self) -> bool {
        let begins = |source: &String| source.starts_with(['.', '/', '~']);
        self.source.as_ref().is_some_and(begins)
    }
}

/// Reads the services of a Compose file.
pub(crate) fn read(file: &Path, source: &str) -> Result<Vec<Service>, Vec<Problem>> {
    let tree = reader::tree(file, source)?;
    let services = tree.get("services");
    let Some(services) = services else {
        let problem = Problem::new("a Compose file needs `services`").rule(Rule::MissingKey);
        return Err(vec![problem.at(tree.at.location())]);
    };
    let mut problems = Vec::new();
    let mut all = Vec::new();
    for entry in services.entries() {
        if matches!(entry.value.tree, Tree::Map(_)) {
            all.push(service(&entry.key, &entry.at, &entry.value));
        } else {
            let message = format!("the service `{}` must be a map", entry.key);
            problems.push(
                Problem::new(message)
                    .rule(Rule::WrongType)
                    .at(entry.at.location()),
            );
        }
    }
    if problems.is_empty() {
        Ok(all)
    } else {
        Err(problems)
    }
}

/// What is told of a named volume.
pub(crate) const VOLUME: &str = "the volume isn't taken over";

/// Keys that say nothing about what runs: names, networks of Docker, this machine.
const SILENT: [&str; 17] = [
    "container_name",
    "networks",
    "restart",
    "logging",
    "labels",
    "stdin_open",
    "tty",
    "init",
    "hostname",
    "pull_policy",
    "platform",
    "develop",
    "profiles",
    "extra_hosts",
    "stop_grace_period",
    "stop_signal",
    "dns",
];

fn service(name: &str, at: &At, tree: &Node) -> Service {
    let mut service = Service {
        name: name.to_owned(),
        at: at.clone(),
        image: None,
        context: None,
        command: None,
        entrypoint: None,
        directory: None,
        user: None,
        environment: Vec::new(),
        ports: Vec::new(),
        needs: Vec::new(),
        health: None,
        volumes: Vec::new(),
        replicas: None,
        limits: Vec::new(),
        left: Vec::new(),
    };
    for entry in tree.entries() {
        let value = filled(&entry.value, &mut service.left);
        match entry.key.as_str() {
            "image" => service.image = Some(value),
            "build" => {
                let context = match &value.tree {
                    Tree::Map(_) => value.get("context").cloned(),
                    _ => Some(value.clone()),
                };
                service.context = Some(context.unwrap_or_else(|| text(".", &value.at)));
            }
            "command" => service.command = command(&value),
            "entrypoint" => service.entrypoint = command(&value),
            "working_dir" => service.directory = Some(value),
            "user" => service.user = Some(value),
            "environment" => environment(&value, &mut service),
            "ports" | "expose" => ports(&value, &mut service.ports),
            "depends_on" => needs(&value, &mut service.needs),
            "links" => {
                for link in value.items().iter().filter_map(|it| Some((it, it.text()?))) {
                    let name = link.1.split(':').next().unwrap_or_default();
                    add_need(&mut service.needs, name, "started", &link.0.at);
                }
            }
            "healthcheck" => service.health = Some(value),
            "volumes" => volumes(&value, &mut service.volumes),
            "scale" => service.replicas = Some(value),
            "deploy" => deploy(&value, &mut service),
            "mem_limit" => service.limits.push(("memory", value)),
            "cpus" => service.limits.push(("cpu", value)),
            key if SILENT.contains(&key) || key.starts_with("x-") => {}
            key => service
                .left
                .push((format!("`{key}` has no key here"), entry.at.clone())),
        }
    }
    service
}

/// The same tree with `${NAME:-default}` filled in. A variable without a default is this machine's, and
/// isn't known: it is told, and the text stays.
fn filled(node: &Node, left: &mut Vec<(String, At)>) -> Node {
    let tree = match &node.tree {
        Tree::Text(value) if value.contains('$') => match expand::expand(value, &|_| None) {
            Ok(value) => Tree::Text(value),
            Err(name) => {
                let told = format!("the variable `{name}` of your environment isn't taken over");
                left.push((told, node.at.clone()));
                Tree::Text(value.clone())
            }
        },
        Tree::List(items) => Tree::List(items.iter().map(|item| filled(item, left)).collect()),
        Tree::Map(entries) => {
            let mut entries = entries.clone();
            for entry in &mut entries {
                entry.value = filled(&entry.value, left);
            }
            Tree::Map(entries)
        }
        other => other.clone(),
    };
    Node {
        at: node.at.clone(),
        tree,
    }
}

fn command(value: &Node) -> Option<Node> {
    match &value.tree {
        Tree::Text(line) => Some(list(words::command(line), &value.at)),
        Tree::List(items) => Some(list(items.iter().filter_map(scalar), &value.at)),
        _ => None,
    }
}

fn environment(value: &Node, service: &mut Service) {
    let mut add = |name: &str, value: Option<Node>, at: &At| {
        if let Some(value) = value {
            service.environment.push((name.to_owned(), value));
        } else {
            let told = format!("the variable `{name}` of your environment isn't taken over");
            service.left.push((told, at.clone()));
        }
    };
    for entry in value.entries() {
        let value = scalar(&entry.value).map(|it| text(it, &entry.value.at));
        add(&entry.key, value, &entry.at);
    }
    for item in value.items() {
        let line = scalar(item).unwrap_or_default();
        match line.split_once('=') {
            Some((name, value)) => add(name, Some(text(value, &item.at)), &item.at),
            None => add(&line, None, &item.at),
        }
    }
}

/// `8080`, `80:8080`, `127.0.0.1:80:8080/tcp`, `{target: 8080}`: the port in the container.
fn ports(value: &Node, ports: &mut Vec<Node>) {
    for item in value.items() {
        let (target, at) = match item.get("target") {
            Some(target) => (scalar(target), &target.at),
            None => (scalar(item), &item.at),
        };
        let target = target.unwrap_or_default();
        let inside = target.rsplit(':').next().unwrap_or_default();
        if let Some(number_of) = port(inside) {
            ports.push(number(number_of, at));
        }
    }
}

fn needs(value: &Node, needs: &mut Vec<Need>) {
    for item in value.items() {
        if let Some(name) = item.text() {
            add_need(needs, name, "started", &item.at);
        }
    }
    for entry in value.entries() {
        let condition = entry.value.get("condition").and_then(Node::text);
        let condition = match condition {
            Some("service_healthy") => "ready",
            Some("service_completed_successfully") => "completed",
            _ => "started",
        };
        add_need(needs, &entry.key, condition, &entry.at);
    }
}

fn add_need(needs: &mut Vec<Need>, service: &str, condition: &'static str, at: &At) {
    if !needs.iter().any(|need| need.service == service) {
        needs.push(Need {
            service: service.to_owned(),
            condition,
            at: at.clone(),
        });
    }
}

fn volumes(value: &Node, volumes: &mut Vec<Volume>) {
    for item in value.items() {
        let (source, target) = match &item.tree {
            Tree::Text(short) => {
                let mut parts = short.split(':');
                let first = parts.next().unwrap_or_default();
                match parts.next() {
                    Some(target) => (Some(first.to_owned()), text(target, &item.at)),
                    None => (None, text(first, &item.at)),
                }
            }
            _ => match item.get("target") {
                Some(target) => (item.get("source").and_then(scalar), target.clone()),
                None => continue,
            },
        };
        volumes.push(Volume { source, target });
    }
}

fn deploy(value: &Node, service: &mut Service) {
    service.replicas = value.get("replicas").cloned().or(service.replicas.take());
    for (theirs, ours) in [("cpus", "cpu"), ("memory", "memory")] {
        if let Some(limit) = value.pointer(&format!("/resources/limits/{theirs}")) {
            service.limits.push((ours, limit.clone()));
        }
    }
}

/// What the repository's Compose file says about the service that it is.
pub(crate) fn said(files: &Files<'_>) -> Option<Said> {
    let file = NAMES.into_iter().find(|name| files.text(name).is_some())?;
    let services = files.read_all(file, read)?;
    let built: Vec<&Service> = services.iter().filter(|it| it.context.is_some()).collect();
    let here = built.iter().find(|service| {
        let context = service.context.as_ref().and_then(Node::text);
        context.is_some_and(is_here)
    })?;
    let mut said = Said::new(file, ABOUT, here.at.clone());
    keys(&mut said, here);
    // The image is the repository's own, whatever it is called there.
    needed(&mut said, here, &services);
    Some(said)
}

/// Whether a path is the folder itself.
pub(crate) fn is_here(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    parts.all(|part| part == Component::CurDir)
}

/// What a service says, in our keys, without its image and its needs.
pub(crate) fn keys(said: &mut Said, service: &Service) {
    for (text, at) in &service.left {
        said.note(text, at);
    }
    let both = [service.entrypoint.as_ref(), service.command.as_ref()];
    let mut parts = both.into_iter().flatten();
    if let Some(first) = parts.next() {
        let mut command = first.clone();
        if let Tree::List(items) = &mut command.tree {
            items.extend(parts.flat_map(|node| node.items().to_vec()));
        }
        said.set("/container/command", command);
    }
    said.set_some(
        "/container/workingDirectory",
        service.directory.as_ref().map(plain).as_ref(),
    );
    if let Some(user) = &service.user {
        let named = scalar(user).unwrap_or_default();
        match named.split(':').next().unwrap_or_default().parse::<u32>() {
            Ok(id) if id > 0 => said.set("/container/user", number(id, &user.at)),
            _ => said.note(format!("the user `{named}` isn't taken over"), &user.at),
        }
    }
    for (name, value) in &service.environment {
        said.set(
            &format!("/container/environment/{}", escape(name)),
            value.clone(),
        );
    }
    for (resource, amount) in &service.limits {
        let quantity = scalar(amount).map(|it| kubernetes_size(&it));
        if let Some(quantity) = quantity {
            said.set(
                &format!("/container/resources/limits/{resource}"),
                text(quantity, &amount.at),
            );
        }
    }
    said.set_some("/replicas", service.replicas.as_ref());
    if let Some(health) = &service.health {
        healthy(said, health, "/container/probes/readiness");
    }
    if let Some(first) = service.ports.first() {
        said.fact("port", first.clone());
    }
    for volume in &service.volumes {
        if volume.source.as_deref().is_some_and(is_here) {
            said.set("/develop/directory", volume.target.clone());
        } else if volume.is_folder() {
            let source = volume.source.as_deref().unwrap_or_default();
            let told = format!("the folder `{source}` of this machine isn't mounted");
            said.note(told, &volume.target.at);
        } else if volume.source.is_some() {
            // One without a name keeps what the image has from being hidden: here nothing hides it.
            said.note(VOLUME, &volume.target.at);
        }
    }
}

/// `512m` and `1g` as Kubernetes writes them.
fn kubernetes_size(text: &str) -> String {
    let lower = text.trim().to_lowercase();
    let trimmed = lower.strip_suffix('b').unwrap_or(&lower);
    for (theirs, ours) in [('k', "Ki"), ('m', "Mi"), ('g', "Gi")] {
        if let Some(number) = trimmed.strip_suffix(theirs)
            && number.parse::<f64>().is_ok()
        {
            return format!("{number}{ours}");
        }
    }
    trimmed.to_owned()
}

fn healthy(said: &mut Said, health: &Node, at: &str) {
    let Some(test) = health.get("test") else {
        return;
    };
    let words: Vec<String> = match &test.tree {
        Tree::Text(line) => words::command(line),
        _ => test.items().iter().filter_map(scalar).collect(),
    };
    let command = match words.split_first() {
        Some((kind, _)) if kind == "NONE" => return,
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        Some((kind, rest)) if kind == "CMD-SHELL" => words::command(&rest.join(" ")),
        Some(_) => words,
        None => return,
    };
    container::health(said, at, &command, &test.at);
    for (theirs, ours, least) in [
        ("interval", "period", 1),
        ("timeout", "timeout", 1),
        ("start_period", "initialDelay", 0),
    ] {
        if let Some(node) = health.get(theirs)
            && let Some(seconds) = scalar(node).and_then(|it| container::seconds(&it, least))
        {
            said.set(&format!("{at}/{ours}"), text(seconds, &node.at));
        }
    }
    said.set_some(&format!("{at}/failureThreshold"), health.get("retries"));
}

/// The services that it depends on, where an image's name is a convention's: `postgres:16` needs
/// `postgres`. In variables, the host that Compose gives becomes ours.
fn needed(said: &mut Said, service: &Service, services: &[Service]) {
    for need in &service.needs {
        let Some(other) = services.iter().find(|it| it.name == need.service) else {
            continue;
        };
        let Some(kind) = other.image.as_ref().and_then(scalar).map(|it| kind(&it)) else {
            let told = format!(
                "`{}` is built from its own folder: describe both in a Stack, as `mwctl init --from compose` does",
                need.service
            );
            said.note(told, &need.at);
            continue;
        };
        said.need(&kind, need.condition, &need.at);
        said.hosts.push((need.service.clone(), kind));
    }
}

/// What an image is: the last part of its name, without registry and tag.
pub(crate) fn kind(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or_default();
    let name = name.split([':', '@']).next().unwrap_or_default();
    match name {
        "postgresql" | "postgis" => "postgres",
        "mysql" => "mariadb",
        "valkey" => "redis",
        other => other,
    }
    .to_owned()
}
