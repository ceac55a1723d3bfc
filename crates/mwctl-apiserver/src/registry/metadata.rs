//! `metadata` of a written object: what the server decides whatever the client says. Pure functions of the old and the new value.

use super::{Served, Target, stamp, strategy, text};
use crate::names;
use crate::status::{Cause, Status};
use serde_json::{Map, Value, json};

/// Fields of `metadata` that no client sets.
const SERVERS: [&str; 5] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

/// The `metadata` of a value, made if it isn't there; none if the value is no object.
pub(super) fn of(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let fields = object.as_object_mut()?;
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    metadata.as_object_mut()
}

/// Makes a body the object that is created: named, stamped, without what only the server says.
pub(super) fn created(target: &Target, object: &mut Value, now: &str) -> Result<(), Status> {
    let resource = &target.resource;
    let name = chosen_name(target, object)?;
    let metadata = of(object).ok_or_else(no_object)?;
    if metadata
        .get("resourceVersion")
        .is_some_and(|version| version.as_str() != Some(""))
    {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(Status::new(500, "", message));
    }
    metadata.remove("resourceVersion");
    for field in SERVERS {
        metadata.remove(field);
    }
    metadata.insert("name".to_owned(), json!(name));
    if resource.namespaced {
        metadata.insert("namespace".to_owned(), json!(target.namespace));
    } else {
        metadata.remove("namespace");
    }
    metadata.insert("uid".to_owned(), json!(stamp::uid()));
    metadata.insert("creationTimestamp".to_owned(), json!(now));
    match strategy::generation(resource).first() {
        Some(first) => drop(metadata.insert("generation".to_owned(), json!(first))),
        None => drop(metadata.remove("generation")),
    }
    Ok(())
}

/// Makes a proposal the object that follows `live`: what the server keeps is kept.
pub(super) fn updated(target: &Target, live: &Value, proposed: &mut Value) -> Result<(), Status> {
    agree(target, live, proposed)?;
    let before = live["metadata"].as_object();
    let metadata = of(proposed).ok_or_else(no_object)?;
    let kept = SERVERS.into_iter().chain([
        "name",
        "namespace",
        "resourceVersion",
        "generateName",
        "generation",
    ]);
    for field in kept {
        match before.and_then(|before| before.get(field)) {
            Some(value) => drop(metadata.insert(field.to_owned(), value.clone())),
            None => drop(metadata.remove(field)),
        }
    }
    keep_the_other_half(target, live, proposed);
    no_new_finalizers(target, live, proposed)
}

/// Counts what follows `live` as another generation, if it is one. Both have their defaults: one that nobody wrote is no change.
pub(super) fn count(target: &Target, live: &Value, proposed: &mut Value) {
    // That a scheduler finds a node is no change of what is wanted, and a status is none.
    let counts = !matches!(&*target.subresource, "binding" | "status" | "approval");
    if counts && strategy::generation(&target.resource).differs(live, proposed) {
        let generation = live["metadata"]["generation"].as_i64().unwrap_or_default();
        proposed["metadata"]["generation"] = json!(generation + 1);
    }
}

/// A write to the object leaves its status, and a write to the status leaves everything else.
fn keep_the_other_half(target: &Target, live: &Value, proposed: &mut Value) {
    let (Some(before), Some(after)) = (live.as_object(), proposed.as_object_mut()) else {
        return;
    };
    if matches!(&*target.subresource, "status" | "approval") {
        let status = after.remove("status");
        let mut metadata = after.remove("metadata").unwrap_or_default();
        for field in ["ownerReferences", "finalizers"] {
            metadata[field] = live["metadata"][field].clone();
        }
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.retain(|_, value| !value.is_null());
        }
        after.clone_from(before);
        after.insert("metadata".to_owned(), metadata);
        match status {
            Some(status) => drop(after.insert("status".to_owned(), status)),
            None => drop(after.remove("status")),
        }
    } else if strategy::status_apart(&target.resource) && target.subresource.is_empty() {
        match before.get("status") {
            Some(status) => drop(after.insert("status".to_owned(), status.clone())),
            None => drop(after.remove("status")),
        }
    }
}

/// Refuses a proposal made for another object, or for another state of this one.
fn agree(target: &Target, live: &Value, proposed: &Value) -> Result<(), Status> {
    let (version, uid) = (
        text(proposed, "/metadata/resourceVersion"),
        text(proposed, "/metadata/uid"),
    );
    if !uid.is_empty() && uid != text(live, "/metadata/uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            text(live, "/metadata/uid")
        );
        let key = format!(
            "/registry/{}/{}/{}",
            target.resource.plural, target.namespace, target.name
        );
        return Err(target.conflict(&format!(
            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
        )));
    }
    if !version.is_empty() && version != "0" && version != text(live, "/metadata/resourceVersion") {
        return Err(target.conflict(super::OVERTAKEN));
    }
    Ok(())
}

fn no_new_finalizers(target: &Target, live: &Value, proposed: &Value) -> Result<(), Status> {
    if text(live, "/metadata/deletionTimestamp").is_empty() {
        return Ok(());
    }
    let known = finalizers(live);
    let new: Vec<String> = finalizers(proposed)
        .into_iter()
        .filter(|finalizer| !known.contains(finalizer))
        .map(|finalizer| format!("{finalizer:?}"))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let told = new.join(", ");
    let message = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{told}}}"
    );
    Err(target.invalid(
        &target.name,
        vec![Cause {
            reason: "FieldValueForbidden",
            message,
            field: "metadata.finalizers".to_owned(),
        }],
    ))
}

/// `metadata.finalizers`.
pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn chosen_name(target: &Target, object: &Value) -> Result<String, Status> {
    let prefix = text(object, "/metadata/generateName");
    for name in [text(object, "/metadata/name"), &target.name] {
        if !name.is_empty() {
            return Ok(name.to_owned());
        }
    }
    if !prefix.is_empty() {
        return Ok(stamp::name(prefix));
    }
    let cause = Cause {
        reason: "FieldValueRequired",
        message: "Required value: name or generateName is required".to_owned(),
        field: "metadata.name".to_owned(),
    };
    Err(target.invalid("", vec![cause]))
}

/// What is wrong with names, labels and annotations.
pub(super) fn complaints(target: &Target, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut judge = |field: &str, value: &str, told: Vec<String>| {
        causes.extend(told.into_iter().map(|complaint| Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: \"{value}\": {complaint}"),
            field: field.to_owned(),
        }));
    };
    let name = text(object, "/metadata/name");
    let prefix = text(object, "/metadata/generateName");
    if !prefix.is_empty() {
        let stem = prefix
            .strip_suffix('-')
            .map_or_else(|| prefix.to_owned(), |stem| format!("{stem}a"));
        judge(
            "metadata.generateName",
            prefix,
            name_rule(&target.resource)(&stem),
        );
    }
    judge("metadata.name", name, name_rule(&target.resource)(name));
    let labels = object
        .pointer("/metadata/labels")
        .and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        judge("metadata.labels", key, names::qualified_name(key));
        judge("metadata.labels", value, names::label_value(value));
    }
    let annotations = object
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    for key in annotations.into_iter().flat_map(Map::keys) {
        judge(
            "metadata.annotations",
            key,
            names::qualified_name(&key.to_lowercase()),
        );
    }
    for finalizer in finalizers(object) {
        judge(
            "metadata.finalizers",
            finalizer,
            names::qualified_name(finalizer),
        );
    }
    causes
}

/// What names of this kind must be.
fn name_rule(resource: &Served) -> fn(&str) -> Vec<String> {
    match (resource.gvk.group.as_str(), resource.gvk.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => names::path_segment,
        ("", "Namespace") => names::dns_label,
        ("networking.k8s.io", "IPAddress") => names::address,
        ("", "Service") => names::dns_1035_label,
        _ => names::dns_subdomain,
    }
}

fn no_object() -> Status {
    Status::bad_request("the body of the request is not an object with metadata")
}
