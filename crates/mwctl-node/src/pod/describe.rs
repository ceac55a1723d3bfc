//! From a container of a pod to one on this machine: a decision on the pod, the image and what the pod's containers share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod};
use mwctl_container::{Bind, Entry, Limits, Mount, Process, Source};

use crate::images::Image;
use crate::quantity;

use super::environment::Variables;
use super::message;
use super::security::{Privileges, privileges};
use super::volumes::{self, Expected, Planned};

/// The volume with the files that every container has in `/etc`.
pub(crate) const CONFIGURATION: &str = "etc";
/// The volume that is the shared memory of all containers of a pod.
pub(crate) const SHARED_MEMORY: &str = "shm";

/// The directory from which the token of the pod's service account is read.
pub(crate) const HOSTS: [&str; 3] = ["hosts", "resolv.conf", "hostname"];

/// What runs, and over which root.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) process: Process,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) limits: Limits,
    pub(crate) read_only_root: bool,
}

/// All of it, or what is wrong with the configuration.
pub(crate) fn describe(
    pod: &Pod,
    container: &Container,
    image: &Image,
    variables: &Variables,
    planned: &BTreeMap<String, Planned>,
    configuration: &[String],
    message: &Path,
) -> Result<Described, String> {
    let may = privileges(pod, container, &image.config.user)?;
    let read_only_root = may.read_only_root;
    let mut mounts = image.mounts.clone();
    mounts.push(of_volume(pod, SHARED_MEMORY, None, "/dev/shm"));
    for name in configuration {
        mounts.push(of_volume(
            pod,
            CONFIGURATION,
            Some(name),
            &format!("/etc/{name}"),
        ));
    }
    let mut own = mounts_of(container, variables, planned)?;
    own.push(message::mount(container, message));
    // What is mounted within another one's place comes after it, in whichever order they are written.
    own.sort_by_key(|mount| mount.target.components().count());
    mounts.extend(own);
    Ok(Described {
        process: process(container, image, variables, may)?,
        mounts,
        limits: limits(container),
        read_only_root,
    })
}

fn of_volume(pod: &Pod, volume: &str, file: Option<&str>, target: &str) -> Mount {
    let bind = Bind {
        source: Source::Volume(volumes::name(pod, volume)),
        directory: file.is_none(),
        read_only: false,
        below: file.map(PathBuf::from),
    };
    Mount {
        target: target.into(),
        entry: Entry::Bind(bind),
    }
}

fn mounts_of(
    container: &Container,
    variables: &Variables,
    planned: &BTreeMap<String, Planned>,
) -> Result<Vec<Mount>, String> {
    let one = |mount: &k8s_openapi::api::core::v1::VolumeMount| {
        let volume = planned
            .get(&mount.name)
            .ok_or_else(|| format!("volume {:?} not found", mount.name))?;
        let below = match (&mount.sub_path, &mount.sub_path_expr) {
            (Some(path), _) if !path.is_empty() => Some(PathBuf::from(path)),
            (_, Some(text)) if !text.is_empty() => Some(PathBuf::from(variables.expand(text))),
            _ => None,
        };
        let plain = |path: &PathBuf| {
            path.components()
                .all(|part| matches!(part, std::path::Component::Normal(_)))
        };
        if below.as_ref().is_some_and(|path| !plain(path)) {
            return Err(format!(
                "subPath of volume {:?} must stay in it",
                mount.name
            ));
        }
        let bind = Bind {
            source: volume.source(),
            directory: !volume.is_file(below.as_deref()),
            read_only: mount.read_only == Some(true) || is_only_read(volume),
            below,
        };
        Ok(Mount {
            target: Path::new("/").join(&mount.mount_path),
            entry: Entry::Bind(bind),
        })
    };
    let mounts = container.volume_mounts.iter().flatten();
    mounts.map(one).collect()
}

/// Config maps, secrets and projections can't be written to.
fn is_only_read(volume: &Planned) -> bool {
    match volume {
        Planned::Memory(volume) => volume.files.is_some(),
        Planned::Host { expected, .. } => *expected == Expected::Checkout,
        Planned::Disk { .. } => false,
    }
}

fn process(
    container: &Container,
    image: &Image,
    variables: &Variables,
    may: Privileges,
) -> Result<Process, String> {
    let expand = |texts: &[String]| {
        texts
            .iter()
            .map(|text| variables.expand(text))
            .collect::<Vec<_>>()
    };
    let own = container
        .command
        .as_deref()
        .filter(|command| !command.is_empty());
    let arguments = container
        .args
        .as_deref()
        .filter(|arguments| !arguments.is_empty());
    let all = match (own, arguments) {
        (Some(command), arguments) => {
            [expand(command), expand(arguments.unwrap_or_default())].concat()
        }
        (None, Some(arguments)) => [image.config.entrypoint.clone(), expand(arguments)].concat(),
        (None, None) => [
            image.config.entrypoint.clone(),
            image.config.command.clone(),
        ]
        .concat(),
    };
    if all.is_empty() {
        return Err("no command specified".to_owned());
    }
    let directory = container.working_dir.clone().filter(|it| !it.is_empty());
    Ok(Process {
        environment: variables.to_lines(),
        directory: directory.unwrap_or_else(|| image.config.directory.clone()),
        identity: may.identity,
        capabilities: may.capabilities,
        no_new_privileges: !may.may_gain,
        seccomp: may.seccomp,
        ..Process::new(all)
    })
}

fn limits(container: &Container) -> Limits {
    let resources = container.resources.as_ref();
    let limit = |name: &str| resources.and_then(|it| it.limits.as_ref()?.get(name));
    let request = |name: &str| resources.and_then(|it| it.requests.as_ref()?.get(name));
    Limits {
        memory: limit("memory").and_then(quantity::units),
        processes: None,
        processor: limit("cpu").and_then(quantity::thousandths),
        processor_share: request("cpu")
            .or_else(|| limit("cpu"))
            .and_then(quantity::thousandths),
    }
}

/// The number of the signal that asks a container to end.
pub(crate) fn stop_signal(image: &Image) -> i32 {
    const NAMES: [(&str, i32); 9] = [
        ("HUP", libc::SIGHUP),
        ("INT", libc::SIGINT),
        ("QUIT", libc::SIGQUIT),
        ("KILL", libc::SIGKILL),
        ("USR1", libc::SIGUSR1),
        ("USR2", libc::SIGUSR2),
        ("TERM", libc::SIGTERM),
        ("WINCH", libc::SIGWINCH),
        ("CONT", libc::SIGCONT),
    ];
    let named = image.config.stop_signal.as_deref().and_then(|text| {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        let by_name = NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, number)| *number);
        by_name.or_else(|| text.parse().ok())
    });
    named.unwrap_or(libc::SIGTERM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{ImageConfig, Kept};
    use serde_json::{Value, json};

    fn image() -> Image {
        let config = ImageConfig {
            entrypoint: vec!["entry".to_owned()],
            command: vec!["default".to_owned()],
            directory: "/srv".to_owned(),
            ..ImageConfig::default()
        };
        let (root, mounts) = mwctl_container::host::root();
        Image {
            id: "here".to_owned(),
            root,
            mounts,
            config,
            kept: Kept::default(),
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a literal is written in its place"
    )]
    fn described(container: Value) -> Result<Described, String> {
        let pod: Pod = serde_json::from_value(
            json!({"metadata": {"uid": "u"}, "spec": {"containers": [container]}}),
        )
        .unwrap();
        let mut variables = Variables::default();
        variables.set("A", "1".to_owned());
        let volume = mwctl_container::Volume {
            name: "u-v".to_owned(),
            limit: None,
            mode: 0,
            group: None,
            files: None,
        };
        let planned = BTreeMap::from([("v".to_owned(), Planned::Memory(volume))]);
        describe(
            &pod,
            &pod.spec.as_ref().unwrap().containers[0],
            &image(),
            &variables,
            &planned,
            &[],
            Path::new("/message"),
        )
    }

    #[test]
    fn commands_and_arguments_replace_those_of_the_image() {
        let run = |container: Value| described(container).unwrap().process.arguments;
        assert_eq!(run(json!({"name": "c"})), ["entry", "default"]);
        assert_eq!(run(json!({"name": "c", "args": ["$(A)"]})), ["entry", "1"]);
        assert_eq!(run(json!({"name": "c", "command": ["sh"]})), ["sh"]);
        assert_eq!(
            run(json!({"name": "c", "command": ["sh"], "args": ["-c"]})),
            ["sh", "-c"]
        );
    }

    #[test]
    fn a_volume_within_another_ones_place_is_mounted_after_it() {
        let mount = |path: &str| json!({"name": "v", "mountPath": path});
        let written = json!({"name": "c", "volumeMounts": [mount("/etc/a/b"), mount("/data"), mount("/etc/a")]});
        let mounts = described(written).unwrap().mounts;
        let targets: Vec<_> = mounts
            .iter()
            .map(|mount| mount.target.to_str().unwrap())
            .filter(|target| *target != "/dev/termination-log")
            .collect();
        assert!(
            targets.ends_with(&["/data", "/etc/a", "/etc/a/b"]),
            "{targets:?}"
        );
    }

    #[test]
    fn volumes_are_mounted_where_asked_and_nowhere_else() {
        let mount =
            json!({"name": "v", "mountPath": "/data", "subPathExpr": "x$(A)", "readOnly": true});
        let mounts = described(json!({"name": "c", "volumeMounts": [mount]}))
            .unwrap()
            .mounts;
        let bind = Bind {
            source: Source::Volume("u-v".to_owned()),
            directory: true,
            read_only: true,
            below: Some("x1".into()),
        };
        let mount = Mount {
            target: "/data".into(),
            entry: Entry::Bind(bind),
        };
        assert!(mounts.contains(&mount), "{mounts:?}");
        for wrong in ["..", "a/../..", "/x"] {
            let mount = json!({"name": "v", "mountPath": "/data", "subPath": wrong});
            described(json!({"name": "c", "volumeMounts": [mount]})).unwrap_err();
        }
        described(json!({"name": "c", "volumeMounts": [{"name": "none", "mountPath": "/data"}]}))
            .unwrap_err();
    }

    #[test]
    fn the_file_of_a_message_lies_in_the_volume_around_it() {
        let mount = json!({"name": "v", "mountPath": "/data/deep"});
        let container = json!({"name": "c", "volumeMounts": [mount], "terminationMessagePath": "/data/deep/end"});
        let mounts = described(container).unwrap().mounts;
        let last = mounts.iter().rev().take(2).map(|mount| &*mount.target);
        assert!(last.eq([Path::new("/data/deep/end"), Path::new("/data/deep")]));
    }

    #[test]
    fn limits_are_those_of_the_container() {
        let resources = json!({"limits": {"memory": "64Mi", "cpu": "500m"}});
        let limits = described(json!({"name": "c", "resources": resources}))
            .unwrap()
            .limits;
        let expected = Limits {
            memory: Some(64 << 20),
            processes: None,
            processor: Some(500),
            processor_share: Some(500),
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn an_image_may_name_its_signal() {
        let mut image = image();
        assert_eq!(stop_signal(&image), libc::SIGTERM);
        for (text, number) in [
            ("SIGQUIT", libc::SIGQUIT),
            ("INT", libc::SIGINT),
            ("9", 9),
            ("nonsense", libc::SIGTERM),
        ] {
            image.config.stop_signal = Some(text.to_owned());
            assert_eq!(stop_signal(&image), number, "{text}");
        }
    }
}
