//! The end of namespaces: what lies in one is deleted, and when nothing is left it may go.
//!
//! The last look is the server's: what no watch has shown yet is left over, too.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition, NamespaceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::action::{Action, Propagation, Target};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed};

/// The controller's name.
pub(crate) const NAME: &str = "namespace-controller";

/// The finalizer in the namespace's spec that is ours.
const FINALIZER: &str = "kubernetes";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::Namespace],
    traces_all: true,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    let object = change.object();
    let key = match object {
        Object::Namespace(namespace) => Key::of(namespace.as_ref()),
        other => match &other.meta().namespace {
            Some(namespace) => Key::cluster(namespace.as_str()),
            None => return Vec::new(),
        },
    };
    let is_terminating = (observed.namespaces.get(&key))
        .is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some());
    is_terminating.then_some(key).into_iter().collect()
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let Some(namespace) = context.observed.namespaces.get(key) else {
        return Vec::new();
    };
    let finalizers = (namespace.spec.iter()).flat_map(|spec| spec.finalizers.iter().flatten());
    let is_ours = finalizers.clone().any(|finalizer| finalizer == FINALIZER);
    if namespace.metadata.deletion_timestamp.is_none() || !is_ours {
        return Vec::new();
    }
    let inside: Vec<&Object> = context.observed.graph.in_namespace(&key.name).collect();
    if inside.is_empty() {
        return vec![Action::Finalize(Target::of(namespace.as_ref()))];
    }
    // Pods go first, while whatever they use is still there.
    let is_pod = |object: &&Object| {
        let resource = object.resource();
        resource.group.is_empty() && resource.plural == "pods"
    };
    let pods: Vec<&Object> = inside.iter().copied().filter(is_pod).collect();
    let inside = if pods.is_empty() { inside } else { pods };
    let mut actions: Vec<Action> = (inside.iter())
        .filter(|object| !object.is_deleting())
        .map(|object| Action::Delete {
            target: Target::of_any(object),
            propagation: Some(Propagation::Background),
            grace: None,
            announcement: None,
        })
        .collect();
    let remaining: Vec<&Object> = (inside.into_iter())
        .filter(|object| object.is_deleting())
        .collect();
    if actions.is_empty() {
        actions.extend(tell(namespace, &remaining, context.now));
    }
    actions
}

/// Says in the status what the end waits for.
fn tell(namespace: &Namespace, remaining: &[&Object], now: Timestamp) -> Option<Action> {
    let status = NamespaceStatus {
        phase: Some("Terminating".to_owned()),
        conditions: Some(conditions(namespace, remaining, now)),
    };
    if namespace.status.as_ref() == Some(&status) {
        return None;
    }
    let mut namespace = namespace.clone();
    namespace.status = Some(status);
    Some(Action::UpdateStatus(namespace.into()))
}

fn conditions(
    namespace: &Namespace,
    remaining: &[&Object],
    now: Timestamp,
) -> Vec<NamespaceCondition> {
    let old = (namespace.status.as_ref()).and_then(|status| status.conditions.as_deref());
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for object in remaining {
        let resource = object.resource();
        *kinds
            .entry(format!("{}.{}", resource.plural, resource.group))
            .or_default() += 1;
        for finalizer in object.meta().finalizers.iter().flatten() {
            *finalizers.entry(finalizer).or_default() += 1;
        }
    }
    let list = |texts: Vec<String>| texts.join(", ");
    let content = (kinds.iter())
        .map(|(kind, count)| format!("{kind} has {count} resource instances"))
        .collect();
    let held = (finalizers.iter())
        .map(|(name, count)| format!("{name} in {count} resource instances"))
        .collect();
    let mut all = vec![
        (
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        (
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        (
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", list(content)),
        ),
    ];
    all.push(if finalizers.is_empty() {
        (
            "NamespaceFinalizersRemaining",
            false,
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
        )
    } else {
        (
            "NamespaceFinalizersRemaining",
            true,
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                list(held)
            ),
        )
    });
    (all.into_iter())
        .map(|(kind, is, reason, message)| {
            let status = if is { "True" } else { "False" };
            let known = (old.into_iter().flatten())
                .find(|known| known.type_ == kind && known.status == status);
            NamespaceCondition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message),
                last_transition_time: known
                    .and_then(|known| known.last_transition_time.clone())
                    .or(Some(Time(now))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;
    use crate::world::World;

    #[test]
    fn a_deleted_namespace_takes_its_content_along() {
        let mut world = World::with(&[NAME]);
        let key = world.create::<Namespace>(
            json!({"metadata": {"name": "here"}, "spec": {"finalizers": ["kubernetes"]}}),
        );
        for name in ["a", "b"] {
            world.create::<Pod>(json!({"metadata": {"name": name, "namespace": "here"}}));
        }
        world.create::<Pod>(json!({"metadata": {"name": "c", "namespace": "there"}}));
        world.delete::<Namespace>(&key, None);
        assert!(world.get::<Namespace>(&key).is_none());
        assert_eq!(world.list::<Pod>().len(), 1);
    }

    #[test]
    fn while_a_pod_is_there_what_it_uses_stays() {
        use k8s_openapi::api::core::v1::ConfigMap;

        let mut world = World::with(&[NAME]);
        let key = world.create::<Namespace>(
            json!({"metadata": {"name": "here"}, "spec": {"finalizers": ["kubernetes"]}}),
        );
        let held = world.create::<Pod>(json!({"metadata": {
            "name": "a", "namespace": "here", "finalizers": ["test/hold"],
        }}));
        let map =
            world.create::<ConfigMap>(json!({"metadata": {"name": "m", "namespace": "here"}}));
        world.delete::<Namespace>(&key, None);
        assert!(world.get::<ConfigMap>(&map).is_some());
        world.patch::<Pod>(&held, &json!({"metadata": {"finalizers": null}}));
        // A node would do this: in this world there is none.
        world.delete::<Pod>(&held, None);
        assert!(world.get::<Namespace>(&key).is_none());
    }

    #[test]
    fn what_a_finalizer_holds_is_waited_for_and_told_of() {
        let mut world = World::with(&[NAME]);
        let key = world.create::<Namespace>(
            json!({"metadata": {"name": "here"}, "spec": {"finalizers": ["kubernetes"]}}),
        );
        let held = world.create::<k8s_openapi::api::core::v1::Service>(json!({"metadata": {
            "name": "a", "namespace": "here", "finalizers": ["test/hold"],
        }}));
        world.delete::<Namespace>(&key, None);
        let status = world.get::<Namespace>(&key).unwrap().status.unwrap();
        let messages: Vec<String> = (status.conditions.unwrap().into_iter())
            .filter_map(|it| it.message)
            .collect();
        assert_eq!(
            messages[3..],
            [
                "Some resources are remaining: services. has 1 resource instances".to_owned(),
                "Some content in the namespace has finalizers remaining: test/hold in 1 resource instances"
                    .to_owned(),
            ]
        );
        world.patch::<k8s_openapi::api::core::v1::Service>(
            &held,
            &json!({"metadata": {"finalizers": null}}),
        );
        assert!(world.get::<Namespace>(&key).is_none());
    }
}
