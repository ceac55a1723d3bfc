//! Garbage: what is left when all owners are gone is deleted; what is deleted in the foreground waits for its dependents; orphans are set free.
//!
//! A key is an object's uid. An owner that no watch has shown is asked for before it counts as gone.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use crate::action::{Action, Note, Propagation, Severity, Target};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Object, Observed};

/// The controller's name.
pub(crate) const NAME: &str = "garbage-collector-controller";

/// Set by the server on what is deleted after its dependents.
const FOREGROUND: &str = "foregroundDeletion";

/// Set by the server on what is deleted without its dependents.
const ORPHAN: &str = "orphan";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[],
    traces_all: true,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    let object = change.object();
    let mut uids = vec![object.uid().to_owned()];
    let ends = change.after.as_ref().is_none_or(Object::is_deleting);
    if ends {
        let dependents = observed.graph.dependents(object.uid());
        uids.extend(dependents.map(|dependent| dependent.uid().to_owned()));
    }
    // An owner that waits for its dependents looks at them again.
    let owners = change.states().flat_map(Object::owners);
    let waiting = owners.filter(|owner| {
        observed
            .graph
            .get(&owner.uid)
            .is_some_and(Object::is_deleting)
    });
    uids.extend(waiting.map(|owner| owner.uid.clone()));
    uids.into_iter().map(Key::cluster).collect()
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(object) = observed.graph.get(&key.name) else {
        return Vec::new();
    };
    if object.is_deleting() {
        if object.has_finalizer(ORPHAN) {
            return orphan(observed, object);
        }
        if object.has_finalizer(FOREGROUND) {
            return finish_foreground(observed, object);
        }
        return Vec::new();
    }
    let owners = Owners::of(observed, object);
    if !owners.unknown.is_empty() {
        return owners.unknown;
    }
    if owners.ended.is_empty() && owners.waiting.is_empty() {
        return Vec::new();
    }
    if !owners.solid.is_empty() {
        let kept: Vec<&OwnerReference> = owners.solid;
        return vec![set(object, &json!({"ownerReferences": kept}))];
    }
    let has_dependents = observed.graph.dependents(object.uid()).next().is_some();
    let waited_for = !owners.waiting.is_empty() && has_dependents;
    let mut actions = Vec::new();
    if waited_for && is_in_circle(observed, object) {
        actions.push(unblocked(object));
    }
    let propagation = if waited_for {
        Propagation::Foreground
    } else if object.has_finalizer(ORPHAN) {
        Propagation::Orphan
    } else if object.has_finalizer(FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    actions.push(Action::Delete {
        target: Target::of_any(object),
        propagation: Some(propagation),
        grace: None,
        announcement: None,
    });
    actions
}

/// Whether a dependent waits for its dependents already, as the owner does: maybe each waits for the other in the end.
fn is_in_circle(observed: &Observed, object: &Object) -> bool {
    (observed.graph.dependents(object.uid()))
        .any(|dependent| dependent.is_deleting() && dependent.has_finalizer(FOREGROUND))
}

/// The object with owners that don't wait for it.
fn unblocked(object: &Object) -> Action {
    let owners: Vec<OwnerReference> = (object.owners().iter().cloned())
        .map(|owner| OwnerReference {
            block_owner_deletion: owner.block_owner_deletion.map(|_| false),
            ..owner
        })
        .collect();
    set(object, &json!({"ownerReferences": owners}))
}

/// An object's owners, by what has become of them.
#[derive(Default)]
struct Owners<'a> {
    /// They are there.
    solid: Vec<&'a OwnerReference>,
    /// They are gone.
    ended: Vec<&'a OwnerReference>,
    /// They are being deleted, and wait for this one to go first.
    waiting: Vec<&'a OwnerReference>,
    /// Questions about those that nobody has seen.
    unknown: Vec<Action>,
}

impl<'a> Owners<'a> {
    fn of(observed: &Observed, object: &'a Object) -> Self {
        let mut owners = Self::default();
        let namespace = object.meta().namespace.as_deref();
        for reference in object.owners() {
            match observed.graph.get(&reference.uid) {
                Some(owner) => {
                    let waits = owner.is_deleting()
                        && owner.has_finalizer(FOREGROUND)
                        && reference.block_owner_deletion == Some(true);
                    let lies_in = owner.meta().namespace.as_deref();
                    if lies_in.is_some() && lies_in != namespace {
                        owners.foreign(reference, object, namespace);
                    } else if waits {
                        owners.waiting.push(reference);
                    } else {
                        owners.solid.push(reference);
                    }
                }
                None if observed.is_gone(&reference.uid) => owners.ended.push(reference),
                None => owners.unknown.push(Action::Trace {
                    api_version: reference.api_version.clone(),
                    kind: reference.kind.clone(),
                    key: Key::new(namespace.unwrap_or_default(), &reference.name),
                    uid: reference.uid.clone(),
                }),
            }
        }
        owners
    }

    /// An owner of another namespace can't be one. What lies in no namespace is kept all the same: it may be somebody's.
    fn foreign(&mut self, reference: &'a OwnerReference, object: &Object, namespace: Option<&str>) {
        match namespace {
            Some(_) => self.ended.push(reference),
            None => self.solid.push(reference),
        }
        if namespace.is_some() {
            return;
        }
        self.unknown.push(Action::Record(Note {
            about: reference_of(object),
            severity: Severity::Warning,
            reason: "OwnerRefInvalidNamespace",
            message: format!(
                "ownerRef [{}/{}, namespace: , name: {}, uid: {}] does not exist in namespace \"\"",
                reference.api_version, reference.kind, reference.name, reference.uid
            ),
            component: NAME,
        }));
    }
}

fn reference_of(object: &Object) -> k8s_openapi::api::core::v1::ObjectReference {
    let meta = object.meta();
    k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some(object.resource().api_version.clone()),
        kind: Some(object.resource().kind.clone()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        ..k8s_openapi::api::core::v1::ObjectReference::default()
    }
}

/// Lets an object go when nothing that blocks it is left.
fn finish_foreground(observed: &Observed, object: &Object) -> Vec<Action> {
    let is_blocked = (observed.graph.dependents(object.uid()))
        .flat_map(Object::owners)
        .any(|owner| owner.uid == object.uid() && owner.block_owner_deletion == Some(true));
    if is_blocked {
        return Vec::new();
    }
    vec![without_finalizer(object, FOREGROUND)]
}

/// Sets the dependents free, then lets the object go.
fn orphan(observed: &Observed, object: &Object) -> Vec<Action> {
    let mut actions: Vec<Action> = (observed.graph.dependents(object.uid()))
        .map(|dependent| {
            let others = dependent
                .owners()
                .iter()
                .filter(|owner| owner.uid != object.uid());
            let others: Vec<&OwnerReference> = others.collect();
            set(dependent, &json!({"ownerReferences": others}))
        })
        .collect();
    if actions.is_empty() {
        actions.push(without_finalizer(object, ORPHAN));
    }
    actions
}

fn without_finalizer(object: &Object, name: &str) -> Action {
    let finalizers = object.meta().finalizers.iter().flatten();
    let left: Vec<&String> = finalizers.filter(|finalizer| *finalizer != name).collect();
    set(object, &json!({"finalizers": left}))
}

/// Sets a list in the metadata, if nobody else has changed the object meanwhile.
fn set(object: &Object, change: &Value) -> Action {
    let mut patch = json!({"metadata": change});
    patch["metadata"]["resourceVersion"] = json!(object.meta().resource_version);
    Action::Patch {
        target: Target::of_any(object),
        subresource: None,
        patch,
        announcement: None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Node, Pod, Service};

    use super::*;
    use crate::world::World;

    fn service(world: &mut World) -> (Key, String) {
        let key =
            world.create::<Service>(json!({"metadata": {"name": "owner", "namespace": "here"}}));
        let uid = world.get::<Service>(&key).unwrap().metadata.uid.unwrap();
        (key, uid)
    }

    fn pod(world: &mut World, name: &str, owners: &[&str], blocks: bool) -> Key {
        let owners: Vec<Value> = (owners.iter())
            .map(|uid| {
                json!({"apiVersion": "v1", "kind": "Service", "name": "owner", "uid": uid,
                    "blockOwnerDeletion": blocks})
            })
            .collect();
        world.create::<Pod>(json!({"metadata": {
            "name": name, "namespace": "here", "ownerReferences": owners,
        }}))
    }

    #[test]
    fn dependents_follow_their_owner() {
        let mut world = World::with(&[NAME]);
        let (owner, uid) = service(&mut world);
        pod(&mut world, "a", &[&uid], false);
        world.delete::<Service>(&owner, None);
        assert!(world.list::<Pod>().is_empty());
    }

    #[test]
    fn a_dependent_of_two_owners_stays_with_the_other() {
        let mut world = World::with(&[NAME]);
        let (owner, uid) = service(&mut world);
        let other = world.create::<Node>(json!({"metadata": {"name": "n"}}));
        let other = world.get::<Node>(&other).unwrap().metadata.uid.unwrap();
        let pod = pod(&mut world, "a", &[&uid, &other], false);
        world.delete::<Service>(&owner, None);
        let owners = world
            .get::<Pod>(&pod)
            .unwrap()
            .metadata
            .owner_references
            .unwrap();
        assert_eq!(owners.len(), 1);
        assert_eq!(owners[0].uid, other);
    }

    #[test]
    fn an_owner_that_never_was_is_asked_for_and_then_counts_as_gone() {
        let mut world = World::with(&[NAME]);
        pod(&mut world, "a", &["nobody"], false);
        assert!(world.list::<Pod>().is_empty());
    }

    #[test]
    fn deleted_in_the_foreground_the_owner_goes_last() {
        let mut world = World::with(&[NAME]);
        let (owner, uid) = service(&mut world);
        let pod = pod(&mut world, "a", &[&uid], true);
        world.patch::<Pod>(&pod, &json!({"metadata": {"finalizers": ["test/slow"]}}));
        world.delete::<Service>(&owner, Some(Propagation::Foreground));
        assert!(
            world
                .get::<Pod>(&pod)
                .unwrap()
                .metadata
                .deletion_timestamp
                .is_some()
        );
        assert!(world.get::<Service>(&owner).is_some());
        world.patch::<Pod>(&pod, &json!({"metadata": {"finalizers": null}}));
        world.delete::<Pod>(&pod, None);
        assert!(world.get::<Service>(&owner).is_none());
    }

    #[test]
    fn a_circle_of_owners_goes_as_a_whole() {
        let mut world = World::with(&[NAME]);
        let keys = ["a", "b", "c"].map(|name| {
            world.create::<Service>(json!({"metadata": {"name": name, "namespace": "here"}}))
        });
        let uids = keys.each_ref().map(|key| {
            let service = world.get::<Service>(key).unwrap();
            service.metadata.uid.unwrap()
        });
        for (place, key) in keys.iter().enumerate() {
            let owner = (place + 2) % 3;
            let owners = json!([{"apiVersion": "v1", "kind": "Service", "name": keys[owner].name,
                "uid": uids[owner], "controller": true, "blockOwnerDeletion": true}]);
            world.patch::<Service>(key, &json!({"metadata": {"ownerReferences": owners}}));
        }
        world.delete::<Service>(&keys[0], Some(Propagation::Foreground));
        assert!(world.list::<Service>().is_empty());
    }

    #[test]
    fn orphans_stay_without_their_owner() {
        let mut world = World::with(&[NAME]);
        let (owner, uid) = service(&mut world);
        let pod = pod(&mut world, "a", &[&uid], true);
        world.delete::<Service>(&owner, Some(Propagation::Orphan));
        assert!(world.get::<Service>(&owner).is_none());
        let owners = world.get::<Pod>(&pod).unwrap().metadata.owner_references;
        assert_eq!(owners.unwrap_or_default(), []);
    }

    #[test]
    fn an_owner_of_another_namespace_is_none() {
        let mut world = World::with(&[NAME]);
        let (_, uid) = service(&mut world);
        world.create::<Pod>(json!({"metadata": {
            "name": "a", "namespace": "there", "ownerReferences": [
                {"apiVersion": "v1", "kind": "Service", "name": "owner", "uid": uid}],
        }}));
        assert!(world.list::<Pod>().is_empty());
    }
}
