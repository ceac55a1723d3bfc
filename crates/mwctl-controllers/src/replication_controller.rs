//! `ReplicationControllers`: what `ReplicaSets` are, in older words.

use std::borrow::Cow;

use k8s_openapi::api::apps::v1::{
    ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus,
};
use k8s_openapi::api::core::v1::{
    ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::controller::Controller;
use crate::observed::{Cache, Kind, Object, Observed};
use crate::replica_set::{Replicated, reconcile, wakes};

/// The controller's name.
pub(crate) const NAME: &str = "replication-controller";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::ReplicationController, Kind::Pod],
    traces_all: false,
    wakes: wakes::<ReplicationController>,
    reconcile: reconcile::<ReplicationController>,
};

impl Replicated for ReplicationController {
    const CONTROLLER: &'static str = NAME;

    fn all(observed: &Observed) -> &Cache<Self> {
        &observed.replication_controllers
    }

    fn as_set(&self) -> Cow<'_, ReplicaSet> {
        let spec = self.spec.clone().map(|spec| ReplicaSetSpec {
            min_ready_seconds: spec.min_ready_seconds,
            replicas: spec.replicas,
            selector: LabelSelector {
                match_labels: spec.selector,
                match_expressions: None,
            },
            template: spec.template,
        });
        Cow::Owned(ReplicaSet {
            metadata: self.metadata.clone(),
            spec,
            status: self.status.clone().map(status_of_set),
        })
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Object {
        let conditions = status.conditions.map(|conditions| {
            let conditions = conditions.into_iter();
            let conditions = conditions.map(|it| ReplicationControllerCondition {
                last_transition_time: it.last_transition_time,
                message: it.message,
                reason: it.reason,
                status: it.status,
                type_: it.type_,
            });
            conditions.collect()
        });
        let mut controller = self.clone();
        controller.status = Some(ReplicationControllerStatus {
            available_replicas: status.available_replicas,
            conditions,
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
        });
        controller.into()
    }
}

fn status_of_set(status: ReplicationControllerStatus) -> ReplicaSetStatus {
    let conditions = status.conditions.map(|conditions| {
        let conditions = conditions.into_iter();
        let conditions = conditions.map(|it| ReplicaSetCondition {
            last_transition_time: it.last_transition_time,
            message: it.message,
            reason: it.reason,
            status: it.status,
            type_: it.type_,
        });
        conditions.collect()
    });
    ReplicaSetStatus {
        available_replicas: status.available_replicas,
        conditions,
        fully_labeled_replicas: status.fully_labeled_replicas,
        observed_generation: status.observed_generation,
        ready_replicas: status.ready_replicas,
        replicas: status.replicas,
        terminating_replicas: None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;
    use crate::observed::{Key, controller_of};
    use crate::world::World;

    #[test]
    fn as_many_pods_as_asked_for_and_an_orphan_among_them() {
        let mut world = World::with(&[NAME]);
        world.create::<Pod>(json!({
            "metadata": {"name": "orphan", "namespace": "here", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main"}]},
        }));
        world.create::<ReplicationController>(json!({
            "metadata": {"name": "web", "namespace": "here"},
            "spec": {
                "replicas": 2, "selector": {"app": "web"},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main"}]}},
            },
        }));
        let pods = world.list::<Pod>();
        assert_eq!(pods.len(), 2);
        let owners = pods.iter().map(|pod| controller_of(&pod.metadata).unwrap());
        assert!(
            owners
                .into_iter()
                .all(|owner| owner.kind == "ReplicationController")
        );
        let controller = world.get::<ReplicationController>(&Key::new("here", "web"));
        assert_eq!(controller.unwrap().status.unwrap().replicas, 2);
    }
}
