//! Server-side apply, and the memory it needs: who owns which field (`metadata.managedFields`).
//!
//! [`apply`] merges what a manager wants into what is there and refuses where another manager wants otherwise; [`track_update`] notes what
//! every other write changed. Both are pure: the time is an argument and the object is a value. Defaults, validation, preconditions
//! (`resourceVersion`, `uid`, the name in the URL) and the decision that nothing changed are the caller's.
//!
//! ```text
//! body ─ check ─ owned ─┬─ remove from live what we gave up ─ merge ─ conflicts with the others ─ managers ─→ object
//!            managedFields ┘
//! ```

mod change;
mod check;
mod conflict;
mod fields;
mod item;
mod last_applied;
mod managers;
mod merge;
mod owned;
mod remove;
mod typed;

pub(crate) use check::subject;
pub use fields::FieldSet;

use crate::patch::go;
use crate::schema::{Schema, StructId};
use crate::status::{Cause, Status};
use crate::storage::same_but;
use change::Before;
use managers::{Entry, Managers, Operation};
use serde_json::{Map, Value};
use std::borrow::Cow;
use typed::Type;

/// The manager that is taken to have written an object whose fields nobody owns yet.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// What is known about the object that is written.
#[derive(Debug, Clone, Copy)]
pub struct Kind<'s> {
    /// Where its type is described.
    pub schema: &'s Schema,
    /// Its type; without one, every field is taken as it comes.
    pub structure: Option<StructId>,
    /// Its status is written at a path of its own, so that a write to the object never touches it.
    pub status_apart: bool,
}

/// Who writes, where and when.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// `fieldManager` of the request, or for other writes than an apply the user agent up to its first slash.
    pub manager: &'a str,
    /// The subresource, such as `status`; empty for the object itself.
    pub subresource: &'a str,
    /// The time, RFC 3339 to the second.
    pub now: &'a str,
}

/// What the object becomes when `writer` applies `body`; without `live` it is created.
///
/// With `force`, fields that others own with another value are taken from them.
pub fn apply(
    kind: Kind<'_>,
    writer: Writer<'_>,
    live: Option<&Value>,
    body: &Value,
    force: bool,
) -> Result<Value, Status> {
    refuse_request(writer, body)?;
    let root = Type::root(kind.schema, kind.structure);
    let body = written_part(kind, writer, body);
    check::check(root, &body)?;
    let mut ours = owned::owned(root, &body);
    limit_to_written(kind, writer, &mut ours);

    let mut managers = match live {
        Some(live) => known_managers(kind, writer, root, live),
        None => Managers::default(),
    };
    let previous = managers.take(
        writer.manager,
        Operation::Apply,
        api_version(&body),
        writer.subresource,
    );
    let merged = match live {
        Some(live) => {
            let mut merged = live.clone();
            take_managed_fields(&mut merged);
            if let Some(previous) = &previous {
                // Before the merge, so that a container which this empties is back if the body has it, empty or not.
                let others = managers.entries.iter().map(|entry| &entry.fields);
                let kept: Vec<&FieldSet> = others.chain([&ours]).collect();
                let gone = previous.fields.members_beyond(&kept);
                remove::remove(root, &mut merged, &gone, &kept);
            }
            merge::merge(root, &mut merged, &body);
            let contested = change::differing(root, &ours, Some(live), Some(&merged));
            let mut disputed = contested.clone();
            if writer.manager == last_applied::MANAGER {
                disputed.subtract(&last_applied::standing(root, live, api_version(&body)));
            }
            let conflicts = conflict::conflicts(&managers, &disputed);
            if !conflicts.is_empty() && !force {
                return Err(conflict::refusal(&conflicts));
            }
            managers.subtract(&contested);
            managers.forget_missing(root, &merged);
            merged
        }
        None => body.clone().into_owned(),
    };
    // Whoever applies what is there already becomes an owner of it at no time, as with upstream.
    let time = if live.is_some_and(|live| is_unchanged(live, &merged)) {
        previous.map(|previous| previous.time).unwrap_or_default()
    } else {
        writer.now.to_owned()
    };
    managers.entries.push(Entry {
        manager: writer.manager.to_owned(),
        operation: Operation::Apply,
        api_version: api_version(&body).to_owned(),
        subresource: writer.subresource.to_owned(),
        time,
        fields: ours,
    });
    let mut applied = with_managed_fields(merged, managers);
    if writer.manager == last_applied::MANAGER {
        last_applied::renew(&mut applied, &body);
    }
    Ok(applied)
}

/// Notes in `new` what a write other than an apply changed: a creation (without `old`), a replacement, or another kind of patch.
///
/// `new` is what will be stored, with its defaults. Its own `managedFields`, where it has any, are what it wants the past to have been.
pub fn track_update(kind: Kind<'_>, writer: Writer<'_>, old: Option<&Value>, new: Value) -> Value {
    let mut new = new;
    let wanted = take_managed_fields(&mut new);
    let root = Type::root(kind.schema, kind.structure);
    let mut managers = match old {
        Some(old) => Managers::wanted(wanted.as_ref(), managed_fields(old)),
        None => Managers::default(),
    };
    if old.is_some() && managers.entries.is_empty() {
        // Nobody is tracked until somebody applies.
        return new;
    }
    let mut changed = change::changes(root, old.map_or(Before::Skeleton, Before::Value), &new);
    limit_to_written(kind, writer, &mut changed);
    let version = api_version(&new).to_owned();
    let previous = managers.take(
        writer.manager,
        Operation::Update,
        &version,
        writer.subresource,
    );
    managers.subtract(&changed.leaves());
    managers.forget_missing(root, &new);
    let mut ours = changed;
    if let Some(previous) = &previous {
        ours.union(&previous.fields);
    }
    ours.retain_existing(root, &new);
    let is_unchanged = (previous.as_ref()).is_some_and(|previous| previous.fields == ours);
    // When somebody has scaled an object is not noted, as with upstream.
    let time = if is_unchanged || writer.subresource == "scale" {
        previous.map(|previous| previous.time).unwrap_or_default()
    } else {
        writer.now.to_owned()
    };
    managers.entries.push(Entry {
        manager: writer.manager.to_owned(),
        operation: Operation::Update,
        api_version: version,
        subresource: writer.subresource.to_owned(),
        time,
        fields: ours,
    });
    with_managed_fields(new, managers)
}

/// Whether two states of an object differ in nothing but who owns it.
fn is_unchanged(before: &Value, after: &Value) -> bool {
    let same =
        |before: &Value, after: &Value, but: &str| match (before.as_object(), after.as_object()) {
            (Some(before), Some(after)) => same_but(but, before, after),
            _ => before == after,
        };
    same(before, after, "metadata")
        && same(&before["metadata"], &after["metadata"], "managedFields")
}

/// What an apply may not ask.
fn refuse_request(writer: Writer<'_>, body: &Value) -> Result<(), Status> {
    if writer.manager.is_empty() {
        let cause = Cause {
            reason: "FieldValueRequired",
            message: "Required value: is required for apply patch".to_owned(),
            field: "fieldManager".to_owned(),
        };
        return Err(Status::invalid(
            "meta.k8s.io",
            "PatchOptions",
            "",
            vec![cause],
        ));
    }
    if !body.is_object() {
        return Err(Status::bad_request(format!(
            "error decoding YAML: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            go::json_name(body)
        )));
    }
    if text(body, "apiVersion").is_empty() || text(body, "kind").is_empty() {
        return Err(Status::bad_request("invalid object type: /, Kind="));
    }
    match managed_fields(body) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(entries)) if entries.is_empty() => Ok(()),
        Some(_) => Err(Status::bad_request("metadata.managedFields must be nil")),
    }
}

/// The part of an applied body that this path writes: a status is ignored beside the object, and everything else at its own path.
fn written_part<'b>(kind: Kind<'_>, writer: Writer<'_>, body: &'b Value) -> Cow<'b, Value> {
    let Value::Object(fields) = body else {
        return Cow::Borrowed(body);
    };
    if writer.subresource == "status" {
        let identity = ["name", "namespace", "uid", "resourceVersion"];
        let part = fields
            .iter()
            .filter_map(|(name, value)| match name.as_str() {
                "apiVersion" | "kind" | "status" => Some((name.clone(), value.clone())),
                "metadata" => {
                    let metadata = value.as_object()?.iter();
                    let kept = metadata.filter(|(name, _)| identity.contains(&name.as_str()));
                    let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
                    Some((name.clone(), Value::Object(kept.collect())))
                }
                _ => None,
            });
        return Cow::Owned(Value::Object(part.collect()));
    }
    if kind.status_apart && fields.contains_key("status") {
        let mut part = fields.clone();
        part.shift_remove("status");
        return Cow::Owned(Value::Object(part));
    }
    Cow::Borrowed(body)
}

/// Takes out of a set what nobody owns (identity and what the server writes), and what this path doesn't write.
fn limit_to_written(kind: Kind<'_>, writer: Writer<'_>, set: &mut FieldSet) {
    set.remove_field("apiVersion");
    set.remove_field("kind");
    set.edit_field("metadata", |metadata| {
        metadata.disown();
        for name in [
            "name",
            "namespace",
            "generateName",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "deletionTimestamp",
            "selfLink",
            "managedFields",
        ] {
            metadata.remove_field(name);
        }
    });
    if writer.subresource == "status" {
        set.keep_field("status");
    } else if kind.status_apart {
        set.remove_field("status");
    }
}

/// The managers of a live object. One that has none was written by somebody before the first apply.
fn known_managers(kind: Kind<'_>, writer: Writer<'_>, root: Type<'_>, live: &Value) -> Managers {
    let mut managers = managed_fields(live).map(Managers::read).unwrap_or_default();
    if managers.entries.is_empty() {
        let mut fields = change::changes(root, Before::Skeleton, live);
        let object = Writer {
            subresource: "",
            ..writer
        };
        limit_to_written(kind, object, &mut fields);
        managers.entries.push(Entry {
            manager: BEFORE_FIRST_APPLY.to_owned(),
            operation: Operation::Update,
            api_version: api_version(live).to_owned(),
            subresource: String::new(),
            time: writer.now.to_owned(),
            fields,
        });
    }
    managers
}

fn with_managed_fields(mut object: Value, managers: Managers) -> Value {
    let entries = managers.write();
    if let (Some(entries), Value::Object(fields)) = (entries, &mut object) {
        let metadata = fields
            .entry("metadata")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(metadata) = metadata {
            metadata.insert("managedFields".to_owned(), entries);
        }
    }
    object
}

fn take_managed_fields(object: &mut Value) -> Option<Value> {
    object
        .get_mut("metadata")?
        .as_object_mut()?
        .shift_remove("managedFields")
}

fn managed_fields(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

fn api_version(object: &Value) -> &str {
    text(object, "apiVersion")
}

fn text<'v>(object: &'v Value, field: &str) -> &'v str {
    object
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
