//! The `spec` of pods and of their templates.

use serde_json::{Value, json};

use super::report::{Path, Report, items, text};
use super::{container, scheduling, texts, volume};
use crate::names;

const SYSCTL: &str = r"must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

/// What only a new pod may not have.
pub(super) fn created(pod: &Value, report: &mut Report) {
    let at = Path::root("spec");
    if items(&pod["spec"]["ephemeralContainers"]).next().is_some() {
        report.forbidden(&at.field("ephemeralContainers"), "cannot be set on create");
    }
}

/// The `spec` of a pod.
pub(super) fn spec(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let volumes = volume::all(&spec["volumes"], &at.field("volumes"), report);
    container::all(spec, at, &volumes, report);
    report.one_of(spec, at, "restartPolicy", &["Always", "OnFailure", "Never"]);
    report.one_of(
        spec,
        at,
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    texts::labels(&spec["nodeSelector"], &at.field("nodeSelector"), report);
    security(
        &spec["securityContext"],
        &at.field("securityContext"),
        report,
    );
    scheduling::affinity(&spec["affinity"], &at.field("affinity"), report);
    if spec["dnsPolicy"] == "None" && items(&spec["dnsConfig"]["nameservers"]).next().is_none() {
        let (place, detail) = if spec["dnsConfig"].is_null() {
            (
                "dnsConfig",
                "must provide `dnsConfig` when `dnsPolicy` is None",
            )
        } else {
            (
                "dnsConfig.nameservers",
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            )
        };
        report.required(&at.field(place), detail);
    }
    scheduling::spread(
        &spec["topologySpreadConstraints"],
        &at.field("topologySpreadConstraints"),
        report,
    );
    for (field, complaints) in [
        (
            "serviceAccountName",
            names::dns_subdomain as fn(&str) -> Vec<String>,
        ),
        ("nodeName", names::dns_subdomain),
        ("hostname", names::dns_label),
        ("subdomain", names::dns_label),
    ] {
        if let Some(name) = spec[field].as_str().filter(|name| !name.is_empty()) {
            report.all_invalid(&at.field(field), &spec[field], complaints(name));
        }
    }
    report.positive(
        spec,
        at,
        "activeDeadlineSeconds",
        "must be between 1 and 2147483647, inclusive",
    );
    scheduling::tolerations(&spec["tolerations"], &at.field("tolerations"), report);
    aliases(&spec["hostAliases"], &at.field("hostAliases"), report);
}

fn security(context: &Value, at: &Path<'_>, report: &mut Report) {
    container::identities(context, at, &["runAsUser", "runAsGroup", "fsGroup"], report);
    container::seccomp(
        &context["seccompProfile"],
        &at.field("seccompProfile"),
        report,
    );
    let sysctls = at.field("sysctls");
    for (index, sysctl) in items(&context["sysctls"]) {
        let at = sysctls.index(index);
        if report.filled(sysctl, &at, "name") && !is_sysctl(text(&sysctl["name"])) {
            report.invalid(&at.field("name"), &sysctl["name"], SYSCTL);
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let segment = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|byte| plain(byte) || b"-_".contains(byte))
    };
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}

fn aliases(aliases: &Value, at: &Path<'_>, report: &mut Report) {
    for (index, alias) in items(aliases) {
        let at = at.index(index);
        if !texts::is_ip(text(&alias["ip"])) {
            report.invalid(&at.field("ip"), &json!(text(&alias["ip"])), texts::IP);
        }
        let hostnames = at.field("hostnames");
        for (index, hostname) in items(&alias["hostnames"]) {
            report.all_invalid(
                &hostnames.index(index),
                hostname,
                names::dns_subdomain(text(hostname)),
            );
        }
    }
}
