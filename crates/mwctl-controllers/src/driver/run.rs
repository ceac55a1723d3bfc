//! The loop: watches in, requests out, one task for everything, and nothing that outlives it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, SelectAll, StreamExt};
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use tokio_util::sync::CancellationToken;

use super::effects::carry_out;
use super::{Driver, Outcome, Sighting, watches};
use crate::action::Note;
use crate::controller::kinds_read;
use crate::discovery::Served;
use crate::observed::{self, Kind};
use crate::options::Options;
use crate::recorder::{Record, Recorder};

/// How long the loop sleeps when nothing is due by itself: anything that happens ends the sleep.
const IDLE: Duration = Duration::from_hours(1);

/// How soon the kinds are asked for again after a change among the custom ones: the server lists a new one when it is established.
const DISCOVERY_WAIT: Duration = Duration::from_millis(20);

/// How much of what is there already is taken in before anything is decided: what comes without an end can't put decisions off for ever.
const AT_A_TURN: usize = 256;

/// How long events wait, so that what they tell of goes on first.
const LATER: Duration = Duration::from_millis(50);

/// How often in a row.
const DISCOVERY_TRIES: u32 = 5;

/// What a request of the loop has come to.
enum Finished {
    Job(Box<Outcome>),
    Recorded,
    Discovered(kube::Result<Served>),
}

/// Everything that the loop holds.
pub(crate) struct Run {
    client: Client,
    driver: Driver,
    recorder: Recorder,
    reads: BTreeSet<Kind>,
    traces_all: bool,
    served: Arc<Served>,
    watched: BTreeMap<String, CancellationToken>,
    /// The first kinds that haven't been listed yet.
    unlisted: BTreeSet<String>,
    watches: SelectAll<watches::Sightings>,
    requests: FuturesUnordered<BoxFuture<'static, Finished>>,
    discoveries: u32,
}

impl Run {
    /// Asks which kinds there are and opens the watches.
    pub(crate) async fn begin(client: Client, options: Options) -> kube::Result<Self> {
        let controllers = options.controllers();
        let mut run = Self {
            reads: kinds_read(&controllers),
            traces_all: controllers.iter().any(|controller| controller.traces_all),
            driver: Driver::new(controllers, options.settings),
            recorder: Recorder::default(),
            served: Arc::default(),
            watched: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            watches: SelectAll::new(),
            requests: FuturesUnordered::new(),
            discoveries: 0,
            client: client.clone(),
        };
        run.watch(Served::ask(client).await?);
        // What comes later is listed while the rest goes on: see `dispatch`.
        run.unlisted = run.watched.keys().cloned().collect();
        Ok(run)
    }

    /// Runs until cancelled. What was begun is not waited for: every action may be cut short and is decided anew.
    pub(crate) async fn until(mut self, cancel: CancellationToken) {
        loop {
            self.dispatch();
            let rest = self.rest();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                Some(finished) = self.requests.next() => self.finish(finished),
                Some(sighting) = self.watches.next() => self.learn(sighting),
                () = tokio::time::sleep(rest) => {}
            }
            self.take_in();
        }
    }

    /// Takes in what is there already: fifty pods that became ready at once are one reason to write a Service's slices.
    fn take_in(&mut self) {
        for _ in 0..AT_A_TURN {
            if let Some(Some(finished)) = self.requests.next().now_or_never() {
                self.finish(finished);
            } else if let Some(Some(sighting)) = self.watches.next().now_or_never() {
                self.learn(sighting);
            } else {
                return;
            }
        }
    }

    fn rest(&self) -> Duration {
        let Some(next) = self.driver.next_time() else {
            return IDLE;
        };
        let wait = next.duration_since(Timestamp::now());
        Duration::try_from(wait).unwrap_or_default().min(IDLE)
    }

    /// Opens the watches that are missing and ends those of kinds that are gone.
    fn watch(&mut self, served: Served) {
        for resource in served.iter() {
            let kind = Kind::of(resource).filter(|kind| self.reads.contains(kind));
            if is_event(resource)
                || (kind.is_none() && !self.traces_all)
                || self.watched.contains_key(&name(resource))
            {
                continue;
            }
            let sightings = match kind {
                Some(kind) => observed::watch(kind, self.client.clone()),
                None => watches::of_metadata(self.client.clone(), Arc::clone(resource)),
            };
            let end = CancellationToken::new();
            (self.watches).push(sightings.take_until(end.clone().cancelled_owned()).boxed());
            self.watched.insert(name(resource), end);
        }
        let unlisted = &mut self.unlisted;
        self.watched.retain(|name, end| {
            let is_served = served.iter().any(|resource| self::name(resource) == *name);
            if !is_served {
                unlisted.remove(name);
                end.cancel();
            }
            is_served
        });
        self.served = Arc::new(served);
    }

    fn learn(&mut self, sighting: Sighting) {
        match &sighting {
            Sighting::Listed(resource, _) => {
                self.unlisted.remove(&name(resource));
            }
            Sighting::Saw(object) if is_definition(object.resource()) => self.discover(),
            _ => {}
        }
        self.driver.learn(sighting);
    }

    /// Asks again which kinds there are.
    fn discover(&mut self) {
        let is_asking = self.discoveries > 0;
        self.discoveries = DISCOVERY_TRIES;
        if !is_asking {
            self.ask();
        }
    }

    fn ask(&mut self) {
        let client = self.client.clone();
        self.requests.push(Box::pin(async move {
            tokio::time::sleep(DISCOVERY_WAIT).await;
            Finished::Discovered(Served::ask(client).await)
        }));
    }

    /// Starts what is due, once everything has been listed: a decision on half of the objects would be wrong.
    fn dispatch(&mut self) {
        if !self.unlisted.is_empty() {
            return;
        }
        while let Some(job) = self.driver.next_job(Timestamp::now()) {
            let (client, served) = (self.client.clone(), Arc::clone(&self.served));
            self.requests.push(Box::pin(async move {
                Finished::Job(Box::new(carry_out(client, served, job).await))
            }));
        }
    }

    fn finish(&mut self, finished: Finished) {
        match finished {
            Finished::Job(outcome) => {
                for note in self.driver.settle(*outcome, Timestamp::now()) {
                    self.record(note);
                }
            }
            Finished::Recorded => {}
            Finished::Discovered(answer) => {
                match answer {
                    Ok(served) => self.watch(served),
                    Err(error) => tracing::debug!(%error, "the kinds aren't known anew"),
                }
                self.discoveries -= 1;
                if self.discoveries > 0 {
                    self.ask();
                }
            }
        }
    }

    fn record(&mut self, note: Note) {
        let record = self.recorder.record(note, Timestamp::now());
        let client = self.client.clone();
        self.requests.push(Box::pin(async move {
            tokio::time::sleep(LATER).await;
            // An event that can't be written is no reason to do anything else differently.
            if let Err(error) = write(client, record).await {
                tracing::debug!(%error, "an event isn't recorded");
            }
            Finished::Recorded
        }));
    }
}

async fn write(client: Client, record: Record) -> kube::Result<()> {
    match record {
        Record::New(event) => {
            let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
            let events = Api::<Event>::namespaced(client, namespace);
            events
                .create(&PostParams::default(), &event)
                .await
                .map(drop)
        }
        Record::Again(key, patch) => {
            let events = Api::<Event>::namespaced(client, &key.namespace);
            let patch = Patch::Merge(patch);
            (events
                .patch(&key.name, &PatchParams::default(), &patch)
                .await)
                .map(drop)
        }
    }
}

fn name(resource: &ApiResource) -> String {
    format!("{}/{}", resource.api_version, resource.plural)
}

/// Events have no owners and own nothing, and are more than all the rest: like Kubernetes' collector, this one passes them over.
fn is_event(resource: &ApiResource) -> bool {
    resource.group.is_empty() && resource.kind == "Event"
}

fn is_definition(resource: &ApiResource) -> bool {
    resource.group == "apiextensions.k8s.io" && resource.kind == "CustomResourceDefinition"
}
