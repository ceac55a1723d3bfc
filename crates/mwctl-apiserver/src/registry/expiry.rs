//! Events of the past: they go an hour after they were last told, as Kubernetes keeps them (`--event-ttl`). Nothing else expires.
//!
//! Whoever writes an event sees to it, at most once in a minute: a server that nobody writes to does nothing, and doesn't grow.

use super::{Registry, Target};
use crate::storage::{GroupResource, Key};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// How long an event stays.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// How long nobody looks again.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// When somebody looked last. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Looked(Arc<Mutex<Option<Timestamp>>>);

impl Looked {
    /// Whether it is time to look again; if so, this is when it was done.
    fn is_due(&self, now: Timestamp) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.duration_since(last) >= PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

impl Registry {
    /// Removes the events that are over, when an event was written.
    pub(super) fn expire(&self, written: &Target, now: Timestamp) {
        let kind = &written.resource.gvk;
        if kind.kind != "Event" || !kind.group.is_empty() || !self.looked.is_due(now) {
            return;
        }
        let events = GroupResource::new("", "events");
        for event in self.all("", "events", "") {
            if is_over(event.value(), now) {
                let key = Key::new(event.namespace(), event.name());
                // Somebody has told it again, or removed it: both are well.
                self.store.remove(&events, &key, &event).ok();
            }
        }
    }
}

/// Whether an event was last told too long ago. One that doesn't say when stays.
fn is_over(event: &Value, now: Timestamp) -> bool {
    let told = [
        "/metadata/creationTimestamp",
        "/lastTimestamp",
        "/eventTime",
        "/series/lastObservedTime",
    ];
    let times = told.iter().filter_map(|at| event.pointer(at)?.as_str());
    let last = times
        .filter_map(|time| time.parse::<Timestamp>().ok())
        .max();
    last.is_some_and(|last| now.duration_since(last) > KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_over_an_hour_after_it_was_last_told() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let made = |more: Value| {
            let mut event = json!({"metadata": {"creationTimestamp": "2026-01-01T10:59:59Z"}});
            for (field, value) in more.as_object().unwrap() {
                event[field] = value.clone();
            }
            event
        };
        assert!(is_over(&made(json!({})), now));
        assert!(is_over(&made(json!({"lastTimestamp": null})), now));
        for later in [
            json!({"lastTimestamp": "2026-01-01T11:00:00Z"}),
            json!({"eventTime": "2026-01-01T11:00:00.000000Z"}),
            json!({"series": {"lastObservedTime": "2026-01-01T11:30:00.000000Z"}}),
        ] {
            assert!(!is_over(&made(later.clone()), now), "{later}");
        }
        assert!(!is_over(&json!({"metadata": {}}), now));
    }

    #[test]
    fn whoever_writes_an_event_removes_those_that_are_over() {
        let registry = Registry::new(crate::kinds::builtin()).unwrap();
        let events = GroupResource::new("", "events");
        for (name, made) in [
            ("old", "2020-01-01T00:00:00Z"),
            ("new", "2999-01-01T00:00:00Z"),
        ] {
            let metadata = json!({"namespace": "default", "name": name, "creationTimestamp": made});
            let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": metadata});
            let key = Key::new("default", name);
            registry.store.create(&events, key, event).unwrap();
        }
        let target = registry.core("events", "default", "").unwrap();
        let about = json!({"kind": "Pod", "namespace": "default", "name": "a"});
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "written"}, "involvedObject": about});
        let options = crate::registry::WriteOptions::default();
        registry.create(&target, event, &options).unwrap();
        let left = registry.all("", "events", "default");
        let names: Vec<&str> = left.iter().map(|event| event.name()).collect();
        assert_eq!(names, ["new", "written"]);
    }

    #[test]
    fn nobody_looks_twice_in_a_minute() {
        let looked = Looked::default();
        let begin = Timestamp::UNIX_EPOCH;
        let after = |seconds| begin + SignedDuration::from_secs(seconds);
        let due = [0, 1, 59, 60, 61, 200].map(|seconds| looked.is_due(after(seconds)));
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
