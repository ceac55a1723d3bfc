//! What a pod's volumes are on this node: a decision on the pod and what it refers to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, VolumeProjection,
};
use mwctl_container::{File, Source, Volume};

use crate::quantity;

use super::checkout;
use super::fields::{self, Surroundings};
use super::owners::Group;
use super::sources::Sources;

/// A volume as this node has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// In the node's memory.
    Memory(Volume),
    /// A folder of the pod's own on disk, which goes with it.
    Disk { path: PathBuf, group: Option<u32> },
    /// Part of the machine.
    Host { path: PathBuf, expected: Expected },
}

/// What a path of the machine must be (`hostPath.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Anything,
    Directory {
        make: bool,
    },
    File {
        make: bool,
    },
    Socket,
    /// The folder of a claim, made when it is first mounted, whose users the pods that claim it choose.
    Claim {
        group: Option<Group>,
    },
    /// A folder that is there and is only read.
    Checkout,
}

/// A token that a volume wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenNeed {
    pub(crate) audience: Option<String>,
    pub(crate) seconds: i64,
}

/// Everything that a plan is made of besides the pod.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) tokens: &'a BTreeMap<TokenNeed, String>,
    pub(crate) around: &'a Surroundings,
    /// Folders of the machine below which pods may mount.
    pub(crate) allowed: &'a [PathBuf],
    /// Checkouts that pods may mount.
    pub(crate) checkouts: &'a [PathBuf],
    /// The folder of volumes that begin empty.
    pub(crate) empty: &'a Path,
}

const FILE_MODE: u32 = 0o644;

/// The name of a pod's volume among all of the node.
pub(crate) fn name(pod: &Pod, volume: &str) -> String {
    format!(
        "{}-{volume}",
        pod.metadata.uid.as_deref().unwrap_or_default()
    )
}

/// The tokens that a pod's volumes want.
pub(crate) fn tokens(pod: &Pod) -> Vec<TokenNeed> {
    let volumes = pod
        .spec
        .iter()
        .filter_map(|spec| spec.volumes.as_ref())
        .flatten();
    let sources = volumes
        .filter_map(|volume| volume.projected.as_ref()?.sources.as_ref())
        .flatten();
    sources
        .filter_map(|source| source.service_account_token.as_ref())
        .map(TokenNeed::of)
        .collect()
}

impl TokenNeed {
    fn of(source: &k8s_openapi::api::core::v1::ServiceAccountTokenProjection) -> Self {
        Self {
            audience: source.audience.clone(),
            seconds: source.expiration_seconds.unwrap_or(3600),
        }
    }
}

/// All volumes of a pod by their names, or the first that can't be.
pub(crate) fn plan(pod: &Pod, given: &Given<'_>) -> Result<BTreeMap<String, Planned>, String> {
    let volumes = pod
        .spec
        .iter()
        .filter_map(|spec| spec.volumes.as_ref())
        .flatten();
    volumes
        .map(|volume| {
            let planned = plan_one(pod, volume, given).map_err(|why| {
                format!(
                    "MountVolume.SetUp failed for volume {:?} : {why}",
                    volume.name
                )
            })?;
            Ok((volume.name.clone(), planned))
        })
        .collect()
}

fn plan_one(
    pod: &Pod,
    volume: &k8s_openapi::api::core::v1::Volume,
    given: &Given<'_>,
) -> Result<Planned, String> {
    let group = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.security_context.as_ref()?.fs_group);
    let group = group.and_then(|group| u32::try_from(group).ok());
    let memory = |limit, files: Option<Vec<File>>| {
        let writable = files.is_none();
        let mode = if !writable {
            0o755
        } else if group.is_some() {
            0o2777
        } else {
            0o777
        };
        Planned::Memory(Volume {
            name: name(pod, &volume.name),
            limit,
            mode,
            group,
            files,
        })
    };
    if let Some(empty) = &volume.empty_dir {
        let limit = empty.size_limit.as_ref().and_then(quantity::units);
        // What is limited is in memory as well: a folder can't be.
        return Ok(
            if empty.medium.as_deref() == Some("Memory") || limit.is_some() {
                memory(limit, None)
            } else {
                let path = given.empty.join(name(pod, &volume.name));
                Planned::Disk { path, group }
            },
        );
    }
    if let Some(it) = &volume.config_map {
        let map = given.sources.config_map(&it.name, it.optional)?;
        let files = map
            .map(|map| of_config_map(map, it.items.as_deref(), it.default_mode, it.optional))
            .transpose()?;
        return Ok(memory(None, Some(files.unwrap_or_default())));
    }
    if let Some(it) = &volume.secret {
        let secret = given
            .sources
            .secret(it.secret_name.as_deref().unwrap_or_default(), it.optional)?;
        let files = secret
            .map(|secret| of_secret(secret, it.items.as_deref(), it.default_mode, it.optional))
            .transpose()?;
        return Ok(memory(None, Some(files.unwrap_or_default())));
    }
    if let Some(it) = &volume.downward_api {
        let files = of_pod(
            pod,
            it.items.as_deref().unwrap_or_default(),
            it.default_mode,
            given,
        )?;
        return Ok(memory(None, Some(files)));
    }
    if let Some(it) = &volume.projected {
        let mut files = Vec::new();
        for source in it.sources.iter().flatten() {
            files.extend(of_projection(pod, source, it.default_mode, given)?);
        }
        return Ok(memory(None, Some(files)));
    }
    if let Some(it) = &volume.persistent_volume_claim {
        let folder = given.sources.claims.get(&it.claim_name);
        let folder = folder.ok_or_else(|| {
            let claim = &it.claim_name;
            format!("persistentvolumeclaim {claim:?} isn't bound to a volume of this machine")
        })?;
        let path = allowed(folder, given.allowed)?;
        let group = group.map(|number| Group {
            number,
            trusts_root: trusts_root(pod),
        });
        let expected = Expected::Claim { group };
        return Ok(Planned::Host { path, expected });
    }
    if let Some(it) = &volume.host_path {
        return of_host(&it.path, it.type_.as_deref(), given.allowed);
    }
    if let Some(it) = &volume.csi {
        return checkout::of(it, given.checkouts);
    }
    Err("this node has no volumes of that kind; it has emptyDir, configMap, secret, downwardAPI, projected, persistentVolumeClaim and hostPath".to_owned())
}

fn trusts_root(pod: &Pod) -> bool {
    let context = pod
        .spec
        .as_ref()
        .and_then(|it| it.security_context.as_ref());
    let policy = context.and_then(|it| it.fs_group_change_policy.as_deref());
    policy == Some("OnRootMismatch")
}

fn of_projection(
    pod: &Pod,
    source: &VolumeProjection,
    mode: Option<i32>,
    given: &Given<'_>,
) -> Result<Vec<File>, String> {
    if let Some(it) = &source.config_map {
        let map = given.sources.config_map(&it.name, it.optional)?;
        return map.map_or(Ok(Vec::new()), |map| {
            of_config_map(map, it.items.as_deref(), mode, it.optional)
        });
    }
    if let Some(it) = &source.secret {
        let secret = given.sources.secret(&it.name, it.optional)?;
        return secret.map_or(Ok(Vec::new()), |secret| {
            of_secret(secret, it.items.as_deref(), mode, it.optional)
        });
    }
    if let Some(it) = &source.downward_api {
        return of_pod(pod, it.items.as_deref().unwrap_or_default(), mode, given);
    }
    if let Some(it) = &source.service_account_token {
        let token = given
            .tokens
            .get(&TokenNeed::of(it))
            .ok_or("there is no token")?;
        return Ok(vec![file(&it.path, token.clone().into_bytes(), mode)]);
    }
    Err(
        "this node projects config maps, secrets, fields of the pod and tokens, and nothing else"
            .to_owned(),
    )
}

fn of_config_map(
    map: &ConfigMap,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
    optional: Option<bool>,
) -> Result<Vec<File>, String> {
    let text = map
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let binary = map
        .binary_data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.0.clone()));
    choose(text.chain(binary).collect(), items, mode, optional)
}

fn of_secret(
    secret: &Secret,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
    optional: Option<bool>,
) -> Result<Vec<File>, String> {
    let all = secret
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.0.clone()));
    choose(all.collect(), items, mode, optional)
}

/// All keys, or the named ones under their paths.
fn choose(
    mut all: BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
    optional: Option<bool>,
) -> Result<Vec<File>, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(all
            .into_iter()
            .map(|(key, content)| file(&key, content, mode))
            .collect());
    };
    let mut files = Vec::new();
    for item in items {
        match all.remove(&item.key) {
            Some(content) => files.push(file(&item.path, content, item.mode.or(mode))),
            None if optional == Some(true) => {}
            None => return Err(format!("references non-existent config key: {}", item.key)),
        }
    }
    Ok(files)
}

fn of_pod(
    pod: &Pod,
    items: &[DownwardAPIVolumeFile],
    mode: Option<i32>,
    given: &Given<'_>,
) -> Result<Vec<File>, String> {
    let one = |item: &DownwardAPIVolumeFile| {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(reference), _) => fields::field(pod, &reference.field_path, given.around)?,
            (None, Some(reference)) => {
                let nobody = k8s_openapi::api::core::v1::Container::default();
                fields::resource(pod, &nobody, reference, given.around)?
            }
            (None, None) => return Err(format!("{} has no source", item.path)),
        };
        Ok(file(&item.path, text.into_bytes(), item.mode.or(mode)))
    };
    items.iter().map(one).collect()
}

fn file(path: &str, content: Vec<u8>, mode: Option<i32>) -> File {
    let mode = mode
        .and_then(|mode| u32::try_from(mode).ok())
        .unwrap_or(FILE_MODE);
    File {
        path: path.into(),
        content,
        mode,
        user: None,
    }
}

/// A path of the machine, if it is below a folder that pods may mount.
fn of_host(path: &str, kind: Option<&str>, allowed: &[PathBuf]) -> Result<Planned, String> {
    let expected = match kind {
        None | Some("") => Expected::Anything,
        Some("Directory") => Expected::Directory { make: false },
        Some("DirectoryOrCreate") => Expected::Directory { make: true },
        Some("File") => Expected::File { make: false },
        Some("FileOrCreate") => Expected::File { make: true },
        Some("Socket") => Expected::Socket,
        Some(other) => return Err(format!("hostPath.type {other} can't be had on this node")),
    };
    let path = self::allowed(path, allowed)?;
    Ok(Planned::Host { path, expected })
}

pub(super) fn allowed(path: &str, allowed: &[PathBuf]) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    let plain = path.is_absolute()
        && !path
            .components()
            .any(|part| part == std::path::Component::ParentDir);
    if !plain || !allowed.iter().any(|folder| path.starts_with(folder)) {
        let list: Vec<_> = allowed
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        let list = if list.is_empty() {
            "none is".to_owned()
        } else {
            list.join(", ")
        };
        return Err(format!(
            "{} is in no folder that pods of this node may mount (allowed: {list})",
            path.display()
        ));
    }
    Ok(path)
}

impl Planned {
    /// Where it is, for a mount.
    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Memory(volume) => Source::Volume(volume.name.clone()),
            Self::Disk { path, .. } | Self::Host { path, .. } => Source::Path(path.clone()),
        }
    }

    /// Whether the path below it is a file.
    pub(crate) fn is_file(&self, below: Option<&Path>) -> bool {
        match (self, below) {
            (Self::Memory(volume), Some(below)) => {
                volume.files.iter().flatten().any(|file| file.path == below)
            }
            (Self::Memory(_), None) => false,
            (Self::Disk { path, .. } | Self::Host { path, .. }, below) => {
                let path = below.map_or_else(|| path.clone(), |below| path.join(below));
                path.exists() && !path.is_dir()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn planned(volume: Value) -> Result<Planned, String> {
        let mut volume = volume;
        volume["name"] = json!("v");
        let pod = json!({"metadata": {"uid": "u", "labels": {"a": "b"}}, "spec": {"containers": [], "volumes": [volume]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let mut sources = Sources::default();
        let map = json!({"data": {"k": "text"}, "binaryData": {"b": "AAE="}});
        sources
            .config_maps
            .insert("m".to_owned(), serde_json::from_value(map).unwrap());
        sources
            .claims
            .insert("c".to_owned(), "/srv/code/claim".to_owned());
        let given = Given {
            sources: &sources,
            tokens: &BTreeMap::from([(
                TokenNeed {
                    audience: None,
                    seconds: 3600,
                },
                "secret".to_owned(),
            )]),
            around: &Surroundings::default(),
            checkouts: &["/home/me/work".into()],
            allowed: &["/srv/code".into()],
            empty: Path::new("/empty"),
        };
        Ok(plan(&pod, &given)?.remove("v").unwrap())
    }

    fn files(volume: Value) -> Vec<(String, String, u32)> {
        let Planned::Memory(volume) = planned(volume).unwrap() else {
            panic!("not in memory");
        };
        let text = |file: File| {
            (
                file.path.display().to_string(),
                String::from_utf8_lossy(&file.content).into_owned(),
                file.mode,
            )
        };
        volume.files.unwrap().into_iter().map(text).collect()
    }

    #[test]
    fn keys_become_files_as_asked() {
        let all = files(json!({"configMap": {"name": "m", "defaultMode": 0o600}}));
        assert_eq!(
            all,
            [
                ("b".into(), "\0\u{1}".into(), 0o600),
                ("k".into(), "text".into(), 0o600)
            ]
        );
        let some = files(
            json!({"configMap": {"name": "m", "items": [{"key": "k", "path": "x/y", "mode": 0o400}]}}),
        );
        assert_eq!(some, [("x/y".into(), "text".into(), 0o400)]);
        let error = planned(json!({"configMap": {"name": "none"}})).unwrap_err();
        assert!(error.contains("configmap \"none\" not found"), "{error}");
        assert_eq!(
            files(json!({"configMap": {"name": "none", "optional": true}})),
            []
        );
        planned(json!({"configMap": {"name": "m", "items": [{"key": "z", "path": "z"}]}}))
            .unwrap_err();
    }

    #[test]
    fn projections_come_together() {
        let sources = json!([
            {"serviceAccountToken": {"path": "token"}},
            {"configMap": {"name": "m", "items": [{"key": "k", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]);
        let all = files(json!({"projected": {"sources": sources}}));
        let names: Vec<_> = all
            .iter()
            .map(|(name, text, _)| format!("{name}={text}"))
            .collect();
        assert_eq!(names, ["token=secret", "ca.crt=text", "labels=a=\"b\""]);
    }

    #[test]
    fn only_allowed_folders_of_the_machine_are_mounted() {
        let host = |path: &str| planned(json!({"hostPath": {"path": path, "type": "Directory"}}));
        let expected = Expected::Directory { make: false };
        assert_eq!(
            host("/srv/code/x").unwrap(),
            Planned::Host {
                path: "/srv/code/x".into(),
                expected
            }
        );
        for path in ["/srv", "/srv/code/../x", "srv/code", "/srv/codex", "/etc"] {
            assert!(host(path).unwrap_err().contains("/srv/code"), "{path}");
        }
    }

    #[test]
    fn only_allowed_checkouts_are_mounted() {
        let checkout = |driver: &str, path: &str| {
            planned(json!({"csi": {"driver": driver, "volumeAttributes": {"path": path}}}))
        };
        let driver = "checkout.mwctl.local";
        let expected = Expected::Checkout;
        let path = "/home/me/work".into();
        assert_eq!(
            checkout(driver, "/home/me/work").unwrap(),
            Planned::Host { path, expected }
        );
        for path in [
            "/home/me",
            "/home/me/work/../x",
            "/home/me/workshop",
            "/srv/code/x",
        ] {
            let error = checkout(driver, path).unwrap_err();
            assert!(error.contains("/home/me/work"), "{error}");
        }
        let error = checkout("other.example", "/home/me/work").unwrap_err();
        assert!(error.contains("other.example"), "{error}");
    }

    #[test]
    fn a_claim_is_the_folder_it_is_bound_to() {
        let claim = |name: &str| planned(json!({"persistentVolumeClaim": {"claimName": name}}));
        let expected = Expected::Claim { group: None };
        let path = "/srv/code/claim".into();
        assert_eq!(claim("c").unwrap(), Planned::Host { path, expected });
        assert!(claim("other").unwrap_err().contains("isn't bound"));
    }

    #[test]
    fn what_this_node_cannot_mount_is_said() {
        let error = planned(json!({"nfs": {"server": "x", "path": "/"}})).unwrap_err();
        assert!(error.contains("emptyDir"), "{error}");
    }
}
