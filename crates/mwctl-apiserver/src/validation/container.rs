//! Containers: names, images, ports, environment, mounts, resources, privileges.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::report::{Path, Report, items, text};
use super::{environment, probe, resources, texts};

const IDENTITY: &str = "must be between 0 and 2147483647, inclusive";
/// All containers of a pod's `spec`, which has these volumes.
pub(super) fn all(spec: &Value, at: &Path<'_>, volumes: &BTreeSet<&str>, report: &mut Report) {
    let containers = at.field("containers");
    if items(&spec["containers"]).next().is_none() {
        report.required(&containers, "");
    }
    let host_network = spec["hostNetwork"] == true;
    let mut seen = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    for (index, value) in items(&spec["containers"]) {
        let at = containers.index(index);
        if !seen.insert(text(&value["name"])) {
            report.duplicate(&at.field("name"), &value["name"]);
        }
        container(value, &at, volumes, host_network, report);
        probe::all(value, &at, report);
        unique_host_ports(value, &at, &mut host_ports, report);
    }
    let containers = at.field("initContainers");
    for (index, value) in items(&spec["initContainers"]) {
        let at = containers.index(index);
        container(value, &at, volumes, host_network, report);
        if !seen.insert(text(&value["name"])) {
            report.duplicate(&at.field("name"), &value["name"]);
        }
        if value["restartPolicy"] == "Always" {
            probe::all(value, &at, report);
            continue;
        }
        for field in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            if !value[field].is_null() {
                let detail = "may not be set for init containers without restartPolicy=Always";
                report.forbidden(&at.field(field), detail);
            }
        }
    }
}

fn container(
    container: &Value,
    at: &Path<'_>,
    volumes: &BTreeSet<&str>,
    host_network: bool,
    report: &mut Report,
) {
    if report.filled(container, at, "name") {
        let name = &container["name"];
        report.all_invalid(&at.field("name"), name, texts::label(text(name)));
    }
    let image = text(&container["image"]);
    if image.is_empty() {
        report.required(&at.field("image"), "");
    } else if image.trim() != image {
        report.invalid(
            &at.field("image"),
            &container["image"],
            "must not have leading or trailing whitespace",
        );
    }
    report.one_of(
        container,
        at,
        "terminationMessagePolicy",
        &["File", "FallbackToLogsOnError"],
    );
    ports(
        &container["ports"],
        &at.field("ports"),
        host_network,
        report,
    );
    environment::variables(&container["env"], &at.field("env"), report);
    environment::sources(&container["envFrom"], &at.field("envFrom"), report);
    mounts(
        &container["volumeMounts"],
        &at.field("volumeMounts"),
        volumes,
        report,
    );
    report.one_of(
        container,
        at,
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
    );
    resources::check(&container["resources"], &at.field("resources"), report);
    security(
        &container["securityContext"],
        &at.field("securityContext"),
        report,
    );
}

fn ports(ports: &Value, at: &Path<'_>, host_network: bool, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for (index, port) in items(ports) {
        let at = at.index(index);
        let name = text(&port["name"]);
        if !name.is_empty() {
            let complaints = texts::port_name(name);
            for complaint in &complaints {
                report.invalid(&at.field("name"), &port["name"], complaint);
            }
            if complaints.is_empty() && !seen.insert(name) {
                report.duplicate(&at.field("name"), &port["name"]);
            }
        }
        let number = port["containerPort"].as_i64().unwrap_or_default();
        if number == 0 {
            report.required(&at.field("containerPort"), "");
        } else if !texts::is_port(number) {
            report.invalid(
                &at.field("containerPort"),
                &port["containerPort"],
                texts::PORT,
            );
        }
        if let Some(host) = port["hostPort"].as_i64().filter(|host| *host != 0) {
            if !texts::is_port(host) {
                report.invalid(&at.field("hostPort"), &port["hostPort"], texts::PORT);
            } else if host_network && host != number {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                report.invalid(&at.field("hostPort"), &port["hostPort"], detail);
            }
        }
        report.one_of(port, &at, "protocol", &["SCTP", "TCP", "UDP"]);
    }
}

fn unique_host_ports(
    container: &Value,
    at: &Path<'_>,
    seen: &mut BTreeSet<String>,
    report: &mut Report,
) {
    let ports = at.field("ports");
    for (index, port) in items(&container["ports"]) {
        let Some(host) = port["hostPort"].as_i64().filter(|host| *host != 0) else {
            continue;
        };
        let key = format!(
            "{}/{}/{host}",
            text(&port["protocol"]),
            text(&port["hostIP"])
        );
        if !seen.insert(key.clone()) {
            report.duplicate(&ports.index(index).field("hostPort"), &json!(key));
        }
    }
}

fn mounts(mounts: &Value, at: &Path<'_>, volumes: &BTreeSet<&str>, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for (index, mount) in items(mounts) {
        let item = at.index(index);
        report.filled(mount, &item, "name");
        if !volumes.contains(text(&mount["name"])) {
            report.not_found(&item.field("name"), &mount["name"]);
        }
        let path = &mount["mountPath"];
        if text(path).is_empty() {
            report.required(&item.field("mountPath"), "");
        }
        if !seen.insert(text(path)) {
            report.invalid(&item.field("mountPath"), path, "must be unique");
        }
        // Upstream forgets the index here.
        for field in ["subPath", "subPathExpr"] {
            texts::local_path(&mount[field], &at.field(field), report);
        }
    }
}

/// Ids of users and groups.
pub(super) fn identities(context: &Value, at: &Path<'_>, fields: &[&str], report: &mut Report) {
    for field in fields {
        if context[field]
            .as_i64()
            .is_some_and(|id| i32::try_from(id).map_or(true, i32::is_negative))
        {
            report.invalid(&at.field(field), &context[field], IDENTITY);
        }
    }
}

/// A profile of seccomp.
pub(super) fn seccomp(profile: &Value, at: &Path<'_>, report: &mut Report) {
    report.one_of(
        profile,
        at,
        "type",
        &["Localhost", "RuntimeDefault", "Unconfined"],
    );
}

fn security(context: &Value, at: &Path<'_>, report: &mut Report) {
    identities(context, at, &["runAsUser", "runAsGroup"], report);
    seccomp(
        &context["seccompProfile"],
        &at.field("seccompProfile"),
        report,
    );
    if context["allowPrivilegeEscalation"] == false {
        if context["privileged"] == true {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            report.invalid(at, &internal(context), detail);
        }
        let added = context["capabilities"]["add"].as_array();
        if added.is_some_and(|added| added.iter().any(|capability| capability == "CAP_SYS_ADMIN")) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            report.invalid(at, &internal(context), detail);
        }
    }
}

/// A security context as upstream's internal type is written: every field, under Go's own name.
fn internal(context: &Value) -> Value {
    let names = [
        ("Capabilities", "capabilities"),
        ("Privileged", "privileged"),
        ("SELinuxOptions", "seLinuxOptions"),
        ("WindowsOptions", "windowsOptions"),
        ("RunAsUser", "runAsUser"),
        ("RunAsGroup", "runAsGroup"),
        ("RunAsNonRoot", "runAsNonRoot"),
        ("ReadOnlyRootFilesystem", "readOnlyRootFilesystem"),
        ("AllowPrivilegeEscalation", "allowPrivilegeEscalation"),
        ("ProcMount", "procMount"),
        ("SeccompProfile", "seccompProfile"),
        ("AppArmorProfile", "appArmorProfile"),
    ];
    names
        .into_iter()
        .map(|(name, field)| (name.to_owned(), context[field].clone()))
        .collect()
}
