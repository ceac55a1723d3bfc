//! Completions, failures, deadlines and indexes; conditions and events as the real controller wrote them.

use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::NAME;
use crate::observed::Key;
use crate::world::World;

mod failures;

fn job(spec: &Value) -> Value {
    let mut job = json!({
        "metadata": {"name": "work", "namespace": "here"},
        "spec": {
            "completions": 1, "parallelism": 1, "backoffLimit": 6,
            "selector": {"matchLabels": {"job": "work"}},
            "template": {
                "metadata": {"labels": {"job": "work"}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "main"}]},
            },
        },
    });
    for (name, value) in spec.as_object().unwrap() {
        job["spec"][name] = value.clone();
    }
    job
}

fn running(world: &World) -> Vec<Key> {
    (world.list::<Pod>().iter())
        .filter(|pod| crate::pods::is_active(pod))
        .map(Key::of)
        .collect()
}

fn end(world: &mut World, key: &Key, phase: &str) {
    let terminated = json!({"terminated": {"exitCode": 0, "finishedAt": world.now.to_string()}});
    world.patch::<Pod>(
        key,
        &json!({"status": {"phase": phase, "containerStatuses": [{"name": "main", "image": "",
            "imageID": "", "ready": false, "restartCount": 0, "state": terminated}]}}),
    );
}

fn status(world: &World) -> JobStatus {
    let key = Key::new("here", "work");
    world.get::<Job>(&key).unwrap().status.unwrap()
}

fn conditions(world: &World) -> Vec<String> {
    (status(world).conditions.unwrap_or_default().into_iter())
        .map(|it| {
            format!(
                "{} {}: {}",
                it.type_,
                it.reason.unwrap(),
                it.message.unwrap()
            )
        })
        .collect()
}

#[test]
fn a_job_runs_its_pods_and_completes() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"completions": 2})));
    for _ in 0..2 {
        let keys = running(&world);
        assert_eq!(keys.len(), 1);
        end(&mut world, &keys[0], "Succeeded");
    }
    let text = "CompletionsReached: Reached expected number of succeeded pods";
    assert_eq!(
        conditions(&world),
        [
            format!("SuccessCriteriaMet {text}"),
            format!("Complete {text}")
        ]
    );
    let status = serde_json::to_value(status(&world)).unwrap();
    assert_eq!(status["succeeded"], 2);
    assert_eq!(
        (&status["ready"], &status["terminating"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(status["uncountedTerminatedPods"], json!({}));
    assert!(status["completionTime"].is_string());
    assert!(
        world
            .list::<Pod>()
            .iter()
            .all(|pod| pod.finalizers().is_empty())
    );
    assert_eq!(world.events.last().unwrap(), "Completed: Job completed");
}

#[test]
fn a_policy_for_success_ends_a_job_before_all_have_succeeded() {
    let mut world = World::with(&[NAME]);
    let rules = json!([{"succeededIndexes": "1-2", "succeededCount": 1}]);
    let spec = json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed", "successPolicy": {"rules": rules}});
    world.create::<Job>(job(&spec));
    let keys = running(&world);
    assert_eq!(keys.len(), 3);
    let index = |world: &World, key: &Key| {
        let pod = world
            .list::<Pod>()
            .into_iter()
            .find(|pod| pod.name_any() == key.name);
        pod.and_then(|pod| super::indexes::of(&pod, 3)).unwrap()
    };
    let of = |wanted: i32| {
        keys.iter()
            .find(|key| index(&world, key) == wanted)
            .unwrap()
            .clone()
    };
    let (first, second) = (of(0), of(1));
    end(&mut world, &first, "Succeeded");
    assert!(conditions(&world).is_empty());
    end(&mut world, &second, "Succeeded");
    let text = "SuccessPolicy: Matched rules at index 0";
    assert_eq!(conditions(&world)[0], format!("SuccessCriteriaMet {text}"));
}

#[test]
fn every_pod_is_counted_once_even_if_it_is_gone_at_once() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"completions": 3, "parallelism": 3})));
    for key in running(&world) {
        end(&mut world, &key, "Succeeded");
        world.delete::<Pod>(&key, None);
    }
    assert_eq!(status(&world).succeeded, Some(3));
    assert!(conditions(&world)[1].starts_with("Complete"));
}

#[test]
fn too_many_failures_are_the_end() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"backoffLimit": 0})));
    let key = &running(&world)[0];
    end(&mut world, key, "Failed");
    let text = "BackoffLimitExceeded: Job has reached the specified backoff limit";
    assert_eq!(
        conditions(&world),
        [format!("FailureTarget {text}"), format!("Failed {text}")]
    );
    assert_eq!(status(&world).failed, Some(1));
    assert!(world.events.contains(&text.to_owned()));
}

#[test]
fn after_a_failure_the_next_pod_waits_longer_each_time() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({})));
    for wait in [10, 20] {
        let key = &running(&world)[0];
        end(&mut world, key, "Failed");
        assert!(running(&world).is_empty());
        world.advance(wait - 1);
        assert!(running(&world).is_empty(), "{wait}");
        world.advance(1);
        assert_eq!(running(&world).len(), 1, "{wait}");
    }
}

#[test]
fn a_job_that_takes_too_long_is_ended() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"activeDeadlineSeconds": 2})));
    world.advance(1);
    assert_eq!(running(&world).len(), 1);
    world.advance(1);
    let text = "DeadlineExceeded: Job was active longer than specified deadline";
    assert_eq!(conditions(&world)[0], format!("FailureTarget {text}"));
    assert!(running(&world).is_empty());
    assert!(
        world
            .events
            .iter()
            .any(|it| it.starts_with("SuccessfulDelete: Deleted pod: work-"))
    );
}

#[test]
fn an_indexed_job_has_a_pod_for_each_index() {
    let mut world = World::with(&[NAME]);
    let spec = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 2});
    world.create::<Job>(job(&spec));
    let pods = world.list::<Pod>();
    let spec = pods[0].spec.clone().unwrap();
    assert_eq!(spec.hostname.as_deref(), Some("work-0"));
    let env = &spec.containers[0].env.as_ref().unwrap()[0];
    assert_eq!(env.name, "JOB_COMPLETION_INDEX");
    assert!(pods[1].name_any().starts_with("work-1-"));
    end(&mut world, &Key::of(&pods[1]), "Succeeded");
    assert_eq!(status(&world).completed_indexes.as_deref(), Some("1"));
    for key in running(&world) {
        end(&mut world, &key, "Succeeded");
    }
    assert_eq!(status(&world).completed_indexes.as_deref(), Some("0-2"));
    assert_eq!(status(&world).succeeded, Some(3));
}

#[test]
fn without_a_number_of_completions_one_success_lets_the_others_end() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"completions": null, "parallelism": 2})));
    let keys = running(&world);
    end(&mut world, &keys[0], "Succeeded");
    assert_eq!(running(&world).len(), 1);
    assert_eq!(conditions(&world), [""; 0]);
    end(&mut world, &keys[1], "Succeeded");
    assert!(conditions(&world)[1].starts_with("Complete"));
}

#[test]
fn a_suspended_job_has_no_pods_and_goes_on_when_resumed() {
    let mut world = World::with(&[NAME]);
    let key = world.create::<Job>(job(&json!({"suspend": true})));
    assert!(running(&world).is_empty());
    assert_eq!(
        conditions(&world),
        ["Suspended JobSuspended: Job suspended"]
    );
    world.patch::<Job>(&key, &json!({"spec": {"suspend": false}}));
    assert_eq!(running(&world).len(), 1);
    assert_eq!(conditions(&world), ["Suspended JobResumed: Job resumed"]);
    assert!(status(&world).start_time.is_some());
}

#[test]
fn a_finished_job_goes_when_its_time_is_over() {
    let mut world = World::with(&[NAME, "garbage-collector-controller"]);
    let key = world.create::<Job>(job(&json!({"ttlSecondsAfterFinished": 5})));
    let pod = &running(&world)[0];
    end(&mut world, pod, "Succeeded");
    world.advance(4);
    assert!(world.get::<Job>(&key).is_some());
    world.advance(2);
    assert!(world.get::<Job>(&key).is_none());
    assert!(world.list::<Pod>().is_empty());
}

#[test]
fn a_pod_that_is_no_longer_the_jobs_is_not_kept_by_it() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({})));
    let pod = running(&world).remove(0);
    world.patch::<Pod>(&pod, &json!({"metadata": {"labels": {"job": "other"}}}));
    let released = world.get::<Pod>(&pod).unwrap();
    assert_eq!(released.owner_references().len(), 0);
    assert_eq!(released.finalizers().len(), 0);
    assert_eq!(running(&world).len(), 2);
}

#[test]
fn what_a_suspension_ends_has_not_failed() {
    let mut world = World::with(&[NAME]);
    let spec = json!({"backoffLimit": 0, "completions": 2, "parallelism": 2});
    let key = world.create::<Job>(job(&spec));
    world.patch::<Job>(&key, &json!({"spec": {"suspend": true}}));
    assert!(world.list::<Pod>().is_empty());
    assert_eq!(status(&world).failed, None);
    world.patch::<Job>(&key, &json!({"spec": {"suspend": false}}));
    assert_eq!(running(&world).len(), 2);
}

#[test]
fn a_job_that_shrinks_loses_its_last_indexes() {
    let mut world = World::with(&[NAME]);
    let spec = json!({"completionMode": "Indexed", "completions": 4, "parallelism": 4});
    let key = world.create::<Job>(job(&spec));
    world.patch::<Job>(&key, &json!({"spec": {"completions": 2, "parallelism": 2}}));
    let pods = world.list::<Pod>();
    let mut left: Vec<_> = (pods.iter())
        .filter_map(|pod| super::indexes::of(pod, 4))
        .collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1]);
    assert_eq!(status(&world).failed, None);
}

#[test]
fn a_deadline_is_kept_though_a_retry_is_long_past() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"activeDeadlineSeconds": 60})));
    let pod = running(&world).remove(0);
    end(&mut world, &pod, "Failed");
    world.advance(11);
    assert_eq!(running(&world).len(), 1);
    world.advance(50);
    assert!(conditions(&world)[0].starts_with("FailureTarget DeadlineExceeded"));
}

#[test]
fn a_job_that_another_manages_is_left_alone() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"managedBy": "example.org/queue"})));
    assert!(world.list::<Pod>().is_empty());
}
