//! A pod a rule, from what was observed of it to what is to be done.

use std::net::Ipv4Addr;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::pod::status::{only_begins, status};

/// A pod with its state, and a clock that the test moves.
struct World {
    pod: Pod,
    state: State,
    now: i64,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

impl World {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a literal is written in its place"
    )]
    fn new(spec: Value) -> Self {
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 1}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let state = State::new(&pod, at(0));
        Self { pod, state, now: 0 }
    }

    /// What is decided now, without what is only told.
    fn decide(&mut self) -> Vec<Effect> {
        let (effects, _) = self.state.decide(&self.pod, at(self.now));
        effects
            .into_iter()
            .filter(|effect| !matches!(effect, Effect::Tell(_)))
            .collect()
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        self.state.handle(&self.pod, event, at(self.now));
        self.decide()
    }

    fn prepared(&mut self) -> Vec<Effect> {
        assert_eq!(self.decide(), [Effect::Prepare]);
        self.event(Event::Prepared(Ok(Some(Ipv4Addr::LOCALHOST))))
    }

    fn started(&mut self, container: &str) -> Vec<Effect> {
        let begun = Begun {
            id: format!("id-{container}"),
            image_id: String::new(),
        };
        self.event(Event::Started {
            container: container.to_owned(),
            result: Ok(begun),
        })
    }

    fn ended(&mut self, container: &str, code: i32) -> Vec<Effect> {
        let finish = Finish {
            id: format!("id-{container}"),
            code,
            signal: None,
            reason: if code == 0 { "Completed" } else { "Error" }.to_owned(),
            message: None,
            started: at(self.now),
            finished: at(self.now),
        };
        self.event(Event::Ended {
            container: container.to_owned(),
            finish,
        })
    }

    fn delete(&mut self, grace: i64) -> Vec<Effect> {
        self.pod.metadata.deletion_timestamp = Some(
            k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(self.now + grace)),
        );
        self.pod.metadata.deletion_grace_period_seconds = Some(grace);
        self.decide()
    }

    fn status(&self) -> k8s_openapi::api::core::v1::PodStatus {
        status(&self.pod, &self.state, "192.0.2.1", at(self.now))
    }

    fn phase(&self) -> String {
        self.status().phase.unwrap()
    }

    /// Why a container waits.
    fn waiting(&self, container: &str) -> String {
        let status = self.status();
        let all = status
            .container_statuses
            .into_iter()
            .chain(status.init_container_statuses)
            .flatten();
        let found = all.into_iter().find(|it| it.name == container).unwrap();
        found
            .state
            .unwrap()
            .waiting
            .and_then(|waiting| waiting.reason)
            .unwrap_or_default()
    }
}

fn start(container: &str, attempt: u32) -> Effect {
    Effect::Start {
        container: container.to_owned(),
        attempt,
    }
}

fn stop(container: &str, seconds: u64) -> Effect {
    Effect::Stop {
        container: container.to_owned(),
        grace: Duration::from_secs(seconds),
    }
}

#[test]
fn a_job_runs_once_and_succeeds() {
    let mut world =
        World::new(json!({"restartPolicy": "Never", "containers": [{"name": "a"}, {"name": "b"}]}));
    assert_eq!(world.phase(), "Pending");
    assert_eq!(world.prepared(), [start("a", 0), start("b", 0)]);
    assert_eq!(world.waiting("a"), "ContainerCreating");
    assert!(only_begins(&world.status()));
    assert_eq!(world.started("a"), []);
    assert_eq!(world.phase(), "Pending");
    assert!(!only_begins(&world.status()));
    assert_eq!(world.started("b"), []);
    assert_eq!(world.phase(), "Running");
    assert_eq!(world.ended("a", 0), []);
    assert_eq!(world.phase(), "Running");
    assert_eq!(world.ended("b", 0), [Effect::TearDown]);
    assert_eq!(world.phase(), "Succeeded");
    assert_eq!(world.event(Event::TornDown), []);
    assert_eq!(world.delete(30), [Effect::Delete]);
}

#[test]
fn one_failure_fails_the_pod_that_never_restarts() {
    let mut world = World::new(json!({"restartPolicy": "Never", "containers": [{"name": "a"}]}));
    world.prepared();
    world.started("a");
    assert_eq!(world.ended("a", 3), [Effect::TearDown]);
    assert_eq!(world.phase(), "Failed");
}

#[test]
fn what_crashes_is_started_again_ever_later() {
    let mut world = World::new(json!({"containers": [{"name": "a"}]}));
    world.prepared();
    world.started("a");
    assert_eq!(world.ended("a", 1), [start("a", 1)]);
    world.started("a");
    assert_eq!(world.ended("a", 1), []);
    assert_eq!(world.waiting("a"), "CrashLoopBackOff");
    assert_eq!(world.phase(), "Running");
    let (_, wake) = world.state.decide(&world.pod, at(world.now));
    assert_eq!(wake, Some(at(10)));
    world.now = 10;
    assert_eq!(world.decide(), [start("a", 2)]);
}

#[test]
fn init_containers_come_one_after_the_other_and_sidecars_stay() {
    let init = json!([{"name": "i"}, {"name": "s", "restartPolicy": "Always"}, {"name": "j"}]);
    let mut world = World::new(
        json!({"restartPolicy": "Never", "initContainers": init, "containers": [{"name": "a"}]}),
    );
    // As the kubelet says it of all of them, also before the first one starts.
    for name in ["i", "s", "j", "a"] {
        assert_eq!(world.waiting(name), "PodInitializing");
    }
    assert_eq!(world.prepared(), [start("i", 0)]);
    assert_eq!(world.waiting("a"), "PodInitializing");
    assert_eq!(world.started("i"), []);
    assert_eq!(world.ended("i", 0), [start("s", 0)]);
    assert_eq!(world.started("s"), [start("j", 0)]);
    world.started("j");
    assert_eq!(world.ended("j", 0), [start("a", 0)]);
    world.started("a");
    assert_eq!(world.phase(), "Running");
    // The sidecar ends with what it serves.
    assert_eq!(world.ended("a", 0), [stop("s", 30)]);
    assert_eq!(world.ended("s", 137), [Effect::TearDown]);
    assert_eq!(world.phase(), "Succeeded");
}

#[test]
fn a_failed_init_container_fails_the_pod_or_is_tried_again() {
    let spec = |policy| json!({"restartPolicy": policy, "initContainers": [{"name": "i"}], "containers": [{"name": "a"}]});
    let mut world = World::new(spec("Never"));
    world.prepared();
    world.started("i");
    assert_eq!(world.ended("i", 1), [Effect::TearDown]);
    assert_eq!(world.phase(), "Failed");
    let mut world = World::new(spec("Always"));
    world.prepared();
    world.started("i");
    assert_eq!(world.ended("i", 1), [start("i", 1)]);
    assert_eq!(world.phase(), "Pending");
}

#[test]
fn deletion_ends_all_in_order_and_within_the_grace() {
    let init = json!([{"name": "s", "restartPolicy": "Always"}]);
    let mut world =
        World::new(json!({"initContainers": init, "containers": [{"name": "a"}, {"name": "b"}]}));
    assert_eq!(world.prepared(), [start("s", 0)]);
    assert_eq!(world.started("s"), [start("a", 0), start("b", 0)]);
    world.started("a");
    world.started("b");
    assert_eq!(world.delete(20), [stop("b", 20), stop("a", 20)]);
    assert_eq!(world.ended("a", 0), []);
    world.now = 5;
    assert_eq!(world.ended("b", 143), [stop("s", 15)]);
    assert_eq!(world.ended("s", 0), [Effect::TearDown]);
    assert_eq!(world.event(Event::TornDown), [Effect::Delete]);
}

#[test]
fn deletion_before_anything_runs_needs_no_end() {
    let mut world = World::new(json!({"containers": [{"name": "a"}]}));
    assert_eq!(world.delete(30), [Effect::Delete]);
    let mut world = World::new(json!({"containers": [{"name": "a"}]}));
    world.decide();
    // What is being prepared must be torn down first.
    assert_eq!(world.delete(30), []);
    assert_eq!(world.event(Event::Prepared(Ok(None))), [Effect::TearDown]);
}

#[test]
fn what_containers_share_is_tried_again_ever_later() {
    let mut world = World::new(json!({"containers": [{"name": "a"}]}));
    assert_eq!(world.decide(), [Effect::Prepare]);
    for wait in [2, 4, 8, 16, 16] {
        let failure = Failure {
            reason: "FailedMount",
            message: "no".to_owned(),
            ended: false,
        };
        assert_eq!(world.event(Event::Prepared(Err(failure))), []);
        world.now += wait - 1;
        assert_eq!(world.decide(), []);
        world.now += 1;
        assert_eq!(world.decide(), [Effect::Prepare]);
    }
}

#[test]
fn a_container_that_cannot_begin_is_tried_again_later() {
    let mut world = World::new(json!({"containers": [{"name": "a"}]}));
    world.prepared();
    let failure = Failure {
        reason: "ErrImagePull",
        message: "no".to_owned(),
        ended: false,
    };
    let failed = Event::Started {
        container: "a".to_owned(),
        result: Err(failure),
    };
    assert_eq!(world.event(failed), []);
    assert_eq!(world.waiting("a"), "ErrImagePull");
    // In between it is told to wait, as by the kubelet.
    world.now = 5;
    assert_eq!(world.decide(), []);
    assert_eq!(world.waiting("a"), "ImagePullBackOff");
    world.now = 10;
    assert_eq!(world.decide(), [start("a", 0)]);
}

#[test]
fn an_image_that_somebody_brings_is_looked_for() {
    let mut world = World::new(json!({"containers": [{"name": "a", "image": "i"}]}));
    world.prepared();
    let container = || "a".to_owned();
    let failure = Failure {
        reason: "ErrImageNeverPull",
        message: "no".to_owned(),
        ended: false,
    };
    let failed = Event::Started {
        container: container(),
        result: Err(failure),
    };
    assert_eq!(world.event(failed), []);
    let look = Effect::Look {
        container: container(),
    };
    for now in 1..4 {
        world.now = now;
        assert_eq!(world.decide(), std::slice::from_ref(&look));
        assert_eq!(world.decide(), []);
    }
    let found = Event::Found {
        container: container(),
    };
    assert_eq!(world.event(found), [start("a", 0)]);
}

#[test]
fn who_fails_its_liveness_probe_is_started_again() {
    let probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 1});
    let mut world = World::new(
        json!({"containers": [{"name": "a", "livenessProbe": probe, "readinessProbe": probe}]}),
    );
    world.prepared();
    let asked = |which| Effect::Probe {
        container: "a".to_owned(),
        which,
    };
    assert_eq!(
        world.started("a"),
        [asked(Which::Liveness), asked(Which::Readiness)]
    );
    assert!(!world.status().container_statuses.unwrap()[0].ready);
    let answer = |which, answer| Event::Probed {
        container: "a".to_owned(),
        which,
        answer,
    };
    world.event(answer(Which::Readiness, Ok(())));
    let ready = |world: &World| {
        let conditions = world.status().conditions.unwrap();
        conditions
            .into_iter()
            .find(|it| it.type_ == "Ready")
            .unwrap()
            .status
    };
    assert_eq!(ready(&world), "True");
    let effects = world.state.handle(
        &world.pod,
        answer(Which::Liveness, Err("no".to_owned())),
        at(0),
    );
    assert!(effects.contains(&stop("a", 30)), "{effects:?}");
    assert_eq!(world.ended("a", 137), [start("a", 1)]);
    assert_eq!(ready(&world), "False");
}

#[test]
fn a_pod_has_a_deadline() {
    let mut world = World::new(json!({"activeDeadlineSeconds": 5, "containers": [{"name": "a"}]}));
    world.prepared();
    world.started("a");
    world.now = 5;
    assert_eq!(world.decide(), [stop("a", 30)]);
    assert_eq!(world.ended("a", 0), [Effect::TearDown]);
    let status = world.status();
    assert_eq!(
        (status.phase.as_deref(), status.reason.as_deref()),
        (Some("Failed"), Some("DeadlineExceeded"))
    );
}

#[test]
fn an_ephemeral_container_is_started_once_and_nobody_waits_for_it() {
    let mut world = World::new(json!({"restartPolicy": "Never", "containers": [{"name": "a"}]}));
    assert_eq!(world.prepared(), [start("a", 0)]);
    world.started("a");
    let mut pod = world.pod.clone();
    let debugger = json!([{"name": "d", "image": "i", "targetContainerName": "a"}]);
    let spec = pod.spec.as_mut().unwrap();
    spec.ephemeral_containers = serde_json::from_value(debugger).unwrap();
    world.pod = crate::pod::state::view(pod);
    world.state.meet(&world.pod);
    assert_eq!(world.decide(), [start("d", 0)]);
    world.started("d");
    let running = status(&world.pod, &world.state, "", at(1));
    let debugger = &running.ephemeral_container_statuses.unwrap()[0];
    assert_eq!(debugger.name, "d");
    assert_eq!(running.container_statuses.unwrap().len(), 1);
    // It doesn't come again, and the pod's end is that of its own containers.
    assert_eq!(world.ended("d", 1), []);
    assert_eq!(world.ended("a", 0), [Effect::TearDown]);
    let over = status(&world.pod, &world.state, "", at(2));
    assert_eq!(over.phase.as_deref(), Some("Succeeded"));
}

#[test]
fn what_looks_into_a_pod_ends_with_it() {
    let mut world = World::new(json!({"restartPolicy": "Never", "containers": [{"name": "a"}]}));
    world.pod.spec.as_mut().unwrap().ephemeral_containers =
        serde_json::from_value(json!([{"name": "d", "image": "i"}])).unwrap();
    world.pod = crate::pod::state::view(world.pod.clone());
    world.state.meet(&world.pod);
    // Also before the pod's own containers run.
    assert_eq!(world.prepared(), [start("d", 0), start("a", 0)]);
    world.started("d");
    world.started("a");
    let ended = world.ended("a", 0);
    assert!(
        matches!(&ended[..], [Effect::Stop { container, .. }] if container == "d"),
        "{ended:?}"
    );
}
