//! Turns one service's merged and rendered keys into the resolved model, and checks them on the way.
//!
//! Defaults are filled in here and nowhere else. What concerns several services (needs, cycles) is
//! `resolve`'s part.

use std::collections::BTreeMap;

use super::check::Check;
use super::defaults;
use super::node::{Node, escape};
use super::wire;
use crate::model::{
    Build, BuildFile, BuildNetwork, ConfigFile, Engine, Image, Secret, SecretSource, Service,
    Source, Volume, VolumeKind,
};
use crate::name::ServiceName;

mod container;
mod network;
mod sidecar;
mod work;
mod workload;

pub(crate) use container::quantities;

pub(crate) use work::source;

/// The ConfigMap of a service's files, as what stands behind its name.
const FILES: &str = "config";

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
    let mut files = files(&given, &spec, check);
    let mut annotations = BTreeMap::new();
    let mut helpers = Vec::new();
    for (key, helper) in in_order(&mut spec, check) {
        let helper = sidecar::helper(&name, &key, helper, &volumes, check);
        helper.brought.add_to(&mut main);
        files.extend(helper.files);
        annotations.extend(helper.annotations);
        helpers.push(helper.container);
    }
    annotations.extend(workload::annotations(
        "/annotations",
        &spec.annotations,
        check,
    ));
    container::distinct_ports(&main, &helpers, check);
    let image = with_entrypoint(image, &main.command);
    let secrets = secrets(&given, &spec, &main.environment, check);
    let network = network::network(spec.network.take().unwrap_or_default(), check);
    let develop = work::develop(&given.source, spec.develop.take(), &image, check);
    let test = work::test(spec.test.take(), &image, check);
    let replicas = spec.replicas.as_ref().map_or(defaults::REPLICAS, |it| {
        check.number("/replicas", &it.0, 0, 1000)
    });
    Service {
        name: given.name,
        convention: given.convention,
        version: given.version,
        source: given.source,
        image,
        main,
        helpers,
        workload: workload::workload(spec.workload, check),
        replicas,
        account: spec.service_account.unwrap_or(false),
        annotations,
        patches: workload::patches(spec.patches, check),
        files,
        secrets,
        certificates: BTreeMap::new(),
        volumes,
        network,
        needs: Vec::new(),
        develop,
        test,
        evidence: given.evidence,
    }
}

/// The helpers in the order in which they were described.
fn in_order(spec: &mut wire::Spec, check: &Check<'_>) -> Vec<(String, wire::HelperContainer)> {
    let described = check.tree().get("helpers").map(Node::entries);
    let keys = described.unwrap_or_default().iter().map(|entry| &entry.key);
    keys.filter_map(|key| Some((key.clone(), spec.helpers.remove(key)?)))
        .collect()
}

/// The pod's volumes: the service's own and those that helpers bring.
fn volumes(spec: &wire::Spec, check: &mut Check<'_>) -> Vec<Volume> {
    let mut volumes: Vec<Volume> = Vec::new();
    let own = spec.volumes.iter().map(|it| ("/volumes".to_owned(), it));
    let brought = spec.helpers.iter().flat_map(|(key, helper)| {
        let at = format!("/helpers/{}/volumes", escape(key));
        helper.volumes.iter().map(move |it| (at.clone(), it))
    });
    for (at, (name, volume)) in own.chain(brought) {
        let pointer = format!("{at}/{}", escape(name));
        check.label(&pointer, name);
        let certificate = volume.certificate.unwrap_or(false);
        let kind = match &volume.size {
            Some(_) if certificate => {
                check.fail(&pointer, "a volume has a `size` or holds a `certificate`");
                VolumeKind::Certificate
            }
            None if certificate => VolumeKind::Certificate,
            None => VolumeKind::Temporary,
            Some(size) => VolumeKind::Persistent {
                size: container::quantity(&format!("{pointer}/size"), &size.0, check),
            },
        };
        match volumes.iter().find(|other| other.name == *name) {
            // Helpers may share a volume, each naming it.
            Some(other) if other.kind == kind => {}
            Some(_) => check.fail(
                &pointer,
                format!("the volume `{name}` is two different things"),
            ),
            None => volumes.push(Volume {
                name: name.clone(),
                kind,
            }),
        }
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
    let directory = wire
        .directory
        .unwrap_or_else(|| defaults::DIRECTORY.to_owned());
    check.absolute(&format!("{at}/directory"), &directory);
    match (&wire.base, &wire.file) {
        (Some(base), _) => container::image_reference(&format!("{at}/base"), base, check),
        (None, Some(_)) => {}
        (None, None) => check.hinted(
            at,
            "`build` lacks `base`",
            Some("name a base, or the `file` that says how the image is built".to_owned()),
        ),
    }
    let arguments = variables(&format!("{at}/arguments"), wire.arguments, check);
    let file = wire.file.map(|path| {
        check.relative(&format!("{at}/file"), &path);
        BuildFile {
            path,
            variant: wire.variant.clone(),
            arguments: arguments.clone(),
            engine: wire.engine.and_then(engine),
            network: wire.network.map(build_network),
        }
    });
    let of_files = [
        ("variant", wire.variant.is_some()),
        ("arguments", !arguments.is_empty()),
        ("engine", wire.engine.is_some()),
        ("network", wire.network.is_some()),
    ];
    let said = of_files.iter().find(|(_, is_said)| *is_said);
    if let (None, Some((key, _))) = (&file, said) {
        let message = format!("`{key}` says something only of a `file`, and there is none");
        check.hinted(
            &format!("{at}/{key}"),
            message,
            Some("name it: `file: Dockerfile`".to_owned()),
        );
    }
    let user = wire.user.map_or(defaults::USER.to_owned(), |it| it.0);
    let owner = wire.owner.map_or(defaults::OWNER.to_owned(), |it| it.0);
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
        file,
    }
}

/// The one of others that is meant.
fn engine(wire: wire::Engine) -> Option<Engine> {
    match wire {
        wire::Engine::Mwctl => None,
        wire::Engine::Buildkit => Some(Engine::Buildkit),
        wire::Engine::Docker => Some(Engine::Docker),
        wire::Engine::Podman => Some(Engine::Podman),
        wire::Engine::Buildah => Some(Engine::Buildah),
    }
}

fn build_network(wire: wire::BuildNetwork) -> BuildNetwork {
    match wire {
        wire::BuildNetwork::Host => BuildNetwork::Host,
        wire::BuildNetwork::None => BuildNetwork::None,
        wire::BuildNetwork::Relay => BuildNetwork::Relay,
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
            map: FILES.to_owned(),
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
            map: FILES.to_owned(),
        });
    }
    files
}

fn secrets(
    given: &Given<'_>,
    spec: &wire::Spec,
    environment: &[(String, String)],
    check: &mut Check<'_>,
) -> BTreeMap<String, SecretSource> {
    let mut secrets = BTreeMap::new();
    for (name, secret) in &spec.secrets {
        let pointer = format!("/secrets/{}", escape(name));
        check.variable(&pointer, name);
        if environment.iter().any(|(other, _)| other == name) {
            let message = format!("`{name}` is both a secret and a public variable");
            check.fail(&pointer, message);
        }
        let source = match (
            &secret.value,
            &secret.environment,
            &secret.generate,
            &secret.from,
        ) {
            (Some(value), None, None, None) => SecretSource::Given(Secret::new(&value.0)),
            (None, Some(variable), None, None) => {
                let Some(value) = given.environment.get(variable) else {
                    let message = format!("the environment variable `{variable}` isn't set");
                    let hint = format!("type `export {variable}=…` first");
                    check.hinted(&format!("{pointer}/environment"), message, Some(hint));
                    continue;
                };
                SecretSource::Given(Secret::new(value))
            }
            (None, None, Some(generate), None) => {
                let length = generate.length.as_ref().map_or("24", |it| it.0.as_str());
                let at = format!("{pointer}/generate/length");
                SecretSource::Generated {
                    length: check.number(&at, length, 8, 256),
                }
            }
            (None, None, None, Some(from)) => match ServiceName::new(from.service.as_str()) {
                Ok(service) => SecretSource::Of {
                    service,
                    secret: from.secret.clone(),
                },
                Err(error) => {
                    check.fail(&format!("{pointer}/from/service"), error.to_string());
                    continue;
                }
            },
            _ => {
                let message = format!(
                    "the secret `{name}` needs exactly one of `value`, `environment`, `generate` and `from`"
                );
                check.fail(&pointer, message);
                continue;
            }
        };
        secrets.insert(name.clone(), source);
    }
    secrets
}
