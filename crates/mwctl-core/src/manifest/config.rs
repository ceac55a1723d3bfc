//! Configuration: the ConfigMaps of a service's files, the Secrets of its private settings and of its
//! certificates, and how they reach the containers.
//!
//! Directories are mounted whole, since a file mounted by `subPath` never changes in a running pod.
//! The one exception is a file in a directory that holds other things too, the application's or one
//! of the system's: mounting that directory would hide them. (A change of either kind replaces the
//! pods anyway, by the checksum in their annotations.)

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, EnvVar, EnvVarSource, KeyToPath, Secret, SecretKeySelector,
    Volume, VolumeMount,
};
use sha2::{Digest, Sha256};

use super::label::{hash, object_name, shorten};
use super::workload::metadata;
use crate::model::{ConfigFile, Container, Image, Service, Stack, VolumeKind};

/// The pod annotations that replace the pods when configuration changes.
const CONFIGURATION_CHECKSUM: &str = "checksum/configuration";
const SECRETS_CHECKSUM: &str = "checksum/secrets";
const TLS_CHECKSUM: &str = "checksum/tls-config";

/// The helper whose configuration has a checksum of its own.
const TLS_PROXY: &str = "tls-proxy";

/// The ConfigMaps of a service's files.
pub(super) fn config_maps(stack: &Stack, service: &Service, worktree: &str) -> Vec<ConfigMap> {
    let maps: BTreeSet<&str> = service.files.iter().map(|file| file.map.as_str()).collect();
    maps.into_iter()
        .map(|map| ConfigMap {
            metadata: metadata(stack, service, config_name(stack, service, map), worktree),
            data: Some(data(service, map)),
            ..Default::default()
        })
        .collect()
}

/// The Secret of a service's private settings; `None` where it has none.
pub(super) fn secret(stack: &Stack, service: &Service, worktree: &str) -> Option<Secret> {
    if service.secrets.is_empty() {
        return None;
    }
    let data = service
        .secrets
        .iter()
        .map(|(key, value)| (key.clone(), ByteString(value.text().as_bytes().to_vec())));
    Some(Secret {
        metadata: metadata(stack, service, secret_name(stack, service), worktree),
        data: Some(data.collect()),
        type_: Some("Opaque".to_owned()),
        ..Default::default()
    })
}

/// The Secrets of a service's certificates, `None` where it has none yet.
pub(super) fn certificates(stack: &Stack, service: &Service, worktree: &str) -> Vec<Secret> {
    let volumes = service.volumes.iter();
    volumes
        .filter(|volume| volume.kind == VolumeKind::Certificate)
        .map(|volume| {
            let name = certificate_name(stack, service, &volume.name);
            let pair = service.certificates.get(&volume.name);
            let data = [
                ("tls.crt", pair.map(|pair| pair.certificate.as_str())),
                ("tls.key", pair.map(|pair| pair.key.reveal())),
            ];
            let data = data.map(|(key, text)| {
                let bytes = text.unwrap_or_default().as_bytes().to_vec();
                (key.to_owned(), ByteString(bytes))
            });
            Secret {
                metadata: metadata(stack, service, name, worktree),
                data: Some(data.into()),
                type_: Some("kubernetes.io/tls".to_owned()),
                ..Default::default()
            }
        })
        .collect()
}

/// The checksums of files, of a proxy's among them, and of secrets, as pod annotations.
pub(super) fn checksums(service: &Service) -> BTreeMap<String, String> {
    let mut checksums = BTreeMap::new();
    let mut add = |name: &str, own: &dyn Fn(&ConfigFile) -> bool| {
        let files = service.files.iter().filter(|file| own(file));
        let pairs = files.map(|file| {
            (
                format!("{}:{}", file.container, file.path),
                file.text.clone(),
            )
        });
        let pairs: BTreeMap<String, String> = pairs.collect();
        if !pairs.is_empty() {
            checksums.insert(name.to_owned(), checksum(pairs));
        }
    };
    add(CONFIGURATION_CHECKSUM, &|file| file.container != TLS_PROXY);
    add(TLS_CHECKSUM, &|file| file.container == TLS_PROXY);
    let pairs = service
        .secrets
        .iter()
        .map(|(key, value)| (key.clone(), value.text().to_owned()));
    let certificates = service.certificates.iter();
    let certificates =
        certificates.map(|(volume, pair)| (volume.clone(), pair.certificate.clone()));
    let pairs: BTreeMap<String, String> = pairs.chain(certificates).collect();
    if !pairs.is_empty() {
        checksums.insert(SECRETS_CHECKSUM.to_owned(), checksum(pairs));
    }
    checksums
}

/// The environment of a container: who it is first, then what is public, then, in the main one, what
/// is private. `more` is put on top. Where a name occurs twice the later value wins in the earlier
/// place, because the API refuses a list with both.
pub(super) fn environment(
    stack: &Stack,
    service: &Service,
    container: &Container,
    more: &BTreeMap<String, String>,
) -> Vec<EnvVar> {
    let plain = |name: &str, value: &str| EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    };
    let mut variables: Vec<EnvVar> =
        vec![plain("SERVICE_IDENTIFIER", &object_name(stack, service))];
    let mut set = |variable: EnvVar| match variables.iter_mut().find(|v| v.name == variable.name) {
        Some(earlier) => *earlier = variable,
        None => variables.push(variable),
    };
    for (name, value) in neighbours(stack, service) {
        set(plain(&name, &value));
    }
    for (name, value) in &container.environment {
        set(plain(name, value));
    }
    if container.name == service.main.name {
        for name in service.secrets.keys() {
            set(private(name, &secret_name(stack, service)));
        }
        for (name, value) in more {
            set(plain(name, value));
        }
    }
    variables
}

/// Where the services are that this one needs, under the names that Kubernetes itself gives such
/// variables. Kubernetes' own are there only for services that were made before the pod, and never
/// for those without an address of the cluster.
fn neighbours(stack: &Stack, service: &Service) -> Vec<(String, String)> {
    let needed = service.needs.iter();
    needed
        .filter_map(|need| stack.services.get(&need.service))
        .filter_map(|other| Some((other, other.port()?)))
        .flat_map(|(other, port)| {
            let host = object_name(stack, other);
            let name = host.to_uppercase().replace(['-', '.'], "_");
            [
                (format!("{name}_SERVICE_HOST"), host),
                (format!("{name}_SERVICE_PORT"), port.number.to_string()),
            ]
        })
        .collect()
}

fn private(name: &str, secret: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.to_owned(),
                key: name.to_owned(),
                optional: None,
            }),
            ..Default::default()
        }),
    }
}

/// Directories of the system that an image always has something in.
const SYSTEM: [&str; 20] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/local/etc",
    "/var",
];

/// A directory of configuration files in one container.
struct Directory<'a> {
    /// The name of its volume in the pod.
    volume: String,
    /// Its path in the container.
    path: &'a str,
    /// The container that sees it.
    container: &'a str,
    /// The ConfigMap that holds it, as what stands behind the service's name.
    map: &'a str,
    /// Its files.
    files: Vec<&'a ConfigFile>,
}

fn directories(service: &Service) -> Vec<Directory<'_>> {
    let mut grouped: BTreeMap<(&str, &str, &str), Vec<&ConfigFile>> = BTreeMap::new();
    for file in &service.files {
        let key = (
            file.container.as_str(),
            parent(&file.path),
            file.map.as_str(),
        );
        grouped.entry(key).or_default().push(file);
    }
    grouped
        .into_iter()
        .enumerate()
        .map(|(index, ((container, path, map), files))| Directory {
            volume: format!("config-{index}"),
            path,
            container,
            map,
            files,
        })
        .collect()
}

/// The pod's volumes for configuration files.
pub(super) fn volumes(stack: &Stack, service: &Service) -> Vec<Volume> {
    let keys = keys(service);
    directories(service)
        .into_iter()
        .map(|directory| Volume {
            name: directory.volume,
            config_map: Some(ConfigMapVolumeSource {
                name: config_name(stack, service, directory.map),
                items: Some(
                    directory
                        .files
                        .iter()
                        .map(|file| KeyToPath {
                            key: keys[&(file.container.as_str(), file.path.as_str())].clone(),
                            path: base_name(&file.path).to_owned(),
                            mode: None,
                        })
                        .collect(),
                ),
                ..Default::default()
            }),
            ..Default::default()
        })
        .collect()
}

/// Where a container sees its configuration files.
pub(super) fn mounts(service: &Service, container: &Container) -> Vec<VolumeMount> {
    let mut mounts = Vec::new();
    for directory in directories(service) {
        if directory.container != container.name {
            continue;
        }
        let mount = |path: &str, file: Option<&str>| VolumeMount {
            name: directory.volume.clone(),
            mount_path: path.to_owned(),
            sub_path: file.map(str::to_owned),
            read_only: Some(true),
            ..Default::default()
        };
        if holds_more(service, directory.path) {
            for file in &directory.files {
                mounts.push(mount(&file.path, Some(base_name(&file.path))));
            }
        } else {
            mounts.push(mount(directory.path, None));
        }
    }
    mounts
}

/// Whether a mount at `path` would hide what the image or the checkout put there.
fn holds_more(service: &Service, path: &str) -> bool {
    let image = match &service.image {
        Image::Build(build) => Some(build.directory.as_str()),
        Image::Reference(_) => None,
    };
    let develop = service.develop.as_ref().map(|d| d.directory.as_str());
    SYSTEM.contains(&path)
        || [image, develop, service.main.working_directory.as_deref()]
            .into_iter()
            .flatten()
            .any(|application| is_within(application, path))
}

/// Whether `path` is `directory` or lies in it.
fn is_within(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn data(service: &Service, map: &str) -> BTreeMap<String, String> {
    let keys = keys(service);
    let files = service.files.iter().filter(|file| file.map == map);
    files
        .map(|file| {
            let key = &keys[&(file.container.as_str(), file.path.as_str())];
            (key.clone(), file.text.clone())
        })
        .collect()
}

/// The key of each file in the ConfigMap: its name, and a hash before it where two have that name.
fn keys(service: &Service) -> BTreeMap<(&str, &str), String> {
    let key = |path: &str| -> String {
        base_name(path)
            .chars()
            .map(|c| match c {
                '-' | '_' | '.' => c,
                c if c.is_ascii_alphanumeric() => c,
                _ => '_',
            })
            .collect()
    };
    let mut keys = BTreeMap::new();
    for file in &service.files {
        let own = key(&file.path);
        let alone = service.files.iter().filter(|f| key(&f.path) == own).count() == 1;
        let whole = format!("{}:{}", file.container, file.path);
        keys.insert(
            (file.container.as_str(), file.path.as_str()),
            if alone {
                own
            } else {
                format!("{}-{own}", hash(&whole))
            },
        );
    }
    keys
}

fn checksum(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let mut hasher = Sha256::new();
    for text in pairs.into_iter().flat_map(|(key, value)| [key, value]) {
        // Lengths keep `a`, `bc` unlike `ab`, `c`.
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hex::encode(hasher.finalize())
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((directory, _)) => directory,
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn config_name(stack: &Stack, service: &Service, map: &str) -> String {
    shorten(&format!("{}-{map}", object_name(stack, service)))
}

/// The name of the Secret with a certificate.
pub(crate) fn certificate_name(stack: &Stack, service: &Service, volume: &str) -> String {
    shorten(&format!("{}-{volume}", object_name(stack, service)))
}

/// The name of the Secret with a service's private settings.
pub(crate) fn secret_name(stack: &Stack, service: &Service) -> String {
    shorten(&format!("{}-secret-config", object_name(stack, service)))
}
