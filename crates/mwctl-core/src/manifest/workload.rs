//! What makes a service's pods: a Deployment, a StatefulSet, a DaemonSet, a Job or a CronJob.

use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetSpec, Deployment, DeploymentSpec, DeploymentStrategy,
    RollingUpdateDeployment, StatefulSet, StatefulSetSpec,
};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job, JobSpec, JobTemplateSpec};
use k8s_openapi::api::core::v1::{
    Container as KubeContainer, PodSpec, PodTemplateSpec, ServiceAccount,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::label::{FORM, Form, object_labels, object_name, pod_labels, selector};
use super::network::containers;
use super::{Object, ObjectId, config, pod, storage};
use crate::model::{Concurrency, Run, Service, Stack, Workload};

/// How long a stateless process may take to stop: a developer waits for it.
const GRACE_SECONDS: i64 = 10;
/// How long one with data may take: Kubernetes' own default, since a killed database recovers slowly.
const GRACE_SECONDS_WITH_DATA: i64 = 30;
/// Old generations of pods that are kept; nobody rolls a developer's stack back further.
const HISTORY: i32 = 2;

/// Where the object that makes a service's pods is found.
pub fn workload_id(stack: &Stack, service: &Service) -> ObjectId {
    ObjectId {
        api_version: service.workload.api_version().to_owned(),
        kind: service.workload.kind().to_owned(),
        namespace: Some(stack.namespace.clone()),
        name: object_name(stack, service),
    }
}

/// The metadata of an object of a service.
pub(super) fn metadata(
    stack: &Stack,
    service: &Service,
    name: String,
    worktree: &str,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(stack.namespace.clone()),
        labels: Some(object_labels(stack, service, worktree)),
        ..Default::default()
    }
}

/// The object that makes a service's pods, in their planned form.
pub(super) fn workload(stack: &Stack, service: &Service, image: &str, worktree: &str) -> Object {
    let metadata = planned(stack, service, worktree);
    match &service.workload {
        Workload::Deployment => Object::new(&deployment(stack, service, image, worktree)),
        Workload::StatefulSet => Object::new(&StatefulSet {
            metadata,
            spec: Some(StatefulSetSpec {
                replicas: Some(service.replicas as i32),
                revision_history_limit: Some(HISTORY),
                selector: found_by(stack, service),
                service_name: Some(object_name(stack, service)),
                template: template(stack, service, image),
                volume_claim_templates: pod::some(storage::claim_templates(
                    stack, service, worktree,
                )),
                ..Default::default()
            }),
            status: None,
        }),
        Workload::DaemonSet => Object::new(&DaemonSet {
            metadata,
            spec: Some(DaemonSetSpec {
                revision_history_limit: Some(HISTORY),
                selector: found_by(stack, service),
                template: template(stack, service, image),
                ..Default::default()
            }),
            status: None,
        }),
        Workload::Job(run) => Object::new(&Job {
            metadata,
            spec: Some(job(stack, service, run, image)),
            status: None,
        }),
        Workload::CronJob {
            schedule,
            concurrency,
            run,
        } => Object::new(&CronJob {
            metadata,
            spec: Some(CronJobSpec {
                schedule: schedule.clone(),
                concurrency_policy: Some(
                    match concurrency {
                        Concurrency::Allow => "Allow",
                        Concurrency::Forbid => "Forbid",
                        Concurrency::Replace => "Replace",
                    }
                    .to_owned(),
                ),
                job_template: JobTemplateSpec {
                    metadata: Some(ObjectMeta {
                        labels: Some(object_labels(stack, service, worktree)),
                        ..Default::default()
                    }),
                    spec: Some(job(stack, service, run, image)),
                },
                ..Default::default()
            }),
            status: None,
        }),
    }
}

/// A service's Deployment.
pub(super) fn deployment(
    stack: &Stack,
    service: &Service,
    image: &str,
    worktree: &str,
) -> Deployment {
    Deployment {
        metadata: planned(stack, service, worktree),
        spec: Some(DeploymentSpec {
            replicas: Some(service.replicas as i32),
            revision_history_limit: Some(HISTORY),
            selector: found_by(stack, service),
            strategy: Some(strategy(service, 1, 0)),
            template: template(stack, service, image),
            ..Default::default()
        }),
        status: None,
    }
}

/// Whoever drains a node takes one pod of a service at a time; `None` where there is one at most.
pub(super) fn disruption(
    stack: &Stack,
    service: &Service,
    worktree: &str,
) -> Option<PodDisruptionBudget> {
    let many = matches!(
        service.workload,
        Workload::Deployment | Workload::StatefulSet
    );
    (many && service.replicas > 1).then(|| PodDisruptionBudget {
        metadata: metadata(stack, service, object_name(stack, service), worktree),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(found_by(stack, service)),
            ..Default::default()
        }),
        status: None,
    })
}

/// The account of a service that speaks to the Kubernetes API; `None` for one that doesn't.
pub(super) fn account(stack: &Stack, service: &Service, worktree: &str) -> Option<ServiceAccount> {
    service.account.then(|| ServiceAccount {
        metadata: metadata(stack, service, object_name(stack, service), worktree),
        ..Default::default()
    })
}

/// How pods are replaced: one after the other without a gap, except that two pods can't share a
/// persistent volume.
pub(super) fn strategy(service: &Service, surge: i32, unavailable: i32) -> DeploymentStrategy {
    if storage::is_persistent(service) {
        return DeploymentStrategy {
            type_: Some("Recreate".to_owned()),
            rolling_update: None,
        };
    }
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(surge)),
            max_unavailable: Some(IntOrString::Int(unavailable)),
        }),
    }
}

fn planned(stack: &Stack, service: &Service, worktree: &str) -> ObjectMeta {
    let mut metadata = metadata(stack, service, object_name(stack, service), worktree);
    if let Some(labels) = &mut metadata.labels {
        labels.insert(FORM.to_owned(), Form::Planned.as_str().to_owned());
    }
    metadata
}

fn found_by(stack: &Stack, service: &Service) -> LabelSelector {
    LabelSelector {
        match_labels: Some(selector(stack, service)),
        match_expressions: None,
    }
}

fn job(stack: &Stack, service: &Service, run: &Run, image: &str) -> JobSpec {
    JobSpec {
        backoff_limit: Some(run.retries as i32),
        active_deadline_seconds: run.deadline_seconds.map(i64::from),
        template: template(stack, service, image),
        ..Default::default()
    }
}

/// A service's pod in its planned form.
fn template(stack: &Stack, service: &Service, image: &str) -> PodTemplateSpec {
    let mut annotations = config::checksums(service);
    annotations.extend(service.annotations.clone());
    let mut volumes = storage::volumes(stack, service);
    volumes.extend(config::volumes(stack, service));
    let container = |container| pod::container(stack, service, container, image);
    let (running, beside) = if service.workload.ends() {
        // Helpers would keep the pod from ending, were they not of the kind that ends with the others.
        let helpers = service.helpers.iter().map(|helper| KubeContainer {
            restart_policy: Some("Always".to_owned()),
            ..container(helper)
        });
        (vec![container(&service.main)], helpers.collect())
    } else {
        (containers(service).map(container).collect(), Vec::new())
    };
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels(stack, service, Form::Planned)),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..Default::default()
        }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(service.account),
            service_account_name: service.account.then(|| object_name(stack, service)),
            // A container that failed stays to be looked at; another pod tries again.
            restart_policy: service.workload.ends().then(|| "Never".to_owned()),
            init_containers: pod::some(beside),
            containers: running,
            security_context: pod::pod_security(service),
            termination_grace_period_seconds: Some(if storage::is_persistent(service) {
                GRACE_SECONDS_WITH_DATA
            } else {
                GRACE_SECONDS
            }),
            volumes: pod::some(volumes),
            ..Default::default()
        }),
    }
}
