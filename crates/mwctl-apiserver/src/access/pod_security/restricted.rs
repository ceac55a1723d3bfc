//! The rules that only the level `restricted` has.

use super::Check;
use super::baseline::added_capabilities;
use super::pod::{Culprits, Pod, containers, items, plural, quoted, set, uses};
use serde_json::Value;

pub(super) const ALL: &[Check] = &[
    Check {
        place: 21,
        rule: "allowPrivilegeEscalation != false",
        find: privilege_escalation,
    },
    Check {
        place: 22,
        rule: "unrestricted capabilities",
        find: capabilities,
    },
    Check {
        place: 23,
        rule: "restricted volume types",
        find: volumes,
    },
    Check {
        place: 24,
        rule: "runAsNonRoot != true",
        find: run_as_non_root,
    },
    Check {
        place: 25,
        rule: "runAsUser=0",
        find: run_as_user,
    },
    Check {
        place: 26,
        rule: "seccompProfile",
        find: seccomp,
    },
];

const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

fn privilege_escalation(pod: &Pod<'_>) -> Option<String> {
    if pod.is_windows() {
        return None;
    }
    let names =
        pod.containers_where(|container| container.security()["allowPrivilegeEscalation"] != false);
    (!names.is_empty()).then(|| {
        format!(
            "{} must set securityContext.allowPrivilegeEscalation=false",
            containers(&names)
        )
    })
}

fn capabilities(pod: &Pod<'_>) -> Option<String> {
    if pod.is_windows() {
        return None;
    }
    let keep = pod.containers_where(|container| {
        !items(&container.security()["capabilities"]["drop"])
            .iter()
            .any(|name| name == "ALL")
    });
    let keep = (!keep.is_empty()).then(|| {
        format!(
            "{} must set securityContext.capabilities.drop=[\"ALL\"]",
            containers(&keep)
        )
    });
    let faults: Vec<String> = keep
        .into_iter()
        .chain(added_capabilities(pod, &["NET_BIND_SERVICE"]))
        .collect();
    (!faults.is_empty()).then(|| faults.join("; "))
}

fn volumes(pod: &Pod<'_>) -> Option<String> {
    let kind = |volume: &Value| -> Option<String> {
        let mut sources = volume
            .as_object()?
            .iter()
            .filter(|(name, value)| *name != "name" && !value.is_null());
        let (kind, _) = sources.next()?;
        (!VOLUMES.contains(&kind.as_str())).then(|| kind.clone())
    };
    let bad: Vec<(&str, String)> = items(&pod.spec["volumes"])
        .iter()
        .filter_map(|volume| Some((volume["name"].as_str().unwrap_or_default(), kind(volume)?)))
        .collect();
    if bad.is_empty() {
        return None;
    }
    let names: Vec<&str> = bad.iter().map(|(name, _)| *name).collect();
    let kinds = set(bad.into_iter().map(|(_, kind)| kind));
    Some(format!(
        "{} {} {} {} {}",
        plural("volume", names.len()),
        quoted(&names),
        uses(names.len()),
        plural("restricted volume type", kinds.len()),
        quoted(&kinds)
    ))
}

fn run_as_non_root(pod: &Pod<'_>) -> Option<String> {
    let said = |security: &Value| security["runAsNonRoot"].as_bool();
    let refusing = pod.culprits(|security| said(security) == Some(false));
    if !refusing.is_none() {
        return Some(format!(
            "{} must not set securityContext.runAsNonRoot=false",
            refusing.told()
        ));
    }
    silent(pod, |security| said(security).is_some())
        .map(|who| format!("pod or {who} must set securityContext.runAsNonRoot=true"))
}

/// The containers that leave to the pod what the pod doesn't say either.
fn silent(pod: &Pod<'_>, says: impl Fn(&Value) -> bool) -> Option<String> {
    if says(pod.security()) {
        return None;
    }
    let names = pod.containers_where(|container| !says(container.security()));
    (!names.is_empty()).then(|| containers(&names))
}

fn run_as_user(pod: &Pod<'_>) -> Option<String> {
    let culprits: Culprits<'_> = pod.culprits(|security| security["runAsUser"] == 0);
    (!culprits.is_none()).then(|| format!("{} must not set runAsUser=0", culprits.told()))
}

fn seccomp(pod: &Pod<'_>) -> Option<String> {
    if pod.is_windows() {
        return None;
    }
    let said = |security: &Value| {
        let kind = security["seccompProfile"]["type"].as_str();
        kind.filter(|kind| !kind.is_empty()).map(str::to_owned)
    };
    let bad = |security: &Value| {
        said(security).filter(|kind| !matches!(kind.as_str(), "RuntimeDefault" | "Localhost"))
    };
    let culprits = pod.culprits(|security| bad(security).is_some());
    if !culprits.is_none() {
        let contexts = pod
            .containers
            .iter()
            .map(|container| container.security())
            .chain([pod.security()]);
        let kinds = set(contexts.filter_map(bad));
        return Some(format!(
            "{} must not set securityContext.seccompProfile.type to {}",
            culprits.told(),
            quoted(&kinds)
        ));
    }
    silent(pod, |security| said(security).is_some()).map(|who| {
        format!("pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"")
    })
}
