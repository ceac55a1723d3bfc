//! A pod's status as the kubelet writes it: a function of what is known of the pod.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus,
    VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::state::{Ending, Finish, Member, Role, Run, Sandbox, State, containers};

/// How containers' ids begin: the runtime, as for every kubelet.
pub(super) const RUNTIME: &str = "mwctl://";

/// The status that the pod should have. Conditions that others write stay with them.
pub(crate) fn status(pod: &Pod, state: &State, node_address: &str, now: Timestamp) -> PodStatus {
    let phase = phase(pod, state);
    let statuses = |wanted: fn(Role) -> bool| -> Vec<ContainerStatus> {
        let of_kind = containers(pod).filter(|(role, _)| wanted(*role));
        of_kind
            .map(|(role, container)| of_container(pod, state, role, container))
            .collect()
    };
    let init = statuses(|role| matches!(role, Role::Init | Role::Sidecar));
    let ephemeral = statuses(|role| role == Role::Ephemeral);
    let main = statuses(|role| role == Role::Main);
    let address = match &state.sandbox {
        Sandbox::Ready { address } => address.map(|address| address.to_string()),
        // What was told stays told.
        _ => pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
    };
    let (reason, message) = why(state);
    let mut conditions = conditions(pod, state, phase, &main);
    for condition in &mut conditions {
        date(condition, pod, now);
    }
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(conditions),
        container_statuses: Some(main).filter(|_| state.refusal.is_none()),
        init_container_statuses: Some(init)
            .filter(|init| !init.is_empty() && state.refusal.is_none()),
        ephemeral_container_statuses: Some(ephemeral)
            .filter(|it| !it.is_empty() && state.refusal.is_none()),
        host_ip: Some(node_address.to_owned()),
        host_ips: Some(vec![HostIP {
            ip: node_address.to_owned(),
        }]),
        pod_ips: address.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip: address,
        start_time: Some(Time(state.begun)),
        observed_generation: pod.metadata.generation,
        reason,
        message,
        ..PodStatus::default()
    }
}

/// Whether a status says nothing but that all containers are about to begin.
pub(crate) fn only_begins(status: &PodStatus) -> bool {
    let containers = [&status.init_container_statuses, &status.container_statuses];
    let mut containers = containers.into_iter().flatten().flatten();
    let begins = |container: &ContainerStatus| {
        let waiting = container.state.as_ref().and_then(|it| it.waiting.as_ref());
        let reason = waiting.and_then(|it| it.reason.as_deref());
        matches!(reason, Some("ContainerCreating" | "PodInitializing"))
    };
    status.phase.as_deref() == Some("Pending") && status.reason.is_none() && containers.all(begins)
}

fn phase(pod: &Pod, state: &State) -> &'static str {
    if state.refusal.is_some() || state.init_failed(pod) {
        return "Failed";
    }
    let main = || containers(pod).filter(|(role, _)| *role == Role::Main);
    let run = |container: &Container| state.member(&container.name).map(|member| &member.run);
    let ended = |run: Option<&Run>| matches!(run, Some(Run::Ended(_)));
    let overdue = matches!(state.ending, Some(Ending::Overdue { .. }));
    if state.ending.is_some() && !state.is_busy() && (overdue || state.initialized)
        || state.is_done(pod)
    {
        let failed = overdue
            || main()
                .any(|(_, it)| !matches!(run(it), Some(Run::Ended(finish)) if finish.code == 0));
        return if failed { "Failed" } else { "Succeeded" };
    }
    let begun = |container: &Container| {
        let member = state.member(&container.name);
        matches!(run(container), Some(Run::Running { .. }))
            || ended(run(container))
            || member.is_some_and(|it| it.last.is_some())
    };
    if state.initialized && main().all(|(_, container)| begun(container)) {
        "Running"
    } else {
        "Pending"
    }
}

fn why(state: &State) -> (Option<String>, Option<String>) {
    if let Some(refusal) = &state.refusal {
        return (
            Some(refusal.reason.to_owned()),
            Some(refusal.message.clone()),
        );
    }
    match state.ending {
        Some(Ending::Overdue { .. }) => {
            let message = "Pod was active on the node longer than the specified deadline";
            (
                Some("DeadlineExceeded".to_owned()),
                Some(message.to_owned()),
            )
        }
        _ => (None, None),
    }
}

fn conditions(
    pod: &Pod,
    state: &State,
    phase: &str,
    main: &[ContainerStatus],
) -> Vec<PodCondition> {
    let finished = phase == "Succeeded" || phase == "Failed";
    let sandbox = matches!(state.sandbox, Sandbox::Ready { .. });
    let mut all = vec![condition("PodReadyToStartContainers", sandbox)];
    let uninitialized = containers(pod)
        .filter(|(role, _)| matches!(role, Role::Init | Role::Sidecar))
        .filter(|(role, container)| {
            let member = state.member(&container.name);
            match role {
                Role::Init => !matches!(member.map(|it| &it.run), Some(Run::Ended(finish)) if finish.code == 0),
                _ => !member.is_some_and(|it| it.probes.started(container)),
            }
        })
        .map(|(_, container)| &*container.name);
    let mut initialized = condition("Initialized", state.initialized);
    if !state.initialized {
        initialized.reason = Some("ContainersNotInitialized".to_owned());
        initialized.message = Some(format!(
            "containers with incomplete status: {}",
            list(uninitialized)
        ));
    } else if phase == "Succeeded" {
        initialized.reason = Some("PodCompleted".to_owned());
    }
    all.push(initialized);
    let unready = main
        .iter()
        .filter(|status| !status.ready)
        .map(|status| &*status.name);
    let message = format!("containers with unready status: {}", list(unready));
    let containers_ready = !finished && state.initialized && main.iter().all(|status| status.ready);
    let gates = gates(pod);
    for (name, ready) in [
        ("Ready", containers_ready && gates.is_empty()),
        ("ContainersReady", containers_ready),
    ] {
        let mut it = condition(name, ready);
        if finished {
            it.reason = Some(
                if phase == "Succeeded" {
                    "PodCompleted"
                } else {
                    "PodFailed"
                }
                .to_owned(),
            );
        } else if !containers_ready {
            it.reason = Some("ContainersNotReady".to_owned());
            it.message = Some(message.clone());
        } else if !ready {
            it.reason = Some("ReadinessGatesNotReady".to_owned());
            it.message = Some(gates.join(", "));
        }
        all.push(it);
    }
    all
}

/// The readiness gates that others haven't opened, each as a sentence.
fn gates(pod: &Pod) -> Vec<String> {
    let gates = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.readiness_gates.as_ref());
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let value = |kind: &str| {
        let found = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition.type_ == kind);
        found.map(|condition| condition.status.clone())
    };
    let gates = gates
        .into_iter()
        .flatten()
        .filter_map(|gate| match value(&gate.condition_type) {
            Some(status) if status == "True" => None,
            Some(status) => Some(format!(
                "the status of pod readiness gate \"{}\" is not \"True\", but {status}",
                gate.condition_type
            )),
            None => Some(format!(
                "corresponding condition of pod readiness gate \"{}\" does not exist.",
                gate.condition_type
            )),
        });
    gates.collect()
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", names.collect::<Vec<_>>().join(" "))
}

fn condition(kind: &str, holds: bool) -> PodCondition {
    PodCondition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        ..PodCondition::default()
    }
}

/// A condition that holds as before holds since then.
fn date(condition: &mut PodCondition, pod: &Pod, now: Timestamp) {
    let before = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let before = before
        .into_iter()
        .flatten()
        .find(|other| other.type_ == condition.type_);
    let since = before
        .filter(|other| other.status == condition.status)
        .and_then(|other| other.last_transition_time.clone());
    condition.last_transition_time = Some(since.unwrap_or(Time(now)));
    condition.observed_generation = pod.metadata.generation;
}

fn of_container(pod: &Pod, state: &State, role: Role, container: &Container) -> ContainerStatus {
    let unknown = Member::default();
    let member = state.member(&container.name).unwrap_or(&unknown);
    let (now, last) = states(pod, state, role, container, member);
    let id = match (&member.run, &member.last) {
        (Run::Running { id, .. }, _) => Some(id),
        (Run::Ended(finish), _) | (_, Some(finish)) => Some(&finish.id),
        _ => None,
    };
    let running = member.is_running();
    let ready = match role {
        // One that has done its part is ready, as odd as it sounds.
        Role::Init => matches!(&member.run, Run::Ended(finish) if finish.code == 0),
        _ => running && member.probes.ready(container),
    };
    ContainerStatus {
        name: container.name.clone(),
        state: Some(now),
        last_state: Some(last.unwrap_or_default()),
        ready,
        started: Some(running && member.probes.started(container)),
        restart_count: i32::try_from(member.restarts).unwrap_or(i32::MAX),
        image: container.image.clone().unwrap_or_default(),
        image_id: member.image_id.clone(),
        container_id: id.map(|id| format!("{RUNTIME}{id}")),
        volume_mounts: mounts(container),
        ..ContainerStatus::default()
    }
}

fn mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref()?;
    let status = mounts.iter().map(|mount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only,
        recursive_read_only: mount
            .read_only
            .filter(|only| *only)
            .map(|_| "Disabled".to_owned()),
    });
    Some(status.collect())
}

/// What a container does now and did before.
fn states(
    pod: &Pod,
    state: &State,
    role: Role,
    container: &Container,
    member: &Member,
) -> (ContainerState, Option<ContainerState>) {
    let last = member.last.as_ref().map(terminated);
    match &member.run {
        Run::Running { since, .. } => {
            let running = ContainerStateRunning {
                started_at: Some(Time(*since)),
            };
            (
                ContainerState {
                    running: Some(running),
                    ..ContainerState::default()
                },
                last,
            )
        }
        Run::Ended(finish)
            if member.last.as_ref() == Some(finish) && state.starts_again(pod, role, container) =>
        {
            let message = format!(
                "back-off {} restarting failed container={} pod={}_{}({})",
                wait(member),
                container.name,
                pod.metadata.name.as_deref().unwrap_or_default(),
                pod.metadata.namespace.as_deref().unwrap_or_default(),
                pod.metadata.uid.as_deref().unwrap_or_default(),
            );
            (waiting("CrashLoopBackOff", Some(message)), last)
        }
        Run::Ended(finish) => (
            terminated(finish),
            last.filter(|_| member.last.as_ref() != Some(finish)),
        ),
        Run::Failing(failing) => (
            waiting(&failing.reason, Some(failing.message.clone())),
            last,
        ),
        Run::Waiting | Run::Starting => {
            let prepares = (pod.spec.as_ref())
                .is_some_and(|spec| spec.init_containers.iter().flatten().next().is_some());
            let reason = if prepares {
                "PodInitializing"
            } else {
                "ContainerCreating"
            };
            (waiting(reason, None), last)
        }
    }
}

/// As Go writes durations.
fn wait(member: &Member) -> String {
    let seconds = member.backoff.wait().as_secs();
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting {
        reason: Some(reason.to_owned()),
        message,
    };
    ContainerState {
        waiting: Some(waiting),
        ..ContainerState::default()
    }
}

fn terminated(finish: &Finish) -> ContainerState {
    let terminated = ContainerStateTerminated {
        container_id: Some(format!("{RUNTIME}{}", finish.id)),
        exit_code: finish.code,
        signal: finish.signal,
        reason: Some(finish.reason.clone()),
        message: finish.message.clone(),
        started_at: Some(Time(finish.started)),
        finished_at: Some(Time(finish.finished)),
    };
    ContainerState {
        terminated: Some(terminated),
        ..ContainerState::default()
    }
}
