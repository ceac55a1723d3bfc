//! Creating and changing objects.

use super::{
    Registry, Target, certificates, metadata, namespaces, services, stamp, strategy, text, views,
};
use crate::access::User;
use crate::apply::{self, Kind, Writer};
use crate::decode::{self, Reader, Strictness, complete, fresh};
use crate::patch::{self, PatchKind};
use crate::schema::Gvk;
use crate::status::{Cause, Status};
use crate::storage::{Object, Refused};
use crate::validation;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::sync::Arc;

/// How an object is to be written.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Who owns the fields that are written (`fieldManager`).
    pub manager: String,
    /// Only tell what would be (`dryRun=All`).
    pub dry_run: bool,
    /// What becomes of fields that nobody declared (`fieldValidation`).
    pub strictness: Strictness,
    /// Who asks for it; none for the server itself, which needs no admission.
    pub user: Option<User>,
}

/// How an object is to change.
#[derive(Debug)]
pub enum Change {
    /// It becomes this.
    Replace(Value),
    /// It is patched.
    Patch(PatchKind, Value),
    /// The manager applies what it wants of it.
    Apply {
        /// What it wants.
        body: Value,
        /// Whether fields are taken from other managers.
        force: bool,
    },
}

impl Change {
    /// The same change of what is stored for an object of this kind.
    pub(crate) fn into_stored(self, kind: &Gvk) -> Self {
        if !views::is_newer_event(kind) {
            return self;
        }
        match self {
            Self::Replace(event) => Self::Replace(views::stored_event(event)),
            Self::Patch(PatchKind::Json, operations) => {
                Self::Patch(PatchKind::Json, views::stored_operations(operations))
            }
            Self::Patch(kind, part) => Self::Patch(kind, views::stored_event(part)),
            Self::Apply { body, force } => Self::Apply {
                body: views::stored_event(body),
                force,
            },
        }
    }
}

/// What a write came to.
#[derive(Debug)]
pub struct Answer {
    /// The object now.
    pub object: Arc<Object>,
    /// Whether it is new.
    pub created: bool,
    /// Warnings for the client.
    pub warnings: Vec<String>,
}

/// Who notes the ownership of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ownership {
    /// The registry, from what has changed.
    ToNote,
    /// An apply, which has done so.
    Noted,
}

impl Registry {
    /// Adds an object, whose fields have been decoded.
    pub fn create(
        &self,
        target: &Target,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        self.add(target, body, options, Ownership::ToNote)
    }

    /// Changes an object. Who is overtaken by another writer begins again with what that one left, unless the change was meant for one revision.
    pub fn change(
        &self,
        target: &Target,
        change: &Change,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        loop {
            let live = match (self.get(target), change) {
                (Err(missing), Change::Apply { body, force })
                    if missing.code == 404 && target.subresource.is_empty() =>
                {
                    let created = self.apply_new(target, body, *force, options);
                    match created {
                        Err(refusal) if refusal.reason == "AlreadyExists" => continue,
                        other => return other,
                    }
                }
                (live, _) => live?,
            };
            let (proposed, warnings) = propose(target, live.value(), change, options)?;
            let ownership = match change {
                Change::Apply { .. } => Ownership::Noted,
                Change::Replace(_) | Change::Patch(..) => Ownership::ToNote,
            };
            let settled = self.settle(target, &live, proposed, options, ownership)?;
            if let Some(mut answer) = settled {
                answer.warnings.splice(0..0, warnings);
                return Ok(answer);
            }
        }
    }

    /// Changes an object by a function of its present value.
    pub(super) fn edit(
        &self,
        target: &Target,
        options: &WriteOptions,
        edit: impl Fn(&mut Value) -> Result<(), Status>,
    ) -> Result<Arc<Object>, Status> {
        loop {
            let live = self.get(target)?;
            let mut proposed = live.value().clone();
            edit(&mut proposed)?;
            let settled = self.settle(target, &live, proposed, options, Ownership::ToNote)?;
            if let Some(answer) = settled {
                return Ok(answer.object);
            }
        }
    }

    fn apply_new(
        &self,
        target: &Target,
        body: &Value,
        force: bool,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let now = stamp::now();
        let object = apply::apply(
            kind(target),
            writer(target, options, &now),
            None,
            body,
            force,
        )?;
        let object = applied(target, object)?;
        self.add(target, object, options, Ownership::Noted)
    }

    fn add(
        &self,
        target: &Target,
        mut object: Value,
        options: &WriteOptions,
        ownership: Ownership,
    ) -> Result<Answer, Status> {
        let now = stamp::now();
        namespaces::refuse_foreign(target, &object)?;
        metadata::created(target, &mut object, &now)?;
        if let Some(fields) = object.as_object_mut() {
            strategy::begin(&target.resource, fields);
            complete(target, fields);
            fresh::prepare(&target.resource.gvk, fields);
        }
        services::prepare(&target.resource.gvk, None, &mut object);
        certificates::attribute(&target.resource, &mut object, options.user.as_ref());
        let mut named = target.clone();
        text(&object, "/metadata/name").clone_into(&mut named.name);
        self.refuse_absent_namespace(&named)?;
        self.refuse_ending_definition(&named)?;
        // What the server adds from here on is nobody's field.
        if ownership == Ownership::ToNote {
            object = apply::track_update(kind(target), writer(target, options, &now), None, object);
        }
        self.furnish(&named, &mut object)?;
        self.enrich(&named, &mut object)?;
        let mut warnings =
            self.admit(&named, options.user.as_ref(), "create", Some(&object), None)?;
        let mut causes = metadata::complaints(target, &object);
        causes.extend(match target.resource.definition() {
            Some(definition) => definition.validate(&object),
            None => validation::created(&target.resource.gvk, &object),
        });
        if !causes.is_empty() {
            return Err(target.invalid(&named.name, causes));
        }
        warnings.extend(self.conclude_definition(target, &mut object));
        let _charged = self.charge(&named, None, &object)?;
        let _given = self.allocate(&named, None, &mut object)?;
        let object = if options.dry_run {
            match self.get(&named) {
                Ok(_) => Err(Refused::Exists),
                Err(_) => Ok(Arc::new(Object::unstored(object))),
            }
        } else {
            self.store.create(&named.collection(), named.key(), object)
        };
        let object = object.map_err(|refused| match refused {
            Refused::Exists => self.already_exists(&named),
            refused => named.refused(&refused),
        })?;
        if !options.dry_run {
            self.recount(&named, options.user.as_ref());
            self.expire(&named, Timestamp::now());
        }
        Ok(Answer {
            object,
            created: true,
            warnings,
        })
    }

    /// Stores what follows `live`, or removes it if that was its end; with warnings for the client. None if somebody else has changed the object meanwhile.
    fn settle(
        &self,
        target: &Target,
        live: &Arc<Object>,
        mut proposed: Value,
        options: &WriteOptions,
        ownership: Ownership,
    ) -> Result<Option<Answer>, Status> {
        metadata::updated(target, live.value(), &mut proposed)?;
        if let Some(fields) = proposed.as_object_mut() {
            complete(target, fields);
        }
        metadata::count(target, live.value(), &mut proposed);
        let old = Some(live.value());
        services::prepare(&target.resource.gvk, old, &mut proposed);
        certificates::keep(&target.resource, live.value(), &mut proposed);
        let mut warnings = self.admit(
            target,
            options.user.as_ref(),
            "update",
            Some(&proposed),
            old,
        )?;
        let mut causes = metadata::complaints(target, &proposed);
        causes.extend(match target.resource.definition() {
            Some(definition) => definition.validate(&proposed),
            None if target.subresource.is_empty() => {
                validation::updated(&target.resource.gvk, live.value(), &proposed)
            }
            None => Vec::new(),
        });
        if !causes.is_empty() {
            return Err(target.invalid(&target.name, causes));
        }
        warnings.extend(self.conclude_definition(target, &mut proposed));
        if ownership == Ownership::ToNote {
            let now = stamp::now();
            proposed = apply::track_update(
                kind(target),
                writer(target, options, &now),
                Some(live.value()),
                proposed,
            );
        }
        let _charged = self.charge(target, old, &proposed)?;
        let _given = self.allocate(target, old, &mut proposed)?;
        let resource = &target.resource;
        let ended = live.is_terminating()
            && strategy::is_held(resource, live.value())
            && !strategy::is_held(resource, &proposed);
        if options.dry_run {
            let object = Arc::new(Object::unstored(proposed));
            return Ok(Some(Answer {
                object,
                created: false,
                warnings,
            }));
        }
        let (collection, key) = (target.collection(), target.key());
        let outcome = if ended {
            let last = Arc::new(Object::unstored(proposed));
            self.store.remove(&collection, &key, live).map(|_| last)
        } else {
            self.store.replace(&collection, &key, live, proposed)
        };
        if outcome.is_ok() {
            self.recount(target, options.user.as_ref());
        }
        match outcome {
            Ok(object) => {
                if ended {
                    self.after_the_end_of(target)?;
                }
                Ok(Some(Answer {
                    object,
                    created: false,
                    warnings,
                }))
            }
            Err(Refused::Changed) => Ok(None),
            Err(refused) => Err(target.refused(&refused)),
        }
    }

    fn already_exists(&self, target: &Target) -> Status {
        let mut status = Status::already_exists(
            &target.resource.gvk.group,
            &target.resource.plural,
            &target.name,
        );
        if self.get(target).is_ok_and(|object| object.is_terminating()) {
            status.message.insert_str(0, "object is being deleted: ");
        }
        status
    }
}

/// What an object becomes by a change.
fn propose(
    target: &Target,
    live: &Value,
    change: &Change,
    options: &WriteOptions,
) -> Result<(Value, Vec<String>), Status> {
    let resource = &target.resource;
    match change {
        Change::Replace(body) => {
            let name = text(body, "/metadata/name");
            if name != target.name {
                let message = if name.is_empty() {
                    "name must be provided".to_owned()
                } else {
                    format!(
                        "the name of the object ({name}) does not match the name on the URL ({})",
                        target.name
                    )
                };
                return Err(Status::bad_request(message));
            }
            namespaces::refuse_foreign(target, body)?;
            Ok((body.clone(), Vec::new()))
        }
        Change::Patch(kind, body) => {
            let structure = resource
                .structure()
                .filter(|_| resource.definition().is_none());
            let patched = patch::apply(*kind, resource.schema(), structure, live, body)?;
            let reader = match kind {
                PatchKind::StrategicMerge => Reader::Converter,
                PatchKind::Json | PatchKind::Merge => Reader::Decoder,
            };
            declared(target, patched.clone(), options.strictness, reader)
                .map_err(|why| of_patch(target, *kind, &patched, body, &why))
        }
        Change::Apply { body, force } => {
            let now = stamp::now();
            let merged = apply::apply(
                kind(target),
                writer(target, options, &now),
                Some(live),
                body,
                *force,
            )?;
            Ok((applied(target, merged)?, Vec::new()))
        }
    }
}

/// The declared fields of a value, and warnings for the others; or why it can't be taken.
fn declared(
    target: &Target,
    value: Value,
    strictness: Strictness,
    reader: Reader,
) -> Result<(Value, Vec<String>), String> {
    let checked = match (target.resource.definition(), target.resource.structure()) {
        (Some(definition), _) => definition.check(value)?,
        (None, Some(structure)) => {
            decode::check(target.resource.schema(), structure, value, reader)?
        }
        (None, None) => return Ok((value, Vec::new())),
    };
    match strictness {
        Strictness::Ignore => Ok((checked.value, Vec::new())),
        Strictness::Strict if !checked.strict.is_empty() => Err(format!(
            "strict decoding error: {}",
            checked.strict.join(", ")
        )),
        Strictness::Warn | Strictness::Strict => Ok((checked.value, checked.strict)),
    }
}

/// What was applied, with every value in the form that its type writes. Fields that nobody declared were refused before.
fn applied(target: &Target, value: Value) -> Result<Value, Status> {
    let subject = apply::subject(&value);
    match declared(target, value, Strictness::Ignore, Reader::Converter) {
        Ok((value, _)) => Ok(value),
        Err(why) => {
            let message =
                format!("failed to convert new object ({subject}) to proper version: {why}");
            Err(Status::new(500, "", message))
        }
    }
}

/// The refusal of what a patch made of an object: it is quoted, as upstream does.
fn of_patch(target: &Target, kind: PatchKind, patched: &Value, body: &Value, why: &str) -> Status {
    let is_custom = target.resource.definition().is_some();
    let quoted = patch::shown(kind, patched, body, is_custom);
    let cause = Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {quoted:?}: {why}"),
        field: "patch".to_owned(),
    };
    Status::invalid("", "", "", vec![cause])
}

/// Fills in defaults and leaves out what means nothing.
fn complete(target: &Target, fields: &mut Map<String, Value>) {
    match target.resource.definition() {
        Some(definition) => definition.complete(fields),
        None => complete::complete(target.resource.schema(), &target.resource.gvk, fields),
    }
}

fn kind(target: &Target) -> Kind<'_> {
    Kind {
        schema: target.resource.schema(),
        structure: target.resource.structure(),
        status_apart: strategy::status_apart(&target.resource),
    }
}

fn writer<'a>(target: &'a Target, options: &'a WriteOptions, now: &'a str) -> Writer<'a> {
    Writer {
        manager: &options.manager,
        subresource: &target.subresource,
        now,
    }
}
