//! Taints by condition: a node that isn't ready, or is cordoned, says so by a taint, and loses it when that is over. A taint that evicts
//! says since when it is there: tolerations count from then.
//!
//! Nothing is evicted from a node that has become unready; its pods are the node's and its user's business.

use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use crate::action::{Action, Target};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed};

/// The controller's name.
pub(crate) const NAME: &str = "node-lifecycle-controller";

pub(crate) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(crate) const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::Node],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, _: &Observed) -> Vec<Key> {
    match change.object() {
        Object::Node(node) => vec![Key::of(node.as_ref())],
        _ => Vec::new(),
    }
}

/// Whether a node says that it is ready.
pub(crate) fn is_ready(node: &Node) -> bool {
    (node.status.iter())
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

pub(crate) fn is_cordoned(node: &Node) -> bool {
    (node.spec.as_ref()).is_some_and(|spec| spec.unschedulable == Some(true))
}

/// A taint that keeps new pods away.
pub(crate) fn taint(key: &str) -> Taint {
    Taint {
        key: key.to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    }
}

/// Whether a taint takes away the pods that are there.
pub(crate) fn evicts(taint: &Taint) -> bool {
    taint.effect == "NoExecute"
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let Some(node) = context.observed.nodes.get(key) else {
        return Vec::new();
    };
    let present = (node.spec.as_ref()).and_then(|spec| spec.taints.clone());
    let present = present.unwrap_or_default();
    let mut wanted = present.clone();
    for (name, is) in [
        (NOT_READY, !is_ready(node)),
        (UNSCHEDULABLE, is_cordoned(node)),
    ] {
        let is_it = |it: &Taint| it.key == name && it.effect == "NoSchedule";
        if !is {
            wanted.retain(|it| !is_it(it));
        } else if !wanted.iter().any(is_it) {
            wanted.push(taint(name));
        }
    }
    for taint in wanted.iter_mut().filter(|taint| evicts(taint)) {
        taint.time_added.get_or_insert(Time(context.now));
    }
    if wanted == present {
        return Vec::new();
    }
    vec![Action::Patch {
        target: Target::of(node.as_ref()),
        subresource: None,
        patch: json!({
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "spec": {"taints": wanted},
        }),
        announcement: None,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[test]
    fn a_node_is_tainted_while_it_is_not_ready_or_cordoned() {
        let mut world = World::with(&[NAME]);
        let key = world.create::<Node>(json!({"metadata": {"name": "n"}}));
        let taints = |world: &World| -> Vec<String> {
            let spec = world.get::<Node>(&key).unwrap().spec.unwrap_or_default();
            spec.taints
                .into_iter()
                .flatten()
                .map(|taint| taint.key)
                .collect()
        };
        assert_eq!(taints(&world), [NOT_READY]);
        world.patch::<Node>(
            &key,
            &json!({
                "spec": {"unschedulable": true},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }),
        );
        assert_eq!(taints(&world), [UNSCHEDULABLE]);
        world.patch::<Node>(&key, &json!({"spec": {"unschedulable": null}}));
        assert_eq!(taints(&world), [""; 0]);
    }
}
