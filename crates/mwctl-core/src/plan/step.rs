//! One thing to do, why, and what it waits for.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::manifest::{Object, ObjectId};
use crate::model::Condition;
use crate::name::ServiceName;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Its place in the plan.
    pub id: usize,
    /// What is done.
    pub action: Action,
    /// The service it is done for; `None` where it is the stack.
    pub service: Option<ServiceName>,
    /// Why it is done, as the end of a sentence whose subject is what is acted on.
    pub reason: String,
    /// The steps that must be done before, all of them smaller than `id`, in order.
    pub after: Vec<usize>,
}

/// What is done. Each can be repeated without harm.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Make a service's image on this machine.
    Build {
        /// The service.
        service: ServiceName,
        /// What the image is called.
        reference: String,
    },
    /// Bring an image from this machine to the node.
    Deliver {
        /// The service.
        service: ServiceName,
        /// The image.
        reference: String,
    },
    /// Apply an object on the server's side, as field manager `mwctl`, with force.
    Apply(Box<Object>),
    /// Delete an object with what it owns, and wait until it is gone.
    Delete {
        /// The object.
        id: ObjectId,
    },
    /// Wait until a service has reached something.
    Await {
        /// The service.
        service: ServiceName,
        /// What it has to reach; never `Eventually`.
        condition: Condition,
    },
}

impl Action {
    /// The object in the cluster that it changes or deletes.
    pub fn object(&self) -> Option<ObjectId> {
        match self {
            Self::Apply(object) => Some(object.id()),
            Self::Delete { id } => Some(id.clone()),
            Self::Build { .. } | Self::Deliver { .. } | Self::Await { .. } => None,
        }
    }
}

/// The steps as they are collected.
#[derive(Debug, Default)]
pub(super) struct Steps(Vec<Step>);

impl Steps {
    /// Adds a step behind all others and returns its id.
    pub(super) fn push(
        &mut self,
        action: Action,
        service: Option<&ServiceName>,
        reason: String,
        after: &[usize],
    ) -> usize {
        let id = self.0.len();
        let mut after = after.to_vec();
        after.sort_unstable();
        after.dedup();
        self.0.push(Step {
            id,
            action,
            service: service.cloned(),
            reason,
            after,
        });
        id
    }

    /// The ids of a service's steps that change the cluster; of all, where no service is named.
    pub(super) fn of(&self, service: Option<&ServiceName>) -> Vec<usize> {
        self.0
            .iter()
            .filter(|step| service.is_none() || step.service.as_ref() == service)
            .filter(|step| step.action.object().is_some())
            .map(|step| step.id)
            .collect()
    }

    /// The objects that the steps change or delete.
    pub(super) fn touched(&self) -> BTreeSet<ObjectId> {
        let objects = self.0.iter().filter_map(|step| step.action.object());
        objects.collect()
    }

    pub(super) fn into_vec(self) -> Vec<Step> {
        self.0
    }
}
