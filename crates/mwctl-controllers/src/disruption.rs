//! PodDisruptionBudgets: how many pods may be evicted now. Whether an eviction is let through is the server's to decide.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{
    PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::action::{Action, Note, Severity};
use crate::claim::{matches, selector};
use crate::controller::{Context, Controller};
use crate::deployment::share;
use crate::observed::{Change, Key, Kind, Object, Observed, controller_of, reference_to};
use crate::pods;

/// The controller's name.
pub(crate) const NAME: &str = "disruption-controller";

/// How long an eviction that was let through counts as a missing pod, even if the pod isn't being deleted.
const EVICTION_WAIT: SignedDuration = SignedDuration::from_mins(2);

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[
        Kind::PodDisruptionBudget,
        Kind::Pod,
        Kind::ReplicaSet,
        Kind::Deployment,
        Kind::StatefulSet,
    ],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    match change.object() {
        Object::PodDisruptionBudget(budget) => vec![Key::of(budget.as_ref())],
        Object::Pod(pod) => {
            let namespace = pod.metadata.namespace.clone().unwrap_or_default();
            (observed.disruption_budgets.in_namespace(&namespace))
                .filter(|budget| {
                    (change.states()).any(|state| match state {
                        Object::Pod(pod) => covers(budget, pod),
                        _ => false,
                    })
                })
                .map(|budget| Key::of(budget.as_ref()))
                .collect()
        }
        // How many pods are expected is theirs to say.
        object @ (Object::ReplicaSet(_) | Object::Deployment(_) | Object::StatefulSet(_)) => {
            (observed
                .disruption_budgets
                .in_namespace(&object.key().namespace))
            .map(|budget| Key::of(budget.as_ref()))
            .collect()
        }
        _ => Vec::new(),
    }
}

fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let spec = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    spec.and_then(selector)
        .is_some_and(|wanted| matches(&wanted, pod))
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(budget) = observed.disruption_budgets.get(key).map(AsRef::as_ref) else {
        return Vec::new();
    };
    let Some(spec) = &budget.spec else {
        return Vec::new();
    };
    let covered: Vec<&Pod> = (observed
        .pods
        .in_namespace(&key.namespace)
        .map(AsRef::as_ref))
    .filter(|pod| covers(budget, pod))
    .collect();
    let disrupted = disrupted(budget, &covered, context.now);
    let wake = disrupted
        .values()
        .min()
        .map(|time| Action::WakeAt(time.0 + EVICTION_WAIT));
    let status = status(context, budget, spec, &covered, disrupted);
    let mut actions: Vec<Action> = wake.into_iter().collect();
    if budget.status.as_ref() != Some(&status) {
        if covered.is_empty() {
            actions.push(Action::Record(Note {
                about: reference_to(budget),
                severity: Severity::Normal,
                reason: "NoPods",
                message: "No matching pods found".to_owned(),
                // Kubernetes' own tells of itself under the name of its program.
                component: "controllermanager",
            }));
        }
        let mut budget = budget.clone();
        budget.status = Some(status);
        actions.push(Action::UpdateStatus(budget.into()));
    }
    actions
}

/// The evictions that were let through and aren't seen to happen yet.
fn disrupted(
    budget: &PodDisruptionBudget,
    covered: &[&Pod],
    now: Timestamp,
) -> BTreeMap<String, Time> {
    let noted = (budget.status.as_ref()).and_then(|status| status.disrupted_pods.clone());
    (noted.unwrap_or_default().into_iter())
        .filter(|(name, time)| {
            let is_waiting = covered.iter().any(|pod| {
                pod.metadata.name.as_ref() == Some(name)
                    && pod.metadata.deletion_timestamp.is_none()
            });
            is_waiting && time.0 + EVICTION_WAIT > now
        })
        .collect()
}

fn status(
    context: &Context<'_>,
    budget: &PodDisruptionBudget,
    spec: &PodDisruptionBudgetSpec,
    covered: &[&Pod],
    disrupted: BTreeMap<String, Time>,
) -> PodDisruptionBudgetStatus {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let counted: Vec<&&Pod> = covered
        .iter()
        .filter(|pod| !pods::is_finished(pod))
        .collect();
    let healthy = number(
        (counted.iter())
            .filter(|pod| pods::is_ready(pod) && pod.metadata.deletion_timestamp.is_none())
            .filter(|pod| !disrupted.contains_key(pod.metadata.name.as_deref().unwrap_or_default()))
            .count(),
    );
    let present = number(counted.len());
    let (expected, least) = expectation(context.observed, spec, &counted, present);
    let allowed = if present == 0 {
        0
    } else {
        (healthy - least).max(0)
    };
    let conditions = (budget.status.as_ref()).and_then(|status| status.conditions.as_deref());
    let generation = budget.metadata.generation;
    PodDisruptionBudgetStatus {
        conditions: Some(condition(conditions, allowed > 0, generation, context.now)),
        current_healthy: healthy,
        desired_healthy: least,
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
        disruptions_allowed: allowed,
        expected_pods: expected,
        observed_generation: generation,
    }
}

/// How many pods there should be, and how many of them must be healthy.
fn expectation(
    observed: &Observed,
    spec: &PodDisruptionBudgetSpec,
    counted: &[&&Pod],
    present: i32,
) -> (i32, i32) {
    if let Some(most) = &spec.max_unavailable {
        let total = scale(observed, counted);
        return (total, (total - share(Some(most), total, true)).max(0));
    }
    match &spec.min_available {
        Some(IntOrString::Int(least)) => (present, *least),
        Some(least @ IntOrString::String(_)) => {
            let total = scale(observed, counted);
            (total, share(Some(least), total, true))
        }
        None => (present, 1),
    }
}

/// How many pods their owners ask for.
fn scale(observed: &Observed, counted: &[&&Pod]) -> i32 {
    let mut owners: BTreeMap<String, i32> = BTreeMap::new();
    for pod in counted {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let Some(owner) = controller_of(&pod.metadata) else {
            continue;
        };
        let key = Key::new(namespace, &owner.name);
        let replicas = match owner.kind.as_str() {
            "StatefulSet" => (observed.stateful_sets.get(&key)).map(|set| {
                (
                    owner.uid.clone(),
                    set.spec.as_ref().and_then(|it| it.replicas),
                )
            }),
            "ReplicaSet" => observed.replica_sets.get(&key).map(|set| {
                let deployment = controller_of(&set.metadata)
                    .map(|it| Key::new(&key.namespace, &it.name))
                    .and_then(|key| observed.deployments.get(&key));
                match deployment {
                    Some(deployment) => (
                        deployment.metadata.uid.clone().unwrap_or_default(),
                        deployment.spec.as_ref().and_then(|it| it.replicas),
                    ),
                    None => (
                        owner.uid.clone(),
                        set.spec.as_ref().and_then(|it| it.replicas),
                    ),
                }
            }),
            _ => None,
        };
        if let Some((uid, replicas)) = replicas {
            owners.insert(uid, replicas.unwrap_or(1));
        }
    }
    owners.values().sum()
}

fn condition(
    old: Option<&[Condition]>,
    is_allowed: bool,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    const KIND: &str = "DisruptionAllowed";
    let (status, reason) = if is_allowed {
        ("True", "SufficientPods")
    } else {
        ("False", "InsufficientPods")
    };
    let mut conditions = old.unwrap_or_default().to_vec();
    let known = conditions
        .iter()
        .find(|it| it.type_ == KIND && it.status == status);
    let since = known.map_or(Time(now), |known| known.last_transition_time.clone());
    conditions.retain(|it| it.type_ != KIND);
    conditions.push(Condition {
        type_: KIND.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        observed_generation: generation,
        last_transition_time: since,
    });
    conditions
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use serde_json::{Value, json};

    use super::*;
    use crate::world::World;

    fn pod(world: &mut World, name: &str, owner: Option<&str>) -> Key {
        let owners: Vec<Value> = (owner.into_iter())
            .map(|uid| {
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": uid,
                    "controller": true})
            })
            .collect();
        world.create::<Pod>(json!({
            "metadata": {"name": name, "namespace": "here", "labels": {"app": "web"},
                "ownerReferences": owners},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }))
    }

    fn budget(world: &mut World, spec: &Value) -> Key {
        let mut spec = spec.clone();
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
        world.create::<PodDisruptionBudget>(
            json!({"metadata": {"name": "web", "namespace": "here"}, "spec": spec}),
        )
    }

    fn status(world: &World, key: &Key) -> Value {
        let mut status = json!(
            world
                .get::<PodDisruptionBudget>(key)
                .unwrap()
                .status
                .unwrap()
        );
        status["conditions"][0]["lastTransitionTime"] = Value::Null;
        status
    }

    #[test]
    fn what_is_above_the_least_number_may_go() {
        let mut world = World::with(&[NAME]);
        let pods: Vec<Key> = ["a", "b", "c"]
            .iter()
            .map(|name| pod(&mut world, name, None))
            .collect();
        let key = budget(&mut world, &json!({"minAvailable": 2}));
        assert_eq!(
            status(&world, &key),
            json!({"conditions": [{"lastTransitionTime": null, "message": "",
                    "observedGeneration": 1, "reason": "SufficientPods", "status": "True",
                    "type": "DisruptionAllowed"}],
                "currentHealthy": 3, "desiredHealthy": 2, "disruptionsAllowed": 1,
                "expectedPods": 3, "observedGeneration": 1})
        );
        for pod in &pods {
            world.delete::<Pod>(pod, None);
        }
        let status = status(&world, &key);
        assert_eq!(status["conditions"][0]["reason"], "InsufficientPods");
        assert_eq!(status["disruptionsAllowed"], 0);
    }

    #[test]
    fn a_budget_of_no_pods_is_told_of() {
        let mut world = World::with(&[NAME]);
        budget(&mut world, &json!({"minAvailable": 1}));
        assert_eq!(world.events, ["NoPods: No matching pods found"]);
    }

    #[test]
    fn a_share_is_one_of_what_the_owners_ask_for() {
        let mut world = World::with(&[NAME]);
        let set = world.create::<ReplicaSet>(json!({
            "metadata": {"name": "web", "namespace": "here"},
            "spec": {"replicas": 4, "selector": {}},
        }));
        let uid = world.get::<ReplicaSet>(&set).unwrap().metadata.uid.unwrap();
        for name in ["a", "b", "c"] {
            pod(&mut world, name, Some(&uid));
        }
        let key = budget(&mut world, &json!({"maxUnavailable": "50%"}));
        let status = status(&world, &key);
        assert_eq!(
            (&status["expectedPods"], &status["desiredHealthy"]),
            (&json!(4), &json!(2))
        );
        assert_eq!(status["disruptionsAllowed"], 1);
    }

    #[test]
    fn an_eviction_on_its_way_counts_until_it_is_overdue() {
        let mut world = World::with(&[NAME]);
        pod(&mut world, "a", None);
        pod(&mut world, "b", None);
        let key = budget(&mut world, &json!({"minAvailable": 1}));
        let time = Time(world.now);
        world
            .patch::<PodDisruptionBudget>(&key, &json!({"status": {"disruptedPods": {"a": time}}}));
        assert_eq!(status(&world, &key)["disruptionsAllowed"], 0);
        world.advance(121);
        assert_eq!(status(&world, &key)["disruptionsAllowed"], 1);
    }
}
