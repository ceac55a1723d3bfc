//! Deleting objects: at once, or when nothing holds them any more.

use super::{ListOptions, metadata, text};
use super::{Registry, Target, definitions, namespaces, stamp, strategy};
use crate::access::User;
use crate::custom;
use crate::status::{Cause, Status};
use crate::storage::{Object, Page, Refused};
use serde_json::{Value, json};
use std::sync::Arc;

/// How an object is to be deleted (`meta/v1 DeleteOptions`).
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// Seconds that a pod has to end.
    pub grace: Option<i64>,
    /// What becomes of the objects that it owns.
    pub propagation: Option<Propagation>,
    /// What must be true of it.
    pub preconditions: Preconditions,
    /// Only tell what would be.
    pub dry_run: bool,
    /// Who asks for it; none for the server itself, which needs no admission.
    pub user: Option<User>,
}

/// What becomes of the objects that a deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They go first.
    Foreground,
    /// They go afterwards.
    Background,
    /// They stay.
    Orphan,
}

/// What must be true of an object that is deleted; empty ones hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// Its `metadata.uid`.
    pub uid: String,
    /// Its `metadata.resourceVersion`.
    pub resource_version: String,
}

/// What a deletion came to.
#[derive(Debug)]
pub enum Deleted {
    /// The object goes on for a while, or its kind shows what is gone.
    Object(Arc<Object>),
    /// It is gone.
    Gone(Arc<Object>),
}

impl DeleteOptions {
    /// Reads a body of `DeleteOptions`; parameters of the request have been written into it.
    pub fn parse(body: &Value) -> Result<Self, Status> {
        let policy = text(body, "/propagationPolicy");
        let orphan = body["orphanDependents"].as_bool();
        if orphan.is_some() && !policy.is_empty() {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            return Err(refused(
                "FieldValueInvalid",
                "propagationPolicy",
                &format!("Invalid value: \"{policy}\": {why}"),
            ));
        }
        let propagation = match (policy, orphan) {
            ("Foreground", _) => Some(Propagation::Foreground),
            ("Background", _) | ("", Some(false)) => Some(Propagation::Background),
            ("Orphan", _) | ("", Some(true)) => Some(Propagation::Orphan),
            ("", None) => None,
            (other, _) => {
                let known = "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"";
                return Err(refused(
                    "FieldValueNotSupported",
                    "propagationPolicy",
                    &format!("Unsupported value: \"{other}\": {known}"),
                ));
            }
        };
        let dry_run = match body["dryRun"].as_array().map(Vec::as_slice) {
            None | Some([]) => false,
            Some([Value::String(all)]) if all == "All" => true,
            Some(_) => {
                return Err(refused(
                    "FieldValueNotSupported",
                    "dryRun",
                    "Unsupported value: supported values: \"All\"",
                ));
            }
        };
        Ok(Self {
            grace: body["gracePeriodSeconds"].as_i64(),
            propagation,
            preconditions: Preconditions {
                uid: text(body, "/preconditions/uid").to_owned(),
                resource_version: text(body, "/preconditions/resourceVersion").to_owned(),
            },
            dry_run,
            user: None,
        })
    }
}

fn refused(reason: &'static str, field: &str, message: &str) -> Status {
    let cause = Cause {
        reason,
        message: message.to_owned(),
        field: field.to_owned(),
    };
    Status::invalid("meta.k8s.io", "DeleteOptions", "", vec![cause])
}

impl Registry {
    /// Deletes an object, or marks it as one that ends when its finalizers are done.
    pub fn delete(&self, target: &Target, options: &DeleteOptions) -> Result<Deleted, Status> {
        let is_namespace =
            target.resource.gvk.group.is_empty() && target.resource.gvk.kind == "Namespace";
        if is_namespace && namespaces::LASTING.contains(&target.name.as_str()) {
            return Err(target.forbidden(&target.name, "this namespace may not be deleted"));
        }
        loop {
            let live = self.get(target)?;
            options.preconditions.hold(target, &live)?;
            self.admit(
                target,
                options.user.as_ref(),
                "delete",
                None,
                Some(live.value()),
            )?;
            let mut marked = marked(target, live.value(), options);
            let is_definition = definitions::is_definition(&target.resource);
            if is_definition {
                custom::end(&mut marked, &stamp::now());
            }
            let goes_on = strategy::is_held(&target.resource, &marked);
            if options.dry_run {
                return Ok(answer(target, goes_on, Arc::new(Object::unstored(marked))));
            }
            let (collection, key) = (target.collection(), target.key());
            let outcome = if goes_on {
                self.store.replace(&collection, &key, &live, marked)
            } else {
                self.store.remove(&collection, &key, &live)
            };
            match outcome {
                Ok(object) => {
                    if is_definition {
                        self.clear_definition(target)?;
                    }
                    if !goes_on {
                        self.after_the_end_of(target)?;
                        self.recount(target, options.user.as_ref());
                    }
                    return Ok(answer(target, goes_on, object));
                }
                Err(Refused::Changed) => {}
                Err(refused) => return Err(target.refused(&refused)),
            }
        }
    }

    /// Deletes every object that a list would show, and answers that list.
    pub fn delete_collection(
        &self,
        target: &Target,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<Page, Status> {
        let page = self.list(target, list)?;
        for object in &page.objects {
            let one = Target {
                namespace: object.namespace().to_owned(),
                name: object.name().to_owned(),
                ..target.clone()
            };
            match self.delete(&one, options) {
                Err(refusal) if refusal.code != 404 => return Err(refusal),
                _ => {}
            }
        }
        Ok(page)
    }
}

impl Preconditions {
    pub(super) fn hold(&self, target: &Target, live: &Object) -> Result<(), Status> {
        let version = live.revision().to_string();
        let why = if !self.uid.is_empty() && self.uid != live.uid() {
            format!(
                "the UID in the precondition ({}) does not match the UID in record ({}). The object might have been deleted and then recreated",
                self.uid,
                live.uid()
            )
        } else if !self.resource_version.is_empty() && self.resource_version != version {
            format!(
                "the ResourceVersion in the precondition ({}) does not match the ResourceVersion in record ({version}). The object might have been modified",
                self.resource_version
            )
        } else {
            return Ok(());
        };
        // Upstream names the kind here, and the resource everywhere else.
        Err(Status::conflict(
            &target.resource.gvk.group,
            &target.resource.gvk.kind,
            &target.name,
            &why,
        ))
    }
}

/// The object with what its deletion leaves on it while it goes on.
fn marked(target: &Target, live: &Value, options: &DeleteOptions) -> Value {
    let mut object = live.clone();
    let grace = strategy::grace(&target.resource, live, options.grace);
    let finalizers = finalizers(live, options.propagation);
    let terminating = !text(live, "/metadata/deletionTimestamp").is_empty();
    let is_namespace = target.resource.gvk.kind == "Namespace";
    let Some(fields) = metadata::of(&mut object) else {
        return object;
    };
    if finalizers.is_empty() {
        fields.shift_remove("finalizers");
    } else {
        fields.insert("finalizers".to_owned(), json!(finalizers));
    }
    let before = fields
        .get("deletionGracePeriodSeconds")
        .and_then(Value::as_i64);
    let sooner = before.is_some_and(|before| options.grace.is_some_and(|asked| asked < before));
    if !terminating || sooner {
        fields.insert(
            "deletionTimestamp".to_owned(),
            json!(stamp::after_seconds(grace)),
        );
        if !is_namespace {
            fields.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
        }
        // That it is to go is one more change, wherever they are counted.
        let generation = live["metadata"]["generation"].as_i64();
        if let Some(generation) = generation.filter(|generation| *generation > 0) {
            fields.insert("generation".to_owned(), json!(generation + 1));
        }
    }
    if is_namespace {
        object["status"]["phase"] = json!("Terminating");
    }
    object
}

/// The finalizers with those that a policy adds or takes away.
fn finalizers(live: &Value, policy: Option<Propagation>) -> Vec<String> {
    let kept = metadata::finalizers(live)
        .into_iter()
        .filter(|finalizer| {
            policy.is_none() || !matches!(*finalizer, "foregroundDeletion" | "orphan")
        })
        .map(str::to_owned);
    let added = match policy {
        Some(Propagation::Foreground) => Some("foregroundDeletion".to_owned()),
        Some(Propagation::Orphan) => Some("orphan".to_owned()),
        Some(Propagation::Background) | None => None,
    };
    kept.chain(added).collect()
}

fn answer(target: &Target, goes_on: bool, object: Arc<Object>) -> Deleted {
    if goes_on || strategy::answers_deletion_with_object(&target.resource) {
        Deleted::Object(object)
    } else {
        Deleted::Gone(object)
    }
}
