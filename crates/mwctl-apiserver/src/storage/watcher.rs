//! A place in the log of one collection. It holds no events: one that is not read costs nothing, and one that lags too far is told so.

use super::{Compacted, Event, GroupResource, Store};
use std::sync::Arc;
use tokio::sync::watch;

/// Follows one collection.
#[derive(Debug)]
pub struct Watcher {
    store: Store,
    resource: GroupResource,
    revision: u64,
    wake: watch::Receiver<u64>,
}

/// Changes in their order.
#[derive(Debug)]
pub struct Batch {
    /// The changes.
    pub events: Vec<Arc<Event>>,
    /// The revision up to which these are all.
    pub revision: u64,
}

impl Watcher {
    pub(super) fn new(
        store: Store,
        resource: GroupResource,
        revision: u64,
        wake: watch::Receiver<u64>,
    ) -> Self {
        Self {
            store,
            resource,
            revision,
            wake,
        }
    }

    /// The changes since the last call, perhaps none.
    pub fn poll(&mut self) -> Result<Batch, Compacted> {
        self.wake.borrow_and_update();
        let batch = self.store.since(&self.resource, self.revision)?;
        self.revision = batch.revision;
        Ok(batch)
    }

    /// Waits for a change that the last [`Watcher::poll`] has not seen.
    pub async fn changed(&mut self) {
        if self.wake.changed().await.is_err() {
            // The sender lives in the store, which this watcher keeps alive.
            std::future::pending::<()>().await;
        }
    }
}
