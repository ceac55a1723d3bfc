//! Pod Security: which pods a namespace takes, by its labels `pod-security.kubernetes.io/<mode>`.
//!
//! `enforce` refuses pods, `warn` tells about pods and about templates of pods, `audit` is ignored for there is no audit log. The rules are
//! those of upstream's version `latest`; a namespace that asks for an older version gets them too, under the version's name.

mod baseline;
mod pod;
mod restricted;

use super::{Resource, refused};
use crate::status::Status;
use pod::Pod;
use serde_json::Value;

/// How much a pod may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Privileged,
    /// No known way out of a container.
    Baseline,
    /// As little as can be.
    Restricted,
}

/// One thing that a pod may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What it is called, such as `host namespaces`.
    pub rule: &'static str,
    /// What is wrong, such as `hostNetwork=true`.
    pub detail: String,
}

/// A level as a namespace asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    level: Level,
    version: String,
}

/// What the pod of this metadata and spec may not at a level.
pub fn check(level: Level, metadata: &Value, spec: &Value) -> Vec<Violation> {
    let pod = Pod::new(metadata, spec);
    let checks = match level {
        Level::Privileged => return Vec::new(),
        Level::Baseline => baseline::ALL.iter().chain(baseline::REPLACED).chain(&[]),
        Level::Restricted => baseline::ALL.iter().chain(&[]).chain(restricted::ALL),
    };
    let mut found: Vec<(u8, Violation)> = checks
        .filter_map(|check| {
            let detail = (check.find)(&pod)?;
            let rule = check.rule;
            Some((check.place, Violation { rule, detail }))
        })
        .collect();
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, violation)| violation).collect()
}

/// Admits a pod to a namespace with these labels; the warnings to answer with, or the refusal.
pub fn admit_pod(
    labels: &Value,
    resource: &Resource<'_>,
    pod: &Value,
) -> Result<Vec<String>, Status> {
    let (metadata, spec) = (&pod["metadata"], &pod["spec"]);
    if let Some(told) = told(labels, "enforce", metadata, spec) {
        return Err(refused(resource, &format!("violates {told}")));
    }
    Ok(warnings(labels, metadata, spec))
}

/// The warnings about a template of pods, which is never refused: its pods will be.
pub fn warn_template(labels: &Value, template: &Value) -> Vec<String> {
    warnings(labels, &template["metadata"], &template["spec"])
}

fn warnings(labels: &Value, metadata: &Value, spec: &Value) -> Vec<String> {
    let told = told(labels, "warn", metadata, spec);
    told.map(|told| format!("would violate {told}"))
        .into_iter()
        .collect()
}

fn told(labels: &Value, mode: &str, metadata: &Value, spec: &Value) -> Option<String> {
    let wanted = Wanted::read(labels, mode)?;
    let violations = check(wanted.level, metadata, spec);
    if violations.is_empty() {
        return None;
    }
    let violations = violations
        .iter()
        .map(|one| format!("{} ({})", one.rule, one.detail));
    let violations = violations.collect::<Vec<_>>().join(", ");
    let level = wanted.level.name();
    Some(format!(
        "PodSecurity \"{level}:{}\": {violations}",
        wanted.version
    ))
}

impl Wanted {
    fn read(labels: &Value, mode: &str) -> Option<Self> {
        let label = |name: String| labels.get(name).and_then(Value::as_str);
        let level = match label(format!("pod-security.kubernetes.io/{mode}"))? {
            "privileged" => Level::Privileged,
            "baseline" => Level::Baseline,
            // What cannot be read is taken for the most careful, as upstream does.
            _ => Level::Restricted,
        };
        let version = label(format!("pod-security.kubernetes.io/{mode}-version"));
        Some(Self {
            level,
            version: version.unwrap_or("latest").to_owned(),
        })
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// One rule.
struct Check {
    /// Where it stands among the others in a message.
    place: u8,
    rule: &'static str,
    find: fn(&Pod<'_>) -> Option<String>,
}
