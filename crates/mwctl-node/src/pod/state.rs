//! What is known of a pod that this node runs: a value that events change and decisions are made on.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};
use k8s_openapi::jiff::Timestamp;

use super::backoff::Backoff;
use super::failing::Failing;
use super::probes::Probes;

/// A pod on this node.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// When the node first saw it.
    pub(crate) begun: Timestamp,
    pub(crate) sandbox: Sandbox,
    /// Whether all init containers have done their part once.
    pub(crate) initialized: bool,
    /// How often what its containers share couldn't be made, one after the other.
    pub(crate) unprepared: u32,
    /// By name: init containers and the others.
    pub(crate) containers: BTreeMap<String, Member>,
    pub(crate) ending: Option<Ending>,
    /// Why the node doesn't run it at all.
    pub(crate) refusal: Option<Refusal>,
}

/// What the containers of a pod share: namespaces, network, volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sandbox {
    /// Not there; after a failure not before this.
    Absent {
        not_before: Option<Timestamp>,
    },
    Preparing,
    Ready {
        address: Option<Ipv4Addr>,
    },
    Removing,
    Removed,
}

/// Why a pod ends that isn't done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was deleted; by then all must have ended.
    Deleted { deadline: Timestamp },
    /// It ran for longer than `activeDeadlineSeconds`.
    Overdue { deadline: Timestamp },
}

/// Why the node doesn't run a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// One container of a pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) run: Run,
    /// How often it was started again.
    pub(crate) restarts: u32,
    /// How it ended before.
    pub(crate) last: Option<Finish>,
    pub(crate) backoff: Backoff,
    pub(crate) probes: Probes,
    pub(crate) image_id: String,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum Run {
    /// Nothing yet.
    #[default]
    Waiting,
    /// It couldn't be started.
    Failing(Failing),
    Starting,
    Running {
        since: Timestamp,
        id: String,
        stopping: bool,
    },
    Ended(Finish),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finish {
    pub(crate) id: String,
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: Option<String>,
    pub(crate) started: Timestamp,
    pub(crate) finished: Timestamp,
}

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It must end well before the next begins.
    Init,
    /// It begins with the init containers and stays.
    Sidecar,
    Main,
    /// It was added to a pod that ran, to look into it, and is started once. The pod doesn't wait for it.
    Ephemeral,
}

/// When a container that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Always,
    OnFailure,
    Never,
}

impl State {
    pub(crate) fn new(pod: &Pod, now: Timestamp) -> Self {
        let containers = containers(pod)
            .map(|(_, container)| (container.name.clone(), Member::default()))
            .collect();
        Self {
            begun: now,
            sandbox: Sandbox::Absent { not_before: None },
            unprepared: 0,
            initialized: false,
            containers,
            ending: None,
            refusal: None,
        }
    }

    /// Takes in the containers that were added to the pod.
    pub(crate) fn meet(&mut self, pod: &Pod) {
        for (_, container) in containers(pod) {
            self.containers.entry(container.name.clone()).or_default();
        }
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.containers.get(name)
    }

    /// Whether every container that counts has ended for good.
    pub(crate) fn is_done(&self, pod: &Pod) -> bool {
        if self.refusal.is_some() {
            return true;
        }
        let ended = |name: &str| {
            matches!(
                self.member(name).map(|member| &member.run),
                Some(Run::Ended(_))
            )
        };
        if self.init_failed(pod) {
            return true;
        }
        self.initialized
            && containers(pod)
                .filter(|(role, _)| *role == Role::Main)
                .all(|(role, container)| {
                    ended(&container.name) && !self.starts_again(pod, role, container)
                })
    }

    /// Whether an init container has failed for good.
    pub(crate) fn init_failed(&self, pod: &Pod) -> bool {
        !self.initialized
            && containers(pod).any(|(role, container)| {
                let ended = self.member(&container.name).map(|member| &member.run);
                role == Role::Init
                    && matches!(ended, Some(Run::Ended(finish)) if finish.code != 0)
                    && !self.starts_again(pod, role, container)
            })
    }

    /// Whether a container that has ended is to be started again.
    pub(crate) fn starts_again(&self, pod: &Pod, role: Role, container: &Container) -> bool {
        let Some(Run::Ended(finish)) = self.member(&container.name).map(|member| &member.run)
        else {
            return false;
        };
        match (role, policy(pod)) {
            (Role::Sidecar, _) | (Role::Main, Policy::Always) => true,
            (Role::Init | Role::Main, Policy::Never) | (Role::Ephemeral, _) => false,
            (Role::Init, _) | (Role::Main, Policy::OnFailure) => finish.code != 0,
        }
    }

    /// Whether anything runs or is about to.
    pub(crate) fn is_busy(&self) -> bool {
        self.containers.values().any(Member::is_busy)
    }
}

impl Member {
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.run, Run::Starting | Run::Running { .. })
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.run, Run::Running { .. })
    }
}

fn policy(pod: &Pod) -> Policy {
    match pod
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref())
    {
        Some("Never") => Policy::Never,
        Some("OnFailure") => Policy::OnFailure,
        _ => Policy::Always,
    }
}

/// A pod as the node looks at it: its ephemeral containers stand among the others, too.
pub(crate) fn view(mut pod: Pod) -> Pod {
    if let Some(spec) = &mut pod.spec {
        let ephemeral = spec.ephemeral_containers.iter().flatten();
        spec.containers.extend(ephemeral.cloned().map(as_container));
    }
    pod
}

fn as_container(it: EphemeralContainer) -> Container {
    Container {
        name: it.name,
        image: it.image,
        command: it.command,
        args: it.args,
        working_dir: it.working_dir,
        env: it.env,
        env_from: it.env_from,
        volume_mounts: it.volume_mounts,
        image_pull_policy: it.image_pull_policy,
        security_context: it.security_context,
        stdin: it.stdin,
        stdin_once: it.stdin_once,
        tty: it.tty,
        termination_message_path: it.termination_message_path,
        termination_message_policy: it.termination_message_policy,
        // Kubernetes allows it neither ports nor limits, probes or hooks.
        ..Container::default()
    }
}

/// An ephemeral container of a pod by its name.
pub(crate) fn ephemeral<'a>(pod: &'a Pod, name: &str) -> Option<&'a EphemeralContainer> {
    let spec = pod.spec.as_ref()?;
    let mut ephemeral = spec.ephemeral_containers.iter().flatten();
    ephemeral.find(|container| container.name == name)
}

/// All containers of a pod's [`view`] in the order of their beginning, with what they are.
pub(crate) fn containers(pod: &Pod) -> impl Iterator<Item = (Role, &Container)> {
    let spec = pod.spec.as_ref();
    let init = spec
        .and_then(|spec| spec.init_containers.as_ref())
        .into_iter()
        .flatten()
        .map(|container| {
            let stays = container.restart_policy.as_deref() == Some("Always");
            (if stays { Role::Sidecar } else { Role::Init }, container)
        });
    let main = spec.map(|spec| &spec.containers).into_iter().flatten();
    init.chain(main.map(|container| {
        let is_ephemeral = ephemeral(pod, &container.name).is_some();
        let role = if is_ephemeral {
            Role::Ephemeral
        } else {
            Role::Main
        };
        (role, container)
    }))
}

/// A container of a pod by its name.
pub(crate) fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    containers(pod)
        .map(|(_, container)| container)
        .find(|container| container.name == name)
}

/// How long a pod's containers may take to end by themselves.
pub(crate) fn grace(pod: &Pod) -> Duration {
    let spec = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.termination_grace_period_seconds);
    let deletion = pod.metadata.deletion_grace_period_seconds;
    Duration::from_secs(deletion.or(spec).unwrap_or(30).max(0).unsigned_abs())
}
