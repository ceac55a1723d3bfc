//! ReplicaSets: as many pods as asked for, the least useful ones going first, and a status that says how many there are.
//!
//! `ReplicationControllers` are the same in older words: see [`Replicated`].

mod ranking;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;

use crate::action::{Action, Announcement, Target};
use crate::claim::{claim, matches, selector};
use crate::controller::{Context, Controller};
use crate::observed::{
    Cache, Change, Key, Kind, Object, Observed, Refused, Watched, controller_of, reference_to,
};
use crate::pods;

/// The controller's name.
pub(crate) const NAME: &str = "replicaset-controller";

/// How many pods are made or deleted at once; the rest follows when these are known.
const BATCH: usize = 500;

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::ReplicaSet, Kind::Pod],
    traces_all: false,
    wakes: wakes::<ReplicaSet>,
    reconcile: reconcile::<ReplicaSet>,
};

/// What keeps a number of pods.
pub(crate) trait Replicated: Watched {
    /// Its controller's name.
    const CONTROLLER: &'static str;

    /// All of them.
    fn all(observed: &Observed) -> &Cache<Self>;

    /// It, in the words of a ReplicaSet.
    fn as_set(&self) -> Cow<'_, ReplicaSet>;

    /// It, with a status that was found for the ReplicaSet.
    fn with_status(&self, status: ReplicaSetStatus) -> Object;
}

impl Replicated for ReplicaSet {
    const CONTROLLER: &'static str = NAME;

    fn all(observed: &Observed) -> &Cache<Self> {
        &observed.replica_sets
    }

    fn as_set(&self) -> Cow<'_, ReplicaSet> {
        Cow::Borrowed(self)
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Object {
        let mut set = self.clone();
        set.status = Some(status);
        set.into()
    }
}

pub(crate) fn wakes<T: Replicated>(change: &Change, observed: &Observed) -> Vec<Key> {
    match change.object() {
        object if object.kind() == Some(T::KIND) => vec![object.key()],
        Object::Pod(_) => {
            let mut keys = Vec::new();
            for state in change.states() {
                let namespace = state.key().namespace;
                match (controller_of(state.meta()), state) {
                    (Some(owner), _) if owner.kind == T::kind(&()) => {
                        keys.push(Key::new(namespace, &owner.name));
                    }
                    (None, Object::Pod(pod)) => {
                        keys.extend(interested::<T>(observed, &namespace, pod));
                    }
                    _ => {}
                }
            }
            keys
        }
        _ => Vec::new(),
    }
}

/// The sets that would adopt a pod.
fn interested<'a, T: Replicated>(
    observed: &'a Observed,
    namespace: &'a str,
    pod: &'a Pod,
) -> impl Iterator<Item = Key> {
    (T::all(observed).in_namespace(namespace))
        .filter(|set| {
            let set = set.as_set();
            let wanted = set.spec.as_ref().and_then(|spec| selector(&spec.selector));
            wanted.is_some_and(|wanted| matches(&wanted, pod))
        })
        .map(|set| Key::of(set.as_ref()))
}

pub(crate) fn reconcile<T: Replicated>(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(owner) = T::all(observed).get(key) else {
        return Vec::new();
    };
    let set = owner.as_set();
    let Some(spec) = &set.spec else {
        return Vec::new();
    };
    let Some(selector) = selector(&spec.selector) else {
        return Vec::new();
    };
    let claim = claim(
        owner.as_ref(),
        &selector,
        observed.pods.in_namespace(&key.namespace),
    );
    if !claim.actions.is_empty() {
        return claim.actions;
    }
    let active: Vec<Arc<Pod>> = (claim.ours.into_iter())
        .filter(|pod| pods::is_active(pod))
        .collect();

    let refused = observed.refusals.get(&(T::CONTROLLER, key.clone()));
    let mut actions = Vec::new();
    let status = status(&set, &active, refused, context.now);
    if set.status.as_ref() != Some(&status) {
        actions.push(Action::UpdateStatus(owner.with_status(status)));
    }
    if set.metadata.deletion_timestamp.is_none() {
        actions.extend(resize(observed, owner.as_ref(), &set, &active));
    }
    let min_ready = spec.min_ready_seconds.unwrap_or_default();
    actions.extend(
        (active.iter())
            .filter_map(|pod| pods::available_from(pod, min_ready))
            .filter(|time| *time > context.now)
            .map(Action::WakeAt),
    );
    actions
}

/// Makes or deletes pods until there are as many as asked for.
fn resize<T: Replicated>(
    observed: &Observed,
    owner: &T,
    set: &ReplicaSet,
    active: &[Arc<Pod>],
) -> Vec<Action> {
    let Some(spec) = &set.spec else {
        return Vec::new();
    };
    let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default();
    if active.len() < wanted {
        let missing = (wanted - active.len()).min(BATCH);
        let template = spec.template.clone().unwrap_or_default();
        return (0..missing).map(|_| create(owner, &template)).collect();
    }
    (ranking::least_useful(observed, set, active).into_iter())
        .take((active.len() - wanted).min(BATCH))
        .map(|pod| Action::Delete {
            target: Target::of(pod),
            propagation: None,
            grace: None,
            announcement: Some(Announcement {
                about: reference_to(owner),
                component: T::CONTROLLER,
                done: Some(("SuccessfulDelete", "Deleted pod: {name}".to_owned())),
                refused: Some(("FailedDelete", "Error deleting: {error}".to_owned())),
            }),
        })
        .collect()
}

fn create<T: Replicated>(owner: &T, template: &PodTemplateSpec) -> Action {
    let mut pod = pods::from_template(template, owner);
    let name = owner.meta().name.as_ref();
    pod.metadata.generate_name = name.map(|name| format!("{name}-"));
    let announcement = Announcement {
        about: reference_to(owner),
        component: T::CONTROLLER,
        done: Some(("SuccessfulCreate", "Created pod: {name}".to_owned())),
        refused: Some(("FailedCreate", "Error creating: {error}".to_owned())),
    };
    Action::Create(pod.into(), Some(announcement))
}

fn status(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    refused: Option<&Refused>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let spec = set.spec.clone().unwrap_or_default();
    let template = spec.template.unwrap_or_default();
    let labels = (template.metadata.and_then(|meta| meta.labels)).unwrap_or_default();
    let is_labelled = |pod: &Arc<Pod>| {
        let own = pod.metadata.labels.as_ref();
        (labels.iter()).all(|(name, value)| own.and_then(|own| own.get(name)) == Some(value))
    };
    let min_ready = spec.min_ready_seconds.unwrap_or_default();
    let number = |is: &dyn Fn(&Arc<Pod>) -> bool| active.iter().filter(|pod| is(pod)).count();
    let old = set.status.clone().unwrap_or_default();
    ReplicaSetStatus {
        replicas: i32::try_from(active.len()).unwrap_or(i32::MAX),
        fully_labeled_replicas: pods::count(number(&is_labelled)),
        ready_replicas: pods::count(number(&|pod| pods::is_ready(pod))),
        available_replicas: pods::count(number(&|pod| pods::is_available(pod, min_ready, now))),
        observed_generation: set.metadata.generation,
        conditions: conditions(old.conditions, refused, now),
        terminating_replicas: old.terminating_replicas,
    }
}

/// The conditions, with that of a refusal if there is one.
fn conditions(
    old: Option<Vec<ReplicaSetCondition>>,
    refused: Option<&Refused>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let mut conditions = old.unwrap_or_default();
    let reason = refused.and_then(|refused| match refused.verb {
        "create" => Some("FailedCreate"),
        "delete" => Some("FailedDelete"),
        _ => None,
    });
    let known = |it: &ReplicaSetCondition| it.type_ == "ReplicaFailure";
    match (refused, reason) {
        (Some(refused), Some(reason)) => {
            let same = |it: &ReplicaSetCondition| known(it) && it.reason.as_deref() == Some(reason);
            if !conditions.iter().any(same) {
                conditions.retain(|it| !known(it));
                conditions.push(ReplicaSetCondition {
                    type_: "ReplicaFailure".to_owned(),
                    status: "True".to_owned(),
                    reason: Some(reason.to_owned()),
                    message: Some(refused.message.clone()),
                    last_transition_time: Some(Time(now)),
                });
            }
        }
        _ => conditions.retain(|it| !known(it)),
    }
    (!conditions.is_empty()).then_some(conditions)
}

#[cfg(test)]
mod tests;
