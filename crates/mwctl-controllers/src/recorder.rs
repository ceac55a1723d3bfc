//! Events as Kubernetes keeps them: what is said again counts up an event instead of making another.
//!
//! Pure: what is to be written is an answer. Only the loop writes it.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Event, EventSource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::action::Note;
use crate::observed::Key;

/// How many different notes are remembered; after that counting begins anew.
const REMEMBERED: usize = 4_096;

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Record {
    /// A new event.
    New(Box<Event>),
    /// A merge patch of an event that is there.
    Again(Key, Value),
}

/// What was said before.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    said: HashMap<(String, String, &'static str, String), (Key, i32)>,
}

impl Recorder {
    /// How a note is written down.
    pub(crate) fn record(&mut self, note: Note, now: Timestamp) -> Record {
        if self.said.len() > REMEMBERED {
            self.said.clear();
        }
        let topic = (
            note.about.uid.clone().unwrap_or_default(),
            note.about.field_path.clone().unwrap_or_default(),
            note.reason,
            note.message.clone(),
        );
        if let Some((key, count)) = self.said.get_mut(&topic) {
            *count += 1;
            let patch = json!({"count": count, "lastTimestamp": Time(now)});
            return Record::Again(key.clone(), patch);
        }
        let namespace = note.about.namespace.clone();
        let key = Key::new(
            namespace.unwrap_or_else(|| "default".to_owned()),
            name_of(&note, now, self.said.len()),
        );
        self.said.insert(topic, (key.clone(), 1));
        Record::New(Box::new(event(note, key, now)))
    }
}

/// The object's name and a number that no other event of it has.
fn name_of(note: &Note, now: Timestamp, said: usize) -> String {
    let name = note.about.name.as_deref().unwrap_or_default();
    let number = now.as_nanosecond().wrapping_add(said as i128) as u64;
    format!("{name}.{number:x}")
}

fn event(note: Note, key: Key, now: Timestamp) -> Event {
    Event {
        metadata: ObjectMeta {
            name: Some(key.name),
            namespace: Some(key.namespace),
            ..ObjectMeta::default()
        },
        involved_object: note.about,
        type_: Some(note.severity.as_str().to_owned()),
        reason: Some(note.reason.to_owned()),
        message: Some(note.message),
        source: Some(EventSource {
            component: Some(note.component.to_owned()),
            host: None,
        }),
        reporting_component: Some(note.component.to_owned()),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ObjectReference;

    use super::*;
    use crate::action::Severity;

    fn note(message: &str) -> Note {
        Note {
            about: ObjectReference {
                namespace: Some("here".into()),
                name: Some("web".into()),
                uid: Some("1".into()),
                ..ObjectReference::default()
            },
            severity: Severity::Normal,
            reason: "Scaled",
            message: message.into(),
            component: "test",
        }
    }

    #[test]
    fn what_is_said_again_counts_up() {
        let mut recorder = Recorder::default();
        let now = Timestamp::UNIX_EPOCH;
        let Record::New(event) = recorder.record(note("up"), now) else {
            panic!("the first is new");
        };
        let Record::Again(key, patch) = recorder.record(note("up"), now) else {
            panic!("the second is the first again");
        };
        assert_eq!(Some(key.name), event.metadata.name);
        assert_eq!(patch["count"], 2);
    }

    #[test]
    fn two_texts_are_two_events_even_at_one_instant() {
        let mut recorder = Recorder::default();
        let names: Vec<_> = ["up", "down"]
            .into_iter()
            .map(
                |text| match recorder.record(note(text), Timestamp::UNIX_EPOCH) {
                    Record::New(event) => event.metadata.name,
                    Record::Again(..) => panic!("they differ"),
                },
            )
            .collect();
        assert_ne!(names[0], names[1]);
    }
}
