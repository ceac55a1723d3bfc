//! The rules of the level `baseline`.

use super::Check;
use super::pod::{Container, Culprits, Pod, containers, items, plural, quoted, set, uses};
use serde_json::Value;

/// The rules that `restricted` has too.
pub(super) const ALL: &[Check] = &[
    Check {
        place: 1,
        rule: "forbidden AppArmor profile",
        find: app_armor_one,
    },
    Check {
        place: 1,
        rule: "forbidden AppArmor profiles",
        find: app_armor_several,
    },
    Check {
        place: 3,
        rule: "host namespaces",
        find: host_namespaces,
    },
    Check {
        place: 5,
        rule: "hostPort",
        find: host_ports,
    },
    Check {
        place: 6,
        rule: "probe or lifecycle host",
        find: probe_hosts,
    },
    Check {
        place: 7,
        rule: "privileged",
        find: privileged,
    },
    Check {
        place: 8,
        rule: "procMount",
        find: proc_mount,
    },
    Check {
        place: 9,
        rule: "seLinuxOptions",
        find: se_linux,
    },
    Check {
        place: 11,
        rule: "forbidden sysctls",
        find: sysctls,
    },
    Check {
        place: 12,
        rule: "hostProcess",
        find: host_process,
    },
];

/// The rules for which `restricted` has stricter ones.
pub(super) const REPLACED: &[Check] = &[
    Check {
        place: 2,
        rule: "non-default capabilities",
        find: capabilities,
    },
    Check {
        place: 4,
        rule: "hostPath volumes",
        find: host_paths,
    },
    Check {
        place: 10,
        rule: "seccompProfile",
        find: seccomp,
    },
];

/// What a container runtime gives without being asked.
const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Kernel parameters that are a pod's own and cannot hurt others.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

fn app_armor_one(pod: &Pod<'_>) -> Option<String> {
    app_armor(pod).and_then(|(count, told)| (count == 1).then_some(told))
}

fn app_armor_several(pod: &Pod<'_>) -> Option<String> {
    app_armor(pod).and_then(|(count, told)| (count > 1).then_some(told))
}

/// How many values are forbidden, and what there is to tell.
fn app_armor(pod: &Pod<'_>) -> Option<(usize, String)> {
    let annotations = &pod.metadata["annotations"];
    let forbidden = |kind: &&str| !matches!(*kind, "" | "RuntimeDefault" | "Localhost");
    let own = |security: &'_ Value| {
        security["appArmorProfile"]["type"]
            .as_str()
            .map(str::to_owned)
    };
    // The annotation is the older way to say the same, and stands for the field where that is absent.
    let of_container = |container: Container<'_>| {
        own(container.security()).or_else(|| {
            let annotation = annotations[format!("{APP_ARMOR}{}", container.name)].as_str()?;
            (annotation == "unconfined").then(|| "Unconfined".to_owned())
        })
    };
    let bad = |kind: Option<String>| kind.filter(|kind| forbidden(&kind.as_str()));
    let culprits = Culprits {
        pod: bad(own(pod.security())).is_some(),
        containers: pod.containers_where(|container| bad(of_container(container)).is_some()),
    };
    let kinds = pod
        .containers
        .iter()
        .filter_map(|container| bad(of_container(*container)));
    let kinds = set(kinds.chain(bad(own(pod.security()))));
    let annotated = annotations
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let value = value.as_str()?;
            let harmless =
                matches!(value, "" | "runtime/default") || value.starts_with("localhost/");
            (name.starts_with(APP_ARMOR) && !harmless).then(|| format!("{name}=\"{value}\""))
        });
    let annotated = set(annotated);
    let values: Vec<String> = kinds.into_iter().chain(annotated.iter().cloned()).collect();
    if values.is_empty() {
        return None;
    }
    let annotation = plural("annotation", annotated.len());
    let who = culprits.told_with((!annotated.is_empty()).then_some(annotation.as_str()));
    Some((
        values.len(),
        format!(
            "{who} must not set AppArmor profile type to {}",
            quoted(&values)
        ),
    ))
}

fn capabilities(pod: &Pod<'_>) -> Option<String> {
    added_capabilities(pod, &DEFAULT_CAPABILITIES)
}

/// Who adds other capabilities than these.
pub(super) fn added_capabilities(pod: &Pod<'_>, allowed: &[&str]) -> Option<String> {
    let bad = |container: Container<'_>| -> Vec<String> {
        let added = items(&container.security()["capabilities"]["add"]).iter();
        let added = added
            .filter_map(Value::as_str)
            .filter(|name| !allowed.contains(name));
        added.map(str::to_owned).collect()
    };
    let names = pod.containers_where(|container| !bad(container).is_empty());
    let added = set(pod.containers.iter().flat_map(|container| bad(*container)));
    (!names.is_empty()).then(|| {
        format!(
            "{} must not include {} in securityContext.capabilities.add",
            containers(&names),
            quoted(&added)
        )
    })
}

fn host_namespaces(pod: &Pod<'_>) -> Option<String> {
    let shared = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|name| pod.spec[*name] == true);
    let shared: Vec<String> = shared.map(|name| format!("{name}=true")).collect();
    (!shared.is_empty()).then(|| shared.join(", "))
}

fn host_paths(pod: &Pod<'_>) -> Option<String> {
    let volumes = items(&pod.spec["volumes"]).iter();
    let volumes =
        volumes.filter(|volume| volume.get("hostPath").is_some_and(|path| !path.is_null()));
    let names: Vec<&str> = volumes
        .filter_map(|volume| volume["name"].as_str())
        .collect();
    (!names.is_empty()).then(|| format!("{} {}", plural("volume", names.len()), quoted(&names)))
}

fn host_ports(pod: &Pod<'_>) -> Option<String> {
    let ports = |container: Container<'_>| -> Vec<String> {
        let ports = items(&container.value["ports"])
            .iter()
            .filter_map(|port| port["hostPort"].as_i64());
        ports
            .filter(|port| *port != 0)
            .map(|port| port.to_string())
            .collect()
    };
    let names = pod.containers_where(|container| !ports(container).is_empty());
    let all = set(pod
        .containers
        .iter()
        .flat_map(|container| ports(*container)));
    (!names.is_empty()).then(|| {
        format!(
            "{} {} {} {}",
            containers(&names),
            uses(names.len()),
            plural("hostPort", all.len()),
            all.join(", ")
        )
    })
}

fn probe_hosts(pod: &Pod<'_>) -> Option<String> {
    const HANDLERS: [&str; 5] = [
        "/livenessProbe",
        "/readinessProbe",
        "/startupProbe",
        "/lifecycle/postStart",
        "/lifecycle/preStop",
    ];
    let hosts = |container: Container<'_>| -> Vec<String> {
        let handlers = HANDLERS
            .iter()
            .filter_map(|place| container.value.pointer(place));
        let hosts = handlers
            .flat_map(|handler| ["httpGet", "tcpSocket"].map(|how| handler[how]["host"].as_str()));
        hosts
            .flatten()
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let names = pod.containers_where(|container| !hosts(container).is_empty());
    let all = set(pod
        .containers
        .iter()
        .flat_map(|container| hosts(*container)));
    (!names.is_empty()).then(|| {
        let host = plural("probe or lifecycle host", all.len());
        format!(
            "{} {} {host} {}",
            containers(&names),
            uses(names.len()),
            quoted(&all)
        )
    })
}

fn privileged(pod: &Pod<'_>) -> Option<String> {
    let names = pod.containers_where(|container| container.security()["privileged"] == true);
    (!names.is_empty()).then(|| {
        format!(
            "{} must not set securityContext.privileged=true",
            containers(&names)
        )
    })
}

fn proc_mount(pod: &Pod<'_>) -> Option<String> {
    let mount = |container: Container<'_>| {
        let mount = container.security()["procMount"].as_str();
        mount
            .filter(|mount| !matches!(*mount, "" | "Default"))
            .map(str::to_owned)
    };
    let names = pod.containers_where(|container| mount(container).is_some());
    let mounts = set(pod
        .containers
        .iter()
        .filter_map(|container| mount(*container)));
    (!names.is_empty()).then(|| {
        format!(
            "{} must not set securityContext.procMount to {}",
            containers(&names),
            quoted(&mounts)
        )
    })
}

fn se_linux(pod: &Pod<'_>) -> Option<String> {
    const TYPES: [&str; 5] = [
        "",
        "container_t",
        "container_init_t",
        "container_kvm_t",
        "container_engine_t",
    ];
    let text = |security: &Value, name: &str| {
        security["seLinuxOptions"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let kind = |security: &Value| {
        Some(text(security, "type")).filter(|kind| !TYPES.contains(&kind.as_str()))
    };
    let sets = |security: &Value, name: &str| !text(security, name).is_empty();
    let bad = |security: &Value| {
        kind(security).is_some() || sets(security, "user") || sets(security, "role")
    };
    let culprits = pod.culprits(bad);
    if culprits.is_none() {
        return None;
    }
    let contexts = || {
        pod.containers
            .iter()
            .map(|container| container.security())
            .chain([pod.security()])
    };
    let kinds = set(contexts().filter_map(kind));
    let mut faults = Vec::new();
    if !kinds.is_empty() {
        faults.push(format!(
            "{} {}",
            plural("type", kinds.len()),
            quoted(&kinds)
        ));
    }
    for name in ["user", "role"] {
        if contexts().any(|security| sets(security, name)) {
            faults.push(format!("{name} may not be set"));
        }
    }
    Some(format!(
        "{} set forbidden securityContext.seLinuxOptions: {}",
        culprits.told(),
        faults.join("; ")
    ))
}

fn seccomp(pod: &Pod<'_>) -> Option<String> {
    let culprits = pod.culprits(|security| security["seccompProfile"]["type"] == "Unconfined");
    (!culprits.is_none()).then(|| {
        format!(
            "{} must not set securityContext.seccompProfile.type to \"Unconfined\"",
            culprits.told()
        )
    })
}

fn sysctls(pod: &Pod<'_>) -> Option<String> {
    let names = items(&pod.security()["sysctls"])
        .iter()
        .filter_map(|one| one["name"].as_str());
    let unsafe_ones: Vec<&str> = names.filter(|name| !SAFE_SYSCTLS.contains(name)).collect();
    (!unsafe_ones.is_empty()).then(|| unsafe_ones.join(", "))
}

fn host_process(pod: &Pod<'_>) -> Option<String> {
    let culprits = pod.culprits(|security| security["windowsOptions"]["hostProcess"] == true);
    (!culprits.is_none()).then(|| {
        format!(
            "{} must not set securityContext.windowsOptions.hostProcess=true",
            culprits.told()
        )
    })
}
