//! What is to become of one wanted object, given what stands under its name.

use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Secret};
use serde_json::Value;

use super::difference::{Difference, differences, zero};
use super::owner::{Owner, Ownership};
use super::{Hold, HoldKind, PlanOptions};
use crate::manifest::{APPLIED, Object, ObjectId, ROLE};
use crate::observed::{Observed, has_failed};

/// What is to become of an object.
pub(super) enum Verdict {
    /// It is as it should be.
    Unchanged,
    /// It is applied, because of this.
    Apply(String),
    /// It is deleted and applied, because of this.
    Replace(String),
    /// It is left.
    Hold(Hold),
}

/// Looks at wanted objects one by one.
pub(super) struct Judge<'a> {
    pub(super) owner: &'a Owner,
    pub(super) observed: &'a Observed,
    pub(super) options: &'a PlanOptions,
}

impl Judge<'_> {
    /// What is to become of `object`.
    pub(super) fn judge(&self, object: &Object) -> Verdict {
        let id = object.id();
        let Some(live) = self.observed.objects.get(&id) else {
            return Verdict::Apply("isn't in the cluster".to_owned());
        };
        if self.namespace_goes(&id) {
            return Verdict::Apply("goes with its old namespace".to_owned());
        }
        let ownership = self.owner.of(live);
        if ownership != Ownership::Mine && is_same_agent(object, live) {
            return Verdict::Unchanged;
        }
        if ownership != Ownership::Mine && !self.options.adopt {
            return Verdict::Hold(foreign(object, &id, &ownership, is_going(live)));
        }
        if is_going(live) {
            return Verdict::Replace("is being deleted".to_owned());
        }
        if id.kind == "Job" && has_failed(live) {
            return Verdict::Replace("has failed before".to_owned());
        }
        self.compare(object, &id, live)
    }

    /// Whether the object's namespace is being deleted, and the object with it.
    fn namespace_goes(&self, id: &ObjectId) -> bool {
        self.observed.objects.iter().any(|(other, value)| {
            other.kind == "Namespace"
                && id.namespace.as_ref() == Some(&other.name)
                && is_going(value)
        })
    }

    fn compare(&self, object: &Object, id: &ObjectId, live: &Value) -> Verdict {
        let wanted = object.to_value();
        let found = differences(&wanted, live);
        let shown = reason(&found, object.is::<Secret>());
        if let Some(field) = immutable(object, &wanted, live, &found) {
            let reason = format!("can't be changed in place: {}", shown.unwrap_or(field));
            if object.is::<PersistentVolumeClaim>() && !self.options.volumes {
                return Verdict::Hold(Hold::data(
                    object.service(),
                    id,
                    format!("`{id}` {reason}"),
                    "to lose its data and start anew: `mwctl down --volumes`, then `mwctl up`"
                        .to_owned(),
                ));
            }
            return Verdict::Replace(reason);
        }
        let applied = live
            .pointer("/metadata/annotations")
            .and_then(|annotations| annotations.get(APPLIED))
            .and_then(Value::as_str);
        match (applied == Some(object.fingerprint().as_str()), shown) {
            (true, None) => Verdict::Unchanged,
            (true, Some(reason)) => Verdict::Apply(format!("was changed in the cluster: {reason}")),
            (false, Some(reason)) => Verdict::Apply(reason),
            (false, None) if applied.is_none() => {
                Verdict::Apply("has yet to be marked as applied".to_owned())
            }
            (false, None) => Verdict::Apply("has less than what was applied before".to_owned()),
        }
    }
}

/// Whether somebody else brought the very agent that is wanted: it never changes, so it serves both.
fn is_same_agent(object: &Object, live: &Value) -> bool {
    let is_agent = object.label(ROLE).is_some();
    let wanted = object.to_value();
    let equal = |field: &str| wanted.get(field) == live.get(field);
    is_agent && equal("immutable") && equal("binaryData") && !is_going(live)
}

/// Whether an object is being deleted.
pub(super) fn is_going(live: &Value) -> bool {
    live.pointer("/metadata/deletionTimestamp").is_some()
}

fn foreign(object: &Object, id: &ObjectId, ownership: &Ownership, going: bool) -> Hold {
    let namespace = object.is::<Namespace>();
    let (kind, rest, hint) = match (namespace, going) {
        (true, false) => (HoldKind::Namespace, "; it is used as it is", None),
        (true, true) => (
            HoldKind::Foreign,
            " and is being deleted",
            Some(format!("kubectl wait --for=delete --timeout=60s {id}")),
        ),
        (false, _) => (
            HoldKind::Foreign,
            "",
            Some("to take it over: `mwctl up --adopt`".to_owned()),
        ),
    };
    Hold {
        kind,
        service: object.service(),
        object: Some(id.clone()),
        reason: format!("`{id}` {}{rest}", ownership.belongs()),
        hint,
    }
}

/// The field that makes applying impossible, if one does.
fn immutable(
    object: &Object,
    wanted: &Value,
    live: &Value,
    found: &[Difference],
) -> Option<String> {
    let differs = |pointer: &str| {
        let (wanted, live) = (wanted.pointer(pointer), live.pointer(pointer));
        wanted.is_some_and(|wanted| live.is_some_and(|live| live != wanted))
    };
    let touches = |prefix: &str| found.iter().any(|d| d.path.starts_with(prefix));
    let first = |fields: &[&'static str]| {
        let found = fields.iter().copied().find(|field| touches(field));
        (found.is_some(), found.unwrap_or_default())
    };
    let never = live.get("immutable").is_some_and(|value| !zero(value));
    let (is, field) = match object.id().kind.as_str() {
        // Labels that only the live selector has count too: apply would take them out of it.
        "Deployment" | "DaemonSet" => (differs("/spec/selector/matchLabels"), "spec.selector"),
        "StatefulSet" if differs("/spec/selector/matchLabels") => (true, "spec.selector"),
        "StatefulSet" => first(&[
            "spec.serviceName",
            "spec.volumeClaimTemplates",
            "spec.podManagementPolicy",
        ]),
        "Job" => first(&["spec.template", "spec.completions", "spec.completionMode"]),
        "Service" => (is_headless(wanted) != is_headless(live), "spec.clusterIP"),
        "ConfigMap" | "Secret" if never => first(&["data", "binaryData", "immutable"]),
        "Secret" => (differs("/type"), "type"),
        "RoleBinding" | "ClusterRoleBinding" => first(&["roleRef"]),
        "PersistentVolumeClaim" | "Pod" => (touches("spec"), "spec"),
        _ => (false, ""),
    };
    is.then(|| format!("`{field}` differs"))
}

/// Whether a Service has no address of its own.
fn is_headless(service: &Value) -> bool {
    service.pointer("/spec/clusterIP").and_then(Value::as_str) == Some("None")
}

/// The most telling difference in words, and how many more there are.
fn reason(found: &[Difference], secret: bool) -> Option<String> {
    // A checksum only says that something else differs.
    let telling = found.iter().find(|d| !d.path.contains(".annotations["));
    let first = telling.or(found.first())?;
    let more = match found.len() - 1 {
        0 => String::new(),
        1 => "; 1 more field differs".to_owned(),
        more => format!("; {more} more fields differ"),
    };
    Some(format!("{}{more}", first.describe(secret)))
}
