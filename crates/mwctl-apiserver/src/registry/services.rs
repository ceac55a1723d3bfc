//! What Services are given: an address within the cluster, ports of the nodes. The choice is a pure function of what is taken ([`allocate`]);
//! here one Service after the other makes it, and holds the others off until it is stored.

mod allocate;
mod inherit;

use super::{Registry, Target, text};
use crate::schema::Gvk;
use crate::status::Status;
use crate::storage::{Key, Query};
use allocate::{Next, Taken};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use allocate::RANGE;
pub(super) use inherit::prepare;

/// Where the search for what is free goes on. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Allocations(Arc<Mutex<Next>>);

impl Registry {
    /// Gives a Service what it needs and has not got. Nobody else is given anything until the guard is dropped, which is when it is stored.
    pub(super) fn allocate(
        &self,
        target: &Target,
        old: Option<&Value>,
        object: &mut Value,
    ) -> Result<Option<MutexGuard<'_, Next>>, Status> {
        if !is_service(&target.resource.gvk) || !target.subresource.is_empty() {
            return Ok(None);
        }
        let mut next = self
            .allocations
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let name = text(object, "/metadata/name").to_owned();
        let own = Key::new(target.namespace.as_str(), name.as_str());
        let all = self.store.list(&target.collection(), &Query::all());
        let all = all.map(|page| page.objects).unwrap_or_default();
        let others = all
            .iter()
            .filter(|other| Key::new(other.namespace(), other.name()) != own);
        let taken = Taken::by(others.map(|other| &other.value()["spec"]));
        let causes = allocate::allocate(old.map(|old| &old["spec"]), object, &taken, &mut next);
        if causes.is_empty() {
            Ok(Some(next))
        } else {
            Err(target.invalid(&name, causes))
        }
    }
}

fn is_service(gvk: &Gvk) -> bool {
    gvk.group.is_empty() && gvk.kind == "Service"
}
