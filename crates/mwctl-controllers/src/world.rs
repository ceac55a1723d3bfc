//! A cluster for tests: objects in memory, a clock that is set by hand, and the driver on top, all in one thread.
//!
//! It does of a server's work only what controllers notice: names, uids, versions, generations, merge patches, finalizers. What they make of it
//! in the end is compared with what the real controllers made.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::action::{Action, Note, Propagation, Target};
use crate::driver::{Driver, Job, Outcome, Sighting};
use crate::observed::{Key, Kind, Refused, Watched};
use crate::options::{Options, Settings};

/// A cluster in memory.
pub(crate) struct World {
    objects: BTreeMap<(String, Key), Value>,
    driver: Driver,
    pub(crate) now: Timestamp,
    version: u64,
    /// All events so far, as `reason: message`.
    pub(crate) events: Vec<String>,
    /// Creations of this kind are refused with these words.
    pub(crate) refuse: Option<(&'static str, &'static str)>,
}

impl World {
    /// A cluster with these controllers.
    pub(crate) fn with(names: &[&'static str]) -> Self {
        let options = Options {
            which: names.iter().copied().collect(),
            settings: Settings::default(),
        };
        Self {
            objects: BTreeMap::new(),
            driver: Driver::new(options.controllers(), options.settings),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            version: 0,
            events: Vec::new(),
            refuse: None,
        }
    }

    /// What the controllers are told.
    pub(crate) fn settings(&mut self) -> &mut Settings {
        &mut self.driver.settings
    }

    fn place<T: Watched>(key: &Key) -> (String, Key) {
        (T::KIND.resource().plural.clone(), key.clone())
    }

    /// An object, as it is.
    pub(crate) fn get<T: Watched>(&self, key: &Key) -> Option<T> {
        let object = self.objects.get(&Self::place::<T>(key))?;
        Some(serde_json::from_value(object.clone()).unwrap())
    }

    /// All objects of a kind.
    pub(crate) fn list<T: Watched>(&self) -> Vec<T> {
        let plural = &T::KIND.resource().plural;
        (self.objects.iter().filter(|((kind, _), _)| kind == plural))
            .map(|(_, object)| serde_json::from_value(object.clone()).unwrap())
            .collect()
    }

    /// Creates an object from JSON, as a user does, and lets everything happen that follows.
    pub(crate) fn create<T: Watched>(&mut self, object: Value) -> Key {
        let typed: T = serde_json::from_value(object.clone()).unwrap();
        self.write(&T::KIND.resource().plural.clone(), Key::of(&typed), object);
        self.settle();
        Key::of(&typed)
    }

    /// Changes an object by a merge patch.
    pub(crate) fn patch<T: Watched>(&mut self, key: &Key, patch: &Value) {
        let place = Self::place::<T>(key);
        let mut object = self.objects[&place].clone();
        merge(&mut object, patch);
        self.write(&place.0, place.1, object);
        self.settle();
    }

    /// Deletes an object, as a user does.
    pub(crate) fn delete<T: Watched>(&mut self, key: &Key, propagation: Option<Propagation>) {
        let place = Self::place::<T>(key);
        self.remove(&place, propagation);
        self.settle();
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.settle();
    }

    /// Lets everything happen that is due now.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let Some(job) = self.driver.next_job(self.now) else {
                // What waits for a few milliseconds is as good as due.
                let soon = self.now + SignedDuration::from_millis(200);
                match self.driver.next_time() {
                    Some(time) if time <= soon => {
                        self.now = self.now.max(time);
                        continue;
                    }
                    _ => return,
                }
            };
            let outcome = self.carry_out(job);
            let notes = self.driver.settle(outcome, self.now);
            self.tell(notes);
        }
        panic!("the controllers don't come to rest");
    }

    fn tell(&mut self, notes: Vec<Note>) {
        let texts = notes
            .into_iter()
            .map(|it| format!("{}: {}", it.reason, it.message));
        self.events.extend(texts);
    }

    fn carry_out(&mut self, job: Job) -> Outcome {
        let mut outcome = Outcome {
            item: job.item,
            sightings: Vec::new(),
            notes: Vec::new(),
            refused: None,
        };
        for action in job.actions {
            match self.perform(action, &mut outcome.notes) {
                Ok(seen) => outcome.sightings.extend(seen),
                Err(refused) => {
                    outcome.refused = Some(refused);
                    break;
                }
            }
        }
        outcome
    }

    fn perform(
        &mut self,
        action: Action,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Sighting>, Refused> {
        match action {
            Action::Create(object, announcement) => {
                let plural = object.resource().plural.clone();
                let mut value: Value = serde_json::from_slice(&object.to_json().unwrap()).unwrap();
                let mut key = object.key();
                if let Some((_, words)) = self.refuse.filter(|(kind, _)| *kind == plural) {
                    notes.extend(announcement.and_then(|it| it.of_refusal(&key.name, words)));
                    return Err(refused("create", "Forbidden", words));
                }
                if key.name.is_empty() {
                    let prefix = object.meta().generate_name.clone().unwrap();
                    key.name = format!("{prefix}{:05}", self.version);
                    value["metadata"]["name"] = json!(key.name);
                }
                if self.objects.contains_key(&(plural.clone(), key.clone())) {
                    return Err(refused("create", "AlreadyExists", "already exists"));
                }
                notes.extend(announcement.and_then(|it| it.of_success(&key.name)));
                Ok(Some(self.write(&plural, key, value)))
            }
            Action::UpdateStatus(object) => {
                let place = (object.resource().plural.clone(), object.key());
                let value: Value = serde_json::from_slice(&object.to_json().unwrap()).unwrap();
                let mut stored = self.objects.get(&place).cloned().unwrap_or_default();
                if stored["metadata"]["resourceVersion"] != value["metadata"]["resourceVersion"] {
                    return Err(refused("update", "Conflict", "changed meanwhile"));
                }
                stored["status"] = value["status"].clone();
                Ok(Some(self.write(&place.0, place.1, stored)))
            }
            Action::Patch {
                target,
                subresource,
                patch,
                announcement,
            } => {
                let Some((place, mut stored)) = self.find(&target) else {
                    return Ok(Some(Sighting::Lost(target.uid)));
                };
                let status = stored["status"].clone();
                merge(&mut stored, &patch);
                if subresource.is_none() {
                    stored["status"] = status;
                }
                notes.extend(announcement.and_then(|it| it.of_success(&target.key.name)));
                Ok(Some(self.write(&place.0, place.1, stored)))
            }
            Action::Delete {
                target,
                propagation,
                announcement,
                ..
            } => {
                notes.extend(announcement.and_then(|it| it.of_success(&target.key.name)));
                if let Some((place, _)) = self.find(&target) {
                    self.remove(&place, propagation);
                }
                Ok(None)
            }
            Action::Bind {
                target,
                node,
                announcement,
            } => {
                let (place, mut stored) = self.find(&target).unwrap();
                stored["spec"]["nodeName"] = json!(node);
                notes.extend(announcement.and_then(|it| it.of_success(&target.key.name)));
                Ok(Some(self.write(&place.0, place.1, stored)))
            }
            Action::Trace { uid, .. } => {
                let is_known =
                    (self.objects.values()).any(|it| it["metadata"]["uid"] == json!(uid));
                Ok((!is_known).then_some(Sighting::Lost(uid)))
            }
            Action::Finalize(target) => {
                let (place, mut stored) = self.find(&target).unwrap();
                stored["spec"]["finalizers"] = json!([]);
                self.objects.insert(place.clone(), stored);
                self.remove(&place, None);
                Ok(None)
            }
            Action::Record(note) => {
                notes.push(note);
                Ok(None)
            }
            Action::WakeAt(_) => Ok(None),
        }
    }

    fn find(&self, target: &Target) -> Option<((String, Key), Value)> {
        let place = (target.resource.plural.clone(), target.key.clone());
        let object = self.objects.get(&place)?;
        (object["metadata"]["uid"] == json!(target.uid)).then(|| (place, object.clone()))
    }

    /// Stores an object and lets the driver see it, as a watch would.
    fn write(&mut self, plural: &str, key: Key, mut object: Value) -> Sighting {
        let kind = kind(plural);
        let place = (plural.to_owned(), key);
        // A round through the types is what a server's defaults and omissions are to a client.
        let parsed = kind.parse(object.to_string().as_bytes()).unwrap();
        object = serde_json::from_slice(&parsed.to_json().unwrap()).unwrap();
        let old = self.objects.get(&place).cloned();
        if let Some(old) = &old {
            let mut same = object.clone();
            same["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
            if same == *old {
                return Sighting::Saw(parsed);
            }
        }
        self.version += 1;
        let is_new_spec = old.as_ref().is_none_or(|old| old["spec"] != object["spec"]);
        let meta = object["metadata"].as_object_mut().unwrap();
        meta.insert("resourceVersion".into(), json!(self.version.to_string()));
        if old.is_none() {
            meta.insert("uid".into(), json!(format!("uid-{}", self.version)));
            let time = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            meta.insert("creationTimestamp".into(), json!(time));
        }
        if is_new_spec {
            let generation = meta.get("generation").and_then(Value::as_i64).unwrap_or(0);
            meta.insert("generation".into(), json!(generation + 1));
        }
        let is_held = |list: Option<&Value>| {
            (list.and_then(Value::as_array)).is_some_and(|list| !list.is_empty())
        };
        let meta = object["metadata"].as_object().unwrap();
        let is_released = meta.contains_key("deletionTimestamp")
            && !is_held(meta.get("finalizers"))
            && !is_held(object["spec"].get("finalizers"));
        let sighting = if is_released && plural != "pods" {
            self.objects.remove(&place);
            Sighting::Lost(meta["uid"].as_str().unwrap().to_owned())
        } else {
            self.objects.insert(place, object.clone());
            Sighting::Saw(kind.parse(object.to_string().as_bytes()).unwrap())
        };
        self.driver.learn(sighting.clone());
        sighting
    }

    fn remove(&mut self, place: &(String, Key), propagation: Option<Propagation>) {
        let Some(mut object) = self.objects.get(place).cloned() else {
            return;
        };
        let held = match propagation {
            Some(Propagation::Foreground) => Some("foregroundDeletion"),
            Some(Propagation::Orphan) => Some("orphan"),
            _ => None,
        };
        let mut finalizers = object["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        finalizers.extend(held.map(|it| json!(it)));
        let spec = object["spec"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if finalizers.is_empty() && spec.is_empty() {
            self.objects.remove(place);
            let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
            self.driver.learn(Sighting::Lost(uid));
            return;
        }
        let time = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        object["metadata"]["deletionTimestamp"] = json!(time);
        object["metadata"]["finalizers"] = json!(finalizers);
        if place.0 == "namespaces" {
            object["status"]["phase"] = json!("Terminating");
            // Its own finalizer is in the spec: the object mustn't be taken for a released one.
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.objects.insert(place.clone(), object.clone());
            let seen = Kind::Namespace
                .parse(object.to_string().as_bytes())
                .unwrap();
            self.driver.learn(Sighting::Saw(seen));
            return;
        }
        self.write(&place.0.clone(), place.1.clone(), object);
    }
}

fn refused(verb: &'static str, reason: &str, message: &str) -> Refused {
    Refused {
        verb,
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

fn kind(plural: &str) -> Kind {
    *(Kind::ALL.iter())
        .find(|kind| kind.resource().plural == plural)
        .unwrap()
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
