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
    diagnose(&stack(), &mathoid(), &[pod], warnings, &lines).expect("there is a cause")
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
        assert_eq!(diagnose(&stack(), &mathoid(), &[pod], &[], &[]), None);
    }
    assert_eq!(diagnose(&stack(), &mathoid(), &[], &[], &[]), None);
}

#[test]
fn a_pod_of_another_service_or_one_that_goes_counts_for_nothing() {
    let mut other = waiting("ErrImageNeverPull", "");
    other.service = Some(name("redis"));
    let mut going = waiting("ErrImageNeverPull", "");
    going.terminating = true;
    assert_eq!(
        diagnose(&stack(), &mathoid(), &[other, going], &[], &[]),
        None
    );
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
fn what_was_pushed_and_cant_be_pulled_is_a_matter_of_the_registry_not_of_the_description() {
    let hint = |image: &str, message: &str| {
        let mut pod = waiting("ErrImagePull", message);
        image.clone_into(&mut pod.containers[0].image);
        cause(pod, &[]).hint
    };
    let own = "registry:5000/mwctl/mathoid:0123456789ab";
    let hidden = "lookup registry: no such host";
    assert_eq!(
        hint(own, "manifest unknown"),
        "mwctl up mathoid  # pushes it again"
    );
    assert!(hint(own, hidden).contains("`mwctl up --registry none`"));
    // Somebody else's is what the description names.
    for other in ["registry:5000/mwctl/other:1", "registry:5000/mathoid:1"] {
        assert!(
            hint(other, hidden).starts_with("correct `container.image`"),
            "{other}"
        );
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
    assert_eq!(
        diagnose(&stack(), &mathoid(), &[pod.clone()], &[], &[]),
        None
    );
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
        let cause = diagnose(&stack(), &mathoid(), &[], &[warning], &[]).unwrap();
        assert!(cause.summary.contains(expected), "{}", cause.summary);
        assert_eq!(cause.detail, [message]);
    }
}

#[test]
fn a_quota_says_what_is_wanted_and_what_is_left() {
    let message = "pods \"x\" is forbidden: exceeded quota: small, requested: limits.cpu=2,limits.memory=1Gi, \
                   used: limits.cpu=1,limits.memory=0, limited: limits.cpu=2,limits.memory=3Gi";
    let warning = warning("ReplicaSet", "mathoid-main-abc", "FailedCreate", message);
    let cause = diagnose(&stack(), &mathoid(), &[], &[warning], &[]).unwrap();
    assert_eq!(
        cause.detail[0],
        "limits.cpu: 2 wanted, 1 of 2 in use (quota small)"
    );
    assert_eq!(
        cause.detail[1],
        "limits.memory: 1Gi wanted, 0 of 3Gi in use (quota small)"
    );
}

#[test]
fn last_words_say_more_than_an_exit_code() {
    for (line, expected, hint) in [
        (
            "Error: listen EADDRINUSE: address already in use :::10044",
            "`mathoid` finds its port 10044 used already",
            "correct the port",
        ),
        (
            "exec /srv/service/bin: exec format error",
            "the program of `mathoid` is for another architecture",
            "architecture",
        ),
        (
            "Error: getaddrinfo ENOTFOUND redis-man",
            "`mathoid` looks for `redis-man`, and no service has that name",
            "services.redis.host",
        ),
        (
            "dial tcp: lookup nowhere on 10.96.0.10:53: no such host",
            "`mathoid` looks for `nowhere`",
            "the names in the cluster are: mathoid-main, redis-main",
        ),
        (
            "getaddrinfo EAI_AGAIN redis-main",
            "`mathoid` doesn't find `redis` by its name yet",
            "under `needs`",
        ),
        (
            "redis.exceptions.ConnectionError: redis-main:6379. Connection refused.",
            "`mathoid` can't reach `redis`: nothing listens there",
            "mwctl status redis",
        ),
    ] {
        let pod = crashing(termination(1, "Error"));
        let lines = ["starting".to_owned(), line.to_owned()];
        let cause = diagnose(&stack(), &mathoid(), &[pod], &[], &lines).unwrap();
        assert!(cause.summary.starts_with(expected), "{}", cause.summary);
        assert!(cause.hint.contains(hint), "{}", cause.hint);
        assert!(cause.detail.contains(&line.to_owned()));
        assert!(
            cause.detail[0].contains("exit code 1"),
            "{:?}",
            cause.detail
        );
    }
    let pod = crashing(termination(137, "OOMKilled"));
    let lines = ["getaddrinfo ENOTFOUND x".to_owned()];
    let cause = diagnose(&stack(), &mathoid(), &[pod], &[], &lines).unwrap();
    assert!(cause.summary.contains("more memory"), "{}", cause.summary);
}

#[test]
fn a_missing_key_is_named_with_the_place_that_lacks_it() {
    let message = "couldn't find key API_KEY in Secret math/mathoid-main-secret-config";
    assert_eq!(
        summary(waiting("CreateContainerConfigError", message), &[]),
        "`mathoid` is configured with the key `API_KEY`, which Secret math/mathoid-main-secret-config doesn't have"
    );
    let message = "MountVolume.SetUp failed for volume \"config-0\" : references non-existent config key: a.yaml";
    let warning = warning("Pod", "mathoid-main-1", "FailedMount", message);
    assert_eq!(
        summary(waiting("ContainerCreating", ""), &[warning]),
        "a volume of `mathoid` wants the key `a.yaml`, which isn't there"
    );
}

#[test]
fn an_image_for_other_machines_and_a_taken_port_of_the_node_are_told() {
    let message = "no matching manifest for linux/arm64/v8 in the manifest list entries";
    let told = summary(waiting("ErrImagePull", message), &[]);
    assert!(told.contains("other architectures"), "{told}");
    let mut pod = waiting("", "");
    pod.unschedulable = Some(
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
            .to_owned(),
    );
    let told = summary(pod, &[]);
    assert!(told.contains("is used already"), "{told}");
}

#[test]
fn a_startup_check_is_told_from_a_readiness_check() {
    let warning = unhealthy("Startup probe failed: HTTP probe failed with statuscode: 404");
    let told = summary(pod(ContainerState::Running), &[warning]);
    assert_eq!(
        told,
        "`mathoid` runs, but answers 404 to its startup check `GET /`"
    );
}

#[test]
fn a_service_that_waits_names_what_it_waits_for() {
    let stack = stack();
    let observed = crate::observed::Observed::default();
    let cause = crate::observed::waits_for(&stack, &mathoid(), &observed).unwrap();
    assert_eq!(
        cause.summary,
        "`mathoid` waits for `redis`, which isn't ready"
    );
    assert_eq!(cause.hint, "mwctl status redis");
    let redis = &stack.services["redis"];
    assert_eq!(crate::observed::waits_for(&stack, redis, &observed), None);
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
fn a_program_for_other_machines_is_known_by_the_node_that_can_not_start_it() {
    let message = "exec: \"/srv/service/bin\": exec format error";
    let mut ended = termination(128, "StartError");
    message.clone_into(&mut ended.message);
    for pod in [crashing(ended), waiting("RunContainerError", message)] {
        let told = summary(pod, &[]);
        assert!(told.contains("for another architecture"), "{told}");
    }
}

#[test]
fn a_registry_that_is_not_found_is_no_name_that_the_process_looks_for() {
    let message = "dial tcp: lookup registry.example on 10.96.0.10:53: no such host";
    let told = summary(waiting("ErrImagePull", message), &[]);
    assert!(told.contains("can't be reached from the node"), "{told}");
}

#[test]
fn an_object_of_somebody_else_is_not_mended_by_typing_up() {
    let hint = |message: &str| cause(waiting("CreateContainerConfigError", message), &[]).hint;
    let own = "couldn't find key A in Secret math/mathoid-main-secret-config";
    assert_eq!(hint(own), "mwctl up mathoid");
    let foreign = "couldn't find key A in ConfigMap math/kube-root-ca.crt";
    assert!(hint(foreign).starts_with("make `kube-root-ca.crt` whole"));
    assert!(hint("secret \"theirs\" not found").starts_with("make `theirs` whole"));
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
    assert_eq!(
        diagnose(&stack(), &mathoid(), &[pod], &[warning], &[]),
        None
    );
}
