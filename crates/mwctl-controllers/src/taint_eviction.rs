//! Pods leave a node with a taint that evicts, unless they tolerate it; those that do so for a while leave after that while.
//!
//! The while counts from when the taint came, or the pod if that was later. Who writes down when the taint came is [`crate::node_taints`].

use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, Taint};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::action::{Action, Note, Severity, Target};
use crate::controller::{Context, Controller};
use crate::node_taints::evicts;
use crate::observed::{Change, Key, Kind, Object, Observed, reference_to};
use crate::pods;
use crate::scheduler::tolerates;

/// The controller's name.
pub(crate) const NAME: &str = "taint-eviction-controller";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::Node, Kind::Pod],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    match change.object() {
        Object::Pod(pod) => vec![Key::of(pod.as_ref())],
        Object::Node(node) if change.states().any(has_evicting_taint) => {
            let name = node.metadata.name.as_deref().unwrap_or_default();
            let pods = observed.pods.placed_on(name);
            pods.map(|pod| Key::of(pod.as_ref())).collect()
        }
        _ => Vec::new(),
    }
}

fn has_evicting_taint(object: &Object) -> bool {
    match object {
        Object::Node(node) => evicting(node).next().is_some(),
        _ => false,
    }
}

fn evicting(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|taint| evicts(taint))
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(pod) = observed.pods.get(key).filter(|pod| pods::is_active(pod)) else {
        return Vec::new();
    };
    let node = pods::node(pod).and_then(|node| observed.nodes.get(&Key::cluster(node)));
    match node.map_or(Stay::ForEver, |node| stay(node, pod)) {
        Stay::ForEver => Vec::new(),
        Stay::Until(end) if end > context.now => vec![Action::WakeAt(end)],
        Stay::Until(_) => evict(context, pod),
    }
}

/// How long a pod stays where it is.
#[derive(Debug, PartialEq, Eq)]
enum Stay {
    ForEver,
    Until(Timestamp),
}

fn stay(node: &Node, pod: &Pod) -> Stay {
    let tolerations = || (pod.spec.iter()).flat_map(|spec| spec.tolerations.iter().flatten());
    let mut shortest: Option<i64> = None;
    let mut since = (pod.metadata.creation_timestamp.as_ref()).map(|time| time.0);
    for taint in evicting(node) {
        let mut tolerating = tolerations().filter(|it| tolerates(it, taint)).peekable();
        if tolerating.peek().is_none() {
            return Stay::Until(Timestamp::MIN);
        }
        let seconds = tolerating.filter_map(|it| it.toleration_seconds).min();
        shortest = [shortest, seconds].into_iter().flatten().min();
        let Some(added) = &taint.time_added else {
            // It is about to be written down.
            return Stay::ForEver;
        };
        since = since.max(Some(added.0));
    }
    let end = shortest
        .zip(since)
        .map(|(seconds, since)| since.saturating_add(SignedDuration::from_secs(seconds.max(0))));
    end.and_then(Result::ok).map_or(Stay::ForEver, Stay::Until)
}

fn evict(context: &Context<'_>, pod: &Pod) -> Vec<Action> {
    let condition = PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("DeletionByTaintManager".to_owned()),
        message: Some("Taint manager: deleting due to NoExecute taint".to_owned()),
        ..PodCondition::default()
    };
    let known = (pod.status.as_ref()).and_then(|status| status.conditions.as_deref());
    let conditions = pods::with_condition(known, condition, context.now);
    let note = Note {
        about: reference_to(pod),
        severity: Severity::Normal,
        reason: "TaintManagerEviction",
        message: format!("Marking for deletion Pod {}", Key::of(pod)),
        component: NAME,
    };
    vec![
        Action::Record(note),
        Action::Patch {
            target: Target::of(pod),
            subresource: Some("status"),
            patch: json!({"status": {"conditions": conditions}}),
            announcement: None,
        },
        Action::Delete {
            target: Target::of(pod),
            propagation: None,
            grace: None,
            announcement: None,
        },
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::node_taints;
    use crate::world::World;

    fn world(tolerations: &Value) -> World {
        let mut world = World::with(&[NAME, node_taints::NAME]);
        world.create::<Node>(json!({"metadata": {"name": "n"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}}));
        world.create::<Pod>(json!({"metadata": {"name": "p", "namespace": "here"},
            "spec": {"nodeName": "n", "containers": [], "tolerations": tolerations}}));
        world.advance(60);
        world
    }

    fn taint(world: &mut World, taints: &Value) {
        let node = Key::cluster("n");
        world.patch::<Node>(&node, &json!({"spec": {"taints": taints}}));
    }

    fn is_there(world: &World) -> bool {
        !world.list::<Pod>().is_empty()
    }

    #[test]
    fn a_pod_that_does_not_tolerate_a_taint_leaves_at_once_and_it_is_said() {
        let mut world = world(&json!([]));
        taint(&mut world, &json!([{"key": "a", "effect": "NoSchedule"}]));
        assert!(is_there(&world));
        taint(&mut world, &json!([{"key": "a", "effect": "NoExecute"}]));
        assert!(!is_there(&world));
        assert_eq!(
            world.events,
            ["TaintManagerEviction: Marking for deletion Pod here/p"]
        );
    }

    #[test]
    fn a_pod_that_tolerates_a_taint_for_a_while_leaves_after_it() {
        let mut world = world(&json!([{"operator": "Exists", "tolerationSeconds": 10}]));
        taint(&mut world, &json!([{"key": "a", "effect": "NoExecute"}]));
        world.advance(9);
        assert!(is_there(&world));
        world.advance(1);
        assert!(!is_there(&world));
    }

    #[test]
    fn a_taint_that_is_gone_in_time_evicts_nobody() {
        let mut world = world(&json!([{"operator": "Exists", "tolerationSeconds": 10}]));
        taint(&mut world, &json!([{"key": "a", "effect": "NoExecute"}]));
        world.advance(5);
        taint(&mut world, &json!([]));
        world.advance(60);
        assert!(is_there(&world));
    }

    #[test]
    fn a_pod_that_tolerates_a_taint_for_ever_stays() {
        let mut world = world(&json!([{"key": "a", "operator": "Exists"}]));
        taint(&mut world, &json!([{"key": "a", "effect": "NoExecute"}]));
        world.advance(1000);
        assert!(is_there(&world));
    }
}
