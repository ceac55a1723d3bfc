//! Deployments: a ReplicaSet for each template, and a careful way from the old ones to the new one.
//!
//! The order of every turn: what is to be adopted; the revision; the status with the turn's condition; then one step of the rollout. Each
//! step is decided on what the server has confirmed of the last one.

mod progress;
mod revision;
mod rollout;
mod scale;
mod sets;
mod status;

use k8s_openapi::api::apps::v1::Deployment;

use self::progress::Progress;
pub(crate) use self::scale::share;
use self::sets::Sets;
use crate::action::Action;
use crate::claim::{claim, selector, would_take};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed, controller_of};
use crate::pods;

/// The controller's name.
pub(crate) const NAME: &str = "deployment-controller";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::Deployment, Kind::ReplicaSet, Kind::Pod],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    match change.object() {
        Object::Deployment(deployment) => vec![Key::of(deployment.as_ref())],
        Object::ReplicaSet(set) => {
            let namespace = set.metadata.namespace.clone().unwrap_or_default();
            let mut keys = change.controllers("Deployment");
            if controller_of(&set.metadata).is_none() {
                keys.extend(
                    (observed.deployments.in_namespace(&namespace))
                        .filter(|deployment| {
                            let spec = deployment.spec.as_ref();
                            spec.is_some_and(|spec| would_take(&spec.selector, set.as_ref()))
                        })
                        .map(|deployment| Key::of(deployment.as_ref())),
                );
            }
            keys
        }
        // Recreation waits for the last old pod to be gone.
        Object::Pod(pod) if change.after.is_none() || pods::is_finished(pod) => {
            let namespace = pod.metadata.namespace.clone().unwrap_or_default();
            (controller_of(&pod.metadata).into_iter())
                .filter_map(|owner| {
                    observed
                        .replica_sets
                        .get(&Key::new(&namespace, &owner.name))
                })
                .filter_map(|set| controller_of(&set.metadata))
                .filter(|owner| owner.kind == "Deployment")
                .map(|owner| Key::new(&namespace, &owner.name))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(deployment) = observed.deployments.get(key).map(AsRef::as_ref) else {
        return Vec::new();
    };
    let Some(selector) = (deployment.spec.as_ref()).and_then(|spec| selector(&spec.selector))
    else {
        return Vec::new();
    };
    let claim = claim(
        deployment,
        &selector,
        observed.replica_sets.in_namespace(&key.namespace),
    );
    if !claim.actions.is_empty() {
        return claim.actions;
    }
    let sets = Sets::sort(deployment, claim.ours);
    if deployment.metadata.deletion_timestamp.is_some() {
        return status::update(context, deployment, &sets, &Progress::Unchanged);
    }
    let numbering = revision::actions(deployment, &sets);
    if !numbering.is_empty() {
        return numbering;
    }
    let is_paused = is_paused(deployment);
    if is_paused || scale::is_needed(deployment, &sets) {
        let progress = Progress::of_pause(deployment);
        let mut actions = status::update(context, deployment, &sets, &progress);
        actions.extend(scale::actions(deployment, &sets));
        return actions;
    }
    rollout::actions(context, deployment, &sets)
}

fn is_paused(deployment: &Deployment) -> bool {
    (deployment.spec.as_ref()).is_some_and(|spec| spec.paused == Some(true))
}

/// How many replicas are asked for.
fn wanted(deployment: &Deployment) -> i32 {
    (deployment.spec.as_ref())
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

#[cfg(test)]
mod tests;
