//! Whole rollouts in memory; the expected statuses, annotations and events are what the real controllers wrote for the same objects.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::scale::{Slack, share};
use super::sets::Sets;
use super::{NAME, rollout};
use crate::action::Action;
use crate::controller::Context;
use crate::observed::{Key, Object, Observed};
use crate::options::Settings;
use crate::world::World;

const ALL: [&str; 4] = [
    NAME,
    "replicaset-controller",
    "default-scheduler",
    "simulate",
];

fn world() -> World {
    let mut world = World::with(&ALL);
    world.create::<k8s_openapi::api::core::v1::Namespace>(json!({
        "metadata": {"name": "default"}, "spec": {"finalizers": ["kubernetes"]},
    }));
    world
}

fn deployment(replicas: i32) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "here"},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "pause"}]},
            },
        },
    })
}

fn conditions(deployment: &Deployment) -> Vec<String> {
    let status = deployment.status.clone().unwrap();
    (status.conditions.unwrap().into_iter())
        .map(|it| {
            format!(
                "{}={} {}: {}",
                it.type_,
                it.status,
                it.reason.unwrap(),
                it.message.unwrap()
            )
        })
        .collect()
}

#[test]
fn a_deployment_gets_its_set_its_pods_and_a_status_that_says_so() {
    let mut world = world();
    let key = world.create::<Deployment>(deployment(3));
    let web = world.get::<Deployment>(&key).unwrap();
    let set = world.list::<ReplicaSet>().pop().unwrap();
    assert_eq!(world.list::<Pod>().len(), 3);
    assert_eq!(web.annotations()["deployment.kubernetes.io/revision"], "1");
    assert_eq!(
        set.annotations()["deployment.kubernetes.io/desired-replicas"],
        "3"
    );
    assert_eq!(
        set.annotations()["deployment.kubernetes.io/max-replicas"],
        "4"
    );
    let status = serde_json::to_value(web.status.clone().unwrap()).unwrap();
    for name in [
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
    ] {
        assert_eq!(status[name], 3, "{name}");
    }
    assert_eq!(status.get("unavailableReplicas"), None);
    assert_eq!(
        conditions(&web),
        [
            "Available=True MinimumReplicasAvailable: Deployment has minimum availability."
                .to_owned(),
            format!(
                "Progressing=True NewReplicaSetAvailable: ReplicaSet \"{}\" has successfully progressed.",
                set.name_any()
            ),
        ]
    );
    let scaled = format!(
        "ScalingReplicaSet: Scaled up replica set {} from 0 to 3",
        set.name_any()
    );
    assert!(world.events.contains(&scaled), "{:#?}", world.events);
}

#[test]
fn a_new_template_is_rolled_out_one_by_one() {
    let mut world = world();
    let key = world.create::<Deployment>(deployment(3));
    let old = world.list::<ReplicaSet>().pop().unwrap().name_any();
    world.events.clear();
    world.patch::<Deployment>(
        &key,
        &json!({"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}),
    );
    let new = (world
        .list::<ReplicaSet>()
        .into_iter()
        .map(|set| set.name_any()))
    .find(|name| *name != old)
    .unwrap();
    let scalings: Vec<&String> = world
        .events
        .iter()
        .filter(|text| text.starts_with("ScalingReplicaSet"))
        .collect();
    let up =
        |from, to| format!("ScalingReplicaSet: Scaled up replica set {new} from {from} to {to}");
    let down =
        |from, to| format!("ScalingReplicaSet: Scaled down replica set {old} from {from} to {to}");
    assert_eq!(
        scalings,
        [
            &up(0, 1),
            &down(3, 2),
            &up(1, 2),
            &down(2, 1),
            &up(2, 3),
            &down(1, 0)
        ]
    );
    let web = world.get::<Deployment>(&key).unwrap();
    assert_eq!(web.annotations()["deployment.kubernetes.io/revision"], "2");
    assert_eq!(world.list::<Pod>().len(), 3);
}

#[test]
fn a_rollback_brings_the_old_set_back_under_a_new_number() {
    let mut world = world();
    let key = world.create::<Deployment>(deployment(1));
    let first = world.list::<ReplicaSet>().pop().unwrap();
    let label =
        |value: Value| json!({"spec": {"template": {"metadata": {"labels": {"v": value}}}}});
    world.patch::<Deployment>(&key, &label(json!("2")));
    world.patch::<Deployment>(&key, &label(Value::Null));
    let set = world.get::<ReplicaSet>(&Key::of(&first)).unwrap();
    assert_eq!(set.annotations()["deployment.kubernetes.io/revision"], "3");
    assert_eq!(
        set.annotations()["deployment.kubernetes.io/revision-history"],
        "1"
    );
    assert_eq!(set.status.unwrap().available_replicas, Some(1));
}

#[test]
fn a_paused_deployment_scales_but_makes_no_new_set() {
    let mut world = world();
    let key = world.create::<Deployment>(deployment(3));
    world.patch::<Deployment>(&key, &json!({"spec": {"paused": true}}));
    world.patch::<Deployment>(
        &key,
        &json!({"spec": {"replicas": 1, "template": {"metadata": {"labels": {"v": "2"}}}}}),
    );
    assert_eq!(world.list::<ReplicaSet>().len(), 1);
    assert_eq!(world.list::<Pod>().len(), 1);
    let web = world.get::<Deployment>(&key).unwrap();
    assert_eq!(
        conditions(&web)[1],
        "Progressing=Unknown DeploymentPaused: Deployment is paused"
    );
    world.patch::<Deployment>(&key, &json!({"spec": {"paused": null}}));
    assert_eq!(world.list::<ReplicaSet>().len(), 2);
}

#[test]
fn recreation_has_no_moment_with_both_kinds_of_pods() {
    let mut world = World::with(&[NAME, "replicaset-controller"]);
    let mut object = deployment(2);
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    let key = world.create::<Deployment>(object);
    let pods = world.list::<Pod>();
    assert_eq!(pods.len(), 2);
    // A pod whose end takes time holds the new ones back.
    let slow = Key::of(&pods[0]);
    world.patch::<Pod>(&slow, &json!({"metadata": {"finalizers": ["test/slow"]}}));
    world.patch::<Deployment>(
        &key,
        &json!({"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}),
    );
    assert_eq!(world.list::<Pod>().len(), 1);
    assert_eq!(world.list::<ReplicaSet>().len(), 1);
    world.patch::<Pod>(&slow, &json!({"metadata": {"finalizers": null}}));
    world.delete::<Pod>(&slow, None);
    let pods = world.list::<Pod>();
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod.labels().contains_key("v")));
}

#[test]
fn a_rollout_that_stands_still_is_given_up_after_its_deadline() {
    let mut world = world();
    let mut object = deployment(1);
    object["spec"]["progressDeadlineSeconds"] = json!(3);
    object["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"});
    let key = world.create::<Deployment>(object);
    world.advance(2);
    let reason = |world: &World| conditions(&world.get::<Deployment>(&key).unwrap())[1].clone();
    assert!(
        reason(&world).contains("ReplicaSetUpdated"),
        "{}",
        reason(&world)
    );
    world.advance(2);
    assert!(
        reason(&world).contains("has timed out progressing."),
        "{}",
        reason(&world)
    );
}

#[test]
fn a_refused_pod_is_told_of_up_to_the_deployment() {
    let mut world = world();
    world.refuse = Some(("pods", "exceeded quota"));
    let key = world.create::<Deployment>(deployment(1));
    let web = world.get::<Deployment>(&key).unwrap();
    let failure = conditions(&web).pop().unwrap();
    assert_eq!(failure, "ReplicaFailure=True FailedCreate: exceeded quota");
    assert!(
        world
            .events
            .contains(&"FailedCreate: Error creating: exceeded quota".to_owned())
    );
    world.refuse = None;
    world.advance(60);
    let web = world.get::<Deployment>(&key).unwrap();
    assert_eq!(conditions(&web).len(), 2, "{:?}", conditions(&web));
}

#[test]
fn history_beyond_its_limit_is_deleted() {
    let mut world = world();
    let mut object = deployment(1);
    object["spec"]["revisionHistoryLimit"] = json!(1);
    let key = world.create::<Deployment>(object);
    for number in 2..5 {
        let label = json!({"metadata": {"labels": {"v": number.to_string()}}});
        world.patch::<Deployment>(&key, &json!({"spec": {"template": label}}));
    }
    assert_eq!(world.list::<ReplicaSet>().len(), 2);
}

#[test]
fn a_name_that_another_template_has_is_avoided() {
    let mut world = world();
    let key = world.create::<Deployment>(deployment(1));
    let set = world.list::<ReplicaSet>().pop().unwrap();
    // Somebody changes the set's template: its name is no longer that of its content.
    world.patch::<ReplicaSet>(
        &Key::of(&set),
        &json!({"spec": {"template": {"metadata": {"labels": {"odd": "yes"}}}}}),
    );
    assert_eq!(world.list::<ReplicaSet>().len(), 2);
    let status = world.get::<Deployment>(&key).unwrap().status.unwrap();
    assert_eq!(status.collision_count, Some(1));
}

#[test]
fn shares_round_towards_more_pods_and_fewer_gaps() {
    let share = |text: &str, up| {
        let value = k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::String(text.into());
        share(Some(&value), 10, up)
    };
    assert_eq!((share("25%", true), share("25%", false)), (3, 2));
    assert_eq!(share("100%", true), 10);
}

#[test]
fn without_any_slack_one_pod_may_be_missing() {
    let mut object = deployment(4);
    object["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}});
    let object: Deployment = serde_json::from_value(object).unwrap();
    assert_eq!(
        Slack::of(&object),
        Slack {
            surge: 0,
            unavailable: 1
        }
    );
}

#[test]
fn a_new_description_is_said_to_be_seen_once_its_set_is_there() {
    let mut world = world();
    let key = world.create::<Deployment>(deployment(1));
    let old = world.list::<ReplicaSet>().pop().unwrap();
    let mut web = world.get::<Deployment>(&key).unwrap();
    let seen = web.status.as_ref().unwrap().observed_generation;
    let template = &mut web.spec.as_mut().unwrap().template;
    let meta = template.metadata.as_mut().unwrap();
    meta.labels
        .as_mut()
        .unwrap()
        .insert("v".to_owned(), "2".to_owned());
    web.metadata.generation = seen.map(|seen| seen + 1);
    let context = Context {
        observed: &Observed::default(),
        settings: &Settings::default(),
        now: Timestamp::UNIX_EPOCH,
    };
    let sets = Sets::sort(&web, vec![Arc::new(old)]);
    let actions = rollout::actions(&context, &web, &sets);
    let mut written = actions.iter().filter_map(|action| match action {
        Action::UpdateStatus(Object::Deployment(web)) => web.status.as_ref(),
        _ => None,
    });
    assert_eq!(written.next().unwrap().observed_generation, seen);
    let makes = |action: &Action| matches!(action, Action::Create(Object::ReplicaSet(_), _));
    assert!(actions.iter().any(makes), "{actions:#?}");
}
