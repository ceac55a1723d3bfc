//! Events of the past: they go an hour after they were last told, as Kubernetes keeps them (`--event-ttl`). Nothing else expires.
//!
//! Whoever writes an event sees to it, at most once in a minute: a server that nobody writes to does nothing, and doesn't grow.

use super::{Registry, Target};
use crate::storage::{GroupResource, Key};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
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
            if is_over(event.json(), now) {
                let key = Key::new(event.namespace(), event.name());
                // Somebody has told it again, or removed it: both are well.
                self.store.remove(&events, &key, &event).ok();
            }
        }
    }
}

/// When an event was told, which is all that is read of it: all events are looked at, and none is to be kept as a value for that.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    metadata: Metadata,
    last_timestamp: Option<String>,
    event_time: Option<String>,
    series: Option<Series>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    creation_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    last_observed_time: Option<String>,
}

/// Whether an event was last told too long ago. One that doesn't say when stays.
fn is_over(event: &[u8], now: Timestamp) -> bool {
    let Ok(told) = serde_json::from_slice::<Told>(event) else {
        return false;
    };
    let times = [
        told.metadata.creation_timestamp,
        told.last_timestamp,
        told.event_time,
        told.series.and_then(|series| series.last_observed_time),
    ];
    let times = times.into_iter().flatten();
    let last = times
        .filter_map(|time| time.parse::<Timestamp>().ok())
        .max();
    last.is_some_and(|last| now.duration_since(last) > KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

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
        let is_over = |event: &Value| is_over(event.to_string().as_bytes(), now);
        assert!(is_over(&made(json!({}))));
        assert!(is_over(&made(json!({"lastTimestamp": null}))));
        for later in [
            json!({"lastTimestamp": "2026-01-01T11:00:00Z"}),
            json!({"eventTime": "2026-01-01T11:00:00.000000Z"}),
            json!({"series": {"lastObservedTime": "2026-01-01T11:30:00.000000Z"}}),
        ] {
            assert!(!is_over(&made(later.clone())), "{later}");
        }
        assert!(!is_over(&json!({"metadata": {}})));
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
    fn events_that_stay_are_not_read_for_it() {
        let registry = Registry::new(crate::kinds::builtin()).unwrap();
        let events = GroupResource::new("", "events");
        for number in 0..=crate::storage::Retention::default().fresh {
            let name = format!("e{number}");
            let metadata = json!({"namespace": "default", "name": name, "creationTimestamp": "2999-01-01T00:00:00Z"});
            let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": metadata});
            let key = Key::new("default", name);
            registry.store.create(&events, key, event).unwrap();
        }
        let target = registry.core("events", "default", "e1").unwrap();
        registry.expire(&target, Timestamp::now());
        let first = registry.store.get(&events, &Key::new("default", "e0"));
        assert!(!first.unwrap().is_read());
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
