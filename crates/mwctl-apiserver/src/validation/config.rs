//! Config maps, secrets and priority classes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::report::{Path, Report, text};
use super::texts;

/// What a config map or a secret may hold altogether.
const MOST: usize = 1 << 20;

/// What the types of secrets must have.
const SECRETS: [(&str, &[&str]); 4] = [
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];

/// A config map.
pub(super) fn config_map(map: &Value, report: &mut Report) {
    let mut size = 0;
    for field in ["data", "binaryData"] {
        let at = Path::root(field);
        let other = if field == "data" {
            "binaryData"
        } else {
            "data"
        };
        for (key, value) in map[field].as_object().into_iter().flatten() {
            report.all_invalid(&at.key(key), &json!(key), texts::config_key(key));
            if field == "data" && !map[other][key].is_null() {
                let detail = format!("duplicate of key present in {other}");
                report.invalid(&at.key(key), &json!(key), &detail);
            }
            size += if field == "data" {
                text(value).len()
            } else {
                bytes(value).len()
            };
        }
    }
    if size > MOST {
        report.too_long(&Path::root("").key(""), MOST);
    }
}

/// A secret.
pub(super) fn secret(secret: &Value, report: &mut Report) {
    let at = Path::root("data");
    let mut size = 0;
    for (key, value) in secret["data"].as_object().into_iter().flatten() {
        report.all_invalid(&at.key(key), &json!(key), texts::config_key(key));
        size += bytes(value).len();
    }
    if size > MOST {
        report.too_long(&at, MOST);
    }
    let kind = text(&secret["type"]);
    let has = |key: &str| !secret["data"][key].is_null();
    for key in SECRETS
        .iter()
        .filter(|(known, _)| *known == kind)
        .flat_map(|(_, keys)| *keys)
    {
        if !has(key) {
            report.required(&at.key(key), "");
        } else if key.starts_with(".docker") {
            let content = bytes(&secret["data"][*key]);
            if let Some(complaint) = crate::decode::json_complaint(&content) {
                report.invalid(
                    &at.key(key),
                    &json!("<secret contents redacted>"),
                    &complaint,
                );
            }
        }
    }
    if kind == "kubernetes.io/basic-auth" && !has("username") && !has("password") {
        report.required(&at.key("username"), "");
        report.required(&at.key("password"), "");
    }
    let account = "kubernetes.io/service-account.name";
    if kind == "kubernetes.io/service-account-token"
        && text(&secret["metadata"]["annotations"][account]).is_empty()
    {
        let at = Path::root("metadata");
        report.required(&at.field("annotations").key(account), "");
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(text(value)).unwrap_or_default()
}

/// A priority class.
pub(super) fn priority_class(class: &Value, report: &mut Report) {
    const HIGHEST: i64 = 1_000_000_000;
    let system = text(&class["metadata"]["name"]).starts_with("system-");
    if !system && class["value"].as_i64().is_some_and(|value| value > HIGHEST) {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        report.forbidden(&Path::root("value"), &detail);
    }
    let policies = ["Never", "PreemptLowerPriority"];
    report.among(
        &class["preemptionPolicy"],
        &Path::root("preemptionPolicy"),
        &policies,
    );
}
