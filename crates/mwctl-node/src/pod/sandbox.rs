//! What the containers of a pod share: the network, names, messages, memory, and the volumes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use mwctl_container::{Container, File, Join, Running, Shared, Volume, host, tree};
use tokio::sync::Mutex;

use crate::context::Context;

use super::checkout;
use super::decide::Failure;
use super::describe::{CONFIGURATION, HOSTS, SHARED_MEMORY};
use super::fields::Surroundings;
use super::owners;
use super::sources::{Needs, Sources};
use super::tokens::Tokens;
use super::volumes::{self, Expected, Given, Planned};

/// How much shared memory the containers of a pod have together, as in every container runtime.
const SHARED: u64 = 64 << 20;

/// What is there.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox {
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) join: Join,
    pub(crate) planned: BTreeMap<String, Planned>,
    pub(crate) tokens: Arc<Tokens>,
    /// What the volumes show by now.
    shown: Arc<Mutex<BTreeMap<String, Planned>>>,
    /// The first process, where the containers share theirs.
    pause: Option<Running>,
}

/// Makes it. Asked again after a failure, it makes what is missing.
pub(crate) async fn prepare(context: &Context, pod: &Pod) -> Result<Sandbox, Failure> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let failed = |reason| {
        move |message: String| Failure {
            reason,
            message,
            ended: false,
        }
    };
    let no_sandbox = |error: &dyn std::fmt::Display| {
        failed("FailedCreatePodSandBox")(format!("Failed to create pod sandbox: {error}"))
    };
    let attached = context
        .networks
        .attach(pod)
        .await
        .map_err(|error| no_sandbox(&error))?;
    let hostname = hostname(pod);
    let shared = context
        .runtime
        .share(false, true, Some(&hostname))
        .await
        .map_err(|error| no_sandbox(&error))?;
    let Shared { ipc, uts, .. } = shared;
    let mut join = Join {
        network: Some(attached.namespace.clone()),
        host_network: false,
        ipc,
        uts,
        processes: None,
    };
    let files = [
        attached.hosts,
        attached.resolv_conf,
        format!("{hostname}\n"),
    ];
    let files = HOSTS.iter().zip(files).map(|(name, text)| file(name, text));
    let users = [
        file("passwd", host::PASSWD.to_owned()),
        file("group", host::GROUP.to_owned()),
    ];
    let volume = |name: &str, limit, mode, files| Volume {
        name: volumes::name(pod, name),
        limit,
        mode,
        group: None,
        files,
    };
    for wanted in [
        volume(
            CONFIGURATION,
            None,
            0o755,
            Some(files.chain(users).collect()),
        ),
        volume(SHARED_MEMORY, Some(SHARED), 0o1777, None),
    ] {
        context
            .runtime
            .volume(wanted)
            .await
            .map_err(|error| no_sandbox(&error))?;
    }
    let around = surroundings(context, attached.address);
    let tokens = Arc::new(Tokens::default());
    let planned = plan(context, pod, &tokens, &around)
        .await
        .map_err(failed("FailedMount"))?;
    make(context, &planned)
        .await
        .map_err(failed("FailedMount"))?;
    let one_tree = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.share_process_namespace)
        == Some(true);
    let pause = if one_tree {
        let (root, mounts) = host::root();
        let container = Container {
            root,
            mounts,
            join: join.clone(),
            ..Container::new(format!("{uid}-pause"))
        };
        Some(
            context
                .runtime
                .run(container)
                .await
                .map_err(|error| no_sandbox(&error))?,
        )
    } else {
        None
    };
    join.processes.clone_from(&pause);
    Ok(Sandbox {
        address: attached.address,
        join,
        shown: Arc::new(Mutex::new(planned.clone())),
        planned,
        tokens,
        pause,
    })
}

/// What a pod's variables and files may tell of the node.
pub(crate) fn surroundings(context: &Context, address: Option<Ipv4Addr>) -> Surroundings {
    Surroundings {
        pod_address: address.map(|address| address.to_string()),
        node_address: context.networks.node_address().to_string(),
        memory: context.machine.memory,
        processor: context.machine.processors * 1000,
    }
}

fn hostname(pod: &Pod) -> String {
    let asked = pod.spec.as_ref().and_then(|spec| spec.hostname.clone());
    let name = asked
        .filter(|name| !name.is_empty())
        .or_else(|| pod.metadata.name.clone())
        .unwrap_or_default();
    // The kernel takes no longer one.
    name.chars().take(63).collect()
}

fn file(name: &str, text: String) -> File {
    File {
        path: name.into(),
        content: text.into_bytes(),
        mode: 0o644,
        user: None,
    }
}

/// What the volumes shall be, as the cluster says now.
async fn plan(
    context: &Context,
    pod: &Pod,
    tokens: &Tokens,
    around: &Surroundings,
) -> Result<BTreeMap<String, Planned>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let needs = Needs::of_volumes(pod);
    let sources = Sources::fetch(&context.client, namespace, &needs)
        .await
        .map_err(|error| error.to_string())?;
    let tokens = tokens.fetch(&context.client, pod).await;
    let tokens = tokens.map_err(|error| error.to_string())?;
    let checkouts = checkout::allowed(&context.options);
    let given = Given {
        sources: &sources,
        tokens: &tokens,
        around,
        allowed: &context.options.mountable,
        checkouts: &checkouts,
        empty: &context.options.empty,
    };
    volumes::plan(pod, &given)
}

/// Shows in the volumes what they are made of by now. One after the other, so that no older state comes last.
pub(crate) async fn refresh(context: &Context, pod: &Pod, sandbox: &Sandbox) -> Result<(), String> {
    let mut shown = sandbox.shown.lock().await;
    let around = surroundings(context, sandbox.address);
    for (name, planned) in plan(context, pod, &sandbox.tokens, &around).await? {
        if shown.get(&name) != Some(&planned) {
            show(context, &planned).await?;
            shown.insert(name, planned);
        }
    }
    Ok(())
}

/// Writes a volume that is in memory.
async fn show(context: &Context, planned: &Planned) -> Result<(), String> {
    if let Planned::Memory(volume) = planned {
        let made = context.runtime.volume(volume.clone()).await;
        made.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Makes all volumes.
async fn make(context: &Context, planned: &BTreeMap<String, Planned>) -> Result<(), String> {
    for (name, planned) in planned {
        show(context, planned).await?;
        match planned {
            Planned::Memory(_) => {}
            Planned::Disk { path, group } => {
                let failed = |why| format!("MountVolume.SetUp failed for volume {name:?} : {why}");
                make_empty(path, *group).map_err(failed)?;
            }
            Planned::Host { path, expected } => {
                let failed =
                    |why| format!("MountVolume.SetUp failed for volume {name:?} : hostPath {why}");
                let (path, expected) = (path.clone(), *expected);
                let allowed = if expected == Expected::Checkout {
                    checkout::allowed(&context.options)
                } else {
                    context.options.mountable.clone()
                };
                // A claim may hold many files.
                let checked =
                    tokio::task::spawn_blocking(move || check(&path, expected, &allowed)).await;
                let checked = checked.map_err(|error| error.to_string())?;
                checked.map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Makes a folder for everybody in the pod, unless it is there: containers that are started again find what they had.
pub(super) fn make_empty(path: &Path, group: Option<u32>) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    // Where there is one id, everything is everybody's already.
    let has_group = group.is_some_and(|group| chown(path, None, Some(group)).is_ok());
    let mode = if has_group { 0o2777 } else { 0o777 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Whether the path is what it should be, and really is where it may be.
fn check(path: &Path, expected: Expected, allowed: &[PathBuf]) -> Result<(), String> {
    let wrong = |what: &str| format!("{}: {what}", path.display());
    let made = match expected {
        Expected::Directory { make: true } => fs::create_dir_all(path),
        // For everybody, as minikube's and other provisioners of folders have it: no other user of this machine gets there.
        Expected::Claim { .. } => make_empty(path, None),
        Expected::File { make: true } => fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map(drop),
        _ => Ok(()),
    };
    made.map_err(|error| wrong(&error.to_string()))?;
    let real = path
        .canonicalize()
        .map_err(|error| wrong(&error.to_string()))?;
    let inside = allowed
        .iter()
        .filter_map(|folder| folder.canonicalize().ok())
        .any(|folder| real.starts_with(folder));
    if !inside {
        return Err(wrong(
            "a symbolic link leads out of the folders that pods may mount",
        ));
    }
    let found = fs::metadata(&real).map_err(|error| wrong(&error.to_string()))?;
    let is_socket = std::os::unix::fs::FileTypeExt::is_socket(&found.file_type());
    match expected {
        Expected::Directory { .. } | Expected::Claim { .. } | Expected::Checkout
            if !found.is_dir() =>
        {
            Err(wrong("is not a directory"))
        }
        Expected::File { .. } if !found.is_file() => Err(wrong("is not a file")),
        Expected::Socket if !is_socket => Err(wrong("is not a socket")),
        Expected::Claim { group: Some(group) } => {
            owners::give(&real, group).map_err(|error| wrong(&error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Removes it. What fails is traced: the pod is over.
pub(crate) async fn remove(context: &Context, pod: &Pod, sandbox: Option<Arc<Sandbox>>) {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let mut names = vec![
        volumes::name(pod, CONFIGURATION),
        volumes::name(pod, SHARED_MEMORY),
    ];
    if let Some(sandbox) = sandbox {
        if let Some(pause) = &sandbox.pause {
            if let Err(error) = pause.signal(libc::SIGKILL).await {
                tracing::debug!("the first process of a pod: {error}");
            }
            pause.ended().await;
            if let Err(error) = context.runtime.remove(&format!("{uid}-pause")).await {
                tracing::debug!("the first process of a pod: {error}");
            }
        }
        for planned in sandbox.planned.values() {
            match planned {
                Planned::Memory(volume) => names.push(volume.name.clone()),
                Planned::Disk { path, .. } => {
                    let removed = path.clone();
                    let removed = tokio::task::spawn_blocking(move || tree::remove(&removed));
                    if let Ok(Err(error)) = removed.await {
                        tracing::debug!("{}: a volume stays: {error}", path.display());
                    }
                }
                Planned::Host { .. } => {}
            }
        }
    }
    for name in names {
        if let Err(error) = context.runtime.remove_volume(&name).await {
            tracing::debug!(name, "a volume stays: {error}");
        }
    }
    if let Err(error) = context.networks.detach(uid).await {
        tracing::warn!(uid, "a pod stays on the network: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_does_not_lead_out_of_what_may_be_mounted() {
        let folder = tempfile::tempdir().unwrap();
        let allowed = [folder.path().join("allowed")];
        fs::create_dir(&allowed[0]).unwrap();
        let at = |name: &str| allowed[0].join(name);
        std::os::unix::fs::symlink(folder.path(), at("out")).unwrap();
        std::os::unix::fs::symlink("inside", at("in")).unwrap();
        check(&at("inside"), Expected::Directory { make: true }, &allowed).unwrap();
        check(&at("in"), Expected::Directory { make: false }, &allowed).unwrap();
        check(&at("out"), Expected::Anything, &allowed).unwrap_err();
        check(&at("none"), Expected::Anything, &allowed).unwrap_err();
        check(&at("file"), Expected::File { make: true }, &allowed).unwrap();
        check(&at("file"), Expected::Directory { make: false }, &allowed).unwrap_err();
        check(&at("file"), Expected::Socket, &allowed).unwrap_err();
        check(&at("claim"), Expected::Claim { group: None }, &allowed).unwrap();
        let mode = fs::metadata(at("claim")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o777);
    }
}
