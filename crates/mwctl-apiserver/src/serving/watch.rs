//! A watch as a body: one line of JSON for every event, made when the client reads it. A slow client costs a place in the log, not memory.

use super::accept::Form;
use super::respond::{self, Body};
use crate::registry::{Served, WatchStart, too_old};
use crate::selector::Selector;
use crate::storage::{Change, Object, Watcher};
use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often a client that likes bookmarks hears how far it is.
const BOOKMARKS: Duration = Duration::from_mins(1);

/// What a client watches, and how it wants to hear of it.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) resource: Served,
    /// Empty for all of them.
    pub(crate) namespace: String,
    pub(crate) selector: Selector,
    pub(crate) form: Form,
    pub(crate) bookmarks: bool,
    pub(crate) timeout: Duration,
}

/// A watch under way.
struct Stream {
    watch: Watch,
    watcher: Watcher,
    /// What is told before anything is waited for.
    first: Option<String>,
    /// The revision up to which everything was told.
    revision: u64,
    end: Instant,
    next_bookmark: Instant,
}

impl Watch {
    /// The answer that goes on until the time is over, the log is left behind, or the client leaves.
    pub(crate) fn begin(self, start: WatchStart) -> Response<Body> {
        let now = Instant::now();
        let mut first: String = start
            .initial
            .iter()
            .map(|object| self.line("ADDED", &self.resource.show(object.clone())))
            .collect();
        if start.tell_end {
            first += &self.bookmark(start.revision, true);
        }
        let stream = Stream {
            first: Some(first).filter(|first| !first.is_empty()),
            revision: start.revision,
            watcher: start.watcher,
            end: now + self.timeout,
            next_bookmark: now + BOOKMARKS,
            watch: self,
        };
        let lines = futures::stream::unfold(Some(stream), |stream| async move {
            let (lines, rest) = stream?.next().await?;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(lines))), rest))
        });
        let mut response = respond::value(200, &Value::Null);
        *response.body_mut() = StreamBody::new(lines).boxed_unsync();
        response
    }

    fn line(&self, kind: &str, object: &Object) -> String {
        let json = respond::in_form(&self.resource, self.form, object);
        let mut line = String::with_capacity(json.len() + 40);
        // Objects are serialised from values, so that their bytes are text.
        let _ = writeln!(
            line,
            "{{\"type\":\"{kind}\",\"object\":{}}}",
            String::from_utf8_lossy(&json)
        );
        line
    }

    fn bookmark(&self, revision: u64, end_of_initial: bool) -> String {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if end_of_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": self.resource.gvk.kind, "apiVersion": self.resource.api_version(), "metadata": metadata});
        self.line("BOOKMARK", &Object::unstored(object))
    }

    fn wants(&self, object: &Object) -> bool {
        (self.namespace.is_empty() || object.namespace() == self.namespace)
            && self.selector.matches(object.value())
    }
}

impl Stream {
    /// The next lines, and the rest of the stream if there is one. None at the end.
    async fn next(mut self) -> Option<(String, Option<Self>)> {
        if let Some(first) = self.first.take() {
            return Some((first, Some(self)));
        }
        loop {
            let batch = match self.watcher.poll() {
                Ok(batch) => batch,
                Err(compacted) => {
                    let line = json!({"type": "ERROR", "object": too_old(compacted).to_value()});
                    return Some((format!("{line}\n"), None));
                }
            };
            let mut lines = String::new();
            for event in &batch.events {
                let (change, object): (Change, Arc<Object>) =
                    match event.seen_by(|object| self.watch.wants(object)) {
                        Some(seen) => seen,
                        None => continue,
                    };
                let kind = match change {
                    Change::Added => "ADDED",
                    Change::Modified => "MODIFIED",
                    Change::Deleted => "DELETED",
                };
                lines += &self.watch.line(kind, &self.watch.resource.show(object));
            }
            self.revision = batch.revision;
            if !lines.is_empty() {
                return Some((lines, Some(self)));
            }
            tokio::select! {
                () = self.watcher.changed() => {}
                () = sleep_until(self.end) => return None,
                () = sleep_until(self.next_bookmark), if self.watch.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARKS;
                    return Some((self.watch.bookmark(self.revision, false), Some(self)));
                }
            }
        }
    }
}
