//! What a container may: the pod's and its own security context, as a process takes them, and what this node refuses.

use k8s_openapi::api::core::v1::{Container, Pod, SeccompProfile};
use mwctl_container::{Identity, Seccomp, USUAL_CAPABILITIES};

use super::state::{Refusal, containers};

/// Names of capabilities, by their numbers.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a process may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Privileges {
    pub(crate) identity: Identity,
    pub(crate) capabilities: u64,
    pub(crate) may_gain: bool,
    pub(crate) seccomp: Seccomp,
    pub(crate) read_only_root: bool,
}

/// Why what is privileged isn't run.
pub(crate) const NOTHING_PRIVILEGED: &str = "this node gives pods nothing of the machine itself";

/// Whether a container asks for all rights of the machine.
pub(crate) fn is_privileged(container: &Container) -> bool {
    let context = container.security_context.as_ref();
    context.is_some_and(|context| context.privileged == Some(true))
}

/// What a pod asks for that would make it part of the machine.
fn of_the_machine(pod: &Pod) -> Vec<String> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let asks = [
        (
            spec.host_network,
            "spec.hostNetwork: the network of the machine",
        ),
        (spec.host_pid, "spec.hostPID: the processes of the machine"),
        (
            spec.host_ipc,
            "spec.hostIPC: the shared memory of the machine",
        ),
    ];
    let asks = asks
        .into_iter()
        .filter(|(asked, _)| *asked == Some(true))
        .map(|(_, what)| what.to_owned());
    let privileged = containers(pod).filter(|(_, container)| is_privileged(container));
    let privileged = privileged
        .map(|(_, container)| format!("container {}: securityContext.privileged", container.name));
    asks.chain(privileged).collect()
}

/// Why no pod that asks for that is run here, ever; `None` where it asks for nothing of the kind.
pub(crate) fn never(pod: &Pod) -> Option<String> {
    let asked = of_the_machine(pod);
    (!asked.is_empty()).then(|| refused(&asked))
}

fn refused(asked: &[String]) -> String {
    format!("{NOTHING_PRIVILEGED}; refused: {}", asked.join("; "))
}

/// Why this node doesn't run the pod at all, if so.
pub(crate) fn refuse(pod: &Pod) -> Option<Refusal> {
    let spec = pod.spec.as_ref()?;
    let mut asked = of_the_machine(pod);
    // They would be the machine's, or nobody's: a pod that needs them must not run without.
    let sysctls = (spec.security_context.iter())
        .flat_map(|context| context.sysctls.iter().flatten())
        .map(|sysctl| format!("spec.securityContext.sysctls: {}", sysctl.name));
    asked.extend(sysctls);
    (!asked.is_empty()).then(|| Refusal {
        reason: "NotPermitted",
        message: refused(&asked),
    })
}

/// What the process of a container may; the error is one of configuration.
pub(crate) fn privileges(
    pod: &Pod,
    container: &Container,
    image_user: &str,
) -> Result<Privileges, String> {
    let of_pod = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.security_context.clone())
        .unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let user = own.run_as_user.or(of_pod.run_as_user);
    let group = own.run_as_group.or(of_pod.run_as_group);
    if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) {
        check_not_root(user, image_user)?;
    }
    let number = |id: i64| u32::try_from(id).map_err(|_| format!("{id} is no user or group"));
    let mut groups = Vec::new();
    for id in of_pod
        .supplemental_groups
        .iter()
        .flatten()
        .chain(&of_pod.fs_group)
    {
        groups.push(number(*id)?);
    }
    let identity = Identity {
        user: user.map_or_else(|| image_user.to_owned(), |id| id.to_string()),
        group: group.map(number).transpose()?,
        groups,
    };
    let profile = own
        .seccomp_profile
        .as_ref()
        .or(of_pod.seccomp_profile.as_ref());
    let changes = own.capabilities.unwrap_or_default();
    Ok(Privileges {
        identity,
        capabilities: capabilities(changes.add.as_deref(), changes.drop.as_deref())?,
        may_gain: own.allow_privilege_escalation == Some(true),
        seccomp: seccomp(profile)?,
        read_only_root: own.read_only_root_filesystem == Some(true),
    })
}

fn check_not_root(user: Option<i64>, image_user: &str) -> Result<(), String> {
    let name = image_user.split(':').next().unwrap_or_default();
    match user.map_or_else(|| name.parse::<i64>().ok(), Some) {
        Some(0) if user.is_some() => Err("container's runAsUser breaks non-root policy".to_owned()),
        Some(0) => Err("container has runAsNonRoot and image will run as root".to_owned()),
        None if name.is_empty() || name == "root" => {
            Err("container has runAsNonRoot and image will run as root".to_owned())
        }
        None => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
        )),
        Some(_) => Ok(()),
    }
}

fn seccomp(profile: Option<&SeccompProfile>) -> Result<Seccomp, String> {
    match profile.map(|profile| &*profile.type_) {
        None | Some("RuntimeDefault") => Ok(Seccomp::RuntimeDefault),
        Some("Unconfined") => Ok(Seccomp::Unconfined),
        Some(other) => Err(format!(
            "seccomp profile {other} isn't available on this node; use RuntimeDefault"
        )),
    }
}

fn capabilities(add: Option<&[String]>, drop: Option<&[String]>) -> Result<u64, String> {
    let all = (1_u64 << CAPABILITIES.len()) - 1;
    let mask = |names: &[String]| {
        names.iter().try_fold(0_u64, |mask, name| {
            let name = name.to_uppercase();
            let name = name.strip_prefix("CAP_").unwrap_or(&name);
            if name == "ALL" {
                return Ok(all);
            }
            let number = CAPABILITIES.iter().position(|known| *known == name);
            number
                .map(|number| mask | 1 << number)
                .ok_or_else(|| format!("unknown capability {name:?}"))
        })
    };
    let add = mask(add.unwrap_or_default())?;
    let drop = mask(drop.unwrap_or_default())?;
    // Who drops all and adds some has those; who adds all and drops some lacks those.
    let start = if drop == all {
        0
    } else {
        USUAL_CAPABILITIES & !drop
    };
    Ok(if add == all {
        all & !if drop == all { 0 } else { drop }
    } else {
        start | add
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a literal is written in its place"
    )]
    fn of(pod: Value, own: Value, image_user: &str) -> Result<Privileges, String> {
        let spec =
            json!({"securityContext": pod, "containers": [{"name": "c", "securityContext": own}]});
        let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
        let container = pod.spec.as_ref().unwrap().containers[0].clone();
        privileges(&pod, &container, image_user)
    }

    #[test]
    fn the_container_overrides_its_pod() {
        let pod = json!({"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4]});
        let found = of(pod, json!({"runAsUser": 5}), "app").unwrap();
        assert_eq!(
            found.identity,
            Identity {
                user: "5".to_owned(),
                group: Some(2),
                groups: vec![4, 3]
            }
        );
        assert_eq!(
            of(json!({}), json!({}), "app:web").unwrap().identity.user,
            "app:web"
        );
    }

    #[test]
    fn nothing_more_is_allowed_than_was_asked_for() {
        let usual = of(json!({}), json!({}), "").unwrap();
        assert_eq!(
            (usual.capabilities, !usual.may_gain),
            (USUAL_CAPABILITIES, true)
        );
        assert_eq!(usual.seccomp, Seccomp::RuntimeDefault);
        let own = json!({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, "allowPrivilegeEscalation": true,
            "seccompProfile": {"type": "Unconfined"}, "readOnlyRootFilesystem": true});
        let found = of(json!({}), own, "").unwrap();
        assert_eq!(
            (found.capabilities, !found.may_gain, found.read_only_root),
            (1 << 10, false, true)
        );
        assert_eq!(found.seccomp, Seccomp::Unconfined);
        of(
            json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "x"}}),
            json!({}),
            "",
        )
        .unwrap_err();
        of(json!({}), json!({"capabilities": {"add": ["NOSUCH"]}}), "").unwrap_err();
    }

    #[test]
    fn whoever_must_not_be_root_is_not() {
        let pod = json!({"runAsNonRoot": true});
        of(pod.clone(), json!({}), "1000:0").unwrap();
        of(pod.clone(), json!({"runAsUser": 7}), "").unwrap();
        for (own, image) in [
            (json!({}), ""),
            (json!({}), "root"),
            (json!({"runAsUser": 0}), "7"),
            (json!({}), "app"),
        ] {
            of(pod.clone(), own, image).unwrap_err();
        }
    }

    #[test]
    fn what_would_be_part_of_the_machine_is_refused() {
        let pod = |spec| -> Pod { serde_json::from_value(json!({"spec": spec})).unwrap() };
        assert_eq!(refuse(&pod(json!({"containers": [{"name": "c"}]}))), None);
        let asks = json!({"hostNetwork": true, "containers": [{"name": "c", "securityContext": {"privileged": true}}]});
        let message = refuse(&pod(asks)).unwrap().message;
        assert!(
            message.contains("hostNetwork") && message.contains("container c"),
            "{message}"
        );
        let sysctls = json!({"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]});
        let asks = json!({"securityContext": sysctls, "containers": [{"name": "c"}]});
        let message = refuse(&pod(asks)).unwrap().message;
        assert!(
            message.contains("sysctls: kernel.shm_rmid_forced"),
            "{message}"
        );
    }
}
