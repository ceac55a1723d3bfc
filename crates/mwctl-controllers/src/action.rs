//! What a controller may want done: values, carried out by [`crate::driver`] alone.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::core::ApiResource;
use serde_json::Value;

use crate::observed::{Key, Object, Watched};

/// One thing to do. A list of them is done in order; a refusal ends the list, and the key is reconciled again after a while.
#[derive(Clone, Debug)]
pub enum Action {
    /// Creates an object, and tells of it by an event.
    Create(Object, Option<Announcement>),
    /// Replaces the status; refused if the object has changed meanwhile.
    UpdateStatus(Object),
    /// Merges a patch into an object, or into a subresource of it.
    Patch {
        /// What is patched.
        target: Target,
        /// The subresource, or nothing.
        subresource: Option<&'static str>,
        /// The merge patch.
        patch: Value,
        /// The event that tells of it.
        announcement: Option<Announcement>,
    },
    /// Deletes an object.
    Delete {
        /// What is deleted.
        target: Target,
        /// What becomes of its dependents; nothing for the kind's own default.
        propagation: Option<Propagation>,
        /// Seconds that its processes have; nothing for the object's own wish.
        grace: Option<u32>,
        /// The event that tells of it.
        announcement: Option<Announcement>,
    },
    /// Places a pod on a node.
    Bind {
        /// The pod.
        target: Target,
        /// The node's name.
        node: String,
        /// The event that tells of it.
        announcement: Option<Announcement>,
    },
    /// Asks the server whether an owner exists that no watch has shown.
    Trace {
        /// What it should be one of.
        api_version: String,
        /// Its kind.
        kind: String,
        /// Its name, in the dependent's namespace if the kind has them.
        key: Key,
        /// The uid that is in question.
        uid: String,
    },
    /// Lets a namespace go, once the server has no object in it any more.
    Finalize(Target),
    /// Records an event.
    Record(Note),
    /// Reconciles this key again then, whatever happens.
    WakeAt(Timestamp),
}

/// An object to act on: exactly that one, never another of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is one of.
    pub resource: Arc<ApiResource>,
    /// Its name.
    pub key: Key,
    /// Its uid.
    pub uid: String,
}

impl Target {
    /// This object.
    pub fn of(object: &impl Watched) -> Self {
        Self {
            resource: Arc::clone(kind_of(object).resource()),
            key: Key::of(object),
            uid: object.meta().uid.clone().unwrap_or_default(),
        }
    }

    /// This object, whatever its kind.
    pub fn of_any(object: &Object) -> Self {
        Self {
            resource: Arc::clone(object.resource()),
            key: object.key(),
            uid: object.uid().to_owned(),
        }
    }
}

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// An event of Kubernetes: what was done, to what, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// What it is about.
    pub about: ObjectReference,
    /// Whether somebody should look.
    pub severity: Severity,
    /// A word for programs.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// The controller that speaks.
    pub component: &'static str,
}

/// Whether somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// All is well.
    Normal,
    /// Something is wrong.
    Warning,
}

impl Severity {
    /// The word in the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// The events that follow an action: `{name}` stands for the object's name, which the server may have made, `{error}` for its refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// What they are about.
    pub about: ObjectReference,
    /// The controller that speaks.
    pub component: &'static str,
    /// Reason and text when it is done.
    pub done: Option<(&'static str, String)>,
    /// Reason and text when it was refused.
    pub refused: Option<(&'static str, String)>,
}

impl Announcement {
    /// The event of a success.
    pub fn of_success(&self, name: &str) -> Option<Note> {
        let (reason, text) = self.done.as_ref()?;
        Some(Note {
            about: self.about.clone(),
            severity: Severity::Normal,
            reason,
            message: text.replace("{name}", name),
            component: self.component,
        })
    }

    /// The event of a refusal.
    pub fn of_refusal(&self, name: &str, error: &str) -> Option<Note> {
        let (reason, text) = self.refused.as_ref()?;
        Some(Note {
            about: self.about.clone(),
            severity: Severity::Warning,
            reason,
            message: text.replace("{name}", name).replace("{error}", error),
            component: self.component,
        })
    }
}

fn kind_of<T: Watched>(_: &T) -> crate::observed::Kind {
    T::KIND
}
