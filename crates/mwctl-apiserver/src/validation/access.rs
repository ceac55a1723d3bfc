//! Roles and their bindings.

use serde_json::Value;

use super::report::{Path, Report, items, text};

const GROUP: &str = "rbac.authorization.k8s.io";

/// A role, of a namespace or of the cluster.
pub(super) fn role(role: &Value, namespaced: bool, report: &mut Report) {
    let rules = Path::root("rules");
    for (index, rule) in items(&role["rules"]) {
        let at = rules.index(index);
        let has = |field: &str| items(&rule[field]).next().is_some();
        if !has("verbs") {
            report.required(&at.field("verbs"), "verbs must contain at least one value");
        }
        if has("nonResourceURLs") {
            let place = at.field("nonResourceURLs");
            let urls = &rule["nonResourceURLs"];
            if namespaced {
                report.invalid(
                    &place,
                    urls,
                    "namespaced rules cannot apply to non-resource URLs",
                );
            }
            if has("apiGroups") || has("resources") || has("resourceNames") {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                report.invalid(&place, urls, detail);
            }
            continue;
        }
        if !has("apiGroups") {
            report.required(
                &at.field("apiGroups"),
                "resource rules must supply at least one api group",
            );
        }
        if !has("resources") {
            report.required(
                &at.field("resources"),
                "resource rules must supply at least one resource",
            );
        }
    }
}

/// A binding, in a namespace or of the cluster.
pub(super) fn binding(binding: &Value, namespaced: bool, report: &mut Report) {
    let role = &binding["roleRef"];
    let at = Path::root("roleRef");
    report.one_of(role, &at, "apiGroup", &[GROUP]);
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    report.one_of(role, &at, "kind", kinds);
    report.filled(role, &at, "name");
    let subjects = Path::root("subjects");
    for (index, value) in items(&binding["subjects"]) {
        subject(value, &subjects.index(index), report);
    }
}

fn subject(subject: &Value, at: &Path<'_>, report: &mut Report) {
    report.filled(subject, at, "name");
    let group = &subject["apiGroup"];
    let expected = match text(&subject["kind"]) {
        "ServiceAccount" => "",
        "User" | "Group" => GROUP,
        _ => {
            let kinds = ["ServiceAccount", "User", "Group"];
            report.unsupported(&at.field("kind"), &subject["kind"], &kinds);
            return;
        }
    };
    if text(group) != expected {
        report.unsupported(&at.field("apiGroup"), group, &[expected]);
    }
}
