//! Between what is observed and what is done: keeps [`Observed`], wakes controllers, hands out their actions, takes in what came of them.
//!
//! All of it is synchronous, without a clock and without a client, so that tests run whole clusters on it. [`run`] is the loop around it.

pub(crate) mod effects;
pub(crate) mod run;
pub(crate) mod watches;

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::core::ApiResource;

use crate::action::{Action, Note};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Object, Observed, Refused};
use crate::options::Settings;
use crate::queue::{Item, Queue};

/// Something learnt of the cluster.
#[derive(Clone, Debug)]
pub(crate) enum Sighting {
    /// An object, as it is.
    Saw(Object),
    /// The object of this uid is gone.
    Lost(String),
    /// A kind is about to be listed.
    ListBegins(Arc<ApiResource>),
    /// These uids, and no others, are those of the kind.
    Listed(Arc<ApiResource>, HashSet<String>),
}

/// Actions on behalf of a key.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) item: Item,
    pub(crate) actions: Vec<Action>,
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) item: Item,
    /// What the server answered.
    pub(crate) sightings: Vec<Sighting>,
    /// Events to record.
    pub(crate) notes: Vec<Note>,
    /// The refusal that ended it early.
    pub(crate) refused: Option<Refused>,
}

/// The state between two turns of the loop.
#[derive(Debug)]
pub(crate) struct Driver {
    controllers: Vec<&'static Controller>,
    pub(crate) settings: Settings,
    pub(crate) observed: Observed,
    queue: Queue,
}

impl Driver {
    pub(crate) fn new(controllers: Vec<&'static Controller>, settings: Settings) -> Self {
        Self {
            controllers,
            settings,
            observed: Observed::default(),
            queue: Queue::default(),
        }
    }

    /// Takes in what was learnt, and wakes whom it concerns.
    pub(crate) fn learn(&mut self, sighting: Sighting) {
        match sighting {
            Sighting::Saw(object) => {
                if let Some(change) = self.observed.see(object) {
                    self.wake(&change);
                }
            }
            Sighting::Lost(uid) => {
                if let Some(change) = self.observed.lose(&uid) {
                    self.wake(&change);
                } else {
                    self.wake_dependents(&uid);
                }
            }
            Sighting::ListBegins(resource) => self.observed.begin_list(&resource),
            Sighting::Listed(resource, uids) => {
                for change in self.observed.end_list(&resource, &uids) {
                    self.wake(&change);
                }
            }
        }
    }

    /// An owner that was never seen is known to be gone: to those that name it, that is news.
    fn wake_dependents(&mut self, uid: &str) {
        let dependents: Vec<Object> = self.observed.graph.dependents(uid).cloned().collect();
        for dependent in dependents {
            self.wake(&Change {
                before: Some(dependent.clone()),
                after: Some(dependent),
            });
        }
    }

    fn wake(&mut self, change: &Change) {
        for controller in &self.controllers {
            for key in (controller.wakes)(change, &self.observed) {
                self.queue.add(Item {
                    controller: controller.name,
                    key,
                });
            }
        }
    }

    /// Decides on the next key that has something to be done; nothing when all is as it should be.
    pub(crate) fn next_job(&mut self, now: Timestamp) -> Option<Job> {
        loop {
            let item = self.queue.take(now)?;
            let actions = self.decide(&item, now);
            if actions.is_empty() {
                self.forget_refusal(&item);
                continue;
            }
            self.queue.start(item.clone());
            return Some(Job { item, actions });
        }
    }

    fn decide(&mut self, item: &Item, now: Timestamp) -> Vec<Action> {
        let Some(controller) = (self.controllers.iter()).find(|it| it.name == item.controller)
        else {
            return Vec::new();
        };
        let context = Context {
            observed: &self.observed,
            settings: &self.settings,
            now,
        };
        let mut actions = (controller.reconcile)(&context, &item.key);
        actions.retain(|action| match action {
            Action::WakeAt(time) => {
                self.queue.add_at(*time, item.clone());
                false
            }
            _ => true,
        });
        actions
    }

    /// Takes in what came of a job; the events it leaves are the caller's to record.
    pub(crate) fn settle(&mut self, outcome: Outcome, now: Timestamp) -> Vec<Note> {
        for sighting in outcome.sightings {
            self.learn(sighting);
        }
        if let Some(refused) = outcome.refused {
            let (item, message) = (&outcome.item, &refused.message);
            tracing::debug!(controller = item.controller, key = %item.key, message, "refused");
            let place = (outcome.item.controller, outcome.item.key.clone());
            self.observed.refusals.insert(place, refused);
            self.queue.refuse(&outcome.item, now);
        } else {
            self.forget_refusal(&outcome.item);
            self.queue.finish(&outcome.item);
        }
        outcome.notes
    }

    fn forget_refusal(&mut self, item: &Item) {
        let place: (&'static str, Key) = (item.controller, item.key.clone());
        if self.observed.refusals.remove(&place).is_some() {
            // A status that tells of the refusal is out of date now.
            self.queue.add(item.clone());
        }
    }

    /// When something becomes due by itself.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        self.queue.next_time()
    }
}
