//! Pods and events, from recorded answers of a real Kubernetes.

use k8s_openapi::api::core::v1::{Event, Pod};

use super::*;
use crate::manifest::ObjectId;
use crate::observed::{Observed, Progress};

/// What a Kubernetes v1.34 says of a pod in its develop form whose image isn't on the node.
const POD: &str = include_str!("recorded/pod.json");
const EVENT: &str = include_str!("recorded/event.json");

fn recorded() -> Pod {
    serde_json::from_str(POD).unwrap()
}

#[test]
fn a_recorded_pod_is_reduced_to_what_matters() {
    let pod = ObservedPod::of(&recorded());
    assert_eq!(pod.service.as_ref().unwrap().as_str(), "mathoid");
    assert_eq!((pod.phase.as_str(), pod.ready), ("Pending", false));
    assert_eq!(pod.form, Form::Develop);
    assert_eq!(pod.node.as_deref(), Some("n1"));
    let [copy, main] = pod.containers.as_slice() else {
        panic!("two containers")
    };
    assert!(copy.init && !main.init);
    let waits = |container: &ObservedContainer, expected: &str| matches!(&container.state, ContainerState::Waiting { reason, .. } if reason == expected);
    assert!(waits(copy, "ErrImageNeverPull"), "{copy:?}");
    assert!(waits(main, "PodInitializing"), "{main:?}");
    assert!(!pod.is_running());
}

#[test]
fn a_recorded_event_is_a_warning_about_its_pod_and_a_normal_one_is_none() {
    let mut event: Event = serde_json::from_str(EVENT).unwrap();
    let warning = Warning::of(&event).unwrap();
    assert_eq!(warning.kind, "Pod");
    assert_eq!(Some(&warning.name), recorded().metadata.name.as_ref());
    assert_eq!(warning.reason, "ErrImageNeverPull");
    assert!(warning.count >= 1);
    event.type_ = Some("Normal".to_owned());
    assert_eq!(Warning::of(&event), None);
}

#[test]
fn what_an_event_says_of_a_waiting_container_is_known_before_its_status_says_it() {
    let heard = |message: &str, image: &str| {
        let mut pod = ObservedPod::of(&recorded());
        pod.containers.remove(0);
        pod.containers[0].image = image.to_owned();
        let warning = Warning {
            kind: "Pod".to_owned(),
            name: pod.name.clone(),
            reason: "Failed".to_owned(),
            message: message.to_owned(),
            count: 1,
        };
        pod.hear(&[warning]);
        let ContainerState::Waiting { reason, message } = pod.containers.remove(0).state else {
            panic!("it waits")
        };
        (reason, message)
    };
    let is = |heard: (String, String), reason: &str, message: &str| {
        assert_eq!((heard.0.as_str(), heard.1.as_str()), (reason, message));
    };
    let pull = "Failed to pull image \"localhost:1/x:1\": dial tcp: connection refused";
    let refused = "dial tcp: connection refused";
    is(heard(pull, "localhost:1/x:1"), "ErrImagePull", refused);
    is(heard(pull, "localhost:1/y:1"), "PodInitializing", "");
    let key = "couldn't find key K in ConfigMap n/c";
    let configuration = "CreateContainerConfigError";
    is(heard(&format!("Error: {key}"), "x"), configuration, key);
    let lost = "secret \"s\" not found";
    is(heard(&format!("Error: {lost}"), "x"), configuration, lost);
    is(heard("Error: ImagePullBackOff", "x"), "PodInitializing", "");
}

/// A container that failed and runs again since ten o'clock, with a probe or without.
fn again(probe: &str) -> Pod {
    let text = format!(
        r#"{{"metadata": {{"name": "web-1", "labels": {{"app.kubernetes.io/name": "web"}}}}, "spec": {{"containers": [{{"name": "web"{probe}}}]}},
            "status": {{"phase": "Running", "conditions": [{{"type": "Ready", "status": "True"}}], "containerStatuses": [{{
                "name": "web", "image": "web:1", "imageID": "", "ready": true, "restartCount": 1,
                "state": {{"running": {{"startedAt": "2026-01-01T10:00:00Z"}}}},
                "lastState": {{"terminated": {{"exitCode": 3, "reason": "Error"}}}}}}]}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_failed_and_runs_again_is_ready_once_it_goes_on_and_where_it_is_checked_at_once() {
    let ready = |pod: &Pod, time: &str| {
        let now = format!("2026-01-01T{time}Z").parse().unwrap();
        let pod = ObservedPod::at(pod, now);
        assert_eq!(pod.ready, pod.containers[0].ready);
        pod.ready
    };
    let unchecked = again("");
    assert!(!ready(&unchecked, "10:00:01"));
    assert!(ready(&unchecked, "10:00:03"));
    assert!(ready(&unchecked, "09:59:00"), "another clock's time");
    let probe = r#", "readinessProbe": {"tcpSocket": {"port": 80}}"#;
    assert!(ready(&again(probe), "10:00:01"));
    let mut first = unchecked;
    let status = first.status.as_mut().unwrap();
    status.container_statuses.as_mut().unwrap()[0].last_state = None;
    assert!(ready(&first, "10:00:01"), "it never failed");
}

#[test]
fn a_workload_whose_process_runs_again_is_running_and_not_ready() {
    let live = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web-local", "generation": 1, "labels": {"app.kubernetes.io/name": "web"}},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1},
    });
    let id = ObjectId::of(&live).unwrap();
    let progress = |time: &str| {
        let now = format!("2026-01-01T{time}Z").parse().unwrap();
        let observed = Observed {
            objects: [(id.clone(), live.clone())].into(),
            pods: vec![ObservedPod::at(&again(""), now)],
            ..Observed::default()
        };
        observed.progress(&id)
    };
    assert_eq!(progress("10:00:01"), Progress::Started);
    assert_eq!(progress("10:00:03"), Progress::Ready);

    // Of a cluster that was stopped: the controllers have yet to hear what the node has said.
    let mut begins = ObservedPod::of(&again(""));
    begins.ready = false;
    begins.containers[0].state = ContainerState::Waiting {
        reason: "ContainerCreating".to_owned(),
        message: String::new(),
    };
    let mut observed = Observed {
        objects: [(id.clone(), live.clone())].into(),
        pods: vec![begins],
        ..Observed::default()
    };
    assert_eq!(observed.progress(&id), Progress::Starting);
    // What was evicted, say, is no part of it.
    observed.pods[0].phase = "Failed".to_owned();
    assert_eq!(observed.progress(&id), Progress::Ready);
}
