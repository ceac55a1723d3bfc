//! Turns one service's merged and rendered keys into the resolved model, and checks them on the way.
//!
//! Defaults are filled in here and nowhere else. What concerns several services (needs, cycles) is
//! `resolve`'s part.

use std::collections::BTreeMap;

use super::check::Check;
use super::node::{Node, escape};
use super::wire;
use crate::model::{
    Build, ConfigFile, Egress, Image, Network, Secret, Service, Source, Volume, VolumeKind,
};
use crate::name::ServiceName;

mod container;
mod work;

pub(crate) use work::source;

/// What is known about a service besides its keys.
pub(crate) struct Given<'a> {
    pub(crate) name: ServiceName,
    pub(crate) convention: String,
    pub(crate) source: Source,
    pub(crate) version: Option<String>,
    pub(crate) evidence: Vec<crate::model::Evidence>,
    /// The configuration file, already put together.
    pub(crate) config: Option<(String, String)>,
    /// Whether settings become environment variables.
    pub(crate) settings_as_variables: bool,
    /// The values of environment variables that were asked for.
    pub(crate) environment: &'a BTreeMap<String, String>,
}

/// The service as everything else sees it. Its needs are filled in later.
pub(crate) fn service(given: Given<'_>, mut spec: wire::Spec, check: &mut Check<'_>) -> Service {
    let name = given.name.to_string();
    let volumes = volumes(&spec, check);
    let build = spec.container.build.take();
    let image = image(&spec, build, check);
    let container = std::mem::take(&mut spec.container);
    let mut main = container::container(&name, "/container", container, &volumes, check);
    main.image = None;
    if given.settings_as_variables {
        main.environment.extend(settings(&spec, check));
    }
    let mut helpers = Vec::new();
    let order = check
        .tree()
        .get("helpers")
        .map(Node::entries)
        .unwrap_or_default();
    for key in order.iter().map(|entry| &entry.key) {
        let pointer = format!("/helpers/{}", escape(key));
        let Some(helper) = spec.helpers.remove(key) else {
            continue;
        };
        check.label(&pointer, key);
        if *key == name {
            check.fail(
                &pointer,
                format!("the helper `{key}` has the service's own name"),
            );
        }
        if helper.image.is_none() {
            check.fail(&pointer, format!("the helper `{key}` needs an `image`"));
        }
        helpers.push(container::container(
            key,
            &pointer,
            helper.into(),
            &volumes,
            check,
        ));
    }
    container::distinct_ports(&main, &helpers, check);
    let image = with_entrypoint(image, &main.command);
    let files = files(&given, &spec, check);
    let secrets = secrets(&given, &spec, &main.environment, check);
    let network = network(spec.network.take().unwrap_or_default(), check);
    let develop = work::develop(&given.source, spec.develop.take(), &image, check);
    let test = work::test(spec.test.take(), &image, check);
    let replicas = spec
        .replicas
        .as_ref()
        .map_or(1, |it| check.number("/replicas", &it.0, 0, 1000));
    Service {
        name: given.name,
        convention: given.convention,
        version: given.version,
        source: given.source,
        image,
        main,
        helpers,
        replicas,
        files,
        secrets,
        volumes,
        network,
        needs: Vec::new(),
        develop,
        test,
        evidence: given.evidence,
    }
}

fn volumes(spec: &wire::Spec, check: &mut Check<'_>) -> Vec<Volume> {
    let mut volumes = Vec::new();
    for (name, volume) in &spec.volumes {
        let pointer = format!("/volumes/{}", escape(name));
        check.label(&pointer, name);
        let kind = match &volume.size {
            None => VolumeKind::Temporary,
            Some(size) => VolumeKind::Persistent {
                size: container::quantity(&format!("{pointer}/size"), &size.0, check),
            },
        };
        volumes.push(Volume {
            name: name.clone(),
            kind,
        });
    }
    volumes
}

fn image(spec: &wire::Spec, build: Option<wire::Build>, check: &mut Check<'_>) -> Image {
    match (&spec.container.image, build) {
        (Some(image), None) => {
            container::image_reference("/container/image", image, check);
            Image::Reference(image.clone())
        }
        (None, Some(wire)) => Image::Build(build_of(wire, check)),
        (None, None) => {
            let hint = "name an image, or a convention that makes one".to_owned();
            check.hinted(
                "/container",
                "the container has neither `image` nor `build`",
                Some(hint),
            );
            Image::Reference(String::new())
        }
        (Some(image), Some(_)) => {
            check.fail("/container/image", "`image` and `build` exclude each other");
            Image::Reference(image.clone())
        }
    }
}

fn build_of(wire: wire::Build, check: &mut Check<'_>) -> Build {
    let at = "/container/build";
    let directory = wire.directory.unwrap_or_else(|| "/srv/app".to_owned());
    check.absolute(&format!("{at}/directory"), &directory);
    match &wire.base {
        Some(base) => container::image_reference(&format!("{at}/base"), base, check),
        None => check.fail(at, "`build` lacks `base`"),
    }
    let user = wire.user.map_or("900".to_owned(), |it| it.0);
    let owner = wire.owner.map_or("65533".to_owned(), |it| it.0);
    Build {
        base: wire.base.unwrap_or_default(),
        directory,
        user: check.number(&format!("{at}/user"), &user, 0, u32::MAX - 1),
        owner: check.number(&format!("{at}/owner"), &owner, 0, u32::MAX - 1),
        entrypoint: Vec::new(),
        environment: variables(&format!("{at}/environment"), wire.environment, check),
        exclude: wire.exclude,
        dependencies: wire
            .dependencies
            .map(|it| work::dependencies(&format!("{at}/dependencies"), it, check)),
    }
}

fn with_entrypoint(image: Image, command: &[String]) -> Image {
    match image {
        Image::Build(build) => Image::Build(Build {
            entrypoint: command.to_vec(),
            ..build
        }),
        image @ Image::Reference(_) => image,
    }
}

fn words(words: Vec<wire::Scalar>) -> Vec<String> {
    words.into_iter().map(|word| word.0).collect()
}

fn variables(
    at: &str,
    wire: BTreeMap<String, wire::Scalar>,
    check: &mut Check<'_>,
) -> BTreeMap<String, String> {
    for name in wire.keys() {
        check.variable(&format!("{at}/{}", escape(name)), name);
    }
    wire.into_iter()
        .map(|(name, value)| (name, value.0))
        .collect()
}

fn settings(spec: &wire::Spec, check: &mut Check<'_>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (key, value) in &spec.settings {
        let name = key.to_uppercase().replace(['-', '.'], "_");
        check.variable(&format!("/settings/{}", escape(key)), &name);
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned);
        variables.push((name, text));
    }
    variables
}

fn files(given: &Given<'_>, spec: &wire::Spec, check: &mut Check<'_>) -> Vec<ConfigFile> {
    let container = given.name.to_string();
    let mut files = Vec::new();
    if let Some((path, text)) = &given.config {
        check.absolute("/config/path", path);
        files.push(ConfigFile {
            path: path.clone(),
            text: text.clone(),
            container: container.clone(),
        });
    }
    for (path, text) in &spec.files {
        let pointer = format!("/files/{}", escape(path));
        check.absolute(&pointer, path);
        if files.iter().any(|file| file.path == *path) {
            check.fail(
                &pointer,
                format!("`{path}` is the configuration file already"),
            );
        }
        files.push(ConfigFile {
            path: path.clone(),
            text: text.clone(),
            container: container.clone(),
        });
    }
    files
}

fn secrets(
    given: &Given<'_>,
    spec: &wire::Spec,
    environment: &[(String, String)],
    check: &mut Check<'_>,
) -> BTreeMap<String, Secret> {
    let mut secrets = BTreeMap::new();
    for (name, secret) in &spec.secrets {
        let pointer = format!("/secrets/{}", escape(name));
        check.variable(&pointer, name);
        if environment.iter().any(|(other, _)| other == name) {
            let message = format!("`{name}` is both a secret and a public variable");
            check.fail(&pointer, message);
        }
        let value = match (&secret.value, &secret.environment) {
            (Some(value), None) => value.0.clone(),
            (None, Some(variable)) => {
                let Some(value) = given.environment.get(variable) else {
                    let message = format!("the environment variable `{variable}` isn't set");
                    let hint = format!("type `export {variable}=…` first");
                    check.hinted(&format!("{pointer}/environment"), message, Some(hint));
                    continue;
                };
                value.clone()
            }
            _ => {
                let message = format!("the secret `{name}` needs `value` or `environment`");
                check.fail(&pointer, message);
                continue;
            }
        };
        secrets.insert(name.clone(), Secret::new(value));
    }
    secrets
}

fn network(wire: wire::Network, check: &mut Check<'_>) -> Network {
    let restrict_egress = wire.egress.is_some();
    let mut egress = Vec::new();
    for (index, rule) in wire.egress.unwrap_or_default().into_iter().enumerate() {
        let pointer = format!("/network/egress/{index}");
        match (rule.service, rule.cidr) {
            (Some(service), None) => match ServiceName::new(service) {
                Ok(name) => egress.push(Egress::Service(name)),
                Err(error) => check.fail(&format!("{pointer}/service"), error.to_string()),
            },
            (None, Some(cidr)) => {
                if !is_cidr(&cidr) {
                    let message = format!("`{cidr}` isn't an address range");
                    let hint = Some("such as `10.64.0.0/12`".to_owned());
                    check.hinted(&format!("{pointer}/cidr"), message, hint);
                }
                let ports = rule.ports.iter().enumerate().map(|(number, port)| {
                    check.number(&format!("{pointer}/ports/{number}"), &port.0, 1, 65535) as u16
                });
                let ports = ports.collect();
                egress.push(Egress::Cidr { cidr, ports });
            }
            _ => check.fail(&pointer, "an allowed connection needs `service` or `cidr`"),
        }
    }
    Network {
        restrict_egress,
        egress,
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    let Ok(prefix) = prefix.parse::<u8>() else {
        return false;
    };
    match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => prefix <= 32,
        Ok(std::net::IpAddr::V6(_)) => prefix <= 128,
        Err(_) => false,
    }
}
