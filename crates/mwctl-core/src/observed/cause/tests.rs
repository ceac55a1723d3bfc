//! Causes, from pods as Kubernetes shows them.

use crate::manifest::Form;
use crate::manifest::fixture::{name, stack};
use crate::model::Service;
use crate::observed::{
    Cause, ContainerState, ObservedContainer, ObservedPod, Termination, Warning, diagnose,
};

fn mathoid() -> Service {
    stack().services["mathoid"].clone()
}

fn pod(state: ContainerState) -> ObservedPod {
    ObservedPod {
        name: "mathoid-main-1".to_owned(),
        service: Some(name("mathoid")),
        phase: "Pending".to_owned(),
        ready: false,
        terminating: false,
        form: Form::Planned,
        node: Some("n1".to_owned()),
        architecture: Some("amd64".to_owned()),
        unschedulable: None,
        containers: vec![ObservedContainer {
            name: "mathoid-main".to_owned(),
            image: "registry.example/mathoid:1".to_owned(),
            init: false,
            ready: false,
            state,
            restarts: 0,
            last_termination: None,
        }],
    }
}

fn waiting(reason: &str, message: &str) -> ObservedPod {
    pod(ContainerState::Waiting {
        reason: reason.to_owned(),
        message: message.to_owned(),
    })
}

fn termination(exit_code: i32, reason: &str) -> Termination {
    Termination {
        exit_code,
        signal: None,
        reason: reason.to_owned(),
        message: String::new(),
    }
}

/// A pod whose container ended like this and waits to be started again.
fn crashing(termination: Termination) -> ObservedPod {
    let mut pod = waiting(
        "CrashLoopBackOff",
        "back-off 10s restarting failed container",
    );
    pod.containers[0].restarts = 2;
    pod.containers[0].last_termination = Some(termination);
    pod
}

fn warning(kind: &str, name: &str, reason: &str, message: &str) -> Warning {
    Warning {
        kind: kind.to_owned(),
        name: name.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        count: 1,
    }
}

fn unhealthy(message: &str) -> Warning {
    warning("Pod", "mathoid-main-1", "Unhealthy", message)
}

fn cause(pod: ObservedPod, warnings: &[Warning]) -> Cause {
    let lines = ["Error: Cannot find module 'x'".to_owned()];
    diagnose(&mathoid(), &[pod], warnings, &lines).expect("there is a cause")
}

fn summary(pod: ObservedPod, warnings: &[Warning]) -> String {
    cause(pod, warnings).summary
}

#[test]
fn nothing_is_said_of_what_is_well_or_only_a_matter_of_time() {
    let mut ready = pod(ContainerState::Running);
    ready.ready = true;
    ready.containers[0].ready = true;
    ready.containers[0].last_termination = Some(termination(1, "Error"));
    for pod in [
        ready,
        pod(ContainerState::Running),
        waiting("ContainerCreating", ""),
        waiting("PodInitializing", ""),
    ] {
        assert_eq!(diagnose(&mathoid(), &[pod], &[], &[]), None);
    }
    assert_eq!(diagnose(&mathoid(), &[], &[], &[]), None);
}

#[test]
fn a_pod_of_another_service_or_one_that_goes_counts_for_nothing() {
    let mut other = waiting("ErrImageNeverPull", "");
    other.service = Some(name("redis"));
    let mut going = waiting("ErrImageNeverPull", "");
    going.terminating = true;
    assert_eq!(diagnose(&mathoid(), &[other, going], &[], &[]), None);
}

#[test]
fn an_image_that_is_missing_is_named_with_the_reason() {
    let message =
        "Container image \"mwctl.local/mathoid:1\" is not present with pull policy of Never";
    let cause = cause(waiting("ErrImageNeverPull", message), &[]);
    assert_eq!(
        cause.summary,
        "the node doesn't have the image of `mathoid`: registry.example/mathoid:1"
    );
    assert_eq!(cause.hint, "mwctl up mathoid");
    assert_eq!(cause.detail, [message]);
    for (message, expected) in [
        ("manifest unknown", "has no image"),
        ("pull access denied", "doesn't give out"),
        (
            "dial tcp: lookup registry.example: no such host",
            "can't be reached",
        ),
        ("broken", "can't be pulled"),
    ] {
        let summary = summary(waiting("ImagePullBackOff", message), &[]);
        assert!(summary.contains(expected), "{summary}");
    }
}

#[test]
fn a_process_that_ends_is_named_with_its_exit_code_and_last_lines() {
    let cause = cause(crashing(termination(1, "Error")), &[]);
    assert_eq!(cause.summary, "`mathoid-main` ended with exit code 1");
    assert_eq!(cause.detail, ["Error: Cannot find module 'x'"]);
    assert_eq!(cause.hint, "mwctl logs mathoid --previous");
}

#[test]
fn a_process_that_is_between_two_starts_is_known_to_crash() {
    let mut pod = pod(ContainerState::Running);
    pod.containers[0].last_termination = Some(termination(1, "Error"));
    assert!(summary(pod, &[]).contains("exit code 1"));
}

#[test]
fn the_ways_to_end_are_told_apart() {
    let mut killed = termination(137, "Error");
    killed.signal = Some(9);
    for (termination, expected) in [
        (termination(137, "OOMKilled"), "used more memory than 400Mi"),
        (termination(139, "Error"), "by signal 11 (SIGSEGV)"),
        (killed, "by signal 9 (SIGKILL)"),
        (termination(127, "Error"), "can't be run in its image"),
        (termination(128, "StartError"), "can't be run in its image"),
        (termination(0, "Completed"), "ended by itself"),
    ] {
        let summary = summary(crashing(termination), &[]);
        assert!(summary.contains(expected), "{summary}");
    }
    let liveness = unhealthy("Liveness probe failed: timeout");
    let summary = summary(crashing(termination(137, "Error")), &[liveness]);
    assert!(summary.contains("its liveness check failed"), "{summary}");
}

#[test]
fn a_container_that_prepares_the_pod_is_in_the_way_only_while_it_fails() {
    let mut pod = waiting("PodInitializing", "");
    let mut init = pod.containers[0].clone();
    init.name = "mwctl-copy".to_owned();
    init.init = true;
    init.state = ContainerState::Terminated(termination(0, "Completed"));
    pod.containers.insert(0, init);
    assert_eq!(diagnose(&mathoid(), &[pod.clone()], &[], &[]), None);
    pod.containers[0].state = ContainerState::Terminated(termination(74, "Error"));
    assert_eq!(summary(pod, &[]), "`mwctl-copy` ended with exit code 74");
}

#[test]
fn an_image_that_runs_as_root_needs_a_number() {
    for message in [
        "container has runAsNonRoot and image will run as root",
        "container has runAsNonRoot and image has non-numeric user (node), cannot verify user is non-root",
    ] {
        let cause = cause(waiting("CreateContainerConfigError", message), &[]);
        assert!(
            cause.hint.contains("`container.user` of `mathoid`"),
            "{}",
            cause.hint
        );
    }
    let message = "secret \"mathoid-main-secret-config\" not found";
    let cause = cause(waiting("CreateContainerConfigError", message), &[]);
    assert_eq!(cause.hint, "mwctl up mathoid");
}

#[test]
fn a_pod_that_no_node_takes_says_what_is_missing() {
    let mut pod = waiting("", "");
    pod.containers.clear();
    for (message, expected) in [
        (
            "0/1 nodes are available: 1 Insufficient memory.",
            "no node has enough memory left",
        ),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            "the volume of `mathoid` isn't there",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint",
            "no node takes",
        ),
    ] {
        pod.unschedulable = Some(message.to_owned());
        let summary = summary(pod.clone(), &[]);
        assert!(summary.starts_with(expected), "{summary}");
    }
}

#[test]
fn a_pod_that_was_never_made_says_who_forbids_it() {
    for (message, expected) in [
        ("pods \"x\" is forbidden: exceeded quota: small", "quota"),
        (
            "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"",
            "Pod Security",
        ),
        ("admission webhook denied the request", "refuses"),
    ] {
        let warning = warning("ReplicaSet", "mathoid-main-abc", "FailedCreate", message);
        let cause = diagnose(&mathoid(), &[], &[warning], &[]).unwrap();
        assert!(cause.summary.contains(expected), "{}", cause.summary);
        assert_eq!(cause.detail, [message]);
    }
}

#[test]
fn a_process_that_does_not_answer_is_told_from_one_that_answers_wrongly() {
    for (message, expected) in [
        (
            "Readiness probe failed: Get \"http://10.0.0.1:10044/_info\": dial tcp 10.0.0.1:10044: connect: connection refused",
            "`mathoid` runs, but nothing listens on port 10044",
        ),
        (
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
            "`mathoid` runs, but answers 503 to its readiness check `GET /_info`",
        ),
        (
            "Readiness probe failed: Get \"http://10.0.0.1\": context deadline exceeded",
            "`mathoid` runs, but doesn't answer its readiness check in time",
        ),
        (
            "Readiness probe failed: exit 1",
            "`mathoid` runs, but its readiness check fails",
        ),
    ] {
        let summary = summary(pod(ContainerState::Running), &[unhealthy(message)]);
        assert_eq!(summary, expected);
    }
    let mut developed = pod(ContainerState::Running);
    developed.form = Form::Develop;
    let warning = unhealthy("Readiness probe failed: HTTP probe failed with statuscode: 503");
    assert_eq!(
        summary(developed, &[warning]),
        "the process of `mathoid` isn't ready"
    );
}

#[test]
fn a_volume_that_can_not_be_mounted_is_named() {
    let message = "MountVolume.SetUp failed for volume \"config-0\" : configmap \"x\" not found";
    let warning = warning("Pod", "mathoid-main-1", "FailedMount", message);
    let cause = cause(waiting("ContainerCreating", ""), &[warning]);
    assert_eq!(cause.summary, "a volume of `mathoid` can't be mounted");
    let message =
        "MountVolume.SetUp failed for volume \"config-0\" : failed to sync configmap cache";
    let warning = self::warning("Pod", "mathoid-main-1", "FailedMount", message);
    let pod = waiting("ContainerCreating", "");
    assert_eq!(diagnose(&mathoid(), &[pod], &[warning], &[]), None);
}
