//! Policies for failures, limits of each index, and when a pod that goes is replaced.

use super::*;
use crate::job::TRACKING;

/// An indexed job whose indexes may fail once each.
fn limited(spec: &Value) -> Value {
    let mut all = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3,
        "backoffLimit": i32::MAX, "backoffLimitPerIndex": 1});
    for (name, value) in spec.as_object().unwrap() {
        all[name] = value.clone();
    }
    job(&all)
}

fn policy(action: &str, codes: &[i32]) -> Value {
    json!({"rules": [{"action": action, "onExitCodes": {"operator": "In", "values": codes}}]})
}

fn fail(world: &mut World, key: &Key, code: i32) {
    let terminated = json!({"terminated": {"exitCode": code, "finishedAt": world.now.to_string()}});
    let status = json!({"name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": terminated});
    let status = json!({"status": {"phase": "Failed", "containerStatuses": [status]}});
    world.patch::<Pod>(key, &status);
}

/// The pod of an index that runs.
fn of_index(world: &World, index: i32) -> Option<Pod> {
    (world.list::<Pod>().into_iter())
        .filter(crate::pods::is_active)
        .find(|pod| crate::job::indexes::of(pod, i32::MAX) == Some(index))
}

fn fail_index(world: &mut World, index: i32, code: i32) -> Key {
    let key = Key::of(&of_index(world, index).unwrap());
    fail(world, &key, code);
    key
}

fn succeed_index(world: &mut World, index: i32) {
    let key = Key::of(&of_index(world, index).unwrap());
    end(world, &key, "Succeeded");
}

fn annotation(pod: &Pod, name: &str) -> Option<String> {
    let name = format!("batch.kubernetes.io/job-index-{name}");
    pod.annotations().get(&name).cloned()
}

fn is_held(world: &World, key: &Key) -> bool {
    let pod = world.get::<Pod>(key).unwrap();
    pod.finalizers().iter().any(|it| it == TRACKING)
}

#[test]
fn every_index_has_its_chances_and_the_job_fails_when_all_are_done() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(limited(&json!({})));
    assert_eq!(status(&world).failed_indexes.as_deref(), Some(""));
    let first = of_index(&world, 1).unwrap();
    assert_eq!(annotation(&first, "failure-count").as_deref(), Some("0"));
    fail_index(&mut world, 1, 1);
    world.advance(10);
    let second = of_index(&world, 1).unwrap();
    assert_eq!(annotation(&second, "failure-count").as_deref(), Some("1"));
    assert_eq!(annotation(&second, "ignored-failure-count"), None);
    fail_index(&mut world, 1, 1);
    assert_eq!(status(&world).failed_indexes.as_deref(), Some("1"));
    assert_eq!(status(&world).failed, Some(2));
    world.advance(1000);
    assert!(of_index(&world, 1).is_none());
    assert!(conditions(&world).is_empty());
    succeed_index(&mut world, 0);
    succeed_index(&mut world, 2);
    let text = "FailedIndexes: Job has failed indexes";
    assert_eq!(
        conditions(&world),
        [format!("FailureTarget {text}"), format!("Failed {text}")]
    );
    let status = status(&world);
    assert_eq!(status.completed_indexes.as_deref(), Some("0,2"));
    assert_eq!((status.succeeded, status.failed), (Some(2), Some(2)));
    assert!(
        world
            .list::<Pod>()
            .iter()
            .all(|pod| pod.finalizers().is_empty())
    );
    assert!(world.events.contains(&text.to_owned()));
}

#[test]
fn each_index_waits_for_its_own_failures() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(limited(&json!({"backoffLimitPerIndex": 5})));
    fail_index(&mut world, 0, 1);
    world.advance(9);
    assert!(of_index(&world, 0).is_none());
    fail_index(&mut world, 2, 1);
    world.advance(1);
    assert!(of_index(&world, 0).is_some() && of_index(&world, 2).is_none());
    fail_index(&mut world, 0, 1);
    world.advance(9);
    assert!(of_index(&world, 0).is_none() && of_index(&world, 2).is_some());
    world.advance(10);
    assert!(of_index(&world, 0).is_none());
    world.advance(1);
    let third = of_index(&world, 0).unwrap();
    assert_eq!(annotation(&third, "failure-count").as_deref(), Some("2"));
}

#[test]
fn a_failed_pod_stays_until_another_carries_its_failures_on() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(limited(&json!({})));
    let failed = fail_index(&mut world, 0, 1);
    world.delete::<Pod>(&failed, None);
    assert!(is_held(&world, &failed));
    assert_eq!(status(&world).failed, None);
    world.advance(10);
    let next = of_index(&world, 0).unwrap();
    assert_eq!(annotation(&next, "failure-count").as_deref(), Some("1"));
    assert!(!is_held(&world, &failed));
    assert_eq!(status(&world).failed, Some(1));
}

#[test]
fn more_failed_indexes_than_allowed_end_the_job() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(limited(
        &json!({"backoffLimitPerIndex": 0, "maxFailedIndexes": 1}),
    ));
    fail_index(&mut world, 0, 1);
    assert!(conditions(&world).is_empty());
    fail_index(&mut world, 1, 1);
    let text =
        "MaxFailedIndexesExceeded: Job has exceeded the specified maximal number of failed indexes";
    assert_eq!(conditions(&world)[0], format!("FailureTarget {text}"));
    assert!(running(&world).is_empty());
    let status = status(&world);
    assert_eq!(status.failed_indexes.as_deref(), Some("0,1"));
    assert_eq!(status.failed, Some(3));
}

#[test]
fn a_rule_fails_an_index_at_once() {
    let mut world = World::with(&[NAME]);
    let spec = json!({"backoffLimitPerIndex": 3, "podFailurePolicy": policy("FailIndex", &[42])});
    world.create::<Job>(limited(&spec));
    fail_index(&mut world, 0, 42);
    fail_index(&mut world, 1, 1);
    assert_eq!(status(&world).failed_indexes.as_deref(), Some("0"));
    world.advance(10);
    assert!(of_index(&world, 0).is_none() && of_index(&world, 1).is_some());
}

#[test]
fn what_a_rule_ignores_counts_for_the_wait_alone() {
    let mut world = World::with(&[NAME]);
    let spec = json!({"backoffLimitPerIndex": 0, "podFailurePolicy": policy("Ignore", &[42])});
    world.create::<Job>(limited(&spec));
    for (wait, count) in [(10, "1"), (20, "2")] {
        fail_index(&mut world, 0, 42);
        world.advance(wait - 1);
        assert!(of_index(&world, 0).is_none());
        world.advance(1);
        let next = of_index(&world, 0).unwrap();
        assert_eq!(annotation(&next, "failure-count").as_deref(), Some("0"));
        assert_eq!(
            annotation(&next, "ignored-failure-count").as_deref(),
            Some(count)
        );
    }
    assert_eq!(status(&world).failed, None);
    assert_eq!(status(&world).failed_indexes.as_deref(), Some(""));
    fail_index(&mut world, 0, 1);
    assert_eq!(status(&world).failed_indexes.as_deref(), Some("0"));
}

#[test]
fn an_ignored_failure_is_none_of_the_jobs() {
    let mut world = World::with(&[NAME]);
    let spec = json!({"backoffLimit": 0, "podFailurePolicy": policy("Ignore", &[42])});
    world.create::<Job>(job(&spec));
    let key = running(&world).remove(0);
    fail(&mut world, &key, 42);
    assert!(!is_held(&world, &key));
    assert!(conditions(&world).is_empty());
    world.advance(10);
    let key = running(&world).remove(0);
    fail(&mut world, &key, 1);
    assert!(conditions(&world)[0].contains("BackoffLimitExceeded"));
    assert_eq!(status(&world).failed, Some(1));
}

#[test]
fn a_rule_fails_the_job() {
    let mut world = World::with(&[NAME]);
    let spec = json!({"completions": 2, "parallelism": 2, "podFailurePolicy": policy("FailJob", &[3, 42])});
    world.create::<Job>(job(&spec));
    let key = running(&world).remove(0);
    fail(&mut world, &key, 42);
    let text = format!(
        "PodFailurePolicy: Container main for pod here/{} failed with exit code 42 matching FailJob rule at index 0",
        key.name
    );
    assert_eq!(conditions(&world)[0], format!("FailureTarget {text}"));
    // The other one goes, which the Job waits for no longer than until it is let go.
    let others = running(&world);
    assert!(others.is_empty());
    assert_eq!(status(&world).failed, Some(2));
}

#[test]
fn rules_are_about_conditions_of_pods_and_single_containers_too() {
    let mut world = World::with(&[NAME]);
    let rules = json!({"rules": [
        {"action": "FailJob", "onExitCodes": {"containerName": "other", "operator": "NotIn", "values": [0]}},
        {"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [1, 2]}},
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]});
    world.create::<Job>(job(&json!({"podFailurePolicy": rules})));
    let key = running(&world).remove(0);
    fail(&mut world, &key, 3);
    assert_eq!(status(&world).failed, None);
    world.advance(10);
    let key = running(&world).remove(0);
    let condition = json!([{"type": "DisruptionTarget", "status": "True"}]);
    world.patch::<Pod>(&key, &json!({"status": {"conditions": condition}}));
    fail(&mut world, &key, 2);
    let text = format!(
        "Pod here/{} has condition DisruptionTarget matching FailJob rule at index 2",
        key.name
    );
    assert!(
        conditions(&world)[0].ends_with(&text),
        "{:?}",
        conditions(&world)
    );
}

#[test]
fn a_pod_that_goes_is_replaced_at_once_or_when_it_has_failed() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"podReplacementPolicy": "TerminatingOrFailed"})));
    let key = running(&world).remove(0);
    world.delete::<Pod>(&key, None);
    world.advance(10);
    assert_eq!(running(&world).len(), 1);

    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"podReplacementPolicy": "Failed"})));
    let key = running(&world).remove(0);
    world.delete::<Pod>(&key, None);
    world.advance(1000);
    assert!(running(&world).is_empty());
    assert_eq!(status(&world).failed, None);
    fail(&mut world, &key, 143);
    world.advance(10);
    assert_eq!(running(&world).len(), 1);
    assert_eq!(status(&world).failed, Some(1));
}

#[test]
fn a_pod_that_only_the_job_keeps_has_failed() {
    let mut world = World::with(&[NAME]);
    world.create::<Job>(job(&json!({"podReplacementPolicy": "Failed"})));
    let key = running(&world).remove(0);
    world.delete::<Pod>(&key, None);
    assert!(is_held(&world, &key));
    world.patch::<Pod>(
        &key,
        &json!({"metadata": {"deletionGracePeriodSeconds": 0}}),
    );
    assert_eq!(status(&world).failed, Some(1));
}

#[test]
fn a_job_that_is_over_keeps_none_of_its_pods() {
    let mut world = World::with(&[NAME]);
    let spec = json!({"podReplacementPolicy": "Failed", "activeDeadlineSeconds": 5});
    world.create::<Job>(job(&spec));
    world.advance(5);
    assert!(
        world
            .list::<Pod>()
            .iter()
            .all(|pod| pod.finalizers().is_empty())
    );
    assert_eq!(status(&world).failed, Some(1));
}
