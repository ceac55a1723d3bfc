//! What a plain watcher of the API saw in a namespace, and when: the clock that the program's own words are held against.
//!
//! It knows nothing of the program and decides nothing; a test says what it looks for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{PATIENCE, TestCluster};

/// Each state of the namespace's pods and events, with the moment it was heard; ends when it is dropped.
#[must_use]
pub struct Record {
    seen: Arc<Seen>,
    watchers: [JoinHandle<()>; 2],
}

#[derive(Default)]
struct Seen {
    all: Mutex<Vec<(Instant, Value)>>,
    more: Condvar,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, Value)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TestCluster {
    /// Watches the test's namespace from now on; it need not be there yet.
    pub fn record(&self) -> Record {
        let seen = Arc::new(Seen::default());
        let kinds = [
            ApiResource::erase::<Pod>(&()),
            ApiResource::erase::<Event>(&()),
        ];
        let watchers = kinds.map(|kind| {
            let client = self.bed.cluster.client.clone();
            let api = Api::namespaced_with(client, &self.namespace, &kind);
            self.bed.runtime.spawn(follow(api, Arc::clone(&seen)))
        });
        Record { seen, watchers }
    }
}

async fn follow(api: Api<DynamicObject>, seen: Arc<Seen>) {
    let watcher = watcher::watcher(api, watcher::Config::default()).default_backoff();
    let mut objects = std::pin::pin!(watcher.applied_objects());
    while let Some(object) = objects.next().await {
        let now = Instant::now();
        if let Ok(Ok(value)) = object.map(serde_json::to_value) {
            seen.lock().push((now, value));
            seen.more.notify_all();
        }
    }
}

impl Record {
    /// When the cluster first showed an object that is `wanted`.
    ///
    /// # Panics
    ///
    /// When it never does.
    pub fn shown(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Instant {
        let start = Instant::now();
        let mut next = 0;
        let mut known = self.seen.lock();
        loop {
            if let Some((at, _)) = known[next..].iter().find(|(_, object)| wanted(object)) {
                return *at;
            }
            next = known.len();
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(
                !left.is_zero(),
                "the cluster never showed: {what}\n{}",
                told(&known)
            );
            let heard = self.seen.more.wait_timeout(known, left);
            known = heard.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What the events said, for a test that failed.
fn told(all: &[(Instant, Value)]) -> String {
    let messages = all.iter().filter_map(|(_, object)| {
        Some(format!("{}: {}", object["reason"], object.get("message")?))
    });
    messages.collect::<Vec<_>>().join("\n")
}

impl Drop for Record {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
    }
}
