//! What a pod becomes while its service is worked on or tested: the agent is its first process.
//!
//! The agent comes as an immutable ConfigMap, so that any image will do. An init container (the agent
//! again) copies the image's application directory into a volume that the service's unprivileged user
//! can write; directories of dependencies get volumes of their own. Where the cluster runs on this very
//! machine, the checkout itself can be mounted instead, for reading only. Nothing kills a container in
//! mid-edit: there are no liveness and startup probes, and readiness is what the agent says.

mod command;
mod install;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    ConfigMap, Container as KubeContainer, HTTPGetAction, Pod, PodSpec, Probe as KubeProbe, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub use self::command::{AGENT_DIRECTORY, RUN_DIRECTORY, command_of};
use self::install::{Files, install};
pub use self::install::{Inside, inside};
use super::label::{FORM, Form, NAME, ROLE, container_name, stack_labels};
use super::network::containers;
use super::{Object, config, patch, pod, storage, workload};
use crate::model::{Develop, Service, Stack, VolumeKind, Workload};
use crate::problem::Problem;

/// The first port tried for the agent's answer to the readiness probe: in the range that neither the
/// kernel hands out nor services commonly use.
const FIRST_HEALTH_PORT: u16 = 7299;

/// The agent as it is brought into a container.
#[derive(Clone, Copy, Debug)]
pub struct AgentBundle<'a> {
    /// The small program that unpacks and runs the agent.
    pub loader: &'a [u8],
    /// The agent, compressed as the loader expects it.
    pub packed: &'a [u8],
    /// The digest of both, in hex.
    pub digest: &'a str,
}

impl AgentBundle<'_> {
    /// The name of the ConfigMap that holds it.
    fn config_map_name(&self) -> String {
        let digest: String = self.digest.chars().take(12).collect();
        format!("mwctl-agent-{digest}")
    }
}

/// The ConfigMap with the agent. Its name changes with its content, which can never change.
pub fn agent_config_map(stack: &Stack, agent: &AgentBundle<'_>, worktree: &str) -> Object {
    let mut labels = stack_labels(stack, worktree);
    labels.insert(ROLE.to_owned(), "agent".to_owned());
    let bytes = |bytes: &[u8]| ByteString(bytes.to_vec());
    Object::new(&ConfigMap {
        metadata: ObjectMeta {
            name: Some(agent.config_map_name()),
            namespace: Some(stack.namespace.clone()),
            labels: Some(labels),
            ..Default::default()
        },
        binary_data: Some(
            [
                ("agent".to_owned(), bytes(agent.loader)),
                ("agent.lz4".to_owned(), bytes(agent.packed)),
            ]
            .into(),
        ),
        immutable: Some(true),
        data: None,
    })
}

/// What a service in its develop form consists of: the agent's ConfigMap and the Deployment.
///
/// `image` is the service's own; `image_command` what that image runs by itself, where it is known.
/// The Deployment keeps its name and selector: leaving develop is applying the planned form again.
pub fn develop_form(
    stack: &Stack,
    service: &Service,
    image: &str,
    image_command: Option<&[String]>,
    agent: &AgentBundle<'_>,
    worktree: &str,
) -> Result<Vec<Object>, Problem> {
    let develop = developed(service)?;
    let command = command_of(service, image_command)?;
    let files = match service.source.directory() {
        Some(checkout) if develop.mount => Files::Mounted { checkout },
        _ => Files::Copied,
    };
    let mut deployment = planned(stack, service, image, worktree)?;
    if let Some(labels) = &mut deployment.metadata.labels {
        labels.insert(FORM.to_owned(), Form::Develop.as_str().to_owned());
    }
    if let Some(spec) = &mut deployment.spec {
        spec.replicas = Some(1);
        // The planned pod goes at once: two processes would answer in turns, and whoever develops
        // need not wait until the old one has stopped, unless it holds on to data.
        spec.strategy = Some(workload::strategy(service, 0, 1));
        if let Some(metadata) = &mut spec.template.metadata {
            metadata
                .labels
                .get_or_insert_with(BTreeMap::new)
                .insert(FORM.to_owned(), Form::Develop.as_str().to_owned());
        }
        if let Some(pod) = &mut spec.template.spec {
            install(stack, service, develop, agent, files, pod);
            let main = main_container(stack, service, pod);
            main.env = pod::some(config::environment(
                stack,
                service,
                &service.main,
                &develop.environment,
            ));
            main.command = Some(command::run(service, develop, agent, &command));
            main.readiness_probe = Some(readiness(health_port(service)));
            pod.termination_grace_period_seconds = Some(grace_seconds(develop));
        }
    }
    Ok(vec![
        agent_config_map(stack, agent, worktree),
        Object::new(&deployment),
    ])
}

/// The planned Deployment with what the user merges over it.
fn planned(
    stack: &Stack,
    service: &Service,
    image: &str,
    worktree: &str,
) -> Result<Deployment, Problem> {
    let planned = workload::workload(stack, service, image, worktree);
    serde_json::from_value(patch::patched(service, planned).to_value()).map_err(|error| {
        let name = &service.name;
        Problem::new(format!(
            "the Deployment of `{name}` with its patches makes no sense: {error}"
        ))
        .hint(format!("correct `patches` of `{name}` in `mwctl.yaml`"))
    })
}

/// A pod for one run of the tests.
#[derive(Clone, Copy, Debug)]
pub struct TestPod<'a> {
    /// Its name, which nothing else has.
    pub name: &'a str,
    /// The service's own image.
    pub image: &'a str,
    /// The test command; the service's own where it is empty.
    pub command: &'a [String],
}

/// A fresh pod in which a service's tests run, with the agent's ConfigMap.
///
/// It has the service's configuration and secrets, and none of the labels by which the service's
/// Deployment and Service find their pods. No helper containers: a helper that runs on would keep the
/// pod from ending.
pub fn test_pod(
    stack: &Stack,
    service: &Service,
    test: &TestPod<'_>,
    agent: &AgentBundle<'_>,
    worktree: &str,
) -> Result<Vec<Object>, Problem> {
    let develop = developed(service)?;
    let command = command::test_command(service, test.command)?;
    let mut labels = stack_labels(stack, worktree);
    labels.insert(NAME.to_owned(), service.name.to_string());
    labels.insert(FORM.to_owned(), Form::Test.as_str().to_owned());
    let mut spec = PodSpec {
        automount_service_account_token: Some(false),
        containers: vec![pod::container(stack, service, &service.main, test.image)],
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(grace_seconds(develop)),
        volumes: pod::some(test_volumes(stack, service)),
        ..Default::default()
    };
    install(stack, service, develop, agent, Files::Copied, &mut spec);
    let main = main_container(stack, service, &mut spec);
    let environment = service.test.as_ref().map(|test| test.environment.clone());
    main.env = pod::some(config::environment(
        stack,
        service,
        &service.main,
        &environment.unwrap_or_default(),
    ));
    main.command = Some(command::test(service, develop, agent, &command));
    main.readiness_probe = None;
    Ok(vec![
        agent_config_map(stack, agent, worktree),
        Object::new(&Pod {
            metadata: ObjectMeta {
                name: Some(test.name.to_owned()),
                namespace: Some(stack.namespace.clone()),
                labels: Some(labels),
                ..Default::default()
            },
            spec: Some(spec),
            status: None,
        }),
    ])
}

/// A service's volumes for a test: data that outlives pods belongs to the running service, so a test
/// gets an empty directory in its place.
fn test_volumes(stack: &Stack, service: &Service) -> Vec<Volume> {
    service
        .volumes
        .iter()
        .map(|volume| match volume.kind {
            VolumeKind::Persistent { .. } => storage::temporary(&volume.name),
            _ => storage::volume(stack, service, volume),
        })
        .chain(config::volumes(stack, service))
        .collect()
}

fn developed(service: &Service) -> Result<&Develop, Problem> {
    if service.workload != Workload::Deployment {
        let (name, kind) = (&service.name, service.workload.kind());
        let problem = Problem::new(format!(
            "`{name}` can't be developed or tested: it is a {kind}, and only a Deployment can"
        ));
        return Err(problem.hint(format!(
            "write `workload: {{kind: deployment}}` for `{name}` into `mwctl.yaml` while you work on it"
        )));
    }
    service.develop.as_ref().ok_or_else(|| {
        Problem::new(format!(
            "`{}` can't be developed: it has no source",
            service.name
        ))
        .hint(format!(
            "give `{}` a `source` and a `develop` section in `mwctl.yaml`",
            service.name
        ))
    })
}

/// The port on which the agent answers the readiness probe: one that no container of the pod uses.
pub fn health_port(service: &Service) -> u16 {
    let used = |number: u16| {
        containers(service)
            .flat_map(|container| &container.ports)
            .any(|port| port.number == number)
    };
    (FIRST_HEALTH_PORT..=u16::MAX)
        .find(|number| !used(*number))
        .unwrap_or(FIRST_HEALTH_PORT)
}

fn readiness(health: u16) -> KubeProbe {
    KubeProbe {
        http_get: Some(HTTPGetAction {
            path: Some("/".to_owned()),
            port: IntOrString::Int(i32::from(health)),
            ..Default::default()
        }),
        period_seconds: Some(1),
        // Not 1: a restart in place is over before the neighbours would have heard of it.
        failure_threshold: Some(2),
        ..Default::default()
    }
}

/// The agent needs a moment beyond what it grants the process.
fn grace_seconds(develop: &Develop) -> i64 {
    develop.stop_timeout_ms.div_ceil(1000) as i64 + 1
}

fn main_container<'a>(
    stack: &Stack,
    service: &Service,
    pod: &'a mut PodSpec,
) -> &'a mut KubeContainer {
    let name = container_name(stack, service, &service.main);
    let index = pod.containers.iter().position(|c| c.name == name);
    &mut pod.containers[index.unwrap_or(0)]
}
